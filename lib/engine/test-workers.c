/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <pthread.h>
#include <time.h>

#include "engine/workers.h"
#include "util/cleanup.h"
#include "util/test.h"

#define TASKS 1000u

static rawview_error err;

static void
cleanup_workers (struct rv_workers **w)
{
  rv_workers_free (*w);
}
#define CLEANUP_WORKERS RV_CLEANUP (cleanup_workers)

struct work {
  atomic_uint done[TASKS];
  pthread_t self; /* of the one who made the job */
  atomic_uint helped;
  atomic_bool wait_for_help;
};

static void
do_task (void *opaque, size_t i)
{
  struct work *w = opaque;

  atomic_fetch_add (&w->done[i], 1);
  if (!pthread_equal (pthread_self (), w->self))
    atomic_fetch_add (&w->helped, 1);
  else if (atomic_load (&w->wait_for_help))
    while (atomic_load (&w->helped) == 0)
      nanosleep (&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void
work_init (struct work *w)
{
  memset (w, 0, sizeof *w);
  w->self = pthread_self ();
}

static void
check_done (const struct work *w, size_t n)
{
  for (size_t i = 0; i < TASKS; i++)
    if (w->done[i] != (i < n))
      TEST_FAIL ("task %zu of %zu was done %u times", i, n, w->done[i]);
}

/* Runs n tasks and sees that each was done once. */
static void
check_run (struct rv_workers *w, size_t n)
{
  struct work work;

  work_init (&work);
  rv_workers_run (w, n, do_task, &work);
  check_done (&work, n);
}

static void
without_threads_the_caller_does_all (void)
{
  for (unsigned threads = 0; threads <= 4; threads += 4) {
    CLEANUP_WORKERS struct rv_workers *w = NULL;

    REQUIRE_OK (rv_workers_new (threads, &w, &err), err); /* not started */
    check_run (w, 0);
    check_run (w, 1);
    check_run (w, TASKS);
  }
}

static void
each_task_is_done_once (void)
{
  static const unsigned threads[] = { 1, 3, RV_WORKERS_MAX,
                                      RV_WORKERS_MAX + 9 };

  for (size_t i = 0; i < 4; i++) {
    CLEANUP_WORKERS struct rv_workers *w = NULL;

    REQUIRE_OK (rv_workers_new (threads[i], &w, &err), err);
    REQUIRE_OK (rv_workers_start (w, &err), err);
    for (size_t n = 0; n < 70; n++)
      check_run (w, n);
    check_run (w, TASKS);
  }
}

static void
the_workers_help (void)
{
  CLEANUP_WORKERS struct rv_workers *w = NULL;
  struct work work;

  work_init (&work);
  work.wait_for_help = true;
  REQUIRE_OK (rv_workers_new (1, &w, &err), err);
  REQUIRE_OK (rv_workers_start (w, &err), err);
  rv_workers_run (w, 2, do_task, &work);
  check_done (&work, 2);
  CHECK (work.helped > 0);
}

static void
starting_twice_starts_once (void)
{
  CLEANUP_WORKERS struct rv_workers *w = NULL;

  REQUIRE_OK (rv_workers_new (2, &w, &err), err);
  REQUIRE_OK (rv_workers_start (w, &err), err);
  REQUIRE_OK (rv_workers_start (w, &err), err);
  check_run (w, TASKS);
}

static void *
run_many (void *opaque)
{
  for (size_t n = 0; n < 300; n++)
    check_run (opaque, n % 9);
  return NULL;
}

static void
many_callers_share_the_workers (void)
{
  CLEANUP_WORKERS struct rv_workers *w = NULL;
  pthread_t threads[8];

  REQUIRE_OK (rv_workers_new (3, &w, &err), err);
  REQUIRE_OK (rv_workers_start (w, &err), err);
  for (unsigned i = 0; i < 8; i++)
    REQUIRE (pthread_create (&threads[i], NULL, run_many, w) == 0);
  for (unsigned i = 0; i < 8; i++)
    pthread_join (threads[i], NULL);
}

int
main (void)
{
  TEST (without_threads_the_caller_does_all);
  TEST (each_task_is_done_once);
  TEST (the_workers_help);
  TEST (starting_twice_starts_once);
  TEST (many_callers_share_the_workers);
  return test_result ();
}
