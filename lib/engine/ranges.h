/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks on ranges of guest bytes: requests that need the same allocation unit
 * go one after another, all else side by side.
 */

#ifndef RV_RANGES_H
#define RV_RANGES_H

#include <pthread.h>

#include <rawview.h>

struct rv_ranges;

int rv_ranges_new (struct rv_ranges **ranges, rawview_error *err);
void rv_ranges_free (struct rv_ranges *ranges);

/* In the caller's memory while it is held.  The caller sets the first three;
 * the others belong to ranges.c.
 */
struct rv_range {
  uint64_t off, len; /* len > 0 */
  bool exclusive;
  bool held;
  struct rv_range *next; /* came later */
  pthread_cond_t wake;   /* only while it waits */
};

/* Waits until no overlapping range is held (shared ones do not exclude each
 * other).  First come, first served among those that overlap, so nobody waits
 * forever.  A thread holds one range at a time.
 */
void rv_ranges_lock (struct rv_ranges *ranges, struct rv_range *range);
void rv_ranges_unlock (struct rv_ranges *ranges, struct rv_range *range);

#endif /* RV_RANGES_H */
