/* bytes.h — little-endian integers in byte strings, for the formats of this folder. */
#pragma once
#include <stdint.h>
#include <string.h>

static inline uint32_t load_u24(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static inline uint32_t load_u32(const unsigned char *p)
{
    return load_u24(p) | (uint32_t)p[3] << 24;
}

static inline uint64_t load_u64(const unsigned char *p)
{
    return (uint64_t)load_u32(p) | (uint64_t)load_u32(p + 4) << 32;
}

static inline void store_u24(unsigned char *p, uint32_t v)
{
    p[0] = (unsigned char)v;
    p[1] = (unsigned char)(v >> 8);
    p[2] = (unsigned char)(v >> 16);
}

static inline void store_u32(unsigned char *p, uint32_t v)
{
    store_u24(p, v);
    p[3] = (unsigned char)(v >> 24);
}

static inline void store_u64(unsigned char *p, uint64_t v)
{
    store_u32(p, (uint32_t)v);
    store_u32(p + 4, (uint32_t)(v >> 32));
}
