/* view.c — see view.h. */
#include "web/view.h"
#include "base/clock.h"

str view_number(struct arena *a, int64_t v)
{
    str digits = arena_printf(a, "%lld", (long long)(v < 0 ? -v : v));
    char *p = arena_alloc(a, digits.len * 2 + 2);
    size_t n = 0;

    if (v < 0)
        p[n++] = '-';
    for (size_t i = 0; i < digits.len; i++) {
        if (i && (digits.len - i) % 3 == 0)
            p[n++] = ',';
        p[n++] = digits.ptr[i];
    }
    return (str){p, n};
}

/* Three digits at most: "999", "1.2k", "12.3k", "123k", "1.2M". */
static str scaled(struct arena *a, uint64_t v, const char *const *units, size_t count)
{
    size_t unit = 0;
    uint64_t tenths;

    if (v < 1000)
        return arena_printf(a, "%llu%s", (unsigned long long)v, units[0]);
    for (tenths = v; unit + 1 < count && tenths >= (unit ? 10000u : 1000u); unit++)
        tenths = unit ? tenths / 1000 : tenths / 100;
    if (tenths % 10 == 0 || tenths >= 1000)
        return arena_printf(a, "%llu%s", (unsigned long long)(tenths / 10), units[unit]);
    return arena_printf(a, "%llu.%llu%s", (unsigned long long)(tenths / 10),
                        (unsigned long long)(tenths % 10), units[unit]);
}

str view_short(struct arena *a, int64_t v)
{
    static const char *const units[] = {"", "k", "M", "G"};

    return scaled(a, v < 0 ? 0 : (uint64_t)v, units, 4);
}

str view_bytes(struct arena *a, uint64_t v)
{
    static const char *const units[] = {" bytes", " kB", " MB", " GB", " TB", " PB"};

    return v == 1 ? STR("1 byte") : scaled(a, v, units, 6);
}

str view_ago(struct arena *a, int64_t ms)
{
    static const struct {
        int64_t seconds;
        const char *word;
    } units[] = {
        {31536000, "year"}, {2592000, "month"}, {86400, "day"}, {3600, "hour"}, {60, "minute"}};
    int64_t s = (clock_ms() - ms) / 1000;

    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (s >= units[i].seconds)
            return arena_printf(a, "%lld %s%s ago", (long long)(s / units[i].seconds),
                                units[i].word, s >= 2 * units[i].seconds ? "s" : "");
    return STR("just now");
}

str view_repo_path(struct arena *a, const struct repo *r)
{
    return arena_cat(a, STR("/"), repo_kind_prefix(r->kind), r->full_name);
}

/* --- rows of repositories --- */

static str detail_of(struct arena *a, const struct repo *r)
{
    str task = r->pipeline_tag.ptr ? r->pipeline_tag : STR("");

    if (r->num_parameters <= 0)
        return task;
    return arena_cat(a, task, task.len ? STR(" · ") : STR(""), view_short(a, r->num_parameters),
                     STR(" parameters"));
}

void view_rows(struct arena *a, const char *what, const struct repo_list *list,
               struct repo_rows *ret)
{
    *ret = (struct repo_rows){what, arena_many(a, struct repo_row, list->count + 1), list->count};
    for (size_t i = 0; i < list->count; i++) {
        const struct repo *r = &list->items[i];

        ret->items[i] = (struct repo_row){
            .repo = r,
            .path = r->kind == REPO_BUCKET ? STR("") : view_repo_path(a, r), /* no page yet */
            .detail = detail_of(a, r),
            .updated = view_ago(a, r->updated_at_ms),
            .updated_iso = clock_iso(a, r->updated_at_ms),
            .downloads = view_short(a, r->downloads),
            .likes = view_short(a, r->likes),
        };
    }
}

static void row_json(struct json_out *j, const struct repo_row *row)
{
    const struct repo *r = row->repo;

    json_obj(j);
    json_kv_str(j, "id", r->full_name);
    json_kv_str(j, "type", repo_kind_word(r->kind));
    json_kv_str(j, "path", row->path);
    json_kv_bool(j, "private", r->is_private);
    if (r->pipeline_tag.ptr)
        json_kv_str(j, "pipeline_tag", r->pipeline_tag);
    if (r->num_parameters > 0)
        json_kv_i64(j, "numParameters", r->num_parameters);
    json_kv_i64(j, "downloads", r->downloads);
    json_kv_i64(j, "likes", r->likes);
    json_kv_time(j, "lastModified", r->updated_at_ms);
    json_obj_end(j);
}

void view_rows_json(struct json_out *j, const struct repo_rows *v)
{
    json_arr(j);
    for (size_t i = 0; i < v->count; i++)
        row_json(j, &v->items[i]);
    json_arr_end(j);
}

void view_rows_markdown(struct md *m, const struct repo_rows *v)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct repo_row *row = &v->items[i];

        buf_add(m->out, STR("- "));
        if (row->path.len)
            md_link(m, row->repo->full_name, row->path);
        else
            md_text(m, row->repo->full_name);
        if (row->repo->is_private)
            buf_add(m->out, STR(" (private)"));
        buf_add(m->out, STR(": "));
        if (row->detail.len) {
            md_text(m, row->detail);
            buf_add(m->out, STR(", "));
        }
        buf_printf(m->out, "updated %.*s, %.*s downloads, %.*s likes\n", STR_FMT(row->updated),
                   STR_FMT(row->downloads), STR_FMT(row->likes));
    }
}
