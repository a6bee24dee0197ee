/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: the table of internal snapshots.  (QEMU's docs/interop/qcow2,
 * "Snapshots")
 */

#ifndef RV_QCOW2_SNAPSHOT_H
#define RV_QCOW2_SNAPSHOT_H

#include "format/qcow2-header.h"
#include "io/io.h"

#define QCOW2_SNAPSHOT_MIN_LEN 40u /* bytes of the smallest entry */

struct rv_qcow2_snapshot {
  uint64_t l1_off;
  uint32_t l1_size; /* entries */
  uint32_t date_sec, date_nsec;
  uint64_t vm_clock_nsec;
  uint64_t vm_state_size; /* bytes */
  bool has_disk_size;     /* recorded; version 3 must */
  uint64_t disk_size;     /* bytes; the header's size if not recorded */
  char *id;
  char *name;
};

void rv_qcow2_snapshot_release (struct rv_qcow2_snapshot *s);

/* Reads the entry at *off and moves *off to the next.  Ids and names are copied
 * up to their first NUL.
 */
int rv_qcow2_snapshot_read (struct rv_io *io,
                            const struct rv_qcow2_header *header, uint64_t *off,
                            struct rv_qcow2_snapshot *s, rawview_error *err);

/* Finds a snapshot as qemu-img -l does: by id, else by name.  The table is read
 * entry by entry, so the cost is bounded by its limits.
 */
int rv_qcow2_snapshot_find (struct rv_io *io,
                            const struct rv_qcow2_header *header,
                            const char *id_or_name, struct rv_qcow2_snapshot *s,
                            rawview_error *err);

#endif /* RV_QCOW2_SNAPSHOT_H */
