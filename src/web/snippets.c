/* snippets.c — "Use this": the texts of snippets.def for one repository. */
#include "hub/hub.h"
#include "web/card.h"
#include <string.h>

static const struct {
    const char *kinds, *tag, *label, *language, *text;
} table[] = {
#define SNIPPET(kinds, tag, label, language, text) {kinds, tag, label, language, text},
#include "web/snippets.def"
#undef SNIPPET
};

static bool has_tag(const struct card_view *v, const char *tag)
{
    if (!tag[0])
        return true;
    for (size_t i = 0; i < v->head.tag_count; i++)
        if (str_eq(v->head.tags[i], str_c(tag)))
            return true;
    return false;
}

/* $FILE is a small file that is there: every repository has .gitattributes. */
static str fill_in(struct req *r, const struct card_view *v, const char *text)
{
    const struct {
        const char *name;
        str value;
    } words[] = {
        {"$ID", r->repo->full_name},
        {"$ENDPOINT", r->base},
        {"$URL", hub_repo_url(r, r->repo)},
        {"$PREFIX", repo_kind_prefix(r->repo->kind)},
        {"$FILE", v->source.ptr ? STR("README.md") : STR(".gitattributes")},
    };
    AUTO_BUF struct buf out = BUF(8192);

    while (*text) {
        size_t i = 0, len = 0;

        for (; i < sizeof words / sizeof *words; i++) {
            len = strlen(words[i].name);
            if (strncmp(text, words[i].name, len) == 0)
                break;
        }
        if (i < sizeof words / sizeof *words) {
            buf_add(&out, words[i].value);
            text += len;
        } else {
            buf_addc(&out, *text++);
        }
    }
    return arena_str(r->a, buf_str(&out));
}

void snippets_fill(struct req *r, struct card_view *v)
{
    for (size_t i = 0; i < sizeof table / sizeof *table && v->snippet_count < SNIPPETS_MAX; i++)
        if (strchr(table[i].kinds, "mds"[r->repo->kind]) && has_tag(v, table[i].tag))
            v->snippets[v->snippet_count++] =
                (struct snippet){table[i].label, table[i].language, fill_in(r, v, table[i].text)};
}
