/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A number from a file is a suspect until it has passed here. */

#ifndef RV_CHECKED_H
#define RV_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

/* *r = a op b; false if that overflows. */
static inline bool
rv_add_u64 (uint64_t a, uint64_t b, uint64_t *r)
{
  return !__builtin_add_overflow (a, b, r);
}

static inline bool
rv_mul_u64 (uint64_t a, uint64_t b, uint64_t *r)
{
  return !__builtin_mul_overflow (a, b, r);
}

/* Does off..off+len lie inside 0..size?  True for an empty range at size. */
static inline bool
rv_range_fits (uint64_t off, uint64_t len, uint64_t size)
{
  return off <= size && len <= size - off;
}

/* Do the two ranges share a byte? */
static inline bool
rv_ranges_overlap (uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
  return alen > 0 && blen > 0 && (a <= b ? b - a < alen : a - b < blen);
}

static inline bool
rv_is_pow2 (uint64_t n)
{
  return n != 0 && (n & (n - 1)) == 0;
}

static inline uint64_t
rv_min_u64 (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

static inline uint64_t
rv_max_u64 (uint64_t a, uint64_t b)
{
  return a > b ? a : b;
}

static inline uint64_t
rv_div_up (uint64_t n, uint64_t d)
{
  return n / d + (n % d != 0);
}

/* unit: a power of two */
static inline uint64_t
rv_align_down (uint64_t n, uint64_t unit)
{
  return n & ~(unit - 1);
}

#endif /* RV_CHECKED_H */
