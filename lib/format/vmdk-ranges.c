/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <stdlib.h>

#include "format/vmdk-descriptor.h"
#include "format/vmdk-ranges.h"
#include "util/checked.h"

#define FEW 32u

void
rv_vmdk_ranges_add_fixed (struct rv_vmdk_ranges *r, uint64_t off, uint64_t len)
{
  if (len == 0 || r->nr_fixed == RV_VMDK_FIXED_MAX)
    return;
  r->fixed[r->nr_fixed].off = off;
  r->fixed[r->nr_fixed].len = len;
  r->nr_fixed++;
}

/* Moves elements with the bit clear to the front; returns how many. */
static size_t
partition (uint32_t *v, size_t n, uint32_t bit)
{
  size_t lo = 0, hi = n;

  while (lo < hi) {
    if (v[lo] & bit) {
      uint32_t t = v[lo];

      v[lo] = v[--hi];
      v[hi] = t;
    }
    else
      lo++;
  }
  return lo;
}

/* For the few that the partitions leave. */
static void
insert_sort (uint32_t *v, size_t n)
{
  for (size_t i = 1; i < n; i++) {
    uint32_t t = v[i];
    size_t j = i;

    for (; j > 0 && v[j - 1] > t; j--)
      v[j] = v[j - 1];
    v[j] = t;
  }
}

/* Radix exchange: no order of a hostile directory makes it slow, and it takes
 * no memory.  The parts still to be sorted wait on a stack, at most one for
 * each bit.
 */
static void
sort_sectors (uint32_t *v, size_t n)
{
  struct {
    uint32_t *v;
    size_t n;
    uint32_t bit;
  } stack[33];
  size_t depth = 0;

  stack[depth++] = (__typeof__ (stack[0])){ v, n, UINT32_C (1) << 31 };
  while (depth > 0) {
    uint32_t bit = stack[--depth].bit;
    size_t low;

    v = stack[depth].v;
    n = stack[depth].n;
    if (n <= FEW)
      insert_sort (v, n);
    if (n <= FEW || bit == 0)
      continue;
    low = partition (v, n, bit);
    stack[depth++] = (__typeof__ (stack[0])){ v + low, n - low, bit >> 1 };
    stack[depth++] = (__typeof__ (stack[0])){ v, low, bit >> 1 };
  }
}

void
rv_vmdk_ranges_sort (struct rv_vmdk_ranges *r)
{
  size_t i;

  for (i = 1; i < r->nr_tables; i++)
    if (r->tables[i - 1] > r->tables[i])
      break;
  if (i < r->nr_tables)
    sort_sectors (r->tables, r->nr_tables);
}

/* How many tables begin at or before this sector. */
static size_t
count_until (const struct rv_vmdk_ranges *r, uint64_t sector)
{
  size_t lo = 0, hi = r->nr_tables;

  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;

    if (r->tables[mid] <= sector)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

uint64_t
rv_vmdk_ranges_next (const struct rv_vmdk_ranges *r, uint64_t off)
{
  size_t i = count_until (r, off / RV_VMDK_SECTOR);
  uint64_t next = UINT64_MAX;

  if (i > 0 &&
      off - (uint64_t) r->tables[i - 1] * RV_VMDK_SECTOR < r->table_len)
    return off;
  if (i < r->nr_tables)
    next = (uint64_t) r->tables[i] * RV_VMDK_SECTOR;
  for (i = 0; i < r->nr_fixed; i++) {
    if (rv_ranges_overlap (off, 1, r->fixed[i].off, r->fixed[i].len))
      return off;
    if (r->fixed[i].off > off)
      next = rv_min_u64 (next, r->fixed[i].off);
  }
  return next;
}

bool
rv_vmdk_ranges_hit_fixed (const struct rv_vmdk_ranges *r, uint64_t off,
                          uint64_t len)
{
  for (size_t i = 0; i < r->nr_fixed; i++)
    if (rv_ranges_overlap (off, len, r->fixed[i].off, r->fixed[i].len))
      return true;
  return false;
}

void
rv_vmdk_ranges_release (struct rv_vmdk_ranges *r)
{
  free (r->tables);
  *r = (struct rv_vmdk_ranges){ 0 };
}
