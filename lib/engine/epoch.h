/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The flush epoch: the one place that decides in which order changes become
 * durable.  The invariants E1 to E8 stand in epoch.c.
 */

#ifndef RV_EPOCH_H
#define RV_EPOCH_H

#include "engine/grace.h"
#include "format/format.h"

struct rv_epoch;

/* All are borrowed and must outlive it.  format: the layer that is written. */
int rv_epoch_new (struct rv_format *format, struct rv_tables *tables,
                  struct rv_grace *grace, struct rv_epoch **epoch,
                  rawview_error *err);

/* When the thread begins an epoch by itself, unless a test says otherwise.  At
 * twice that much, who changes has to wait for one.
 */
struct rv_epoch_limits {
  size_t dirty;       /* bytes of tables that are not written */
  uint64_t freed;     /* host bytes that wait to be given back */
  unsigned change_ms; /* after the first change, or a failure */
  unsigned follow_ms; /* after something was freed for good */
};
#define RV_EPOCH_LIMITS \
  ((struct rv_epoch_limits){ 16u << 20, 64u << 20, 5000, 1000 })
void rv_epoch_set_limits (struct rv_epoch *epoch,
                          const struct rv_epoch_limits *limits);

/* Starts the thread that begins an epoch by time and by budget.  Without it,
 * epochs run in the threads that flush, and in those that pass the budget.
 */
int rv_epoch_start (struct rv_epoch *epoch, rawview_error *err);

/* Stops the thread; writes nothing. */
void rv_epoch_free (struct rv_epoch *epoch);

/* Around every change of the tables (allocate, publish, cancel, drop).  Between
 * them
 * nobody may wait for a flush.  Many at once; a freeze waits for all to leave.
 * enter fails once writing has been stopped, and calls format's begin before
 * the first change of all.
 */
int rv_epoch_enter (struct rv_epoch *epoch, rawview_error *err);

/* freed: moved into the epoch, empty afterwards.  Call without range locks held
 * rv_epoch_throttle from time to time.
 */
void rv_epoch_leave (struct rv_epoch *epoch, struct rv_freed_list *freed);

/* Before guest data is written in place, which changes no tables: has begin
 * been called, may still be written?
 */
int rv_epoch_ready (struct rv_epoch *epoch, rawview_error *err);

/* Lets the thread, or this caller, flush if more than the budget is dirty. */
void rv_epoch_throttle (struct rv_epoch *epoch);

/* A table was found to contradict itself, as error says: no more changes from
 * now on.
 */
void rv_epoch_stop (struct rv_epoch *epoch, const rawview_error *error);

/* Durable: everything that was published, or written in place, before the call.
 * Callers that come together share one epoch.
 */
int rv_epoch_flush (struct rv_epoch *epoch, rawview_error *err);

/* Flushes until nothing freed is left, then format's end; stops the thread.  No
 * more changes are accepted then.  Does nothing the second time; after a
 * failure it may be called again.
 */
int rv_epoch_finish (struct rv_epoch *epoch, rawview_error *err);

#endif /* RV_EPOCH_H */
