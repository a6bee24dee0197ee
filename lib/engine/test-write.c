/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>

#include "engine/test-writer.h"

static rawview_error err;

/*--- Against a model ----------------------------------------------------*/

struct model {
  uint8_t bytes[SIZE];
};

static void
model_init (struct model *m)
{
  for (uint64_t i = 0; i < SIZE; i++)
    m->bytes[i] = i / UNIT >= UNITS - FLAT ? 0 : test_parent_byte (i);
}

static void
check_model (struct test_writer *w, const struct model *m)
{
  CLEANUP_FREE uint8_t *buf = malloc (SIZE);

  REQUIRE_OK (rv_engine_pread (w->engine, buf, SIZE, 0, &err), err);
  CHECK_MEM_EQ (buf, m->bytes, SIZE);
}

static void
pick_range (unsigned *seed, uint64_t *off, uint64_t *len)
{
  *off = (uint64_t) rand_r (seed) % SIZE;
  *len = (uint64_t) rand_r (seed) % (rand_r (seed) % 4 ? 2 * UNIT : 20 * UNIT);
  if (rand_r (seed) % 3 == 0)
    *off = rv_align_down (*off, UNIT);
  if (rand_r (seed) % 3 == 0)
    *len = rv_align_down (*len, UNIT);
  *len = rv_min_u64 (*len, SIZE - *off);
}

static void
model_write (struct test_writer *w, struct model *m, unsigned *seed,
             uint64_t off, uint64_t len)
{
  for (uint64_t i = 0; i < len; i++)
    m->bytes[off + i] = rand_r (seed);
  CHECK_OK (rv_engine_pwrite (w->engine, m->bytes + off, len, off, &err), err);
}

static void
model_zero (struct test_writer *w, struct model *m, unsigned *seed,
            uint64_t off, uint64_t len)
{
  unsigned flags = rand_r (seed) % 2 ? RAWVIEW_ZERO_MAY_TRIM : 0;

  w->no_drop = rand_r (seed) % 4 == 0;
  memset (m->bytes + off, 0, len);
  CHECK_OK (rv_engine_zero (w->engine, len, off, flags, &err), err);
  w->no_drop = false;
}

/* Each byte is as before or zero; that is how it must stay. */
static void
model_trim (struct test_writer *w, struct model *m, uint64_t off, uint64_t len)
{
  CLEANUP_FREE uint8_t *buf = malloc (len + 1);

  CHECK_OK (rv_engine_trim (w->engine, len, off, &err), err);
  REQUIRE_OK (rv_engine_pread (w->engine, buf, len, off, &err), err);
  for (uint64_t i = 0; i < len; i++)
    CHECK (buf[i] == 0 || buf[i] == m->bytes[off + i]);
  memcpy (m->bytes + off, buf, len);
}

static void
model_step (struct test_writer *w, struct model *m, unsigned *seed)
{
  uint64_t off, len;

  pick_range (seed, &off, &len);
  switch (rand_r (seed) % 8) {
  case 0:
    model_trim (w, m, off, len);
    break;
  case 1:
  case 2:
    model_zero (w, m, seed, off, len);
    break;
  case 3:
    test_flush (w);
    break;
  default:
    model_write (w, m, seed, off, len);
  }
}

static void
random_requests_are_as_on_a_plain_disk (void)
{
  static struct model m;

  for (unsigned seed = 1; seed <= 6; seed++) {
    CLEANUP_WRITER struct test_writer w;
    unsigned state = seed;

    REQUIRE (test_writer_open (&w, ROOM));
    model_init (&m);
    for (unsigned i = 0; i < 250; i++) {
      model_step (&w, &m, &state);
      if (i % 10 == 0)
        check_model (&w, &m);
    }
    check_model (&w, &m);
    CHECK_OK (rv_engine_finish (w.engine, &err), err);
    test_check_disk (&w, false);
    check_model (&w, &m);
  }
}

/*--- Several threads ----------------------------------------------------*/

#define THREADS 4u
#define STRIPE  700u /* so several share each unit */

struct writer_thread {
  struct test_writer *w;
  struct model *m;
  unsigned number;
  pthread_t thread;
};

/* Writes, zeros and flushes, in its own stripes only. */
static void *
write_stripes (void *opaque)
{
  struct writer_thread *t = opaque;
  unsigned seed = t->number + 1;
  rawview_error e;

  for (unsigned i = 0; i < 300; i++) {
    uint64_t n = SIZE / STRIPE / THREADS;
    uint64_t off = (rand_r (&seed) % n * THREADS + t->number) * STRIPE;
    uint8_t *p = t->m->bytes + off;

    memset (p, rand_r (&seed) % 4, STRIPE);
    if (p[0] == 0)
      CHECK_OK (rv_engine_zero (t->w->engine, STRIPE, off, 0, &e), e);
    else
      CHECK_OK (rv_engine_pwrite (t->w->engine, p, STRIPE, off, &e), e);
    if (i % 40 == 0)
      test_flush (t->w);
  }
  return NULL;
}

static void
run_threads (struct test_writer *w, struct model *m, unsigned n,
             void *(*work) (void *) )
{
  struct writer_thread t[THREADS];

  for (unsigned i = 0; i < n; i++) {
    t[i] = (struct writer_thread){ .w = w, .m = m, .number = i };
    CHECK_EQ_INT (pthread_create (&t[i].thread, NULL, work, &t[i]), 0);
  }
  for (unsigned i = 0; i < n; i++)
    pthread_join (t[i].thread, NULL);
}

static void
threads_that_share_units_lose_nothing (void)
{
  static struct model m;
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE_OK (rv_engine_start (w.engine, &err), err);
  model_init (&m);
  run_threads (&w, &m, THREADS, write_stripes);
  check_model (&w, &m);
  CHECK_OK (rv_engine_finish (w.engine, &err), err);
  test_check_disk (&w, false);
  check_model (&w, &m);
}

/* All write, zero and trim the same few units as a whole, and read. */
static void *
write_same (void *opaque)
{
  struct writer_thread *t = opaque;
  unsigned seed = t->number + 1;
  uint8_t buf[3 * UNIT];
  rawview_error e;

  for (unsigned i = 0; i < 200; i++) {
    uint64_t off = rand_r (&seed) % 4 * UNIT;

    memset (buf, 0xe0 + t->number, sizeof buf);
    if (i % 5 == 0)
      CHECK_OK (rv_engine_trim (t->w->engine, sizeof buf, off, &e), e);
    else
      CHECK_OK (rv_engine_pwrite (t->w->engine, buf, sizeof buf, off, &e), e);
    if (i % 20 == 0)
      test_flush (t->w);
    CHECK_OK (rv_engine_pread (t->w->engine, buf, sizeof buf, off, &e), e);
    for (unsigned k = 0; k < sizeof buf; k++)
      if (buf[k] != 0 && (buf[k] < 0xe0 || buf[k] >= 0xe0 + THREADS) &&
          buf[k] != test_parent_byte (off + k))
        TEST_FAIL ("byte %02x at %ju is nobody's", buf[k], (uintmax_t) off + k);
  }
  return NULL;
}

static void
threads_that_want_the_same_units_take_turns (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_epoch_limits limits = { 1 << 20, 4 * UNIT, 3, 1 };

  REQUIRE (test_writer_open (&w, ROOM));
  rv_epoch_set_limits (w.engine->epoch, &limits);
  REQUIRE_OK (rv_engine_start (w.engine, &err), err);
  run_threads (&w, NULL, THREADS, write_same);
  CHECK_OK (rv_engine_finish (w.engine, &err), err);
  test_check_disk (&w, false);
}

/*--- Where bytes go -----------------------------------------------------*/

static size_t
count_writes (struct test_writer *w, unsigned file)
{
  size_t n = 0;

  for (size_t i = 0; i < w->trace.len; i++)
    n += w->trace.entries[i].op == RV_TRACE_WRITE &&
         w->trace.entries[i].file == file;
  return n;
}

static void
a_new_unit_is_filled_with_what_was_there (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 0xee, 10, UNIT + 100));
  CHECK_EQ_INT (test_read (&w, UNIT + 99), test_parent_byte (UNIT + 99));
  CHECK_EQ_INT (test_read (&w, UNIT + 100), 0xee);
  CHECK_EQ_INT (test_read (&w, UNIT + 110), test_parent_byte (UNIT + 110));
  CHECK_EQ_INT (test_read (&w, 2 * UNIT - 1), test_parent_byte (2 * UNIT - 1));
  CHECK_EQ_U64 (count_writes (&w, DATA_FILE), 1);
}

static void
several_new_units_are_written_at_once (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 0xee, 4 * UNIT, UNIT + 100));
  CHECK_EQ_U64 (count_writes (&w, DATA_FILE), 1);
  CHECK_EQ_U64 (w.allocations, 1);
}

static void
what_has_a_place_is_written_there (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, UNIT, 0));
  REQUIRE (test_write (&w, 2, 100, 50));
  CHECK_EQ_U64 (w.allocations, 1);
  CHECK_EQ_INT (test_read (&w, 49), 1);
  CHECK_EQ_INT (test_read (&w, 50), 2);
  CHECK_EQ_INT (test_read (&w, 150), 1);
}

/* Zeroed without giving the place back, it holds old bytes. */
static void
a_place_kept_for_zeros_is_filled_with_zeros (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, UNIT, 0));
  REQUIRE_OK (rv_engine_zero (w.engine, UNIT, 0, 0, &err), err);
  CHECK_EQ_INT (test_read (&w, 10), 0);
  REQUIRE (test_write (&w, 2, 100, 50));
  CHECK_EQ_U64 (w.allocations, 1);
  CHECK_EQ_INT (test_read (&w, 49), 0);
  CHECK_EQ_INT (test_read (&w, 50), 2);
  CHECK_EQ_INT (test_read (&w, 150), 0);
}

static void
a_place_given_out_again_is_filled_with_zeros (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, UNIT, 0));
  REQUIRE_OK (rv_engine_zero (w.engine, UNIT, 0, RAWVIEW_ZERO_MAY_TRIM, &err),
              err);
  REQUIRE (test_flush (&w) && test_flush (&w));
  CHECK_EQ_U64 (w.reuses, 1);
  REQUIRE (test_write (&w, 2, 100, 3 * UNIT + 50));
  CHECK_EQ_U64 (w.files[DATA_FILE].io->size, (FLAT + 1) * UNIT);
  CHECK_EQ_INT (test_read (&w, 3 * UNIT + 49), 0);
  CHECK_EQ_INT (test_read (&w, 3 * UNIT + 50), 2);
  CHECK_EQ_INT (test_read (&w, 3 * UNIT + 150), 0);
}

static void
zeros_in_a_new_place_are_not_written_but_there (void)
{
  CLEANUP_WRITER struct test_writer w;
  uint64_t written = 0;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 2, 10, 3 * UNIT + 50));
  for (size_t i = 0; i < w.trace.len; i++)
    if (w.trace.entries[i].file == DATA_FILE)
      written += w.trace.entries[i].len;
  CHECK (written < UNIT);
  CHECK_EQ_U64 (w.files[DATA_FILE].io->size, (FLAT + 1) * UNIT);
  CHECK_EQ_INT (test_read (&w, 4 * UNIT - 1), 0);
}

static void
beyond_the_disks_end_a_unit_is_zeros (void)
{
  struct test_writer *w = NULL;
  CLEANUP_WRITER struct test_writer writer;

  w = &writer;
  REQUIRE (test_writer_open (w, ROOM));
  w->base.size = w->parent.size = 5 * UNIT + 100;
  REQUIRE (test_write (w, 2, 10, 5 * UNIT + 50));
  CHECK_EQ_U64 (w->files[DATA_FILE].io->size, (FLAT + 1) * UNIT);
  CHECK_EQ_INT (w->files[DATA_FILE].bytes[FLAT * UNIT + 60],
                test_parent_byte (5 * UNIT + 60));
  CHECK_EQ_INT (w->files[DATA_FILE].bytes[FLAT * UNIT + 100], 0);
}

static void
nothing_is_written_for_nothing (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  CHECK_OK (rv_engine_pwrite (w.engine, "", 0, 100, &err), err);
  CHECK_OK (rv_engine_zero (w.engine, 0, 100, 0, &err), err);
  CHECK_OK (rv_engine_trim (w.engine, 0, 100, &err), err);
  REQUIRE (test_flush (&w));
  CHECK_EQ_U64 (w.trace.len, 0);
}

/*--- What fails ---------------------------------------------------------*/

static void
an_engine_that_is_not_writable_refuses (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_engine_options opts = { 0 };

  REQUIRE (test_writer_open (&w, ROOM));
  rv_engine_free (w.engine);
  REQUIRE_OK (rv_engine_new (&w.chain, &opts, &w.engine, &err), err);
  CHECK (!rv_engine_is_writable (w.engine));
  CHECK_EQ_INT (rv_engine_enable_write (w.engine, &err), -1);
  CHECK_EQ_INT (rv_engine_pwrite (w.engine, "x", 1, 0, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "tables: *not open for writing*");
  CHECK_EQ_INT (err.errnum, EROFS);
  CHECK_EQ_INT (rv_engine_zero (w.engine, 1, 0, 0, &err), -1);
  CHECK_EQ_INT (rv_engine_trim (w.engine, 1, 0, &err), -1);
  CHECK_OK (rv_engine_flush (w.engine, &err), err);
}

static void
a_full_disk_fails_the_request_and_no_other (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, (FLAT + 2) * UNIT));
  REQUIRE (test_write (&w, 1, UNIT, 0) && test_write (&w, 2, UNIT, UNIT));
  CHECK_EQ_INT (rv_engine_pwrite (w.engine, "x", 1, 2 * UNIT, &err), -1);
  CHECK_EQ_INT (err.errnum, ENOSPC);
  CHECK_EQ_INT (test_read (&w, 2 * UNIT), test_parent_byte (2 * UNIT));
  REQUIRE (test_write (&w, 3, 10, 0) && test_flush (&w));
  REQUIRE_OK (
      rv_engine_zero (w.engine, UNIT, UNIT, RAWVIEW_ZERO_MAY_TRIM, &err), err);
  REQUIRE (test_flush (&w) && test_flush (&w));
  w.free[0] = rv_min_u64 (w.free[0], w.free[1]);
  w.nr_free = 1; /* what was cancelled has no room */
  REQUIRE (test_write (&w, 4, UNIT, 2 * UNIT));
  CHECK_EQ_INT (test_read (&w, 2 * UNIT), 4);
  CHECK_EQ_INT (test_read (&w, 5), 3);
}

static void
a_fill_that_cannot_be_read_fails_the_request (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  w.parent.io->size = UNIT + 50;
  CHECK_EQ_INT (rv_engine_pwrite (w.engine, "x", 1, UNIT + 20, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*");
  CHECK_EQ_U64 (w.marked, 0);
  REQUIRE (test_write (&w, 1, UNIT, UNIT));
  CHECK_OK (rv_engine_finish (w.engine, &err), err);
  test_check_disk (&w, false);
}

/* The n-th write, data's or tables', fails: what was flushed is still there,
 * and all works again afterwards.
 */
static void
fail_at (unsigned n, unsigned kind, bool *reached)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, 6 * UNIT, 0) && test_flush (&w));
  for (unsigned i = 0; i < NR_FILES; i++) {
    w.files[i].faults.kinds = kind;
    w.files[i].faults.errnum = ENOSPC;
    w.files[i].faults.once = w.files[i].faults.torn = true;
    w.files[i].faults.countdown = n;
  }
  for (unsigned i = 0; i < 4; i++) {
    uint8_t buf[UNIT] = { 9 };

    rv_engine_pwrite (w.engine, buf, UNIT, (8 + 2 * i) * UNIT, NULL);
    rv_engine_zero (w.engine, UNIT, i * UNIT, RAWVIEW_ZERO_MAY_TRIM, NULL);
    rv_engine_flush (w.engine, NULL);
  }
  *reached =
      w.files[0].faults.countdown == 0 || w.files[1].faults.countdown == 0;
  w.files[0].faults.countdown = w.files[1].faults.countdown = 0;
  CHECK_EQ_INT (test_read (&w, 5 * UNIT), 1);
  REQUIRE (test_flush (&w));
  REQUIRE (test_write (&w, 5, 3 * UNIT, 20 * UNIT + 10));
  CHECK_EQ_INT (test_read (&w, 21 * UNIT), 5);
  CHECK_OK (rv_engine_finish (w.engine, &err), err);
  test_check_disk (&w, false);
}

static void
a_write_that_fails_costs_nothing_but_its_request (void)
{
  bool reached = true;

  for (unsigned n = 1; reached; n++)
    fail_at (n, RV_FAULT_WRITE, &reached);
}

/*--- Extents ------------------------------------------------------------*/

struct expected {
  struct test_writer *w;
  unsigned n;
};

static int
zero_extents_are_zero (void *opaque, const rawview_extent *e)
{
  struct expected *x = opaque;

  x->n++;
  if (e->zero)
    CHECK_EQ_INT (test_read (x->w, e->off), 0);
  return 0;
}

static void
extents_follow_what_is_written (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct expected x = { &w, 0 };

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE_OK (rv_engine_extents (w.engine, 5 * UNIT, 0, 0,
                                 zero_extents_are_zero, &x, &err),
              err);
  CHECK_EQ_U64 (x.n, 3);
  REQUIRE (test_write (&w, 1, UNIT, 3 * UNIT));
  REQUIRE_OK (rv_engine_zero (w.engine, UNIT, UNIT, 0, &err), err);
  REQUIRE_OK (rv_engine_zero (w.engine, UNIT, 4 * UNIT, 0, &err), err);
  x.n = 0;
  REQUIRE_OK (rv_engine_extents (w.engine, 5 * UNIT, 0, 0,
                                 zero_extents_are_zero, &x, &err),
              err);
  CHECK_EQ_U64 (x.n, 4);
}

int
main (void)
{
  TEST (random_requests_are_as_on_a_plain_disk);
  TEST (threads_that_share_units_lose_nothing);
  TEST (threads_that_want_the_same_units_take_turns);
  TEST (a_new_unit_is_filled_with_what_was_there);
  TEST (several_new_units_are_written_at_once);
  TEST (what_has_a_place_is_written_there);
  TEST (a_place_kept_for_zeros_is_filled_with_zeros);
  TEST (a_place_given_out_again_is_filled_with_zeros);
  TEST (zeros_in_a_new_place_are_not_written_but_there);
  TEST (beyond_the_disks_end_a_unit_is_zeros);
  TEST (nothing_is_written_for_nothing);
  TEST (an_engine_that_is_not_writable_refuses);
  TEST (a_full_disk_fails_the_request_and_no_other);
  TEST (a_fill_that_cannot_be_read_fails_the_request);
  TEST (a_write_that_fails_costs_nothing_but_its_request);
  TEST (extents_follow_what_is_written);
  return test_result ();
}
