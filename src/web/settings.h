/* settings.h — what the pages of one's own settings show. */
#pragma once
#include "store/session.h"
#include "store/token.h"
#include "web/form.h"

struct token_row {
    const struct token *token;
    str created, used; /* "3 days ago", "never" */
};
struct session_row {
    const struct session *session;
    str used;
    bool is_this;
};
struct settings_view {
    const char *tab; /* profile, account, tokens */
    str user, form_token, note, new_token;
    struct form form;
    struct token_row *tokens;
    struct session_row *sessions;
    size_t token_count, session_count;
};
