/* merge.c — see merge.h. */
#include "store/merge.h"
#include "git/lfs_pointer.h"
#include "git/tree_diff.h"
#include <git2.h>
#include <string.h>

struct change {
    str path;
    unsigned old_mode, new_mode;
    oid old_id, new_id;
};

struct merging {
    struct odb *odb;
    struct arena *a, *scratch; /* scratch: reset for each path */
    oid ours;
    struct change *changes;
    size_t count, cap;
    struct merge_result *result;
};

static err note(void *arg, const struct tree_change *c)
{
    struct merging *m = arg;

    if (change_is_dir(c))
        return OK;
    if (m->count == MERGE_PATHS_MAX)
        return err_new(m->a, 413, NULL, "A merge changes at most %d files; merge it with git.",
                       MERGE_PATHS_MAX);
    if (m->count == m->cap) {
        struct change *wider = arena_many(m->a, struct change, m->cap = m->cap ? m->cap * 2 : 64);

        if (m->count)
            memcpy(wider, m->changes, m->count * sizeof *wider);
        m->changes = wider;
    }
    m->changes[m->count++] =
        (struct change){arena_str(m->a, c->path), c->old_mode, c->new_mode, c->old_id, c->new_id};
    return OK;
}

static void conflict(struct merging *m, str path)
{
    m->result->conflicts[m->result->conflict_count++] = path;
}

static void take(struct merging *m, const struct change *c, unsigned mode, oid id)
{
    m->result->edits[m->result->edit_count++] =
        (struct tree_edit){.path = c->path, .is_removal = mode == 0, .mode = mode, .id = id};
}

/* --- lines --- */

static err read_text(struct merging *m, unsigned mode, oid id, str *ret, bool *ret_text)
{
    struct lfs_pointer pointer;
    enum obj_type type;
    uint64_t size;
    bool found;

    *ret = STR("");
    *ret_text = mode == 0; /* a side that has no such file merges as an empty one */
    if (mode == 0 || (mode & 0170000) != 0100000)
        return OK;
    TRY(odb_header(m->odb, m->scratch, id, &type, &size, &found));
    if (!found || size > MERGE_FILE_MAX)
        return OK;
    TRY(odb_read(m->odb, m->scratch, id, OBJ_BLOB, ret));
    *ret_text =
        !memchr(ret->ptr ? ret->ptr : "", 0, ret->len) && !lfs_pointer_parse(*ret, &pointer);
    return OK;
}

static git_merge_file_input side(str text)
{
    git_merge_file_input in = GIT_MERGE_FILE_INPUT_INIT;

    in.ptr = text.ptr ? text.ptr : "";
    in.size = text.len;
    return in;
}

/* Writes the merged file; *ret_clean false: its lines contradict each other. */
static err merge_lines(struct merging *m, str base, str ours, str theirs, oid *ret, bool *ret_clean)
{
    git_merge_file_input b = side(base), o = side(ours), t = side(theirs);
    git_merge_file_result done = {0};
    err e = OK;

    *ret_clean = false;
    if (git_merge_file(&done, &b, &o, &t, NULL) != 0)
        return err_internal(m->a, "git_merge_file failed");
    if (done.automergeable) {
        *ret_clean = true;
        e = odb_write(m->odb, m->scratch, OBJ_BLOB, (str){done.ptr, done.len}, ret);
    }
    git_merge_file_result_free(&done);
    return e;
}

/* --- one path --- */

static bool same(unsigned mode, oid id, unsigned mode2, oid id2)
{
    return mode == mode2 && (mode == 0 || sha1_eq(id, id2));
}

static err merge_both(struct merging *m, const struct change *c, unsigned mode, oid id)
{
    str base, ours, theirs;
    bool text[3], clean;
    oid merged;

    if (mode == 0 || c->new_mode == 0 || c->old_mode == 0) { /* changed here, gone there */
        conflict(m, c->path);
        return OK;
    }
    TRY(read_text(m, c->old_mode, c->old_id, &base, &text[0]));
    TRY(read_text(m, mode, id, &ours, &text[1]));
    TRY(read_text(m, c->new_mode, c->new_id, &theirs, &text[2]));
    if (!text[0] || !text[1] || !text[2]) {
        conflict(m, c->path);
        return OK;
    }
    TRY(merge_lines(m, base, ours, theirs, &merged, &clean));
    if (clean)
        take(m, c, mode == c->old_mode ? c->new_mode : mode, merged);
    else
        conflict(m, c->path);
    return OK;
}

/* Does ours have a file where this path needs a folder? */
static err is_blocked(struct merging *m, str path, bool *ret)
{
    *ret = false;
    for (size_t i = 0; i < path.len && !*ret; i++) {
        struct tree_entry e;
        bool found;

        if (path.ptr[i] != '/')
            continue;
        TRY(tree_find(m->odb, m->scratch, m->ours, str_first(path, i), &e, &found));
        if (!found)
            break;
        *ret = !mode_is_dir(e.mode);
    }
    return OK;
}

static err merge_path(struct merging *m, const struct change *c)
{
    struct tree_entry ours = {0};
    bool found, blocked;

    TRY(is_blocked(m, c->path, &blocked));
    if (blocked) {
        if (c->new_mode)
            conflict(m, c->path);
        return OK;
    }
    TRY(tree_find(m->odb, m->scratch, m->ours, c->path, &ours, &found));
    if (!found)
        ours = (struct tree_entry){0};
    if (same(ours.mode, ours.id, c->new_mode, c->new_id))
        return OK;
    if (same(ours.mode, ours.id, c->old_mode, c->old_id)) {
        take(m, c, c->new_mode, c->new_id);
        return OK;
    }
    return merge_both(m, c, ours.mode, ours.id);
}

static err merge_all(struct merging *m, oid base, oid theirs)
{
    TRY(tree_diff(m->odb, m->scratch, base, theirs, note, m));
    m->result->edits = arena_many(m->a, struct tree_edit, m->count + 1);
    m->result->conflicts = arena_many(m->a, str, m->count + 1);
    for (size_t i = 0; i < m->count; i++) {
        arena_reset(m->scratch);
        TRY(merge_path(m, &m->changes[i]));
    }
    return OK;
}

err merge_trees(struct odb *o, struct arena *a, oid base, oid ours, oid theirs,
                struct merge_result *ret)
{
    struct merging m = {.odb = o, .a = a, .scratch = arena_new(0), .ours = ours, .result = ret};
    err e;

    *ret = (struct merge_result){0};
    e = err_copy(a, merge_all(&m, base, theirs));
    arena_free(m.scratch);
    return e;
}
