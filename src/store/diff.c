/* diff.c — see diff.h: the trees are compared by git/, the lines by libgit2. */
#include "store/diff.h"
#include "base/buf.h"
#include "git/object.h"
#include "git/tree_diff.h"
#include <git2.h>
#include <string.h>

struct diff {
    struct odb *odb;
    struct arena *scratch; /* reset for each file */
    struct buf out;
};

/* --- paths, as git quotes them --- */

static bool needs_quotes(str path)
{
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];

        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
            return true;
    }
    return false;
}

static void put_path(struct buf *b, const char *prefix, str path)
{
    if (!needs_quotes(path)) {
        buf_printf(b, "%s%.*s", prefix, STR_FMT(path));
        return;
    }
    buf_printf(b, "\"%s", prefix);
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];

        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_add(b, STR("\\n"));
        else if (c == '\t')
            buf_add(b, STR("\\t"));
        else if (c < ' ' || c >= 0x7f)
            buf_printf(b, "\\%03o", c);
        else
            buf_addc(b, (char)c);
    }
    buf_addc(b, '"');
}

/* --- one file --- */

static int on_hunk(const git_diff_delta *delta, const git_diff_hunk *hunk, void *payload)
{
    struct diff *d = payload;

    (void)delta;
    buf_add(&d->out, (str){hunk->header, hunk->header_len});
    return d->out.full ? -1 : 0;
}

static int on_line(const git_diff_delta *delta, const git_diff_hunk *hunk,
                   const git_diff_line *line, void *payload)
{
    struct diff *d = payload;

    (void)delta;
    (void)hunk;
    if (line->origin == GIT_DIFF_LINE_CONTEXT || line->origin == GIT_DIFF_LINE_ADDITION ||
        line->origin == GIT_DIFF_LINE_DELETION)
        buf_addc(&d->out, line->origin);
    buf_add(&d->out, (str){line->content, line->content_len});
    return d->out.full ? -1 : 0;
}

/* The content of one side; *ret_text false when it is only named. */
static err read_side(struct diff *d, unsigned mode, oid id, str *ret, bool *ret_text)
{
    enum obj_type type;
    uint64_t size;
    bool found;

    *ret = STR("");
    *ret_text = true;
    if (mode == 0)
        return OK;
    if (!mode_is_blob(mode)) { /* a commit of another repository */
        *ret =
            arena_cat(d->scratch, STR("Subproject commit "), sha1_hex(d->scratch, id), STR("\n"));
        return OK;
    }
    TRY(odb_header(d->odb, d->scratch, id, &type, &size, &found));
    if (!found)
        return obj_missing(d->scratch, id);
    if (size > DIFF_FILE_MAX) {
        *ret_text = false;
        return OK;
    }
    TRY(odb_read(d->odb, d->scratch, id, OBJ_BLOB, ret));
    *ret_text = !memchr(ret->ptr ? ret->ptr : "", 0, ret->len < 8000 ? ret->len : 8000);
    return OK;
}

static void put_head(struct diff *d, const struct tree_change *c)
{
    buf_add(&d->out, STR("diff --git "));
    put_path(&d->out, "a/", c->path);
    buf_addc(&d->out, ' ');
    put_path(&d->out, "b/", c->path);
    buf_addc(&d->out, '\n');
    if (c->old_mode == 0)
        buf_printf(&d->out, "new file mode %06o\n", c->new_mode);
    else if (c->new_mode == 0)
        buf_printf(&d->out, "deleted file mode %06o\n", c->old_mode);
    else if (c->old_mode != c->new_mode)
        buf_printf(&d->out, "old mode %06o\nnew mode %06o\n", c->old_mode, c->new_mode);
    if (sha1_eq(c->old_id, c->new_id))
        return;
    buf_printf(&d->out, "index %.7s..%.7s", sha1_hex(d->scratch, c->old_id).ptr,
               sha1_hex(d->scratch, c->new_id).ptr);
    if (c->old_mode == c->new_mode)
        buf_printf(&d->out, " %06o", c->old_mode);
    buf_addc(&d->out, '\n');
}

/* The names of both sides, /dev/null for the one that is not there. */
static void put_sides(struct diff *d, const struct tree_change *c, const char *before,
                      const char *between, const char *after)
{
    buf_add(&d->out, str_c(before));
    if (c->old_mode)
        put_path(&d->out, "a/", c->path);
    else
        buf_add(&d->out, STR("/dev/null"));
    buf_add(&d->out, str_c(between));
    if (c->new_mode)
        put_path(&d->out, "b/", c->path);
    else
        buf_add(&d->out, STR("/dev/null"));
    buf_add(&d->out, str_c(after));
}

static err compare(struct diff *d, const struct tree_change *c, str old, str new)
{
    git_diff_options options = GIT_DIFF_OPTIONS_INIT;

    options.flags = GIT_DIFF_FORCE_TEXT;
    if (old.len == 0 && new.len == 0)
        return OK;
    put_sides(d, c, "--- ", "\n+++ ", "\n");
    if (git_diff_buffers(old.ptr, old.len, NULL, new.ptr, new.len, NULL, &options, NULL, NULL,
                         on_hunk, on_line, d) &&
        !d->out.full)
        return err_internal(d->scratch, "diff of %.*s failed", STR_FMT(c->path));
    return OK;
}

static err put_change(void *ctx, const struct tree_change *c)
{
    struct diff *d = ctx;
    bool old_text, new_text;
    str old, new;

    if (change_is_dir(c))
        return OK;
    arena_reset(d->scratch);
    put_head(d, c);
    if (sha1_eq(c->old_id, c->new_id))
        return OK;
    TRY(read_side(d, c->old_mode, c->old_id, &old, &old_text));
    TRY(read_side(d, c->new_mode, c->new_id, &new, &new_text));
    if (old_text && new_text)
        TRY(compare(d, c, old, new));
    else
        put_sides(d, c, "Binary files ", " and ", " differ\n");
    if (d->out.full)
        return err_new(d->scratch, 413, NULL,
                       "The difference is larger than %zu bytes; clone the repository and compare "
                       "with git.",
                       d->out.max);
    return OK;
}

static err tree_of(struct odb *o, struct arena *a, oid commit, oid *ret)
{
    struct commit_obj c;

    *ret = OID_ZERO;
    if (sha1_is_zero(commit))
        return OK;
    TRY(commit_read(o, a, commit, &c));
    *ret = c.tree;
    return OK;
}

err diff_text(struct odb *o, struct arena *a, oid old_commit, oid new_commit, size_t max_bytes,
              str *ret)
{
    struct arena *walk = arena_new(0);
    struct diff d = {.odb = o, .scratch = arena_new(0), .out = BUF(max_bytes)};
    oid old = OID_ZERO, new = OID_ZERO;
    err e = tree_of(o, walk, old_commit, &old);

    git_libgit2_init();
    if (!e)
        e = tree_of(o, walk, new_commit, &new);
    if (!e)
        e = tree_diff(o, walk, old, new, put_change, &d);
    e = err_copy(a, e);
    if (!e)
        *ret = arena_str(a, buf_str(&d.out));
    buf_free(&d.out);
    arena_free(d.scratch);
    arena_free(walk);
    git_libgit2_shutdown();
    return e;
}
