"""What the wire and integration tests share: a real server, real clients, a tap between them."""
