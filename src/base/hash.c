/* hash.c — see hash.h. */
#include "base/hash.h"
#include "base/text.h"

#include <assert.h>
#include <blake3.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* The hasher is OpenSSL's context under another name; it knows its digest itself. */
struct hasher;

/* Looking an algorithm up by name costs more than hashing a small object: once per process. */
static struct {
    pthread_once_t once;
    EVP_MD *sha1, *sha256;
} algo = {.once = PTHREAD_ONCE_INIT};

static void fetch(void)
{
    algo.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    algo.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    assert(algo.sha1 && algo.sha256);
}

static EVP_MD_CTX *ctx(struct hasher *h)
{
    assert(h);
    return (EVP_MD_CTX *)(void *)h;
}

static struct hasher *start(EVP_MD *const *which)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    int ok;

    pthread_once(&algo.once, fetch);
    ok = c && EVP_DigestInit_ex2(c, *which, NULL);
    assert(ok);
    (void)ok;
    return (struct hasher *)(void *)c;
}

static void finish(struct hasher *h, unsigned char *out, unsigned len)
{
    unsigned got = 0;
    int ok = EVP_MD_CTX_get_size(ctx(h)) == (int)len && EVP_DigestFinal_ex(ctx(h), out, &got);

    assert(ok && got == len);
    (void)ok;
    hasher_free(h);
}

struct hasher *sha1_new(void)
{
    return start(&algo.sha1);
}

struct hasher *sha256_new(void)
{
    return start(&algo.sha256);
}

void hasher_add(struct hasher *h, const void *p, size_t len)
{
    int ok = EVP_DigestUpdate(ctx(h), p, len);

    assert(ok);
    (void)ok;
}

struct hasher *hasher_copy(struct hasher *h)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    int ok = c && EVP_MD_CTX_copy_ex(c, ctx(h));

    assert(ok);
    (void)ok;
    return (struct hasher *)(void *)c;
}

void hasher_free(struct hasher *h)
{
    if (h)
        EVP_MD_CTX_free(ctx(h));
}

sha1 sha1_end(struct hasher *h)
{
    sha1 out;

    finish(h, out.b, sizeof out.b);
    return out;
}

sha256 sha256_end(struct hasher *h)
{
    sha256 out;

    finish(h, out.b, sizeof out.b);
    return out;
}

sha1 sha1_of(const void *p, size_t len)
{
    struct hasher *h = sha1_new();

    hasher_add(h, p, len);
    return sha1_end(h);
}

sha256 sha256_of(const void *p, size_t len)
{
    struct hasher *h = sha256_new();

    hasher_add(h, p, len);
    return sha256_end(h);
}

sha256 hmac_sha256(str key, str message)
{
    sha256 out;
    unsigned len = 0;
    const unsigned char *ok;

    pthread_once(&algo.once, fetch);
    assert(key.len <= INT32_MAX);
    ok = HMAC(algo.sha256, key.ptr ? key.ptr : "", (int)key.len,
              (const unsigned char *)(message.ptr ? message.ptr : ""), message.len, out.b, &len);
    assert(ok && len == sizeof out.b);
    (void)ok;
    return out;
}

/* BLAKE3 looks at the processor on its first use and keeps the answer without a lock: let that
 * happen before there are threads. */
__attribute__((constructor)) static void look_at_cpu(void)
{
    static const unsigned char key[32];

    blake3_keyed(key, "", 0);
}

blake3 blake3_keyed(const unsigned char key[32], const void *p, size_t len)
{
    blake3_hasher h;
    blake3 out;

    blake3_hasher_init_keyed(&h, key);
    blake3_hasher_update(&h, p, len);
    blake3_hasher_finalize(&h, out.b, sizeof out.b);
    return out;
}

struct blake3_stream {
    blake3_hasher h;
};

struct blake3_stream *blake3_new(const unsigned char key[32])
{
    struct blake3_stream *s = malloc(sizeof *s);

    if (!s)
        abort();
    blake3_hasher_init_keyed(&s->h, key);
    return s;
}

void blake3_add(struct blake3_stream *s, const void *p, size_t len)
{
    blake3_hasher_update(&s->h, p, len);
}

blake3 blake3_end(struct blake3_stream *s)
{
    blake3 out;

    blake3_hasher_finalize(&s->h, out.b, sizeof out.b);
    free(s);
    return out;
}

bool sha256_from_hex(str hex, sha256 *ret)
{
    return hex_decode(hex, ret->b, sizeof ret->b);
}

str sha256_hex(struct arena *a, sha256 h)
{
    return hex_encode(a, h.b, sizeof h.b);
}

bool sha256_eq(sha256 a, sha256 b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

bool sha1_from_hex(str hex, sha1 *ret)
{
    return hex_decode(hex, ret->b, sizeof ret->b);
}

str sha1_hex(struct arena *a, sha1 h)
{
    return hex_encode(a, h.b, sizeof h.b);
}

bool sha1_eq(sha1 a, sha1 b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

bool sha1_is_zero(sha1 h)
{
    static const sha1 zero;

    return sha1_eq(h, zero);
}
