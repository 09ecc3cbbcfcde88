/* repo_info.h — the JSON object of one repository, for info and lists (info_fields.def). */
#pragma once
#include "base/json.h"
#include "http/request.h"
#include "store/ref.h"

enum info_field {
#define FIELD(id, name, expand, info, list, full) INFO_##id,
#include "hub/info_fields.def"
#undef FIELD
    INFO_COUNT
};
#define INFO_BIT(id) (1ull << INFO_##id)

struct info_want {
    uint64_t fields;  /* bit set of enum info_field */
    bool is_expanded; /* exactly these: members without a value are left out */
    bool blobs;       /* siblings tell size and ids */
};

/* What info (or a list item; with `full`) holds when nothing is expanded. */
uint64_t info_defaults(enum repo_kind kind, bool is_list, bool full);
/* Reads every `expand` of the query into *ret; *ret_any false when there is none.  400 with the
 * list of those that exist. */
MUST err info_expand(struct req *r, enum repo_kind kind, uint64_t *ret, bool *ret_any);

/* Writes the object.  `rev` NULL: the head of main as the row `repo` describes it.  For another
 * commit, card, tags and the like come from its files.  r->a grows by little. */
MUST err hub_info_json(struct req *r, struct json_out *j, const struct repo *repo,
                       const struct info_want *want, const struct revision *rev);

/* Whom lists are made for: NULL is nobody.  A fine-grained token sees what everybody sees, because
 * its scopes name single repositories. */
const struct account *hub_viewer(const struct req *r, bool *ret_sees_all);
