/* git_push.c — POST git-receive-pack: commands, pack, checks, refs, report.
 *
 *   commands ─▶ pack to DATA/tmp ─▶ objects durable ─▶ what may move where ─▶ tips are complete
 *            ─▶ one compare-and-swap per ref ─▶ report
 *
 * Every refusal is told per ref, in words; a refused push leaves nothing but objects that gc takes.
 */
#include "base/io.h"
#include "git/receive.h"
#include "git/refname.h"
#include "hub/git.h"
#include "hub/git_body.h"
#include "store/discussion.h"
#include "store/pack_intake.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PACK_MAX_BYTES (4ull << 30)
#define READ_BYTES (64u << 10)
#define REPORT_MAX (16u << 20)

err git_push_allowed(struct req *r)
{
    err e = git_repo_of(r, ACCESS_WRITE);
    bool is_author;

    if (!e || e->status != 403 || !r->user)
        return e;
    TRY(git_repo_of(r, ACCESS_CONTRIBUTE));
    TRY(discussion_is_author(r->store->hub, r->repo->id, r->user->account.id, &is_author));
    return is_author ? OK : e;
}

/* --- the pack --- */

static err spool(struct req *r, struct git_body *body, int *ret_fd, uint64_t *ret_size)
{
    AUTO_FD int fd = open(r->store->tmp_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char *piece = arena_alloc(r->a, READ_BYTES);
    uint64_t size = 0;
    size_t len;

    if (fd < 0)
        return err_os(r->a, "open", r->store->tmp_dir);
    for (;;) {
        TRY(git_body_read(body, piece, READ_BYTES, &len));
        if (len == 0)
            break;
        size += len;
        if (size > PACK_MAX_BYTES)
            return err_new(r->a, 413, NULL,
                           "The pack has more than %llu bytes; push in smaller steps.",
                           (unsigned long long)PACK_MAX_BYTES);
        if (size % (64u << 20) < len)
            TRY(store_disk_check(r->store, r->a, 64u << 20));
        if (write_full(fd, piece, len) != 0)
            return err_os(r->a, "write", r->store->tmp_dir);
    }
    *ret_fd = fd_take(&fd);
    *ret_size = size;
    return OK;
}

static err take_pack(struct req *r, struct git_body *body, struct odb *o)
{
    AUTO_FD int fd = -1;
    uint64_t size = 0;

    TRY(store_disk_check(r->store, r->a, 0));
    TRY(spool(r, body, &fd, &size));
    return pack_intake(r->store, r->a, r->repo, o, fd, size);
}

/* --- which refs may move --- */

static void refuse(struct push_command *c, str why)
{
    c->is_ok = false;
    c->reason = why;
}

static bool is_kept(str name)
{
    return str_starts(name, STR("refs/heads/")) || str_starts(name, STR("refs/tags/")) ||
           str_starts(name, STR("refs/convert/")) || str_starts(name, STR("refs/notes/"));
}

/* refs/pr/N: its author or a writer, only when the pull request exists. */
static err judge_proposal(struct req *r, struct push_command *c, bool may_write, bool *ret_skipped)
{
    str number = str_from(c->name, STR("refs/pr/").len);
    struct discussion d = {0};
    uint64_t n;

    if (str_u64(number, &n))
        TRY(discussion_find(r->store->hub, r->a, r->repo->id, (int64_t)n, &d));
    *ret_skipped = d.id == 0 && r->repo->is_pristine; /* a mirror moves in */
    if (d.id == 0 && !*ret_skipped)
        refuse(c, STR("there is no such pull request; open one with create_pr first"));
    if (d.id && !may_write && d.author_id != r->user->account.id)
        refuse(c, STR("only its author may push to this pull request"));
    if (d.id && sha1_is_zero(c->new_id))
        refuse(c, STR("close the pull request instead of deleting its ref"));
    return OK;
}

static err judge(struct req *r, struct push_command *c, bool may_write, bool *ret_skipped)
{
    bool is_main = str_eq(c->name, STR("refs/heads/main"));

    *ret_skipped = false;
    c->is_ok = true;
    if (!refname_valid(c->name)) {
        refuse(c, STR("this is no valid ref name"));
    } else if (str_starts(c->name, STR("refs/pr/"))) {
        return judge_proposal(r, c, may_write, ret_skipped);
    } else if (!is_kept(c->name)) {
        *ret_skipped = true;
    } else if (!may_write) {
        refuse(c, STR("you may not write to this repository"));
    } else if (is_main && sha1_is_zero(c->new_id)) {
        refuse(c, STR("refs/heads/main cannot be deleted"));
    } else if (sha1_is_zero(c->old_id) && sha1_is_zero(c->new_id)) {
        refuse(c, STR("there is no such ref"));
    }
    return OK;
}

struct moves {
    struct ref_change *changes;
    struct push_command **commands;
    size_t count;
};

static err plan(struct req *r, struct push *p, struct buf *out, struct moves *m)
{
    struct ref main = {0};
    struct repo *same;
    bool may_write = auth_repo(r, r->repo->kind, r->repo->full_name, ACCESS_WRITE, &same) == OK,
         skipped;

    m->changes = arena_many(r->a, struct ref_change, p->count + 1);
    m->commands = arena_many(r->a, struct push_command *, p->count + 1);
    if (r->repo->is_pristine)
        TRY(ref_find(r->store->hub, r->a, r->repo->id, STR("refs/heads/main"), &main));
    for (size_t i = 0; i < p->count; i++) {
        struct push_command *c = &p->commands[i];

        TRY(judge(r, c, may_write, &skipped));
        if (!c->is_ok)
            receive_say(p, out, arena_cat(r->a, c->name, STR(": "), c->reason));
        if (skipped)
            receive_say(p, out,
                        arena_cat(r->a, STR("hearth does not keep "), c->name, STR("; skipped")));
        if (skipped || !c->is_ok)
            continue;
        m->changes[m->count] = (struct ref_change){c->name, c->old_id, c->new_id};
        if (main.id && sha1_is_zero(c->old_id) && str_eq(c->name, main.name))
            m->changes[m->count].old_oid = main.oid; /* the initial commit steps aside */
        m->commands[m->count++] = c;
    }
    return OK;
}

static err check_tips(struct req *r, struct odb *o, const struct moves *m,
                      struct ref_list *known_refs)
{
    oid *tips = arena_many(r->a, oid, m->count + 1), *known;
    struct ref_list refs;
    size_t n = 0;

    TRY(ref_list(r->store->hub, r->a, r->repo->id, &refs));
    *known_refs = refs;
    known = arena_many(r->a, oid, refs.count + 1);
    for (size_t i = 0; i < refs.count; i++)
        known[i] = refs.items[i].peeled;
    for (size_t i = 0; i < m->count; i++)
        if (!sha1_is_zero(m->changes[i].new_oid))
            tips[n++] = m->changes[i].new_oid;
    return n ? pack_check_tips(r->store, r->a, r->repo, o, tips, n, known, refs.count) : OK;
}

/* Did a ref that the tips were checked against go or move meanwhile?  What only it reached is then
 * no longer safe from gc, so the tips are checked once more, with the lock held. */
static err check_again(struct req *r, struct odb *o, const struct moves *m,
                       const struct ref_list *known)
{
    struct ref_list now, ignored;

    TRY(ref_list(r->store->hub, r->a, r->repo->id, &now));
    for (size_t i = 0, n = 0; i < known->count; i++) {
        while (n < now.count && str_cmp(now.items[n].name, known->items[i].name) < 0)
            n++;
        if (n == now.count || !str_eq(now.items[n].name, known->items[i].name) ||
            !sha1_eq(now.items[n].peeled, known->items[i].peeled))
            return check_tips(r, o, m, &ignored);
    }
    return OK;
}

static err move_locked(struct req *r, struct push *p, struct odb *o, const struct moves *m,
                       const struct ref_list *known, struct ref_change_result *results)
{
    TRY(check_again(r, o, m, known));
    return ref_update(r->store, r->a, r->repo, m->changes, m->count, p->is_atomic, results);
}

static void refuse_all(struct push *p, str why)
{
    for (size_t i = 0; i < p->count; i++)
        refuse(&p->commands[i], why);
}

static bool any_refused(const struct push *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (!p->commands[i].is_ok)
            return true;
    return false;
}

static err move_refs(struct req *r, struct push *p, struct odb *o, struct buf *out)
{
    struct moves m = {0};
    struct ref_change_result *results;
    struct ref_list known;
    err e;

    TRY(plan(r, p, out, &m));
    if (p->is_atomic && any_refused(p)) {
        for (size_t i = 0; i < m.count; i++)
            refuse(m.commands[i], STR("atomic push: another ref was refused"));
        return OK;
    }
    e = check_tips(r, o, &m, &known);
    if (e && e->status != 422)
        return e;
    for (size_t i = 0; e && i < m.count; i++)
        refuse(m.commands[i], e->text);
    if (e)
        receive_say(p, out, e->text);
    if (e || m.count == 0)
        return OK;
    results = arena_many(r->a, struct ref_change_result, m.count);
    commit_lock(r->store, r->repo->id);
    e = move_locked(r, p, o, &m, &known, results);
    commit_unlock(r->store, r->repo->id);
    TRY(e);
    for (size_t i = 0; i < m.count; i++)
        if (results[i].failed)
            refuse(m.commands[i], results[i].failed->text);
    return OK;
}

err hub_git_receive_pack(struct req *r)
{
    AUTO_BUF struct buf out = BUF(REPORT_MAX);
    struct git_body *body;
    struct pkt_input input;
    struct odb *o;
    struct push p;
    str unpack_reason = STR("");
    err e;

    TRY(git_push_allowed(r));
    body = git_body_new(r);
    input = git_body_input(body);
    o = object_odb(r->store, r->a, r->repo->id);
    TRY(receive_commands(r->a, &input, &p));
    e = p.has_pack ? take_pack(r, body, o) : OK;
    if (e && e->status >= 500)
        return e;
    if (e) {
        unpack_reason = e->text;
        refuse_all(&p, STR("the pack was refused"));
        r->failed = e;
    } else {
        TRY(move_refs(r, &p, o, &out));
    }
    receive_report(r->a, &p, unpack_reason, &out);
    reply_header(r, "Cache-Control", STR("no-cache"));
    return reply_bytes(r, 200, "application/x-git-receive-pack-result",
                       arena_str(r->a, buf_str(&out)));
}
