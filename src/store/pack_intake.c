/* pack_intake.c — see pack_intake.h. */
#include "store/pack_intake.h"
#include "git/lfs_pointer.h"
#include "git/reach.h"
#include "git/unpack.h"
#include "store/file.h"
#include <git2.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#define NAMED_MAX 10 /* files named in one refusal */
#define FILES_BATCH 1000

/* --- reading --- */

static sem_t places;
static pthread_once_t places_once = PTHREAD_ONCE_INIT;

static void places_init(void)
{
    sem_init(&places, 0, INTAKES_MAX);
}

struct intake_ctx {
    struct arena *a;
    struct arena *scratch;
    struct odb *odb;
};

/* libgit2's SHA-1 notices the known collision attacks; OpenSSL's does not. */
static err check_collision(struct intake_ctx *x, enum obj_type type, str data)
{
    git_oid id;

    if (git_odb_hash(&id, data.ptr, data.len, (git_object_t)type) != 0)
        return err_new(x->a, 422, NULL,
                       "An object of the pack was made to collide with another; it is refused.");
    return OK;
}

static err take(void *ctx, enum obj_type type, str data, oid *ret)
{
    struct intake_ctx *x = ctx;
    err e;

    TRY(check_collision(x, type, data));
    e = object_check(x->scratch, type, data);
    if (!e)
        e = odb_write(x->odb, x->scratch, type, data, ret);
    e = err_copy(x->a, e);
    arena_reset(x->scratch);
    return e;
}

err pack_intake(struct store *s, struct arena *a, const struct repo *r, struct odb *o, int fd,
                uint64_t size)
{
    uint64_t allowed = size * INTAKE_EXPANSION < INTAKE_EXPANSION_FREE ? INTAKE_EXPANSION_FREE
                                                                       : size * INTAKE_EXPANSION;
    struct intake_ctx x = {.a = a, .scratch = arena_new(0), .odb = o};
    struct unpack u = {
        .fd = fd,
        .size = size,
        .bases = o,
        .limits = {INTAKE_OBJECTS_MAX, INTAKE_OBJECT_BYTES,
                   allowed < INTAKE_TOTAL_BYTES ? allowed : INTAKE_TOTAL_BYTES},
        .take = take,
        .ctx = &x,
    };
    uint64_t count;
    err e;

    (void)s, (void)r;
    pthread_once(&places_once, places_init);
    while (sem_wait(&places) != 0)
        ;
    e = unpack_run(a, &u, &count);
    if (!e)
        e = object_flush(o);
    sem_post(&places);
    arena_free(x.scratch);
    return e;
}

/* --- checking --- */

struct finding {
    oid id;
    const char *what;
};

struct check {
    struct store *s;
    struct arena *a;
    const struct repo *r;
    struct odb *o;
    struct finding findings[NAMED_MAX];
    size_t count;
    sha256 *files; /* large files that the pointers name, at most FILES_BATCH */
    size_t file_count;
};

static void find(struct check *c, oid id, const char *what)
{
    if (c->count < NAMED_MAX)
        c->findings[c->count] = (struct finding){id, what};
    c->count++;
}

/* gc leaves alone what the push is about to refer to. */
static err use_files(struct check *c)
{
    size_t missing, count = c->file_count;

    c->file_count = 0;
    TRY(repo_file_use(c->s->hub, c->r->id, c->files, count, &missing));
    return missing ? err_new(c->a, 422, NULL,
                             "LFS content of this push was cleared away meanwhile; run "
                             "`git lfs push --all`, then push again.")
                   : OK;
}

static err check_pointer(struct check *c, struct arena *scratch, oid id)
{
    struct lfs_pointer p;
    struct content content;
    bool found;
    str data;

    TRY(odb_read(c->o, scratch, id, OBJ_BLOB, &data));
    if (!lfs_pointer_parse(data, &p))
        return OK;
    TRY(repo_file_find(c->s->hub, c->r->id, p.oid, &content, &found));
    if (!found)
        find(c, id, "its LFS content was not uploaded; run `git lfs push --all` first");
    else if (content.size != p.size)
        find(c, id, "its LFS pointer names another size than the content has");
    if (!found)
        return OK;
    c->files[c->file_count++] = p.oid;
    return c->file_count == FILES_BATCH ? use_files(c) : OK;
}

static err check_blob(struct check *c, struct arena *scratch, oid id)
{
    enum obj_type type;
    uint64_t size;
    bool found;

    TRY(odb_header(c->o, scratch, id, &type, &size, &found));
    if (!found || type != OBJ_BLOB)
        return OK;
    if (size > INLINE_FILE_MAX)
        find(c, id,
             "larger than 10 MiB; track it with `git lfs track`, then `git lfs migrate import`");
    return size <= LFS_POINTER_MAX ? check_pointer(c, scratch, id) : OK;
}

/* A path of the blob below `tree`, for the message. */
static err path_of(struct odb *o, struct arena *a, oid tree, str prefix, oid id, unsigned depth,
                   str *ret)
{
    struct tree_entry *entries;
    size_t count;

    if (depth > TREE_MAX_DEPTH)
        return OK;
    TRY(tree_entries(o, a, tree, &entries, &count));
    for (size_t i = 0; i < count && !ret->ptr; i++) {
        str path = prefix.len ? arena_cat(a, prefix, STR("/"), entries[i].name) : entries[i].name;

        if (sha1_eq(entries[i].id, id))
            *ret = path;
        else if (mode_is_dir(entries[i].mode))
            TRY(path_of(o, a, entries[i].id, path, id, depth + 1, ret));
    }
    return OK;
}

static err refuse(struct check *c, const oid *tips, size_t tip_count)
{
    str text = STR("");
    size_t named = c->count < NAMED_MAX ? c->count : NAMED_MAX;

    for (size_t i = 0; i < named; i++) {
        str path = STR_NONE;

        for (size_t t = 0; t < tip_count && !path.ptr; t++) {
            enum obj_type type;
            struct commit_obj commit;
            bool found;
            oid id;

            TRY(object_peel(c->o, c->a, tips[t], &id, &type, &found));
            if (!found || type != OBJ_COMMIT)
                continue;
            TRY(commit_read(c->o, c->a, id, &commit));
            TRY(path_of(c->o, c->a, commit.tree, STR(""), c->findings[i].id, 0, &path));
        }
        if (!path.ptr) /* in an older commit of the push */
            path = sha1_hex(c->a, c->findings[i].id);
        text = arena_cat(c->a, text, i ? STR("; ") : STR(""), path, STR(": "),
                         str_c(c->findings[i].what));
    }
    if (c->count > named)
        text = arena_cat(c->a, text, arena_printf(c->a, "; and %zu more", c->count - named));
    return err_new(c->a, 422, NULL, "%.*s", STR_FMT(text));
}

err pack_check_tips(struct store *s, struct arena *a, const struct repo *r, struct odb *o,
                    const oid *tips, size_t tip_count, const oid *known, size_t known_count)
{
    struct check c = {.s = s, .a = a, .r = r, .o = o, .files = arena_many(a, sha256, FILES_BATCH)};
    size_t missing = 0;
    struct reach_query q = {
        .wants = tips,
        .want_count = tip_count,
        .haves = known,
        .have_count = known_count,
        .filter = REACH_ALL,
        .check_blobs = true,
    };
    struct arena *scratch = arena_new(0);
    AUTO_OIDS struct oid_list ids = {0};
    err e = err_copy(a, reach_list(o, scratch, &q, &ids));

    if (e && e->code && strcmp(e->code, "ObjectMissing") == 0)
        e = err_new(a, 422, NULL,
                    "objects that the push needs are missing; push from a complete clone");
    for (size_t i = 0; i < ids.count && !e; i++) {
        arena_reset(scratch);
        e = err_copy(a, check_blob(&c, scratch, ids.ids[i]));
    }
    arena_free(scratch);
    TRY(e);
    if (c.count)
        return refuse(&c, tips, tip_count);
    TRY(use_files(&c));
    TRY(object_renew(s, r->id, ids.ids, ids.count, &missing));
    return missing ? err_new(a, 422, NULL,
                             "old objects that the push relies on were cleared away; push again")
                   : OK;
}
