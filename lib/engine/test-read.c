/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "engine/engine-internal.h"
#include "engine/fetch.h"
#include "engine/test-chain.h"

#define ROOM (1u << 20)

static rawview_error err;

/* A bit of everything. */
static void
mixed (struct test_layer *l, unsigned number)
{
  test_layer_init (l, number, ROOM);
  test_layer_add_data (l, 700);
  test_layer_add (l, RV_MAP_ZERO, 2 * UNIT - 700);
  test_layer_add_unit (l);
  test_layer_add_unit (l);
  test_layer_add (l, RV_MAP_PARENT, UNIT);
  test_layer_add_unit (l);
  test_layer_add_data (l, 3 * UNIT)->map.host_avail = 1000;
  test_layer_add (l, RV_MAP_PARENT, UNIT);
  test_layer_add_unit (l);
  test_layer_done (l);
}

/* Reads at all offsets, of many lengths. */
static void
check_all_reads (struct test_chain *c)
{
  uint64_t size = c->layers[0]->base.size;

  for (uint64_t off = 0; off < size; off += 97)
    for (uint64_t len = 1; len <= size - off; len += 1 + len / 2)
      CHECK_READ (c, len, off);
  CHECK_READ (c, size, 0);
  CHECK_READ (c, 0, size);
}

static void
any_part_of_any_run_can_be_read (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };

  mixed (&a, 1);
  REQUIRE (test_chain_open (&c, 1 << 20, 0));
  check_all_reads (&c);
}

static void
it_is_the_same_without_a_cache_and_with_workers (void)
{
  CLEANUP_LAYER struct test_layer a;

  mixed (&a, 1);
  for (unsigned workers = 0; workers <= 3; workers += 3) {
    CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };

    REQUIRE (test_chain_open (&c, 0, workers));
    check_all_reads (&c);
  }
}

static void
what_a_layer_does_not_have_is_its_parents (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_LAYER struct test_layer b;
  CLEANUP_LAYER struct test_layer base;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a, &b, &base } };

  mixed (&a, 1);
  test_layer_init (&b, 2, ROOM);
  test_layer_add (&b, RV_MAP_PARENT, 4 * UNIT + 100);
  test_layer_add_data (&b, a.base.size - 4 * UNIT - 100);
  test_layer_done (&b);
  test_layer_init (&base, 3, ROOM);
  test_layer_add_data (&base, a.base.size);
  test_layer_done (&base);
  REQUIRE (test_chain_open (&c, 1 << 20, 0));
  check_all_reads (&c);
}

static void
beyond_a_shorter_parent_are_zeros (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_LAYER struct test_layer b;
  CLEANUP_LAYER struct test_layer base;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a, &b, &base } };

  test_layer_init (&a, 1, ROOM);
  test_layer_add (&a, RV_MAP_PARENT, 10 * UNIT);
  test_layer_done (&a);
  test_layer_init (&b, 2, ROOM);
  test_layer_add_data (&b, UNIT);
  test_layer_add (&b, RV_MAP_PARENT, 3 * UNIT);
  test_layer_done (&b);
  test_layer_init (&base, 3, ROOM); /* longer than b, which hides the rest */
  test_layer_add_data (&base, 8 * UNIT);
  test_layer_done (&base);
  REQUIRE (test_chain_open (&c, 1 << 20, 0));
  check_all_reads (&c);
}

static void
a_longer_parent_is_cut (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_LAYER struct test_layer b;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a, &b } };

  test_layer_init (&a, 1, ROOM);
  test_layer_add (&a, RV_MAP_PARENT, 700);
  test_layer_done (&a);
  test_layer_init (&b, 2, ROOM);
  test_layer_add_data (&b, 9 * UNIT);
  test_layer_done (&b);
  REQUIRE (test_chain_open (&c, 1 << 20, 0));
  check_all_reads (&c);
}

static void
only_reads_that_touch_damage_fail (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };

  test_layer_init (&a, 1, ROOM);
  test_layer_add_data (&a, UNIT);
  test_layer_add_damage (&a, UNIT);
  test_layer_add_unit (&a);
  test_layer_done (&a);
  REQUIRE (test_chain_open (&c, 1 << 20, 0));
  CHECK_READ (&c, UNIT, 0);
  CHECK_READ (&c, UNIT, 2 * UNIT);
  CHECK (!test_chain_read (&c, UNIT + 1, 0, &err));
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "layer 1: damage");
  CHECK (!test_chain_read (&c, 2, 2 * UNIT - 1, &err));
  CHECK (!test_chain_read (&c, 3 * UNIT, 0, NULL));
}

/*--- Units --------------------------------------------------------------*/

#define COUNTED 300u

static void
many_units (struct test_layer *l)
{
  test_layer_init (l, 1, ROOM);
  for (unsigned i = 0; i < COUNTED; i++)
    test_layer_add_unit (l);
  test_layer_done (l);
}

static void
many_units_in_one_request (void)
{
  CLEANUP_LAYER struct test_layer a;

  many_units (&a);
  for (unsigned workers = 0; workers <= 4; workers += 2) {
    CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };

    REQUIRE (test_chain_open (&c, 10 * UNIT, workers));
    CHECK_READ (&c, COUNTED * UNIT, 0);
    CHECK_READ (&c, COUNTED * UNIT - 2, 1);
    CHECK_READ (&c, 64 * UNIT, 0);
    CHECK_READ (&c, 65 * UNIT, UNIT);
  }
}

static void
one_damaged_unit_among_many_fails_the_request (void)
{
  static const unsigned places[] = { 0, 63, 64, COUNTED - 1 };
  CLEANUP_LAYER struct test_layer a;

  many_units (&a);
  for (size_t i = 0; i < 4; i++) {
    CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
    uint8_t *p = a.bytes + a.runs[places[i]].map.host_off, before = *p;

    *p = 0xff;
    REQUIRE (test_chain_open (&c, 10 * UNIT, 2));
    CHECK (!test_chain_read (&c, COUNTED * UNIT, 0, &err));
    CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "host: guest offset *damaged*");
    CHECK (!test_chain_read (&c, 1, places[i] * UNIT, NULL));
    *p = before;
    CHECK_READ (&c, COUNTED * UNIT, 0); /* nothing of it is remembered */
  }
}

/* Counts by breaking the storage: what is cached needs no reading. */
static void
parts_of_a_unit_are_decoded_once (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  atomic_uint countdown = 0;

  test_layer_init (&a, 1, ROOM);
  test_layer_add_unit (&a);
  test_layer_add_unit (&a);
  test_layer_done (&a);
  rv_io_unref (a.base.io);
  REQUIRE_OK (rv_io_fault_new (a.mem, &countdown, &a.base.io, &err), err);
  REQUIRE (test_chain_open (&c, 10 * UNIT, 0));
  CHECK_READ (&c, 10, 5);
  countdown = 1;
  CHECK_READ (&c, UNIT - 1, 1);
  CHECK_READ (&c, UNIT, 0);
  CHECK (!test_chain_read (&c, UNIT + 1, 0, &err));
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
  countdown = 0;
  CHECK_READ (&c, UNIT, UNIT); /* a whole one does not stay in the cache */
  countdown = 1;
  CHECK (!test_chain_read (&c, UNIT, UNIT, &err));
}

static void
a_unit_may_be_cut_by_the_end_of_the_disk (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };

  test_layer_init (&a, 1, ROOM);
  test_layer_add_unit (&a);
  a.base.size = a.runs[0].len = 100;
  test_layer_done (&a);
  REQUIRE (test_chain_open (&c, 10 * UNIT, 0));
  CHECK_READ (&c, 100, 0);
  CHECK_READ (&c, 1, 99);
}

/* Units with a marker of 4 bytes that says how long they are. */
static int
marker_payload (const struct rv_map *map, struct rv_view unit,
                struct rv_view *payload, size_t *need, rawview_error *e)
{
  uint32_t len = rv_le32 (unit.p);

  if (len == 0)
    return rv_error_corrupt (e, "a marker of length 0");
  *need = len;
  *payload = (struct rv_view){ len <= unit.len ? unit.p + 4 : NULL, len - 4 };
  return 0;
}

static void
marked (struct test_layer *l, uint32_t len)
{
  uint8_t unit[ROOM / 2];
  struct test_run *r;

  test_layer_init (l, 1, ROOM);
  r = test_layer_add_unit (l);
  memcpy (unit, l->bytes, r->map.host_len);
  len = htole32 (len ? len : r->map.host_len + 4);
  memcpy (l->bytes, &len, 4);
  memcpy (l->bytes + 4, unit, r->map.host_len);
  r->map.host_len = 3000;
  r->map.payload = marker_payload;
  l->len = 3000;
  test_layer_done (l);
}

static void
a_marker_says_where_the_payload_is (void)
{
  static const uint32_t lens[] = { 0, 1000, 2999, 3000 };

  for (size_t i = 0; i < 4; i++) {
    CLEANUP_LAYER struct test_layer a;
    CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };

    marked (&a, lens[i]);
    REQUIRE (test_chain_open (&c, 10 * UNIT, 0));
    CHECK_READ (&c, UNIT, 0);
    CHECK_READ (&c, 10, 10);
  }
}

static void
a_marker_that_lies_is_damage (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };

  marked (&a, 3001);
  REQUIRE (test_chain_open (&c, 10 * UNIT, 0));
  CHECK (!test_chain_read (&c, UNIT, 0, &err));
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*needs 3001 bytes of at most 3000");
  memset (a.bytes, 0xff, 4);
  CHECK (!test_chain_read (&c, UNIT, 0, &err));
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*at most 3000");
  memset (a.bytes, 0, 4);
  CHECK (!test_chain_read (&c, UNIT, 0, &err));
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "a marker of length 0");
}

/* Asks for more whatever it is given. */
static int
greedy_payload (const struct rv_map *map, struct rv_view unit,
                struct rv_view *payload, size_t *need, rawview_error *e)
{
  *payload = (struct rv_view){ NULL, 0 };
  *need = unit.len + 1;
  return 0;
}

static void
a_marker_gets_more_bytes_only_once (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };

  marked (&a, 0);
  a.runs[0].map.payload = greedy_payload;
  REQUIRE (test_chain_open (&c, 10 * UNIT, 0));
  CHECK (!test_chain_read (&c, UNIT, 0, &err));
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*asks for more and more");
}

/*--- Threads and faults -------------------------------------------------*/

struct reader {
  pthread_t thread;
  struct test_chain *chain;
  unsigned seed;
};

static void *
read_here_and_there (void *opaque)
{
  struct reader *r = opaque;
  uint64_t size = r->chain->layers[0]->base.size;
  uint32_t x = r->seed;

  for (int i = 0; i < 400; i++) {
    uint64_t off, len;

    x = x * 1103515245 + 12345;
    off = (x >> 8) % size;
    len = x % 5 ? 1 + (x >> 4) % 1000 : (x >> 4) % size;
    CHECK_READ (r->chain, rv_min_u64 (len, size - off), off);
  }
  return NULL;
}

static void
readers_in_parallel_all_see_the_same (void)
{
  static const size_t caches[] = { 0, 5 * UNIT, 1 << 20 };
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_LAYER struct test_layer b;

  mixed (&a, 1);
  for (unsigned i = 0; i < 60; i++)
    test_layer_add (&a, i % 3 ? RV_MAP_PARENT : RV_MAP_ZERO, UNIT);
  test_layer_init (&b, 2, ROOM);
  while (b.base.size < a.base.size)
    test_layer_add_unit (&b);
  test_layer_done (&b);
  for (size_t i = 0; i < 3; i++) {
    CLEANUP_CHAIN struct test_chain c = { .layers = { &a, &b } };
    struct reader readers[6];

    REQUIRE (test_chain_open (&c, caches[i], i));
    for (unsigned k = 0; k < 6; k++) {
      readers[k] = (struct reader){ .chain = &c, .seed = k };
      REQUIRE (pthread_create (&readers[k].thread, NULL, read_here_and_there,
                               &readers[k]) == 0);
    }
    for (unsigned k = 0; k < 6; k++)
      pthread_join (readers[k].thread, NULL);
  }
}

/* The n-th read of the storage fails, until none does: an error each time, and
 * never wrong bytes.
 */
static void
every_failed_read_is_an_error (void)
{
  CLEANUP_LAYER struct test_layer a;
  atomic_uint countdown = 0;
  unsigned n, failures = 0;

  mixed (&a, 1);
  rv_io_unref (a.base.io);
  REQUIRE_OK (rv_io_fault_new (a.mem, &countdown, &a.base.io, &err), err);
  for (n = 1; failures == n - 1 && n < 100; n++) {
    CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };

    REQUIRE (test_chain_open (&c, 1 << 20, n % 2));
    countdown = n;
    if (!test_chain_read (&c, a.base.size - 10, 5, &err)) {
      CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
      CHECK_EQ_INT (err.errnum, EIO);
      failures++;
      countdown = 0;
      CHECK_READ (&c, a.base.size, 0);
    }
  }
  CHECK_EQ_U64 (failures, 6); /* 2 runs of data, 4 units */
}

/*--- Reading ahead ------------------------------------------------------*/

static void
reading_ahead_reads_no_more_than_asked_and_never_fails (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };

  mixed (&a, 1);
  test_layer_add_damage (&a, UNIT);
  REQUIRE (test_chain_open (&c, 1 << 20, 0));
  rv_fetch (c.engine, a.base.size, 0);
  rv_fetch (c.engine, 1, a.base.size - 1);
  rv_fetch (c.engine, 0, 0);
  CHECK_READ (&c, a.base.size - UNIT, 0);
}

/* The storage's reads are counted down from many. */
#define READS 1000000u

static bool
more_reads_than (atomic_uint *countdown, unsigned n)
{
  for (int i = 0; i < 1000; i++) {
    if (READS - atomic_load (countdown) > n)
      return true;
    nanosleep (&(struct timespec){ .tv_nsec = 10000000 }, NULL);
  }
  return false;
}

static void
who_reads_in_order_is_read_ahead_of (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  atomic_uint countdown = READS;
  unsigned half = RUNS_MAX / 2;

  test_layer_init (&a, 1, ROOM);
  for (unsigned i = 0; i < RUNS_MAX; i++)
    test_layer_add_unit (&a);
  test_layer_done (&a);
  rv_io_unref (a.base.io);
  REQUIRE_OK (rv_io_fault_new (a.mem, &countdown, &a.base.io, &err), err);
  REQUIRE (test_chain_open (&c, 8 << 20, 2));
  for (unsigned i = 0; i < half; i++)
    CHECK_READ (&c, UNIT, i * UNIT);
  CHECK (more_reads_than (&countdown, half));
  for (unsigned i = half; i < RUNS_MAX; i++)
    CHECK_READ (&c, UNIT, i * UNIT);
}

/* Each answer is for one byte: a driver of the worst kind. */
static int
byte_map (struct rv_format *format, uint64_t off, uint64_t len,
          struct rv_map *map, uint64_t *damaged, rawview_error *e)
{
  struct test_layer *l = (struct test_layer *) format;

  atomic_fetch_add (&l->maps, 1);
  *map = (struct rv_map){ .kind = RV_MAP_ZERO, .len = 1 };
  return 0;
}

static void
reading_ahead_has_an_end (void)
{
  static const struct rv_format_ops ops = { .name = "byte", .map = byte_map };
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };

  test_layer_init (&a, 1, ROOM);
  test_layer_add (&a, RV_MAP_ZERO, 1ull << 40);
  test_layer_done (&a);
  a.base.ops = &ops;
  REQUIRE (test_chain_open (&c, 1 << 20, 0));
  rv_fetch (c.engine, 1ull << 40, 0); /* or takes hours */
  CHECK (a.maps > 0 && a.maps <= RV_WALK_MAX);
}

int
main (void)
{
  TEST (any_part_of_any_run_can_be_read);
  TEST (it_is_the_same_without_a_cache_and_with_workers);
  TEST (what_a_layer_does_not_have_is_its_parents);
  TEST (beyond_a_shorter_parent_are_zeros);
  TEST (a_longer_parent_is_cut);
  TEST (only_reads_that_touch_damage_fail);
  TEST (many_units_in_one_request);
  TEST (one_damaged_unit_among_many_fails_the_request);
  TEST (parts_of_a_unit_are_decoded_once);
  TEST (a_unit_may_be_cut_by_the_end_of_the_disk);
  TEST (a_marker_says_where_the_payload_is);
  TEST (a_marker_that_lies_is_damage);
  TEST (a_marker_gets_more_bytes_only_once);
  TEST (readers_in_parallel_all_see_the_same);
  TEST (every_failed_read_is_an_error);
  TEST (reading_ahead_reads_no_more_than_asked_and_never_fails);
  TEST (reading_ahead_has_an_end);
  TEST (who_reads_in_order_is_read_ahead_of);
  return test_result ();
}
