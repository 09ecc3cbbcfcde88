/* cas_vectors.h — data that several tests of cas/ share: the megabyte of the protocol's vectors
 * and the three chunks of its small xorb. */
#pragma once
#include "cas/bytes.h"
#include <stdio.h>
#include <stdlib.h>

#define MEGA_LEN 1000000u
#define MEGA_CHUNKS 19u

static const struct {
    uint32_t end;
    const char *hash;
} mega_chunks[MEGA_CHUNKS] = {
    {84493, "6eca1e7dadaf08cca5d82d318c800f07c2ddcec115a7e8627e5edd9605b94b8d"},
    {134421, "624ea34d72a06e5d43a1b8dd10763f0d22f165992c397ed97563899b27fdd88a"},
    {144853, "4411d2ec847c6e3f451a7451ff3933adb4f1c31587421b9f730b698a78313b47"},
    {243318, "6342bde97433e29e0779ad33eb8040d986679040361b3cc3a06230fe60dd6c9b"},
    {271793, "405253fcf15bba751adc4f507d3453273daff81ed4d8acd71c521aa1cbddc0b5"},
    {336457, "4482374af7f8bebfdb5c5df0299f80128d6c58886ad7b218c562b1d74064e4cb"},
    {467529, "80acc8d39c853b4b8a8c6ad7b63bf2ea68f62c2226b92f06349f92cc84d213cc"},
    {494581, "a7076d7d343f711fb20fe6cd023248d8d051e8fe7d44172596cd5c7ea7edaf65"},
    {582000, "44755217bbb4dadc81ea7695765230a34a2e6cb3b55f373f1de35aeba79ae92c"},
    {596735, "001adc1d302d5f039278325dcbd5ec3b194f4794f1629d6f962f9f4bb78a7bff"},
    {616815, "f8460a337c186f07c2e225bb287a1d3d3d686dc69d0828e99640f7d8852c5b90"},
    {653164, "c9bc3da29025dc1ba562d303d815151d9a937367abb766ae842a165e8493d9fe"},
    {678202, "5044339dfd65e8163bdfe642614a6be604b04d6aeacf222cf219ad287bfc5cf1"},
    {724510, "163622db0fe0da93f2ef964eed4c485f3c7a9c312f8e8e8a312ab4bb8141f13e"},
    {815591, "e1730534a858aa0258ad8904ef12b829b8a123a1c611250275c9ca9471e4c650"},
    {827760, "1fbc6854f9185caba1e1f55393f41f83b895b18f9c99245c029025ca48f1e14b"},
    {958832, "8a27b66ccf05b864b6bef6fb5c970fe894f73d2330e8e98fe7841dcdbd9e9576"},
    {991092, "bc70a33e7a9ec820cac24b87023469a57bdae1bf91cc3961b95806c64a525221"},
    {1000000, "03e5b5f5a088269ec4b329f1e04debfac4cb54b9c0facf038f7e8e0f054be7e2"},
};

/* `len` bytes of splitmix64. */
__attribute__((unused)) static void splitmix(uint64_t seed, unsigned char *dst, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        unsigned char le[8];
        uint64_t z = seed += 0x9E3779B97F4A7C15u;

        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        store_u64(le, z ^ z >> 31);
        memcpy(dst + i, le, len - i < 8 ? len - i : 8);
    }
}

#define SMALL_CHUNKS 3u
#define SMALL_RAW 404u
static const uint32_t small_len[SMALL_CHUNKS] = {105, 259, 40};

/* The three chunks, one after another. */
__attribute__((unused)) static void small_raw(unsigned char dst[SMALL_RAW])
{
    static const char fox[] = "The quick brown fox. ";

    for (unsigned i = 0; i < 105; i++)
        dst[i] = (unsigned char)fox[i % 21];
    for (unsigned i = 0; i < 64; i++) {
        float f = 1.0f + (float)i / 256.0f;
        uint32_t bits;

        memcpy(&bits, &f, sizeof bits);
        store_u32(dst + 105 + 4 * i, bits);
    }
    memcpy(dst + 361, "\1\2\3", 3);
    splitmix(7, dst + 364, 40);
}
