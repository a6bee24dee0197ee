/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "engine/engine-internal.h"
#include "engine/test-chain.h"

#define ROOM (1u << 20)

struct seen {
  rawview_extent e[1000];
  size_t n;
  size_t stop_after; /* 0: never */
};

static rawview_error err;

static int
see (void *opaque, const rawview_extent *e)
{
  struct seen *s = opaque;

  s->e[s->n++] = *e;
  return s->n == s->stop_after;
}

static void
ask (struct test_chain *c, uint64_t len, uint64_t off, unsigned flags,
     struct seen *s)
{
  s->n = 0;
  CHECK_OK (rv_engine_extents (c->engine, len, off, flags, see, s, &err), err);
  for (size_t i = 0; i < s->n; i++) { /* in order and without gaps */
    CHECK_EQ_U64 (s->e[i].off, off);
    CHECK (s->e[i].len > 0);
    off += s->e[i].len;
  }
}

/* What one extent says, in letters: Zero, Hole, Compressed, Damaged. */
static void
check_extent (const rawview_extent *e, uint64_t len, const char *letters)
{
  char got[5] = "", *p = got;

  if (e->zero)
    *p++ = 'z';
  if (e->hole)
    *p++ = 'h';
  if (e->compressed)
    *p++ = 'c';
  if (e->damaged)
    *p++ = 'd';
  CHECK_EQ_U64 (e->len, len);
  CHECK_STR_EQ (got, letters);
}

static void
runs_of_one_kind_are_merged (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct seen s = { 0 };

  test_layer_init (&a, 1, ROOM);
  test_layer_add_data (&a, UNIT);
  test_layer_add_data (&a, UNIT);
  test_layer_add_unit (&a);
  test_layer_add (&a, RV_MAP_ZERO, UNIT);
  test_layer_add (&a, RV_MAP_ZERO, UNIT)->map.hole = true;
  test_layer_add (&a, RV_MAP_PARENT, UNIT);
  test_layer_done (&a);
  REQUIRE (test_chain_open (&c, 0, 0));
  ask (&c, a.base.size, 0, 0, &s);
  REQUIRE (s.n == 3);
  check_extent (&s.e[0], 3 * UNIT, "");
  check_extent (&s.e[1], UNIT, "z");
  check_extent (&s.e[2], 2 * UNIT, "zh");
  ask (&c, 2, 3 * UNIT - 1, 0, &s);
  REQUIRE (s.n == 2);
  check_extent (&s.e[0], 1, "c");
  check_extent (&s.e[1], 1, "z");
}

static void
a_map_keeps_runs_apart_that_lie_elsewhere (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_LAYER struct test_layer b;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a, &b } };
  struct seen s = { 0 };

  test_layer_init (&a, 1, ROOM);
  test_layer_add_data (&a, UNIT);
  test_layer_add_data (&a, UNIT);
  test_layer_add_data (&a, UNIT)->map.host_off = a.runs[1].map.host_off + UNIT;
  test_layer_add_unit (&a);
  test_layer_add_unit (&a);
  test_layer_add (&a, RV_MAP_PARENT, 2 * UNIT);
  test_layer_done (&a);
  test_layer_init (&b, 2, ROOM);
  test_layer_add_data (&b, 6 * UNIT);
  test_layer_done (&b);
  REQUIRE (test_chain_open (&c, 0, 0));
  ask (&c, a.base.size, 0, RAWVIEW_EXTENTS_RUNS, &s);
  REQUIRE (s.n == 5);
  check_extent (&s.e[0], UNIT, "");
  CHECK (s.e[0].has_host_off);
  CHECK_EQ_U64 (s.e[0].host_off, a.runs[0].map.host_off);
  CHECK_STR_EQ (s.e[0].filename, "host");
  check_extent (&s.e[1], 2 * UNIT, "");
  check_extent (&s.e[2], 2 * UNIT, "c");
  CHECK (!s.e[2].has_host_off);
  CHECK_EQ_U64 (s.e[2].depth, 0);
  check_extent (&s.e[3], UNIT, "");
  CHECK_EQ_U64 (s.e[3].depth, 1);
  CHECK_EQ_U64 (s.e[3].host_off, b.runs[0].map.host_off + 5 * UNIT);
  check_extent (&s.e[4], UNIT, "zh"); /* beyond the shorter parent */
}

static void
damage_is_called_data_and_never_a_hole (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct seen s = { 0 };

  test_layer_init (&a, 1, ROOM);
  test_layer_add (&a, RV_MAP_ZERO, UNIT);
  test_layer_add_damage (&a, UNIT);
  test_layer_add_damage (&a, UNIT);
  test_layer_add_data (&a, UNIT);
  test_layer_done (&a);
  REQUIRE (test_chain_open (&c, 0, 0));
  ask (&c, a.base.size - 7, 7, 0, &s);
  REQUIRE (s.n == 3);
  check_extent (&s.e[0], UNIT - 7, "z");
  check_extent (&s.e[1], 2 * UNIT, "d");
  check_extent (&s.e[2], UNIT, "");
}

static void
one_extent_is_enough_if_so_asked (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct seen s = { 0 };

  test_layer_init (&a, 1, ROOM);
  test_layer_add_data (&a, UNIT);
  test_layer_add_unit (&a);
  test_layer_add (&a, RV_MAP_ZERO, UNIT);
  test_layer_done (&a);
  REQUIRE (test_chain_open (&c, 0, 0));
  ask (&c, a.base.size, 0, RAWVIEW_EXTENTS_ONE, &s);
  REQUIRE (s.n == 1);
  check_extent (&s.e[0], 2 * UNIT, "");
  ask (&c, a.base.size, 0, RAWVIEW_EXTENTS_ONE | RAWVIEW_EXTENTS_RUNS, &s);
  REQUIRE (s.n == 1);
  check_extent (&s.e[0], UNIT, "");
}

static void
the_callback_can_end_the_walk (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct seen s = { .stop_after = 2 };

  test_layer_init (&a, 1, ROOM);
  for (unsigned i = 0; i < 10; i++) {
    test_layer_add_data (&a, UNIT);
    test_layer_add (&a, RV_MAP_ZERO, UNIT);
  }
  test_layer_done (&a);
  REQUIRE (test_chain_open (&c, 0, 0));
  ask (&c, a.base.size, 0, 0, &s);
  CHECK_EQ_U64 (s.n, 2);
  s.stop_after = 20; /* the last one */
  ask (&c, a.base.size, 0, 0, &s);
  CHECK_EQ_U64 (s.n, 20);
}

static void
no_bytes_have_no_extents (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct seen s = { 0 };

  test_layer_init (&a, 1, ROOM);
  test_layer_add_data (&a, UNIT);
  test_layer_done (&a);
  REQUIRE (test_chain_open (&c, 0, 0));
  ask (&c, 0, 0, 0, &s);
  ask (&c, 0, UNIT, 0, &s);
  CHECK_EQ_U64 (s.n, 0);
}

/*--- Holes of the host --------------------------------------------------*/

/* Storage whose even KiB are holes. */
static int
even_hole (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
           uint64_t *run)
{
  *hole = off / 1024 % 2 == 0;
  *run = rv_min_u64 (1024 - off % 1024, len);
  return 0;
}

static void
free_io (struct rv_io *io)
{
}

static void
holes_of_a_flat_file_are_holes (void)
{
  static const struct rv_io_ops ops = { .name = "holes",
                                        .hole = even_hole,
                                        .free = free_io };
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct seen s = { 0 };
  struct rv_io io = { 0 };

  test_layer_init (&a, 1, ROOM);
  a.runs[0] =
      (struct test_run){ .len = 4096,
                         .map = { .kind = RV_MAP_DATA, .host_off = 512 } };
  a.base.size = 4096;
  REQUIRE (rv_io_init (&io, &ops, "flat", 8192) == 0);
  a.base.io = &io;
  REQUIRE (test_chain_open (&c, 0, 0));
  ask (&c, 4096, 0, 0, &s); /* not worth looking: all is data */
  REQUIRE (s.n == 1);
  check_extent (&s.e[0], 4096, "");
  a.runs[0].map.sparse_host = true;
  ask (&c, 4096, 0, RAWVIEW_EXTENTS_RUNS, &s);
  REQUIRE (s.n == 5);
  check_extent (&s.e[0], 512, "zh");
  CHECK_EQ_U64 (s.e[0].host_off, 512);
  check_extent (&s.e[1], 1024, "");
  CHECK_EQ_U64 (s.e[1].host_off, 1024);
  check_extent (&s.e[4], 512, "zh");
}

/*--- Bounds -------------------------------------------------------------*/

/* Runs of one byte, zeros and data in turns. */
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
a_walk_does_a_bounded_amount_of_work (void)
{
  static const struct rv_format_ops ops = { .name = "byte", .map = byte_map };
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct seen s = { 0 };

  test_layer_init (&a, 1, ROOM);
  test_layer_add (&a, RV_MAP_ZERO, 1ull << 40);
  test_layer_done (&a);
  a.base.ops = &ops;
  REQUIRE (test_chain_open (&c, 0, 0));
  ask (&c, 1ull << 40, 0, 0, &s);
  REQUIRE (s.n == 1);
  CHECK_EQ_U64 (s.e[0].len, a.maps);
  CHECK (a.maps <= RV_WALK_MAX);
}

static uint64_t asked; /* of the upper layer */

static int
count_asked (struct rv_format *format, uint64_t off, uint64_t len,
             struct rv_map *map, uint64_t *damaged, rawview_error *e)
{
  asked += len;
  *map = (struct rv_map){ .kind = RV_MAP_PARENT, .len = len };
  return 0;
}

/* An upper layer may look at every entry of what it is asked about, and each
 * layer that is asked counts.
 */
static void
layers_are_not_asked_again_about_all_the_rest (void)
{
  static const struct rv_format_ops byte = { .name = "byte", .map = byte_map };
  static const struct rv_format_ops upper = { .name = "upper",
                                              .map = count_asked };
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_LAYER struct test_layer b;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a, &b } };
  struct seen s = { 0 };

  test_layer_init (&a, 1, ROOM);
  test_layer_add (&a, RV_MAP_PARENT, 1ull << 40);
  test_layer_done (&a);
  a.base.ops = &upper;
  test_layer_init (&b, 2, ROOM);
  test_layer_add (&b, RV_MAP_ZERO, 1ull << 40);
  test_layer_done (&b);
  b.base.ops = &byte;
  REQUIRE (test_chain_open (&c, 0, 0));
  asked = 0;
  ask (&c, 1ull << 40, 0, 0, &s);
  CHECK_EQ_U64 (b.maps, RV_WALK_MAX / 2);
  CHECK (asked < (17u << 20));
}

/* As clients of NBD ask, one after the other. */
static void
a_usual_question_is_one_look_up (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct seen s = { 0 };

  test_layer_init (&a, 1, ROOM);
  test_layer_add (&a, RV_MAP_ZERO, 64u << 20);
  test_layer_done (&a);
  REQUIRE (test_chain_open (&c, 0, 0));
  ask (&c, 16u << 20, 8u << 20, RAWVIEW_EXTENTS_ONE, &s);
  CHECK_EQ_U64 (s.e[0].len, 16u << 20);
  CHECK_EQ_U64 (a.maps, 1);
}

int
main (void)
{
  TEST (runs_of_one_kind_are_merged);
  TEST (a_map_keeps_runs_apart_that_lie_elsewhere);
  TEST (damage_is_called_data_and_never_a_hole);
  TEST (one_extent_is_enough_if_so_asked);
  TEST (the_callback_can_end_the_walk);
  TEST (no_bytes_have_no_extents);
  TEST (holes_of_a_flat_file_are_holes);
  TEST (a_usual_question_is_one_look_up);
  TEST (a_walk_does_a_bounded_amount_of_work);
  TEST (layers_are_not_asked_again_about_all_the_rest);
  return test_result ();
}
