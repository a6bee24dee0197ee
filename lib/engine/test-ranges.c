/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <pthread.h>
#include <time.h>

#include "engine/ranges.h"
#include "util/cleanup.h"
#include "util/test.h"

static rawview_error err;

static void
cleanup_ranges (struct rv_ranges **r)
{
  rv_ranges_free (*r);
}
#define CLEANUP_RANGES RV_CLEANUP (cleanup_ranges)

static void
nap (void)
{
  nanosleep (&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

/* A thread that takes a range, and holds it until it is told. */
struct holder {
  struct rv_ranges *ranges;
  struct rv_range range;
  pthread_t thread;
  atomic_bool asking, has, let_go;
};

static void *
hold (void *opaque)
{
  struct holder *h = opaque;

  atomic_store (&h->asking, true);
  rv_ranges_lock (h->ranges, &h->range);
  atomic_store (&h->has, true);
  while (!atomic_load (&h->let_go))
    nap ();
  rv_ranges_unlock (h->ranges, &h->range);
  return NULL;
}

/* Starts it and gives it time to take the range or to begin to wait. */
static void
holder_start (struct holder *h, struct rv_ranges *ranges, uint64_t off,
              uint64_t len, bool exclusive)
{
  memset (h, 0, sizeof *h);
  h->ranges = ranges;
  h->range =
      (struct rv_range){ .off = off, .len = len, .exclusive = exclusive };
  CHECK_EQ_INT (pthread_create (&h->thread, NULL, hold, h), 0);
  for (unsigned naps = 0; naps < 2 || !atomic_load (&h->asking); naps++)
    nap ();
}

static void
holder_stop (struct holder *h)
{
  atomic_store (&h->let_go, true);
  pthread_join (h->thread, NULL);
}

static bool
gets_it (struct holder *h)
{
  for (unsigned naps = 0; naps < 1000 && !atomic_load (&h->has); naps++)
    nap ();
  return atomic_load (&h->has);
}

static void
ranges_that_do_not_overlap_are_held_together (void)
{
  CLEANUP_RANGES struct rv_ranges *r = NULL;
  struct rv_range a = { .off = 0, .len = 10, .exclusive = true };
  struct rv_range b = { .off = 10, .len = 1, .exclusive = true };
  struct rv_range c = { .off = 11, .len = UINT64_MAX - 11, .exclusive = true };

  REQUIRE_OK (rv_ranges_new (&r, &err), err);
  rv_ranges_lock (r, &b);
  rv_ranges_lock (r, &a);
  rv_ranges_lock (r, &c);
  rv_ranges_unlock (r, &a);
  rv_ranges_lock (r, &a);
  rv_ranges_unlock (r, &b);
  rv_ranges_unlock (r, &c);
  rv_ranges_unlock (r, &a);
}

static void
shared_ones_are_held_together (void)
{
  CLEANUP_RANGES struct rv_ranges *r = NULL;
  struct rv_range a = { .off = 0, .len = 10 };
  struct rv_range b = { .off = 5, .len = 10 };

  REQUIRE_OK (rv_ranges_new (&r, &err), err);
  rv_ranges_lock (r, &a);
  rv_ranges_lock (r, &b);
  rv_ranges_unlock (r, &a);
  rv_ranges_unlock (r, &b);
}

static void
an_exclusive_one_waits_for_all_that_overlap (void)
{
  CLEANUP_RANGES struct rv_ranges *r = NULL;
  struct rv_range a = { .off = 0, .len = 10 };
  struct rv_range b = { .off = 15, .len = 10, .exclusive = true };
  struct holder h;

  REQUIRE_OK (rv_ranges_new (&r, &err), err);
  rv_ranges_lock (r, &a);
  rv_ranges_lock (r, &b);
  holder_start (&h, r, 9, 7, true);
  CHECK (!atomic_load (&h.has));
  rv_ranges_unlock (r, &a);
  nap ();
  CHECK (!atomic_load (&h.has));
  rv_ranges_unlock (r, &b);
  CHECK (gets_it (&h));
  holder_stop (&h);
}

static void
who_comes_later_does_not_overtake (void)
{
  CLEANUP_RANGES struct rv_ranges *r = NULL;
  struct rv_range a = { .off = 0, .len = 10 };
  struct holder exclusive, shared, apart;

  REQUIRE_OK (rv_ranges_new (&r, &err), err);
  rv_ranges_lock (r, &a);
  holder_start (&exclusive, r, 5, 10, true);
  holder_start (&shared, r, 0, 10, false);
  holder_start (&apart, r, 0, 5, false);
  CHECK (!atomic_load (&exclusive.has));
  CHECK (!atomic_load (&shared.has));
  CHECK (gets_it (&apart));
  rv_ranges_unlock (r, &a);
  CHECK (gets_it (&exclusive));
  nap ();
  CHECK (!atomic_load (&shared.has));
  holder_stop (&exclusive);
  CHECK (gets_it (&shared));
  holder_stop (&shared);
  holder_stop (&apart);
}

/*--- Many threads -------------------------------------------------------*/

#define THREADS 6u
#define CELLS   16u
#define ROUNDS  3000u

struct crowd {
  struct rv_ranges *ranges;
  unsigned seed;
  unsigned *cells;        /* changed under exclusive locks only */
  atomic_uint *exclusive; /* inside each cell */
  atomic_uint *shared;
};

static void
use (struct crowd *c, const struct rv_range *range)
{
  atomic_uint *mine = range->exclusive ? c->exclusive : c->shared;
  atomic_uint *others = range->exclusive ? c->shared : c->exclusive;

  for (uint64_t i = range->off; i < range->off + range->len; i++) {
    CHECK (atomic_fetch_add (&mine[i], 1) == 0 || !range->exclusive);
    CHECK (atomic_load (&others[i]) == 0);
    if (range->exclusive)
      c->cells[i]++;
  }
  for (uint64_t i = range->off; i < range->off + range->len; i++)
    atomic_fetch_sub (&mine[i], 1);
}

static void *
crowd_member (void *opaque)
{
  struct crowd *c = opaque;

  for (unsigned i = 0; i < ROUNDS; i++) {
    struct rv_range range = { .off = rand_r (&c->seed) % CELLS };

    range.len = 1 + rand_r (&c->seed) % (CELLS - range.off);
    range.exclusive = rand_r (&c->seed) % 3 == 0;
    rv_ranges_lock (c->ranges, &range);
    use (c, &range);
    rv_ranges_unlock (c->ranges, &range);
  }
  return NULL;
}

static void
many_threads_exclude_each_other_where_they_must (void)
{
  CLEANUP_RANGES struct rv_ranges *r = NULL;
  unsigned cells[CELLS] = { 0 };
  atomic_uint exclusive[CELLS] = { 0 }, shared[CELLS] = { 0 };
  struct crowd c[THREADS];
  pthread_t threads[THREADS];

  REQUIRE_OK (rv_ranges_new (&r, &err), err);
  for (unsigned i = 0; i < THREADS; i++) {
    c[i] = (struct crowd){ r, i + 1, cells, exclusive, shared };
    CHECK_EQ_INT (pthread_create (&threads[i], NULL, crowd_member, &c[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join (threads[i], NULL);
}

int
main (void)
{
  TEST (ranges_that_do_not_overlap_are_held_together);
  TEST (shared_ones_are_held_together);
  TEST (an_exclusive_one_waits_for_all_that_overlap);
  TEST (who_comes_later_does_not_overtake);
  TEST (many_threads_exclude_each_other_where_they_must);
  return test_result ();
}
