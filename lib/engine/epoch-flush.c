/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who waits for an epoch; the invariants stand in epoch.c. */

#include <config.h>

#include <errno.h>

#include "engine/epoch-internal.h"
#include "util/error.h"

/*--- Flush --------------------------------------------------------------*/

/* E4.  lock is held. */
static int
flush (struct rv_epoch *e, rawview_error *err)
{
  uint64_t want = e->frozen + 1;

  while (!e->sync_failed && e->durable < want && e->failed < want) {
    if (e->running)
      pthread_cond_wait (&e->changed, &e->lock);
    else
      rv_epoch_run (e);
  }
  if (e->durable >= want)
    return 0;
  if (err)
    *err = e->failure;
  return -1;
}

int
rv_epoch_flush (struct rv_epoch *e, rawview_error *err)
{
  bool has_thread;
  int r;

  pthread_mutex_lock (&e->lock);
  r = flush (e, err);
  has_thread = e->has_thread;
  pthread_mutex_unlock (&e->lock);
  if (!has_thread)
    rv_epoch_reuse (e);
  return r;
}

/*--- The end ------------------------------------------------------------*/

static bool
anything_left (struct rv_epoch *e)
{
  LOCKED (&e->lock);
  return !e->sync_failed && e->fresh.list.len + e->gone.list.len +
                                    e->released.list.len +
                                    e->reusable.list.len >
                                0;
}

/* Each epoch brings what is freed one stage further. */
static int
drain (struct rv_epoch *e, rawview_error *err)
{
  do
    if (rv_epoch_flush (e, err) == -1)
      return -1;
  while (anything_left (e));
  return 0;
}

/* E8 */
static int
end (struct rv_epoch *e, rawview_error *err)
{
  if (atomic_load (&e->refusing))
    return rv_epoch_refused (e, err);
  if (atomic_load (&e->begun) && e->ops->end (e->format, err) == -1)
    return -1;
  LOCKED (&e->lock);
  e->finished = true;
  rv_error_fill (&e->error, RAWVIEW_ERROR_REFUSED, EROFS,
                 "%s: writing has ended", e->format->io->name);
  atomic_store (&e->refusing, true);
  return 0;
}

int
rv_epoch_finish (struct rv_epoch *e, rawview_error *err)
{
  bool finished;

  rv_epoch_stop_thread (e);
  pthread_mutex_lock (&e->lock);
  finished = e->finished;
  pthread_mutex_unlock (&e->lock);
  if (finished)
    return 0;
  return drain (e, err) == -1 ? -1 : end (e, err);
}
