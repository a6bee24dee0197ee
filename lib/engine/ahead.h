/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading ahead of those who read in order.
 *
 * Every read is noted.  Who has read on where he stopped a few times is taken
 * to go on, and threads of its own fetch what comes next (fetch.h).  Random
 * readers pay for a look at a few numbers, and nothing is fetched for them.
 */

#ifndef RV_AHEAD_H
#define RV_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include <rawview.h>

#define RV_AHEAD_THREADS_MAX 16u

struct rv_ahead;

struct rv_ahead_options {
  uint64_t window;  /* bytes to be ahead of a reader, at most, and half as much
                       as of all; 0: never */
  uint64_t chunk;   /* bytes that one thread fetches at a time */
  unsigned threads; /* at most RV_AHEAD_THREADS_MAX */
  /* Called by these threads. */
  void (*fetch) (void *opaque, uint64_t len, uint64_t off);
  void *opaque;
  uint64_t size; /* of the disk */
};

int rv_ahead_new (const struct rv_ahead_options *options,
                  struct rv_ahead **ahead, rawview_error *err);

/* From now on threads may be started: they are when somebody reads in order
 * for the first time.
 */
void rv_ahead_start (struct rv_ahead *ahead);

/* Joins them; what is being fetched is waited for. */
void rv_ahead_free (struct rv_ahead *ahead);

enum rv_order {
  RV_ORDER_NONE, /* as far as is known */
  RV_ORDER_KNOWN,
  RV_ORDER_AHEAD, /* what comes next is fetched, or was */
};

/* A read of this range begins.  Is it one of many in order?  busy: enough is
 * being read already, so do not add to it.
 */
enum rv_order rv_ahead_note (struct rv_ahead *ahead, uint64_t len, uint64_t off,
                             bool busy);

#endif /* RV_AHEAD_H */
