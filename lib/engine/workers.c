/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs with work left stand in a list.  A worker takes the next index of the
 * first job; the one who made the job takes indexes of his own job until none
 * is left, then waits for those that workers still have in hand.
 *
 * Jobs live on the stack of their makers: a job is unlinked when its last index
 * is taken, and touched for the last time when its last task is counted, under
 * the lock.
 */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine/workers.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/thread.h"

struct job {
  struct job *next;
  void (*task) (void *opaque, size_t i);
  void *opaque;
  size_t n;
  size_t taken; /* indexes handed out */
  size_t done;
  pthread_cond_t all_done;
};

struct rv_workers {
  pthread_mutex_t lock; /* protects everything below and all jobs */
  pthread_cond_t work;
  struct job *first, **last;
  bool quit;
  unsigned n, started;
  pthread_t threads[RV_WORKERS_MAX];
};

/* Takes an index of job; unlinks it with the last one.  Called with the lock
 * held.
 */
static size_t
take (struct rv_workers *w, struct job *job)
{
  size_t i = job->taken++;

  if (job->taken == job->n) {
    struct job **p = &w->first;

    while (*p != job)
      p = &(*p)->next;
    *p = job->next;
    if (w->last == &job->next)
      w->last = p;
  }
  return i;
}

/* Called with the lock held; drops it during the task. */
static void
do_one (struct rv_workers *w, struct job *job)
{
  size_t i = take (w, job);

  pthread_mutex_unlock (&w->lock);
  job->task (job->opaque, i);
  pthread_mutex_lock (&w->lock);
  if (++job->done == job->n)
    pthread_cond_signal (&job->all_done);
}

static void *
worker (void *opaque)
{
  struct rv_workers *w = opaque;
  LOCKED (&w->lock);

  for (;;) {
    while (w->first == NULL && !w->quit)
      pthread_cond_wait (&w->work, &w->lock);
    if (w->quit)
      return NULL;
    do_one (w, w->first);
  }
}

int
rv_workers_new (unsigned n, struct rv_workers **workers, rawview_error *err)
{
  struct rv_workers *w = calloc (1, sizeof *w);

  if (w == NULL)
    return rv_error_nomem (err);
  pthread_mutex_init (&w->lock, NULL);
  pthread_cond_init (&w->work, NULL);
  w->last = &w->first;
  w->n = n < RV_WORKERS_MAX ? n : RV_WORKERS_MAX;
  *workers = w;
  return 0;
}

int
rv_workers_start (struct rv_workers *w, rawview_error *err)
{
  LOCKED (&w->lock);

  while (w->started < w->n) {
    int r = rv_thread_create (&w->threads[w->started], worker, w);

    if (r != 0)
      return rv_error_errno (err, r, "cannot start a decompression thread");
    w->started++;
  }
  return 0;
}

void
rv_workers_free (struct rv_workers *w)
{
  if (w == NULL)
    return;
  pthread_mutex_lock (&w->lock);
  w->quit = true;
  pthread_cond_broadcast (&w->work);
  pthread_mutex_unlock (&w->lock);
  for (unsigned i = 0; i < w->started; i++)
    pthread_join (w->threads[i], NULL);
  pthread_cond_destroy (&w->work);
  pthread_mutex_destroy (&w->lock);
  free (w);
}

void
rv_workers_run (struct rv_workers *w, size_t n,
                void (*task) (void *opaque, size_t i), void *opaque)
{
  struct job job = { .task = task, .opaque = opaque, .n = n };

  if (n == 0)
    return;
  if (n == 1) {
    task (opaque, 0);
    return;
  }
  pthread_cond_init (&job.all_done, NULL);
  pthread_mutex_lock (&w->lock);
  *w->last = &job;
  w->last = &job.next;
  pthread_cond_broadcast (&w->work);
  while (job.taken < job.n)
    do_one (w, &job);
  while (job.done < job.n)
    pthread_cond_wait (&job.all_done, &w->lock);
  pthread_mutex_unlock (&w->lock);
  pthread_cond_destroy (&job.all_done);
}
