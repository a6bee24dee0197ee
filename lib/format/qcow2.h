/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: what qcow2.c, qcow2-map.c and qcow2-check.c share. */

#ifndef RV_QCOW2_H
#define RV_QCOW2_H

#include "format/format.h"
#include "format/qcow2-header.h"
#include "format/qcow2-metadata.h"

/* The bitmaps extension: of no use to a reader, whatever it says. */
struct rv_qcow2_bitmaps {
  bool present;
  uint32_t count;
  uint64_t directory_len; /* bytes */
  uint64_t directory_off;
};

struct rv_qcow2 {
  struct rv_format base;
  struct rv_qcow2_header header;
  struct rv_qcow2_metadata metadata;
  struct rv_qcow2_bitmaps bitmaps;
  struct rv_io *data_io; /* external data file; without one the container */
  bool is_snapshot;      /* the view of one: its L1 table, its size */
  bool sparse_data;      /* it has holes: those of preallocated clusters */
  uint8_t *l1;           /* as it lies in the file: the active disk's or, for a
                            snapshot view, the snapshot's */
  uint64_t l1_off;
  uint32_t l1_size; /* entries */
  /* NULL: only read, see qcow2-write.h.  Set while others read. */
  _Atomic (struct rv_qcow2_writing *) writing;
};

int rv_qcow2_map (struct rv_format *format, uint64_t off, uint64_t len,
                  struct rv_map *map, uint64_t *damaged, rawview_error *err);

void rv_qcow2_tables_of (struct rv_format *format, uint64_t off, uint64_t len,
                         int (*cb) (void *opaque, struct rv_io *io,
                                    uint64_t host_off, size_t len),
                         void *opaque);

/* Guest bytes of one L1 entry, as a shift. */
unsigned rv_qcow2_l1_shift (const struct rv_qcow2 *q);

/* NULL or what is wrong with an L1 entry that is not 0. */
const char *rv_qcow2_l1_entry_wrong (struct rv_qcow2 *q, uint64_t entry);

/* The sentences about entries: the same for all who meet them.  guest_off: of
 * the cluster.
 */
int rv_qcow2_bad_l1_entry (const struct rv_qcow2 *q, uint64_t i, uint64_t entry,
                           const char *wrong, rawview_error *err);
int rv_qcow2_bad_l2_entry (const struct rv_qcow2 *q, uint64_t guest_off,
                           uint64_t entry, const char *wrong,
                           rawview_error *err);

int rv_qcow2_check (struct rv_format *format,
                    void (*cb) (void *opaque, rawview_finding finding,
                                const char *msg),
                    void *opaque, rawview_check_result *result,
                    rawview_error *err);

#endif /* RV_QCOW2_H */
