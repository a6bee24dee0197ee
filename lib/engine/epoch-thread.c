/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who begins an epoch when nobody asks for a flush: virt-v2v never does, and
 * must still find its work on disk and its freed space given back.  Data that
 * was written in place alone is no reason: the kernel writes it by itself.
 */

#include <config.h>

#include <time.h>

#include "engine/epoch-internal.h"
#include "util/checked.h"
#include "util/error.h"
#include "util/thread.h"

#define NEVER INT64_MAX

int64_t
rv_epoch_now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return 1 + t.tv_sec * INT64_C (1000) + t.tv_nsec / 1000000;
}

void
rv_epoch_set_limits (struct rv_epoch *e, const struct rv_epoch_limits *limits)
{
  LOCKED (&e->lock);
  e->limits = *limits;
  pthread_cond_broadcast (&e->changed);
}

static int64_t
earlier (int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* When is the next epoch due?  After a failure not at once, whatever waits. */
static int64_t
due (struct rv_epoch *e)
{
  bool follows = e->gone.list.len + e->released.list.len > 0;
  int64_t when = NEVER;

  if (e->sync_failed || e->finished)
    return NEVER;
  if (e->since)
    when = rv_epoch_over (e, 1) ? 0 : e->since + e->limits.change_ms;
  if (follows && !atomic_load (&e->refusing))
    when = rv_epoch_over (e, 1)
               ? 0
               : earlier (when, e->follow + e->limits.follow_ms);
  if (when != NEVER && e->failed_at)
    when = e->failed_at + e->limits.change_ms;
  return when;
}

static void
wait_until (struct rv_epoch *e, int64_t when)
{
  struct timespec t = { .tv_sec = (when - 1) / 1000,
                        .tv_nsec = (when - 1) % 1000 * 1000000 };

  if (when == NEVER)
    pthread_cond_wait (&e->changed, &e->lock);
  else
    pthread_cond_timedwait (&e->changed, &e->lock, &t);
}

static void *
thread (void *opaque)
{
  struct rv_epoch *e = opaque;

  LOCKED (&e->lock);
  while (!e->quit) {
    int64_t when = due (e);

    if (e->reusable.list.len > 0) {
      pthread_mutex_unlock (&e->lock);
      rv_epoch_reuse (e);
      pthread_mutex_lock (&e->lock);
    }
    else if (e->running)
      wait_until (e, NEVER);
    else if (when > rv_epoch_now ())
      wait_until (e, when);
    else
      rv_epoch_run (e);
  }
  return NULL;
}

int
rv_epoch_start (struct rv_epoch *e, rawview_error *err)
{
  int r;

  LOCKED (&e->lock);
  if (e->has_thread || e->finished)
    return 0;
  e->quit = false;
  r = rv_thread_create (&e->thread, thread, e);
  if (r != 0)
    return rv_error_errno (err, r, "pthread_create");
  e->has_thread = true;
  return 0;
}

void
rv_epoch_stop_thread (struct rv_epoch *e)
{
  bool had;

  pthread_mutex_lock (&e->lock);
  had = e->has_thread;
  e->has_thread = false;
  e->quit = true;
  pthread_cond_broadcast (&e->changed);
  pthread_mutex_unlock (&e->lock);
  if (had)
    pthread_join (e->thread, NULL);
}

/* Waits for the epoch that runs, or runs one. */
static void
take_part (struct rv_epoch *e)
{
  uint64_t durable = e->durable, failed = e->failed;

  if (!e->running)
    rv_epoch_run (e);
  else
    while (e->running && e->durable == durable && e->failed == failed)
      pthread_cond_wait (&e->changed, &e->lock);
}

/* The thread may be slow; what it has not given back must not become much. */
void
rv_epoch_throttle (struct rv_epoch *e)
{
  bool alone, over, reuse;

  pthread_mutex_lock (&e->lock);
  alone = !e->has_thread;
  over = !e->sync_failed && rv_epoch_over (e, 1);
  if (over && (alone || rv_epoch_over (e, 2)))
    take_part (e);
  else if (over && !e->running)
    pthread_cond_broadcast (&e->changed);
  reuse = e->reusable.bytes > (alone ? 0 : e->limits.freed);
  pthread_mutex_unlock (&e->lock);
  if (reuse)
    rv_epoch_reuse (e);
}
