/* batch.c — POST …/batch: NDJSON lines in, one transaction (store/bucket_batch.h).
 *
 * The body is read line by line; memory holds one line.  Nothing is applied before the last line
 * has arrived and all of them are well formed.
 */
#include "base/settings.h"
#include "bucket/batch_line.h"
#include "bucket/bucket.h"

#define LINE_MAX_BYTES (64u << 10)
#define READ_BYTES (64u << 10)
#define SOURCES_MAX 1000   /* repositories that one batch copies from */
#define FAILED_SHOWN 10000 /* failed operations in an answer */

struct source_repo { /* that the batch copies from; id 0: not for this user */
    enum repo_kind kind;
    str name;
    int64_t id;
};

struct intake_lines {
    struct req *r;
    struct bucket_batch *batch;
    struct arena *scratch; /* one line */
    struct source_repo *sources;
    size_t source_count;
    uint64_t line;
};

/* --- where copies come from --- */

static err find_source(struct intake_lines *in, const struct batch_line *l, int64_t *ret)
{
    struct req *r = in->r;
    struct source_repo *s;
    struct repo *repo;
    err e;

    for (size_t i = in->source_count; i-- > 0;)
        if (in->sources[i].kind == l->op.source_kind && str_eq(in->sources[i].name, l->source_id)) {
            *ret = in->sources[i].id;
            return OK;
        }
    if (!in->sources)
        in->sources = arena_many(r->a, struct source_repo, SOURCES_MAX);
    if (in->source_count == SOURCES_MAX)
        return err_new(r->a, 400, NULL, "A batch copies from at most %d repositories; split it.",
                       SOURCES_MAX);
    e = auth_repo(r, l->op.source_kind, l->source_id, ACCESS_READ, &repo);
    if (e && e->status >= 500)
        return e;
    s = &in->sources[in->source_count++];
    *s = (struct source_repo){l->op.source_kind, arena_str(r->a, l->source_id), e ? 0 : repo->id};
    *ret = s->id;
    return OK;
}

/* --- reading --- */

static err take_line(struct intake_lines *in, str text)
{
    struct batch_line l;

    TRY(batch_line_parse(in->scratch, text, &l));
    if (l.op.kind == BUCKET_COPY)
        TRY(find_source(in, &l, &l.op.source_id));
    return bucket_batch_add(in->batch, in->scratch, &l.op);
}

static err parse_line(struct intake_lines *in, str text)
{
    err e = OK;

    in->line++;
    if (str_trim(text).len == 0)
        return OK;
    e = take_line(in, text);
    if (e && e->status == 400)
        e = err_new(in->r->a, 400, e->code, "Line %llu: %.*s", (unsigned long long)in->line,
                    STR_FMT(e->text));
    else
        e = err_copy(in->r->a, e);
    arena_reset(in->scratch);
    return e;
}

/* Takes the whole lines of a piece; what is left of the last one waits in `line`. */
static err take_piece(struct intake_lines *in, struct buf *line, str piece)
{
    while (piece.len) {
        ptrdiff_t nl = str_find(piece, '\n');
        str part = nl < 0 ? piece : str_first(piece, (size_t)nl);

        if (nl < 0 || line->len > 0) {
            buf_add(line, part);
            part = buf_str(line);
        }
        if (line->full || part.len > LINE_MAX_BYTES)
            return err_new(in->r->a, 413, NULL, "Line %llu of this batch has more than %u bytes.",
                           (unsigned long long)in->line + 1, LINE_MAX_BYTES);
        if (nl < 0)
            break;
        TRY(parse_line(in, part));
        buf_clear(line);
        piece = str_from(piece, (size_t)nl + 1);
    }
    return OK;
}

static err read_lines(struct intake_lines *in)
{
    AUTO_BUF struct buf line = BUF(LINE_MAX_BYTES);
    char *piece = arena_alloc(in->r->a, READ_BYTES);
    uint64_t total = 0;
    size_t len;

    for (;;) {
        TRY(http_body_read(in->r, piece, READ_BYTES, &len));
        if (len == 0)
            return parse_line(in, buf_str(&line)); /* the last line may lack its newline */
        total += len;
        if (total > (uint64_t)settings.bucket_body_max)
            return err_new(in->r->a, 413, NULL, "A batch has at most %lld bytes; split it.",
                           (long long)settings.bucket_body_max);
        TRY(take_piece(in, &line, (str){piece, len}));
    }
}

/* --- the answer --- */

static err reply_result(struct req *r, const struct bucket_batch *b,
                        const struct bucket_batch_result *result)
{
    struct json_out *j = json_out_new(r->a);
    const char *why;
    size_t at = 0;
    str path;

    json_obj(j);
    json_kv_bool(j, "success", result->failed == 0);
    json_kv_i64(j, "processed", (int64_t)result->processed);
    json_kv_i64(j, "succeeded", (int64_t)(result->processed - result->failed));
    json_key(j, "failed");
    json_arr(j);
    for (size_t n = 0; n < FAILED_SHOWN && bucket_batch_next_failed(b, &at, &path, &why); n++) {
        json_obj(j);
        json_kv_str(j, "path", path);
        json_kv_str(j, "error", str_c(why));
        json_obj_end(j);
    }
    json_arr_end(j);
    json_obj_end(j);
    reply_header(r, "X-Bucket-Seq", arena_printf(r->a, "%lld", (long long)result->seq));
    return reply_json(r, result->failed ? 422 : 200, j);
}

static void free_batch(void *p)
{
    bucket_batch_free(p);
}

static void free_scratch(void *p)
{
    arena_free(p);
}

err bucket_batch(struct req *r)
{
    struct bucket_batch_options o = {
        .atomic = str_eq(req_header(r, "X-Hearth-Atomic"), STR("1")),
        .grace_ms = settings.bucket_grace_hours > 0 ? settings.bucket_grace_hours * 3600000 : 0};
    struct intake_lines in = {.r = r, .scratch = arena_new(0)};
    struct bucket_batch_result result;

    arena_defer(r->a, free_scratch, in.scratch);
    TRY(bucket_batch_new(r->store, r->a, &in.batch));
    arena_defer(r->a, free_batch, in.batch);
    TRY(read_lines(&in));
    TRY(bucket_batch_apply(in.batch, r->a, r->repo->id, &o, &result));
    return reply_result(r, in.batch, &result);
}
