/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where in a file metadata lies, so that no grain is read from there.
 *
 * Header, descriptor and directories are a few fixed ranges.  Grain tables can
 * be millions: they are kept as sorted first sectors, all of one length.
 */

#ifndef RV_VMDK_RANGES_H
#define RV_VMDK_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RV_VMDK_FIXED_MAX 4u

struct rv_vmdk_ranges {
  struct {
    uint64_t off;
    uint64_t len;
  } fixed[RV_VMDK_FIXED_MAX];
  size_t nr_fixed;
  uint32_t *tables; /* first sectors; sorted by _sort */
  size_t nr_tables;
  uint64_t table_len; /* bytes, whole sectors */
};

/* An empty range is left out.  At most RV_VMDK_FIXED_MAX. */
void rv_vmdk_ranges_add_fixed (struct rv_vmdk_ranges *r, uint64_t off,
                               uint64_t len);

/* Sorts r->tables, which the caller has filled, in place and in time linear in
 * their number, whatever their order.
 */
void rv_vmdk_ranges_sort (struct rv_vmdk_ranges *r);

/* The first byte at or after off that is metadata: off itself if it is inside,
 * UINT64_MAX if there is none.  off: a whole sector.
 */
uint64_t rv_vmdk_ranges_next (const struct rv_vmdk_ranges *r, uint64_t off);

/* Does off..off+len share a byte with a fixed range? */
bool rv_vmdk_ranges_hit_fixed (const struct rv_vmdk_ranges *r, uint64_t off,
                               uint64_t len);

void rv_vmdk_ranges_release (struct rv_vmdk_ranges *r);

#endif /* RV_VMDK_RANGES_H */
