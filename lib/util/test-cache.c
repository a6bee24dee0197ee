/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "util/cache.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/test.h"

#define THREADS 8
#define LEN     100u

/* What fills blocks: counts, can be slow or fail. */
struct source {
  atomic_uint loads;
  atomic_bool slow, broken;
  atomic_uint waiting; /* threads that are about to ask */
};

struct want {
  struct source *source;
  uint64_t n;
};

static const int owner1, owner2;

static void
cleanup_cache (struct rv_cache **cache)
{
  rv_cache_free (*cache);
}
#define CLEANUP_CACHE RV_CLEANUP (cleanup_cache)

static void
sleep_ms (long ms)
{
  nanosleep (&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static int
load (void *opaque, void *buf, size_t len, rawview_error *err)
{
  struct want *w = opaque;
  unsigned n = atomic_fetch_add (&w->source->loads, 1) + 1;

  if (atomic_load (&w->source->slow)) {
    while (atomic_load (&w->source->waiting) < THREADS)
      sleep_ms (1);
    sleep_ms (20);
  }
  if (atomic_load (&w->source->broken))
    return rv_error_set (err, RAWVIEW_ERROR_IO, EIO, "load %u failed", n);
  memset (buf, (int) w->n, len);
  return 0;
}

static int
pin_as (enum rv_cache_use use, struct rv_cache *c, struct source *s, uint64_t n,
        struct rv_cache_block **block, const uint8_t **bytes,
        rawview_error *err)
{
  struct want w = { s, n };
  struct rv_cache_key key = { &owner1, n, 0 };

  return rv_cache_pin (c, &key, LEN, use, load, &w, block, bytes, err);
}

static int
pin (struct rv_cache *c, struct source *s, uint64_t n,
     struct rv_cache_block **block, const uint8_t **bytes, rawview_error *err)
{
  return pin_as (RV_CACHE_AGAIN, c, s, n, block, bytes, err);
}

/* Looks at block n; false if that failed or it is another's. */
static bool
look_as (enum rv_cache_use use, struct rv_cache *c, struct source *s,
         uint64_t n, rawview_error *err)
{
  struct rv_cache_block *block;
  const uint8_t *bytes;
  bool ok;

  if (pin_as (use, c, s, n, &block, &bytes, err) == -1)
    return false;
  ok = bytes[0] == (uint8_t) n && bytes[LEN - 1] == (uint8_t) n;
  rv_cache_unpin (c, block);
  return ok;
}

static bool
look_at (struct rv_cache *c, struct source *s, uint64_t n, rawview_error *err)
{
  return look_as (RV_CACHE_AGAIN, c, s, n, err);
}

static bool
pass_by (struct rv_cache *c, struct source *s, uint64_t n, rawview_error *err)
{
  return look_as (RV_CACHE_PASSING, c, s, n, err);
}

static bool
is_there (struct rv_cache *c, uint64_t n)
{
  struct rv_cache_key key = { &owner1, n, 0 };
  struct rv_cache_block *block;
  const uint8_t *bytes;

  if (!rv_cache_find (c, &key, &block, &bytes))
    return false;
  CHECK_EQ_U64 (bytes[0], (uint8_t) n);
  rv_cache_unpin (c, block);
  return true;
}

static void
a_block_is_loaded_once (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct source s = { 0 };
  rawview_error err;

  REQUIRE_OK (rv_cache_new (10 * LEN, &c, &err), err);
  CHECK (!is_there (c, 1));
  for (int i = 0; i < 5; i++)
    CHECK (look_at (c, &s, 1, &err));
  CHECK_EQ_U64 (s.loads, 1);
  CHECK (is_there (c, 1));
}

static void
the_least_recently_used_block_goes_first (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct source s = { 0 };
  rawview_error err;

  REQUIRE_OK (rv_cache_new (3 * LEN, &c, &err), err);
  for (uint64_t n = 1; n <= 3; n++)
    CHECK (pass_by (c, &s, n, &err));
  CHECK (pass_by (c, &s, 1, &err));
  CHECK (pass_by (c, &s, 4, &err));
  CHECK (!is_there (c, 2));
  CHECK (is_there (c, 3));
  CHECK (pass_by (c, &s, 5, &err)); /* a look without loading counts, too */
  CHECK (!is_there (c, 1));
  CHECK (is_there (c, 3) && is_there (c, 4) && is_there (c, 5));
}

static void
what_was_wanted_again_stays_when_somebody_passes_by (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct source s = { 0 };
  rawview_error err;

  REQUIRE_OK (rv_cache_new (8 * LEN, &c, &err), err);
  for (uint64_t n = 0; n < 12; n++)
    CHECK (look_at (c, &s, n / 2, &err));
  for (uint64_t n = 200; n < 600; n++) /* a little of each at a time */
    CHECK (pass_by (c, &s, n / 4, &err));
  for (uint64_t n = 0; n < 6; n++)
    CHECK (is_there (c, n));
  CHECK_EQ_U64 (s.loads, 6 + 100);
}

static void
what_was_wanted_again_leaves_room_for_others (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct source s = { 0 };
  rawview_error err;

  REQUIRE_OK (rv_cache_new (8 * LEN, &c, &err), err);
  for (uint64_t n = 0; n < 16; n++)
    CHECK (look_at (c, &s, n / 2, &err));
  CHECK (look_at (c, &s, 20, &err) && look_at (c, &s, 21, &err));
  CHECK (is_there (c, 20) && is_there (c, 21));
  for (uint64_t n = 30; n < 46; n++) /* these are wanted more, by now */
    CHECK (look_at (c, &s, n / 2, &err));
  for (uint64_t n = 17; n < 23; n++)
    CHECK (is_there (c, n));
}

static void
without_a_budget_only_what_is_in_use_is_kept (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct source s = { 0 };
  struct rv_cache_block *block;
  const uint8_t *bytes;
  rawview_error err;

  REQUIRE_OK (rv_cache_new (0, &c, &err), err);
  REQUIRE_OK (pin (c, &s, 1, &block, &bytes, &err), err);
  CHECK (is_there (c, 1));
  CHECK (look_at (c, &s, 2, &err));
  CHECK (!is_there (c, 2));
  CHECK_EQ_U64 (bytes[LEN - 1], 1);
  rv_cache_unpin (c, block);
  CHECK (!is_there (c, 1));
  CHECK (look_at (c, &s, 1, &err));
  CHECK_EQ_U64 (s.loads, 3);
}

static void
blocks_in_use_outlive_the_budget (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct rv_cache_block *blocks[20];
  const uint8_t *bytes[20];
  struct source s = { 0 };
  rawview_error err;

  REQUIRE_OK (rv_cache_new (2 * LEN, &c, &err), err);
  for (unsigned n = 0; n < 20; n++)
    REQUIRE_OK (pin (c, &s, n, &blocks[n], &bytes[n], &err), err);
  for (unsigned n = 0; n < 20; n++) {
    CHECK_EQ_U64 (bytes[n][50], n);
    rv_cache_unpin (c, blocks[n]);
  }
  for (unsigned n = 0; n < 18; n++)
    CHECK (!is_there (c, n));
  CHECK (is_there (c, 18) && is_there (c, 19));
}

static void
each_part_of_a_key_counts (void)
{
  static const struct rv_cache_key keys[] = {
    { &owner1, 1, 2 }, { &owner2, 1, 2 }, { &owner1, 2, 1 },
    { &owner1, 1, 1 }, { &owner1, 2, 2 },
  };
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct rv_cache_block *block;
  const uint8_t *bytes;
  struct source s = { 0 };
  rawview_error err;

  REQUIRE_OK (rv_cache_new (100 * LEN, &c, &err), err);
  for (int round = 0; round < 2; round++)
    for (unsigned i = 0; i < 5; i++) {
      struct want w = { &s, i };

      REQUIRE_OK (rv_cache_pin (c, &keys[i], LEN, RV_CACHE_AGAIN, load, &w,
                                &block, &bytes, &err),
                  err);
      CHECK_EQ_U64 (bytes[0], i);
      rv_cache_unpin (c, block);
    }
  CHECK_EQ_U64 (s.loads, 5);
}

static void
thousands_of_blocks_are_found_again (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct source s = { 0 };
  rawview_error err;

  REQUIRE_OK (rv_cache_new (5000 * LEN, &c, &err), err);
  for (uint64_t n = 0; n < 10000; n++)
    CHECK (look_at (c, &s, n << 32, &err));
  for (uint64_t n = 0; n < 10000; n++)
    if (is_there (c, n << 32) != (n >= 5000))
      TEST_FAIL ("block %u", (unsigned) n);
  CHECK_EQ_U64 (s.loads, 10000);
}

static void
a_failed_load_is_not_remembered (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct source s = { .broken = true };
  rawview_error err;

  REQUIRE_OK (rv_cache_new (10 * LEN, &c, &err), err);
  CHECK (!look_at (c, &s, 1, &err));
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "load 1 failed");
  CHECK (!is_there (c, 1));
  CHECK (!look_at (c, &s, 1, NULL));
  s.broken = false;
  CHECK (look_at (c, &s, 1, &err));
  CHECK_EQ_U64 (s.loads, 3);
}

/*--- Threads ------------------------------------------------------------*/

struct asker {
  pthread_t thread;
  struct rv_cache *cache;
  struct source *source;
  uint64_t first, step; /* blocks to look at */
  unsigned n;
  bool ok;
  rawview_error err;
};

static void *
ask (void *opaque)
{
  struct asker *a = opaque;

  atomic_fetch_add (&a->source->waiting, 1);
  a->ok = true;
  for (unsigned i = 0; i < a->n; i++)
    a->ok =
        look_at (a->cache, a->source, (a->first + i * a->step) % 31, &a->err) &&
        a->ok;
  return NULL;
}

static void
run (struct asker askers[THREADS])
{
  for (unsigned i = 0; i < THREADS; i++)
    CHECK (pthread_create (&askers[i].thread, NULL, ask, &askers[i]) == 0);
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join (askers[i].thread, NULL);
}

static void
while_one_loads_the_others_wait (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct source s = { .slow = true };
  struct asker askers[THREADS];
  rawview_error err;

  REQUIRE_OK (rv_cache_new (0, &c, &err), err);
  for (unsigned i = 0; i < THREADS; i++)
    askers[i] = (struct asker){ .cache = c, .source = &s, .first = 7, .n = 1 };
  run (askers);
  for (unsigned i = 0; i < THREADS; i++)
    CHECK (askers[i].ok);
  CHECK_EQ_U64 (s.loads, 1);
}

static void
an_error_is_told_to_all_who_wait (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct source s = { .slow = true, .broken = true };
  struct asker askers[THREADS];
  rawview_error err;

  REQUIRE_OK (rv_cache_new (10 * LEN, &c, &err), err);
  for (unsigned i = 0; i < THREADS; i++)
    askers[i] = (struct asker){ .cache = c, .source = &s, .first = 7, .n = 1 };
  run (askers);
  for (unsigned i = 0; i < THREADS; i++) {
    CHECK (!askers[i].ok);
    CHECK_ERROR (askers[i].err, RAWVIEW_ERROR_IO, "load 1 failed");
  }
  CHECK_EQ_U64 (s.loads, 1);
  s.broken = false;
  CHECK (look_at (c, &s, 7, &err));
}

/* Nobody waits for a lock that another holds while it loads. */
static void
other_blocks_need_not_wait (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct source slow = { .slow = true }, fast = { 0 };
  struct asker a;
  rawview_error err;

  REQUIRE_OK (rv_cache_new (10 * LEN, &c, &err), err);
  a = (struct asker){ .cache = c, .source = &slow, .first = 7, .n = 1 };
  REQUIRE (pthread_create (&a.thread, NULL, ask, &a) == 0);
  while (atomic_load (&slow.loads) == 0)
    sleep_ms (1);
  CHECK (look_at (c, &fast, 8, &err)); /* or hangs */
  atomic_store (&slow.waiting, THREADS);
  pthread_join (a.thread, NULL);
  CHECK (a.ok);
}

static void
threads_that_evict_each_other_see_right_bytes (void)
{
  static const size_t budgets[] = { 0, 3 * LEN, 100 * LEN };

  for (size_t b = 0; b < 3; b++) {
    CLEANUP_CACHE struct rv_cache *c = NULL;
    struct source s = { 0 };
    struct asker askers[THREADS];
    rawview_error err;

    REQUIRE_OK (rv_cache_new (budgets[b], &c, &err), err);
    for (unsigned i = 0; i < THREADS; i++)
      askers[i] = (struct asker){
        .cache = c, .source = &s, .first = i, .step = i * 2 + 1, .n = 5000
      };
    run (askers);
    for (unsigned i = 0; i < THREADS; i++)
      CHECK (askers[i].ok);
  }
}

/*--- Put and forget -----------------------------------------------------*/

static unsigned nr_shared; /* blocks that were put and not released */

static void
release (void *shared)
{
  nr_shared--;
  free (shared);
}

static void
release_nothing (void *shared)
{
}

static void
put (struct rv_cache *c, uint64_t n, uint8_t byte)
{
  struct rv_cache_key key = { &owner1, n, 0 };
  uint8_t *bytes = malloc (LEN);

  REQUIRE (bytes != NULL);
  memset (bytes, byte, LEN);
  nr_shared++;
  rv_cache_put (c, &key, LEN, bytes, bytes, release);
}

/* The bytes of block n, which is not loaded. */
static int
cached (struct rv_cache *c, uint64_t n)
{
  struct rv_cache_key key = { &owner1, n, 0 };
  struct rv_cache_block *block;
  const uint8_t *bytes;
  int r;

  if (!rv_cache_find (c, &key, &block, &bytes))
    return -1;
  r = bytes[0];
  rv_cache_unpin (c, block);
  return r;
}

static void
what_is_put_need_not_be_loaded (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct source s = { 0 };
  rawview_error err;

  REQUIRE_OK (rv_cache_new (2 * LEN, &c, &err), err);
  put (c, 1, 1);
  CHECK (look_at (c, &s, 1, &err));
  put (c, 1, 77);
  CHECK_EQ_INT (cached (c, 1), 77);
  CHECK_EQ_U64 (s.loads, 0);
  put (c, 2, 2);
  put (c, 3, 3); /* within the budget, too */
  CHECK_EQ_INT (cached (c, 1), -1);
  CHECK_EQ_INT (cached (c, 2), 2);
  CHECK_EQ_INT (cached (c, 3), 3);
}

static void
nothing_is_kept_of_what_is_put_without_a_budget (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  rawview_error err;

  REQUIRE_OK (rv_cache_new (LEN - 1, &c, &err), err);
  put (c, 1, 1);
  CHECK_EQ_INT (cached (c, 1), -1);
  CHECK_EQ_U64 (nr_shared, 0);
}

static void
shared_bytes_are_released_when_nobody_has_them (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct rv_cache_key key = { &owner1, 1, 0 };
  struct rv_cache_block *block;
  struct source s = { 0 };
  const uint8_t *bytes;
  rawview_error err;

  REQUIRE_OK (rv_cache_new (2 * LEN, &c, &err), err);
  put (c, 1, 1);
  REQUIRE (rv_cache_find (c, &key, &block, &bytes));
  CHECK (rv_cache_shared (block) == bytes);
  rv_cache_forget (c, &owner1, 1, UINT64_MAX);
  CHECK_EQ_INT (cached (c, 1), 1);
  rv_cache_put (c, &key, LEN, bytes, &nr_shared, release_nothing);
  CHECK_EQ_U64 (nr_shared, 1);
  rv_cache_unpin (c, block);
  CHECK_EQ_U64 (nr_shared, 0);
  REQUIRE_OK (pin (c, &s, 2, &block, &bytes, &err), err);
  CHECK (rv_cache_shared (block) == NULL);
  rv_cache_unpin (c, block);
  put (c, 3, 3);
  put (c, 4, 4);
  put (c, 5, 5);
  CHECK_EQ_U64 (nr_shared, 2);
  rv_cache_free (STEAL (c));
  CHECK_EQ_U64 (nr_shared, 0);
}

static void
who_has_a_replaced_block_keeps_it (void)
{
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct rv_cache_block *block;
  struct source s = { 0 };
  const uint8_t *bytes;
  rawview_error err;

  REQUIRE_OK (rv_cache_new (2 * LEN, &c, &err), err);
  REQUIRE_OK (pin (c, &s, 1, &block, &bytes, &err), err);
  put (c, 1, 77);
  CHECK_EQ_INT (cached (c, 1), 77);
  CHECK_EQ_INT (bytes[LEN - 1], 1);
  rv_cache_unpin (c, block);
  CHECK_EQ_INT (cached (c, 1), 77);
}

struct replacer {
  struct rv_cache *cache;
  bool fail;
};

/* Something else is put there while it is loaded. */
static int
load_and_replace (void *opaque, void *buf, size_t len, rawview_error *err)
{
  struct replacer *r = opaque;

  memset (buf, 1, len);
  put (r->cache, 1, 77);
  return r->fail ? rv_error_set (err, RAWVIEW_ERROR_IO, EIO, "failed") : 0;
}

static void
what_was_being_loaded_does_not_come_back (void)
{
  for (int fail = 0; fail <= 1; fail++) {
    CLEANUP_CACHE struct rv_cache *c = NULL;
    struct rv_cache_key key = { &owner1, 1, 0 };
    struct rv_cache_block *block;
    const uint8_t *bytes;
    rawview_error err;
    struct replacer r = { .fail = fail };

    REQUIRE_OK (rv_cache_new (2 * LEN, &c, &err), err);
    r.cache = c;
    CHECK_EQ_INT (rv_cache_pin (c, &key, LEN, RV_CACHE_AGAIN, load_and_replace,
                                &r, &block, &bytes, &err),
                  fail ? -1 : 0);
    if (!fail) {
      CHECK_EQ_INT (bytes[0], 1);
      rv_cache_unpin (c, block);
    }
    CHECK_EQ_INT (cached (c, 1), 77);
  }
}

static void
all_blocks_of_a_place_that_reach_far_enough_are_forgotten (void)
{
  const struct rv_cache_key keys[] = { { &owner1, 5, 1 },
                                       { &owner1, 5, 2 },
                                       { &owner1, 5, 3 },
                                       { &owner2, 5, 3 },
                                       { &owner1, 6, 3 } };
  CLEANUP_CACHE struct rv_cache *c = NULL;
  struct rv_cache_block *held, *block;
  const uint8_t *bytes;
  rawview_error err;
  static const uint8_t b[LEN];

  REQUIRE_OK (rv_cache_new (10 * LEN, &c, &err), err);
  for (unsigned i = 0; i < 5; i++)
    rv_cache_put (c, &keys[i], LEN, b, &nr_shared, release_nothing);
  REQUIRE (rv_cache_find (c, &keys[1], &held, &bytes));
  rv_cache_forget (c, &owner1, 5, 1);
  for (unsigned i = 0; i < 5; i++) {
    bool there = rv_cache_find (c, &keys[i], &block, &bytes);

    CHECK_EQ_INT (there, i != 1 && i != 2);
    if (there)
      rv_cache_unpin (c, block);
  }
  rv_cache_unpin (c, held);
}

int
main (void)
{
  TEST (a_block_is_loaded_once);
  TEST (the_least_recently_used_block_goes_first);
  TEST (what_was_wanted_again_stays_when_somebody_passes_by);
  TEST (what_was_wanted_again_leaves_room_for_others);
  TEST (without_a_budget_only_what_is_in_use_is_kept);
  TEST (blocks_in_use_outlive_the_budget);
  TEST (each_part_of_a_key_counts);
  TEST (thousands_of_blocks_are_found_again);
  TEST (a_failed_load_is_not_remembered);
  TEST (while_one_loads_the_others_wait);
  TEST (an_error_is_told_to_all_who_wait);
  TEST (other_blocks_need_not_wait);
  TEST (threads_that_evict_each_other_see_right_bytes);
  TEST (what_is_put_need_not_be_loaded);
  TEST (nothing_is_kept_of_what_is_put_without_a_budget);
  TEST (shared_bytes_are_released_when_nobody_has_them);
  TEST (who_has_a_replaced_block_keeps_it);
  TEST (what_was_being_loaded_does_not_come_back);
  TEST (all_blocks_of_a_place_that_reach_far_enough_are_forgotten);
  return test_result ();
}
