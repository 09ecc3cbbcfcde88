/* check.h — what the unit tests share: cmocka in its required order, and comparing a str. */
#pragma once
#include "base/err.h"
#include "base/str.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#define check_str(s, z)                                                                            \
    do {                                                                                           \
        str s_ = (s);                                                                              \
        const char *z_ = (z);                                                                      \
        if (s_.len != strlen(z_) || (s_.len && memcmp(s_.ptr, z_, s_.len)))                        \
            fail_msg("got \"%.*s\", expected \"%s\"", STR_FMT(s_), z_);                            \
    } while (0)

#define check_ok(e)                                                                                \
    do {                                                                                           \
        err e_ = (e);                                                                              \
        if (e_)                                                                                    \
            fail_msg("%d %.*s (%.*s)", e_->status, STR_FMT(e_->text), STR_FMT(e_->detail));        \
    } while (0)

#define check_fails(e, expected)                                                                   \
    do {                                                                                           \
        err e_ = (e);                                                                              \
        assert_non_null(e_);                                                                       \
        assert_int_equal(e_->status, expected);                                                    \
        assert_true(e_->text.len > 0);                                                             \
    } while (0)
