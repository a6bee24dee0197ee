/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: which parts of the file are tables, so that no guest data can be taken
 * from (or later written to) them.
 */

#ifndef RV_QCOW2_METADATA_H
#define RV_QCOW2_METADATA_H

#include "format/qcow2-header.h"
#include "io/io.h"
#include "util/vector.h"

DEFINE_VECTOR (rv_offsets, uint64_t);

/* Index of the first element of v, which is sorted, that is not below off. */
size_t rv_offsets_lower_bound (const struct rv_offsets *v, uint64_t off);
bool rv_offsets_contain (const struct rv_offsets *v, uint64_t off);

/* Sorts v and leaves each offset once; the repeated ones go to dup, which may
 * be NULL.  -1 when out of memory, which without dup cannot happen.
 */
int rv_offsets_sort (struct rv_offsets *v, struct rv_offsets *dup);

/* Which of sorted clusters of size bytes overlaps off..off+len first?  Its
 * index, or v->len.
 */
size_t rv_offsets_overlap (const struct rv_offsets *v, uint64_t size,
                           uint64_t off, uint64_t len);

struct rv_qcow2_metadata {
  uint64_t cluster_size;
  uint64_t l1_off, l1_len;
  uint64_t reftable_off, reftable_len;
  struct rv_offsets l2;        /* host offsets of L2 tables, sorted */
  struct rv_offsets shared_l2; /* those that two L1 entries name, sorted */
  struct rv_offsets refblocks; /* sorted; empty if the table is not sane */
};

/* l1: the table in use, l1_size entries as they lie in the file.  The refcount
 * table need not be right for reading: if any entry of it is impossible, none
 * is believed.
 */
int rv_qcow2_metadata_init (struct rv_qcow2_metadata *m, struct rv_io *io,
                            const struct rv_qcow2_header *header,
                            const uint8_t *l1, uint64_t l1_off,
                            uint32_t l1_size, rawview_error *err);

/* Of memory. */
uint64_t rv_qcow2_metadata_bytes (const struct rv_qcow2_metadata *m);
void rv_qcow2_metadata_release (struct rv_qcow2_metadata *m);

/* How many bytes from off on, at most len, are clear of tables.  Less than len:
 * *what names the table that begins there.
 */
uint64_t rv_qcow2_metadata_clear (const struct rv_qcow2_metadata *m,
                                  uint64_t off, uint64_t len,
                                  const char **what);

/* Do two L1 entries name the L2 table at off? */
bool rv_qcow2_metadata_l2_shared (const struct rv_qcow2_metadata *m,
                                  uint64_t off);

/* Is there a refcount block at off? */
bool rv_qcow2_metadata_is_refblock (const struct rv_qcow2_metadata *m,
                                    uint64_t off);

#endif /* RV_QCOW2_METADATA_H */
