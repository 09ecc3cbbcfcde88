/* hash.h — digests as distinct types: a SHA-1, a SHA-256 and a BLAKE3 never mix.
 *
 * SHA comes from OpenSSL's EVP, BLAKE3 from the official C sources.
 */
#pragma once
#include "base/arena.h"

typedef struct {
    unsigned char b[20];
} sha1;
typedef struct {
    unsigned char b[32];
} sha256;
typedef struct {
    unsigned char b[32];
} blake3;

struct hasher; /* an incremental SHA; heap object */
struct hasher *sha1_new(void);
struct hasher *sha256_new(void);
void hasher_add(struct hasher *h, const void *p, size_t len);
sha1 sha1_end(struct hasher *h);     /* frees h */
sha256 sha256_end(struct hasher *h); /* frees h */
/* A second hasher in the same state: the digest so far, without ending the first. */
struct hasher *hasher_copy(struct hasher *h);
void hasher_free(struct hasher *h); /* accepts NULL */

sha1 sha1_of(const void *p, size_t len);
sha256 sha256_of(const void *p, size_t len);
sha256 hmac_sha256(str key, str message);
blake3 blake3_keyed(const unsigned char key[32], const void *p, size_t len);
struct blake3_stream; /* the same, bytes by bytes; heap object */
struct blake3_stream *blake3_new(const unsigned char key[32]);
void blake3_add(struct blake3_stream *s, const void *p, size_t len);
blake3 blake3_end(struct blake3_stream *s); /* frees s */

bool sha256_from_hex(str hex, sha256 *ret); /* exactly 64 digits, either case */
str sha256_hex(struct arena *a, sha256 h);
bool sha256_eq(sha256 a, sha256 b);
bool sha1_from_hex(str hex, sha1 *ret); /* exactly 40 digits, either case */
str sha1_hex(struct arena *a, sha1 h);
bool sha1_eq(sha1 a, sha1 b);
bool sha1_is_zero(sha1 h);
