/* git_http.c — smart HTTP: clone and fetch; pushes are in git_push.c (hub-api.md 14). */
#include "git/fetch.h"
#include "git/receive.h"
#include "hub/git.h"
#include "hub/git_body.h"
#include <stdlib.h>

#define ADVERT_MAX (256u << 20)

err git_repo_of(struct req *r, enum access need)
{
    enum repo_kind kind;

    if (!repo_kind_parse(req_param(r, "kind"), &kind))
        return auth_repo_missing(r);
    return auth_repo(r, kind, req_param(r, "repo"), need, &r->repo);
}

err git_refs_of(struct req *r, bool for_push, struct fetch_repo *ret)
{
    struct ref_list refs;
    struct ref_tip *tips;
    size_t n = 0;

    TRY(ref_list(r->store->hub, r->a, r->repo->id, &refs));
    tips = arena_many(r->a, struct ref_tip, refs.count + 1);
    for (size_t i = 0; i < refs.count; i++) {
        const struct ref *f = &refs.items[i];

        /* A first push meets an empty repository: our own initial commit steps aside for it. */
        if (for_push && r->repo->is_pristine && str_eq(f->name, STR("refs/heads/main")))
            continue;
        tips[n++] =
            (struct ref_tip){f->name, f->oid, sha1_eq(f->oid, f->peeled) ? OID_ZERO : f->peeled};
    }
    *ret = (struct fetch_repo){
        .odb = object_odb(r->store, r->a, r->repo->id),
        .refs = tips,
        .ref_count = n,
        .head = STR("refs/heads/main"),
        .agent = STR("hearth/0.1.0"),
    };
    return OK;
}

static err reply_buf(struct req *r, const char *type, const struct buf *b)
{
    if (b->full)
        return err_new(r->a, 507, NULL, "This repository has too many refs to list.");
    reply_header(r, "Cache-Control", STR("no-cache"));
    return reply_bytes(r, 200, type, arena_str(r->a, buf_str(b)));
}

err hub_git_refs(struct req *r)
{
    str service = req_query(r, "service");
    bool push = str_eq(service, STR("git-receive-pack"));
    AUTO_BUF struct buf out = BUF(ADVERT_MAX);
    struct fetch_repo repo;

    if (!push && !str_eq(service, STR("git-upload-pack")))
        return err_new(r->a, 403, NULL,
                       "Only smart HTTP is served: use a git client of version 1.6.6 or newer.");
    if (push) {
        TRY(git_push_allowed(r));
        TRY(git_refs_of(r, true, &repo));
        receive_advert(&repo, fetch_protocol_version(req_header(r, "Git-Protocol")), &out);
        return reply_buf(r, "application/x-git-receive-pack-advertisement", &out);
    }
    TRY(git_repo_of(r, ACCESS_READ));
    TRY(git_refs_of(r, false, &repo));
    fetch_advert(&repo, fetch_protocol_version(req_header(r, "Git-Protocol")), &out);
    return reply_buf(r, "application/x-git-upload-pack-advertisement", &out);
}

/* --- the answer to a fetch, as a source --- */

struct pack_source {
    struct source base;
    struct fetch_reply reply;
    struct odb *odb; /* of the request's arena */
    struct arena *scratch;
    struct buf out;
};

static err pack_fill(struct source *base, struct source_out *out, enum source_state *ret)
{
    struct pack_source *p = (struct pack_source *)(void *)base;
    err e;

    buf_clear(&p->out);
    e = fetch_reply_step(&p->reply, p->odb, p->scratch, &p->out);
    arena_reset(p->scratch);
    if (p->out.len)
        source_out_bytes(out, p->out.ptr, p->out.len);
    *ret = p->reply.is_done ? SOURCE_END : SOURCE_MORE;
    return e;
}

static void pack_close(struct source *base)
{
    struct pack_source *p = (struct pack_source *)(void *)base;

    fetch_reply_free(&p->reply);
    buf_free(&p->out);
    arena_free(p->scratch);
    free(p);
}

/* Planning errors are told inside the protocol: git hides the bodies of other statuses. */
static err reply_git_error(struct req *r, err e)
{
    AUTO_BUF struct buf out = BUF(PKT_MAX);

    pkt_err(&out, e->text);
    r->failed = e;
    return reply_buf(r, "application/x-git-upload-pack-result", &out);
}

err hub_git_upload_pack(struct req *r)
{
    struct arena *scratch;
    struct fetch_repo repo;
    struct pack_source *p;
    str body;
    err e;

    TRY(git_repo_of(r, ACCESS_READ));
    TRY(git_body_all(git_body_new(r), FETCH_MAX_BODY, &body));
    TRY(git_refs_of(r, false, &repo));
    p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->base.fill = pack_fill;
    p->base.close = pack_close;
    p->odb = repo.odb;
    p->out = BUF(FETCH_STEP_MAX * 2);
    p->scratch = scratch = arena_new(0);
    e = err_copy(r->a,
                 fetch_answer(&repo, scratch, fetch_protocol_version(req_header(r, "Git-Protocol")),
                              body, &p->reply));
    arena_reset(scratch);
    if (e) {
        pack_close(&p->base);
        return e->status == 500 ? e : reply_git_error(r, e);
    }
    reply_header(r, "Cache-Control", STR("no-cache"));
    return reply_source(r, 200, "application/x-git-upload-pack-result", &p->base, REPLY_UNKNOWN);
}
