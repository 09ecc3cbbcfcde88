/* sign.c — see sign.h.
 *
 * The keys are few: all that still verify are kept in memory and read again once a minute, or when
 * a signature names one we have not seen (another process may have made it).
 */
#include "store/sign.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "store/internal.h"
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 16 /* newest first; older ones no longer verify */
#define KID_LEN 8   /* hex digits */
#define SECRET_LEN 32
#define REREAD_MS 60000        /* another process's rotation is seen after this at the latest */
#define REREAD_UNKNOWN_MS 1000 /* unknown names ask the database at most this often */
#define RETIRE_MS                                                                                  \
    (8 * 86400000LL)     /* after a rotation old keys verify this long; longer than any            \
                            link lives */
#define SIGNATURE_LEN 43 /* base64url of 32 bytes */

struct sign_key {
    char kid[KID_LEN];
    char secret[SECRET_LEN];
    int64_t retired_at_ms; /* 0: may sign */
};

struct sign_keys {
    pthread_mutex_t lock; /* guards everything below; a leaf */
    struct sign_key key[KEYS_MAX];
    size_t count;
    int64_t read_at_ms; /* monotonic; 0: never */
};

static const struct sql LIST =
    SQL_INIT("SELECT kid, secret, retired_at FROM signing_key WHERE retired_at IS NULL OR "
             "retired_at > ?1 ORDER BY created_at DESC, kid LIMIT " ERR_STR(KEYS_MAX));
static const struct sql INSERT =
    SQL_INIT("INSERT INTO signing_key(kid, secret, created_at) VALUES (?1, ?2, ?3)");
static const struct sql RETIRE =
    SQL_INIT("UPDATE signing_key SET retired_at = ?1 WHERE retired_at IS NULL AND kid <> ?2");
static const struct sql HAS_CURRENT =
    SQL_INIT("SELECT 1 FROM signing_key WHERE retired_at IS NULL");

static const struct err_info malformed = {
    403,
    "InvalidSignature",
    STR_INIT("This link is not signed by this hub; ask for a new one by repeating the request "
             "that gave it."),
    NULL,
    {0}};
static const struct err_info expired = {
    403,
    "ExpiredSignature",
    STR_INIT("This link has expired; ask for a new one by repeating the request that gave it."),
    NULL,
    {0}};

struct sign_keys *sign_keys_new(void)
{
    struct sign_keys *k = calloc(1, sizeof *k);

    if (!k)
        abort();
    pthread_mutex_init(&k->lock, NULL);
    return k;
}

void sign_keys_free(struct sign_keys *k)
{
    if (!k)
        return;
    pthread_mutex_destroy(&k->lock);
    sodium_memzero(k, sizeof *k);
    free(k);
}

/* --- the rows --- */

struct new_key {
    struct sign_key key;
    int64_t now_ms;
    bool replace; /* a rotation, not the first use */
};

static err add_key(struct db *tx, void *arg)
{
    struct new_key *n = arg;
    str kid = {n->key.kid, KID_LEN};

    if (!n->replace) {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q, HAS_CURRENT));
        if (db_next(q))
            return OK; /* another thread or process was first */
        TRY(db_error(q));
    }
    {
        AUTO_STMT struct db_stmt *q = NULL;
        TRY(db_query(tx, &q, INSERT));
        db_bind_str(q, 1, kid);
        db_bind_blob(q, 2, (str){n->key.secret, SECRET_LEN});
        db_bind_i64(q, 3, n->now_ms);
        TRY(db_run(q));
    }
    AUTO_STMT struct db_stmt *q = NULL;
    TRY(db_query(tx, &q, RETIRE));
    db_bind_i64(q, 1, n->now_ms + RETIRE_MS);
    db_bind_str(q, 2, kid);
    return db_run(q);
}

static err make_key(struct store *s, bool replace)
{
    struct new_key n = {.now_ms = clock_ms(), .replace = replace};
    unsigned char id[KID_LEN / 2];

    random_bytes(id, sizeof id);
    hex_write(n.key.kid, id, sizeof id);
    random_bytes(n.key.secret, SECRET_LEN);
    return db_write(s->hub, add_key, &n);
}

static err read_keys(struct store *s, struct sign_key ret[KEYS_MAX], size_t *ret_count)
{
    AUTO_STMT struct db_stmt *q = NULL;
    size_t count = 0;

    TRY(db_query(s->hub, &q, LIST));
    db_bind_i64(q, 1, clock_ms());
    while (count < KEYS_MAX && db_next(q)) {
        struct sign_key *k = &ret[count];
        str kid = db_view(q, 0);

        if (kid.len != KID_LEN)
            continue;
        memcpy(k->kid, kid.ptr, KID_LEN);
        k->retired_at_ms = db_is_null(q, 2) ? 0 : db_i64(q, 2);
        if (db_hash(q, 1, k->secret, SECRET_LEN))
            count++;
    }
    TRY(db_error(q));
    *ret_count = count;
    return OK;
}

static err reread(struct store *s)
{
    struct sign_key key[KEYS_MAX];
    size_t count = 0;

    TRY(read_keys(s, key, &count));
    AUTO_LOCK(&s->keys->lock);
    memcpy(s->keys->key, key, sizeof key);
    s->keys->count = count;
    s->keys->read_at_ms = clock_mono_ms();
    return OK;
}

/* The key of this name, or, with an empty name, one that may sign. */
static bool look(struct store *s, str kid, int64_t max_age_ms, struct sign_key *ret)
{
    struct sign_keys *k = s->keys;
    AUTO_LOCK(&k->lock);

    if (k->read_at_ms == 0 || clock_mono_ms() - k->read_at_ms > max_age_ms)
        return false;
    for (size_t i = 0; i < k->count; i++)
        if (kid.len ? str_eq(kid, (str){k->key[i].kid, KID_LEN}) : k->key[i].retired_at_ms == 0) {
            *ret = k->key[i];
            return true;
        }
    return false;
}

/* --- signatures --- */

static sha256 mac(struct arena *a, const struct sign_key *k, str purpose, str claims, str expiry)
{
    str message = arena_cat(a, purpose, STR("\n"), expiry, STR("\n"), claims);

    assert(str_find(purpose, '\n') < 0);
    return hmac_sha256((str){k->secret, SECRET_LEN}, message);
}

err sign_make(struct store *s, struct arena *a, str purpose, str claims, int64_t expires_at_ms,
              str *ret)
{
    struct sign_key k;
    str expiry = arena_printf(a, "%lld", (long long)expires_at_ms);
    sha256 m;

    if (!look(s, STR_NONE, REREAD_MS, &k)) {
        TRY(reread(s));
        if (!look(s, STR_NONE, REREAD_MS, &k)) {
            TRY(make_key(s, false));
            TRY(reread(s));
        }
        if (!look(s, STR_NONE, REREAD_MS, &k))
            return err_internal(a, "no signing key after one was made");
    }
    m = mac(a, &k, purpose, claims, expiry);
    *ret = arena_cat(a, arena_str(a, (str){k.kid, KID_LEN}), STR("."), expiry, STR("."),
                     base64url_encode(a, m.b, sizeof m.b));
    sodium_memzero(&k, sizeof k);
    return OK;
}

/* The key that a signature names; false when there is none that still verifies. */
static err find_key(struct store *s, str kid, struct sign_key *ret, bool *ret_found)
{
    *ret_found = look(s, kid, REREAD_MS, ret);
    if (!*ret_found && !look(s, STR_NONE, REREAD_UNKNOWN_MS, &(struct sign_key){0})) {
        TRY(reread(s));
        *ret_found = look(s, kid, REREAD_MS, ret);
    }
    if (*ret_found && ret->retired_at_ms && ret->retired_at_ms <= clock_ms())
        *ret_found = false;
    return OK;
}

err sign_check(struct store *s, struct arena *a, str purpose, str claims, str signature)
{
    str rest = signature, kid = str_cut(&rest, '.'), expiry = str_cut(&rest, '.');
    struct sign_key k;
    int64_t expires_at_ms;
    bool found;
    sha256 m;

    if (kid.len != KID_LEN || expiry.len > 20 || !str_i64(expiry, &expires_at_ms) ||
        rest.len != SIGNATURE_LEN)
        return &malformed;
    TRY(find_key(s, kid, &k, &found));
    if (!found)
        return &malformed;
    m = mac(a, &k, purpose, claims, expiry);
    sodium_memzero(&k, sizeof k);
    /* as text: base64 has several spellings of the same bytes, a link has one */
    if (!text_ct_eq(base64url_encode(a, m.b, sizeof m.b), rest))
        return &malformed;
    return expires_at_ms > clock_ms() ? OK : &expired;
}

err sign_rotate(struct store *s, struct arena *a)
{
    (void)a;
    TRY(make_key(s, true));
    return reread(s);
}
