/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: who uses which host cluster, counted from the tables: what the
 * refcounts should be.
 */

#ifndef RV_QCOW2_COUNT_H
#define RV_QCOW2_COUNT_H

#include "format/qcow2.h"

struct rv_qcow2_count {
  struct rv_qcow2 *q;
  void (*cb) (void *opaque, rawview_finding finding, const char *msg);
  void *opaque;
  rawview_check_result *result;
  uint64_t table_bytes; /* of tables that were walked */
  uint64_t clusters;    /* of the file, the last one may be cut */
  uint32_t *users;      /* of each cluster */
  uint32_t *l2_users;   /* L1 entries that name an L2 table there */
};

int rv_qcow2_count_init (struct rv_qcow2_count *c, struct rv_qcow2 *q,
                         rawview_error *err);
void rv_qcow2_count_release (struct rv_qcow2_count *c);

/* Counts everything that the image refers to, once for each way to get there.
 * Contradictions go to the callback; only I/O and memory are errors.
 */
int rv_qcow2_count_all (struct rv_qcow2_count *c, rawview_error *err);

/* Tells the callback and counts the finding in the result. */
void rv_qcow2_report (struct rv_qcow2_count *c, rawview_finding finding,
                      const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));

/* One more user, or n, for each cluster of the range; a corruption if it is not
 * inside the file.
 */
void rv_qcow2_count_range (struct rv_qcow2_count *c, uint64_t off, uint64_t len,
                           uint32_t n, const char *what);

/* May another table of len bytes be walked?  Tables that do not overlap fit
 * into the file all together; those that do are told and left out, since there
 * could be thousands at one place.
 */
bool rv_qcow2_count_may_walk (struct rv_qcow2_count *c, uint64_t len,
                              const char *what);

/* The dirty bitmaps' directory, tables and contents. */
int rv_qcow2_count_bitmaps (struct rv_qcow2_count *c, rawview_error *err);

#endif /* RV_QCOW2_COUNT_H */
