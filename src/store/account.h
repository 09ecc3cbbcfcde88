/* account.h — users, organizations, their members. */
#pragma once
#include "store/store.h"

enum account_kind { ACCOUNT_USER, ACCOUNT_ORG };
enum member_role { MEMBER_NONE, MEMBER_READ, MEMBER_CONTRIBUTOR, MEMBER_WRITE, MEMBER_ADMIN };

struct account {
    int64_t id;
    str oid; /* 24 hex digits */
    str name;
    enum account_kind kind;
    bool is_site_admin, is_active, is_private_by_default;
    str full_name, email;
    int64_t quota_bytes; /* -1: none */
    int64_t created_at_ms;
};

struct account_new {
    str name, full_name, email, oid; /* oid empty: made here */
    enum account_kind kind;
    bool is_site_admin, is_private_by_default;
    str password; /* empty: no password login */
};

/* Is this name fit for a user or organization?  `imported` allows '_' and '.' and any shape that
 * a path segment can hold (admin commands); `force` also reserved names.  400 or 409. */
MUST err account_name_check(struct arena *a, str name, bool imported, bool force);
bool account_name_reserved(str name);

/* 409 when the name is taken (names compare without case, users and organizations share one space).
 */
MUST err account_add(struct store *s, struct arena *a, const struct account_new *n,
                     struct account *ret);
/* Found by name without regard to case; ret->id 0 when there is none. */
MUST err account_find(struct db *db, struct arena *a, str name, struct account *ret);
/* An active user with exactly this address; ret->id 0 when there is none. */
MUST err account_by_email(struct db *db, struct arena *a, str email, struct account *ret);
MUST err account_by_id(struct db *db, struct arena *a, int64_t id, struct account *ret);
MUST err account_count(struct db *db, enum account_kind kind, int64_t *ret);

struct account_list {
    struct account *items;
    size_t count;
};
MUST err account_list(struct db *db, struct arena *a, enum account_kind kind,
                      struct account_list *ret);
MUST err account_set_password(struct store *s, struct arena *a, int64_t id, str password);
/* The password is good for logging in once: sessions must change it first (session.h). */
MUST err account_set_one_time(struct store *s, int64_t id);
MUST err account_set_profile(struct store *s, const struct account *u); /* full_name and email */
MUST err account_set_active(struct store *s, int64_t id, bool active);
/* How many bytes of large files its repositories may hold together; -1: as many as fit. */
MUST err account_set_quota(struct store *s, int64_t id, int64_t bytes);
/* Constant time also for unknown names. */
MUST err account_check_password(struct store *s, struct arena *a, str name, str password,
                                bool *ret);

str member_role_word(enum member_role r);
enum member_role member_role_parse(str word); /* MEMBER_NONE for anything unknown */
MUST err member_set(struct store *s, int64_t org_id, int64_t user_id,
                    enum member_role role); /* NONE removes */
MUST err member_role_of(struct db *db, int64_t org_id, int64_t user_id, enum member_role *ret);

struct membership {
    struct account account; /* the organization, or the member */
    enum member_role role;
};
struct membership_list {
    struct membership *items;
    size_t count;
};
MUST err member_orgs(struct db *db, struct arena *a, int64_t user_id, struct membership_list *ret);
/* Members of an organization, by name, after `after` (empty: from the start). */
MUST err member_list(struct db *db, struct arena *a, int64_t org_id, str after, int64_t limit,
                     struct membership_list *ret);
