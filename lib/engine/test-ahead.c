/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <pthread.h>
#include <time.h>

#include "engine/ahead.h"
#include "util/checked.h"
#include "util/cleanup.h"
#include "util/test.h"

#define KIB   1024ull
#define MIB   (1024 * KIB)
#define SIZE  (64 * MIB)
#define BLOCK (64 * KIB)

/* Counts how often each block was fetched. */
struct log {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  unsigned blocks[SIZE / BLOCK];
  uint64_t bytes, end; /* in all; of the last */
  bool hold;           /* fetches wait */
};

static void
fetch (void *opaque, uint64_t len, uint64_t off)
{
  struct log *l = opaque;
  LOCKED (&l->lock);

  CHECK (len > 0 && off + len <= SIZE);
  for (uint64_t i = off / BLOCK; i * BLOCK < off + len; i++)
    l->blocks[i]++;
  l->bytes += len;
  l->end = rv_max_u64 (l->end, off + len);
  pthread_cond_broadcast (&l->changed);
  while (l->hold)
    pthread_cond_wait (&l->changed, &l->lock);
}

/* Waits, for at most 10 s, until all up to end was fetched. */
static bool
fetched_up_to (struct log *l, uint64_t end)
{
  struct timespec t;
  LOCKED (&l->lock);

  clock_gettime (CLOCK_REALTIME, &t);
  t.tv_sec += 10;
  while (l->end < end)
    if (pthread_cond_timedwait (&l->changed, &l->lock, &t) != 0)
      return false;
  return true;
}

/* The same for the block at off. */
static bool
fetched (struct log *l, uint64_t off)
{
  struct timespec t;
  LOCKED (&l->lock);

  clock_gettime (CLOCK_REALTIME, &t);
  t.tv_sec += 10;
  while (l->blocks[off / BLOCK] == 0)
    if (pthread_cond_timedwait (&l->changed, &l->lock, &t) != 0)
      return false;
  return true;
}

/* How far the fetches are. */
static uint64_t
fetched_end (struct log *l)
{
  LOCKED (&l->lock);
  return l->end;
}

static void
open_ahead (struct log *l, struct rv_ahead **a)
{
  struct rv_ahead_options o = {
    .window = 2 * MIB,
    .chunk = 512 * KIB,
    .threads = 2,
    .fetch = fetch,
    .opaque = l,
    .size = SIZE,
  };
  rawview_error err;

  *l = (struct log){ 0 };
  pthread_mutex_init (&l->lock, NULL);
  pthread_cond_init (&l->changed, NULL);
  REQUIRE_OK (rv_ahead_new (&o, a, &err), err);
}

/* After this nothing is fetched any more. */
static void
close_ahead (struct rv_ahead *a, struct log *l)
{
  rv_ahead_free (a);
  pthread_cond_destroy (&l->changed);
  pthread_mutex_destroy (&l->lock);
}

/* Is this read one in order? */
static bool
note (struct rv_ahead *a, uint64_t off)
{
  return rv_ahead_note (a, BLOCK, off, false) != RV_ORDER_NONE;
}

static void
who_reads_in_order_is_read_ahead_of (void)
{
  struct log l;
  struct rv_ahead *a = NULL;

  open_ahead (&l, &a);
  rv_ahead_start (a);
  for (uint64_t off = 0; off < SIZE; off += 256 * KIB) {
    bool in_order = rv_ahead_note (a, 256 * KIB, off, false) == RV_ORDER_AHEAD;

    CHECK_EQ_INT (in_order, off >= 512 * KIB);
    if (in_order)
      CHECK (fetched_up_to (&l, rv_min_u64 (off + 768 * KIB, SIZE)));
    CHECK (fetched_end (&l) <= off + 256 * KIB + 2 * MIB + 512 * KIB);
  }
  CHECK (fetched_up_to (&l, SIZE));
  close_ahead (a, &l);
  for (uint64_t i = 0; i < SIZE / BLOCK; i++)
    CHECK_EQ_U64 (l.blocks[i], i * BLOCK >= 768 * KIB);
}

/* The first reads are few bytes: what comes is not much more. */
static void
who_has_read_little_gets_little (void)
{
  struct log l;
  struct rv_ahead *a = NULL;
  uint64_t off;

  open_ahead (&l, &a);
  rv_ahead_start (a);
  for (off = 0; off + 4 * KIB < 64 * KIB; off += 4 * KIB)
    rv_ahead_note (a, 4 * KIB, off, false);
  CHECK_EQ_U64 (l.bytes, 0);
  rv_ahead_note (a, 4 * KIB, off, false);
  CHECK (fetched_up_to (&l, 128 * KIB));
  close_ahead (a, &l);
  CHECK (l.bytes <= 256 * KIB);
}

static void
nothing_is_fetched_for_random_readers (void)
{
  struct log l;
  struct rv_ahead *a = NULL;
  uint64_t n = 1;

  open_ahead (&l, &a);
  rv_ahead_start (a);
  for (int i = 0; i < 20000; i++) {
    n = n * 6364136223846793005u + 1442695040888963407u;
    rv_ahead_note (a, 4096, (n >> 33) % (SIZE / 4096) * 4096, false);
  }
  close_ahead (a, &l);
  CHECK_EQ_U64 (l.bytes, 0);
}

static void
several_may_read_in_order_at_once (void)
{
  struct log l;
  struct rv_ahead *a = NULL;

  open_ahead (&l, &a);
  rv_ahead_start (a);
  for (uint64_t i = 0; i < 8; i++)
    for (uint64_t reader = 0; reader < 4; reader++)
      CHECK_EQ_INT (note (a, reader * 16 * MIB + i * BLOCK), i >= 2);
  CHECK (fetched_up_to (&l, 48 * MIB + 9 * BLOCK));
  close_ahead (a, &l);
}

/* Bytes from..to that were fetched. */
static uint64_t
fetched_within (const struct log *l, uint64_t from, uint64_t to)
{
  uint64_t sum = 0;

  for (uint64_t i = from / BLOCK; i < to / BLOCK; i++)
    sum += l->blocks[i] > 0 ? BLOCK : 0;
  return sum;
}

/* What is kept for all has room for two. */
static void
many_readers_are_read_ahead_of_less_each (void)
{
  struct log l;
  struct rv_ahead *a = NULL;
  uint64_t sum = 0;

  open_ahead (&l, &a);
  rv_ahead_start (a);
  for (uint64_t i = 0; i < 64; i++)
    for (uint64_t reader = 0; reader < 8; reader++) {
      uint64_t off = reader * 8 * MIB + i * BLOCK;

      if (note (a, off))
        CHECK (fetched (&l, off + BLOCK));
    }
  /* Time for what should not come. */
  nanosleep (&(struct timespec){ .tv_nsec = 100000000 }, NULL);
  close_ahead (a, &l);
  for (uint64_t reader = 0; reader < 8; reader++)
    sum +=
        fetched_within (&l, reader * 8 * MIB + 4 * MIB, (reader + 1) * 8 * MIB);
  CHECK (sum > 0 && sum <= 2 * 2 * MIB);
}

/* As they come when many are under way. */
static void
requests_may_overtake_each_other (void)
{
  static const unsigned order[] = { 0, 2, 1, 3, 5, 4, 6, 7, 9, 8 };
  struct log l;
  struct rv_ahead *a = NULL;

  open_ahead (&l, &a);
  rv_ahead_start (a);
  for (unsigned i = 0; i < 10; i++)
    CHECK_EQ_INT (note (a, order[i] * BLOCK), i >= 3);
  CHECK (fetched_up_to (&l, 12 * BLOCK));
  close_ahead (a, &l);
}

static void
read_in_order (struct rv_ahead *a, bool busy)
{
  for (uint64_t off = 0; off < 4 * MIB; off += BLOCK)
    rv_ahead_note (a, BLOCK, off, busy);
}

static void
the_same_again_is_not_in_order (void)
{
  struct log l;
  struct rv_ahead *a = NULL;

  open_ahead (&l, &a);
  rv_ahead_start (a);
  for (int i = 0; i < 1000; i++)
    CHECK (!note (a, 5 * BLOCK));
  close_ahead (a, &l);
  CHECK_EQ_U64 (l.bytes, 0);
}

static void
nothing_is_fetched_before_the_start_or_when_others_are_busy (void)
{
  struct log l;
  struct rv_ahead *a = NULL;

  open_ahead (&l, &a);
  read_in_order (a, false);
  rv_ahead_start (a);
  read_in_order (a, true);
  close_ahead (a, &l);
  CHECK_EQ_U64 (l.bytes, 0);
}

/* Who reads faster than is fetched does not fill the memory with orders. */
static void
orders_are_bounded (void)
{
  struct log l;
  struct rv_ahead *a = NULL;

  open_ahead (&l, &a);
  l.hold = true;
  rv_ahead_start (a);
  for (uint64_t off = 0; off < SIZE; off += BLOCK)
    rv_ahead_note (a, BLOCK, off, false);
  for (uint64_t off = 0; off < SIZE; off += BLOCK)
    rv_ahead_note (a, BLOCK, off, false);
  CHECK (fetched_up_to (&l, BLOCK));
  pthread_mutex_lock (&l.lock);
  CHECK (l.bytes <= 2 * 512 * KIB);
  l.hold = false;
  pthread_cond_broadcast (&l.changed);
  pthread_mutex_unlock (&l.lock);
  close_ahead (a, &l);
}

int
main (void)
{
  TEST (who_reads_in_order_is_read_ahead_of);
  TEST (who_has_read_little_gets_little);
  TEST (nothing_is_fetched_for_random_readers);
  TEST (several_may_read_in_order_at_once);
  TEST (many_readers_are_read_ahead_of_less_each);
  TEST (the_same_again_is_not_in_order);
  TEST (requests_may_overtake_each_other);
  TEST (nothing_is_fetched_before_the_start_or_when_others_are_busy);
  TEST (orders_are_bounded);
  return test_result ();
}
