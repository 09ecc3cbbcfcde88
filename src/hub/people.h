/* people.h — users and organizations as answers show them. */
#pragma once
#include "http/request.h"
#include "store/account.h"

/* The address of a picture: drawn from the name by hub_avatar(). */
str people_avatar(struct req *r, str name);
/* A user as lists show them: name, full name, picture. */
void people_put(struct req *r, struct json_out *j, const struct account *user);
/* Who on this hub wrote a commit?  The account's name, else the name that git has. */
struct people_authors {
    struct req *r;
    struct people_author {
        str email, user;
    } * items;
    size_t count, cap;
};
MUST err people_author(struct people_authors *p, str name, str email, str *ret_user,
                       bool *ret_known);
