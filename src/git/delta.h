/* delta.h — git's binary deltas: how one object is made from another.
 *
 * A delta is two sizes (of the base and of the result, 7 bits a byte, least significant first),
 * then instructions: bit 7 set copies a range of the base (bits 0-3 say which offset bytes follow,
 * 4-6 which length bytes; length 0 means 65536), 1..127 inserts so many bytes, 0 is reserved.
 */
#pragma once
#include "base/str.h"

/* The two sizes at the front; *delta is left standing behind them.  False: cut short or too big. */
bool delta_sizes(str *delta, uint64_t *ret_base, uint64_t *ret_result);
/* Writes exactly `size` bytes to `dst`.  False when the delta does not fit the base or the size:
 * nothing outside either is ever touched. */
bool delta_apply(str base, str delta, char *dst, uint64_t size);
