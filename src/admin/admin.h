/* admin.h — commands beside the server; each file of this folder is one. */
#pragma once
#include "store/store.h"

int admin_main(int argc, char **argv);    /* `hearth admin …` */
int admin_export(int argc, char **argv);  /* `hearth export …` */
int admin_backup(int argc, char **argv);  /* `hearth backup …` */
int admin_restore(int argc, char **argv); /* `hearth restore …` */
int admin_fsck(int argc, char **argv);    /* `hearth fsck …` */
int admin_gc(int argc, char **argv);      /* `hearth gc …` */
int admin_scrub(int argc, char **argv);   /* `hearth scrub …` */

/* What a command got: positional words and --options.  Values are C strings of argv. */
struct args {
    const char *words[8];
    int word_count;
    struct arg_option {
        const char *name, *value; /* value NULL for a flag */
    } options[16];
    int option_count;
    struct arena *a;
    struct store *store;
};
const char *args_get(const struct args *x, const char *name); /* NULL when absent */
bool args_has(const struct args *x, const char *name);
str args_str(const struct args *x, const char *name); /* ptr NULL when absent */

MUST err admin_user_add(struct args *x);
MUST err admin_user_passwd(struct args *x);
MUST err admin_user_disable(struct args *x);
MUST err admin_user_enable(struct args *x);
MUST err admin_user_list(struct args *x);
MUST err admin_token_add(struct args *x);
MUST err admin_token_list(struct args *x);
MUST err admin_token_revoke(struct args *x);
MUST err admin_org_add(struct args *x);
MUST err admin_org_list(struct args *x);
MUST err admin_member_add(struct args *x);
MUST err admin_member_remove(struct args *x);
MUST err admin_member_list(struct args *x);
MUST err admin_quota_set(struct args *x);
MUST err admin_quota_show(struct args *x);
