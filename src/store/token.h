/* token.h — access tokens: random, shown once, stored as SHA-256. */
#pragma once
#include "store/account.h"

enum token_role { TOKEN_NONE, TOKEN_READ, TOKEN_WRITE, TOKEN_FINE };

struct token {
    int64_t id, user_id;
    str name;
    enum token_role role;
    str hint;   /* "hf_ab…yz" */
    str scopes; /* JSON of a fine-grained token, else ptr NULL */
    int64_t created_at_ms, last_used_at_ms, expires_at_ms; /* 0: never */
};
struct token_list {
    struct token *items;
    size_t count;
};

str token_role_word(enum token_role r);
enum token_role token_role_parse(str word); /* TOKEN_NONE for anything unknown */

/* Makes "hf_" + 34 letters and digits, or stores `value` when not empty (imports; any text of 1 to
 * 200 visible characters).  *ret_text is the token, the only time it is known.  409 when taken. */
MUST err token_add(struct store *s, struct arena *a, int64_t user_id, str name,
                   enum token_role role, str scopes, str value, str *ret_text);
/* The token and its user by the token's text.  ret->id 0 when there is none, it has expired or its
 * user is disabled.  Answered from a process cache that every write and other processes' writes
 * invalidate. */
MUST err token_find(struct store *s, struct arena *a, str text, struct token *ret,
                    struct account *ret_user);
MUST err token_list(struct db *db, struct arena *a, int64_t user_id, struct token_list *ret);
MUST err token_revoke(struct store *s, int64_t user_id, int64_t id, bool *ret_found);
void token_touch(struct store *s,
                 int64_t id); /* remembers "last used now"; written with the counters */
