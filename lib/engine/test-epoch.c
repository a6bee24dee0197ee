/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The invariants of the flush epoch, one by one; see epoch.c. */

#include <config.h>

#include <errno.h>

#include "engine/epoch-internal.h"
#include "engine/test-writer.h"

static rawview_error err;

/* Milliseconds in which what must not happen would have happened. */
#define A_WHILE 20

static void
naps (unsigned n)
{
  while (n-- > 0)
    test_nap ();
}

/*--- The order on disk --------------------------------------------------*/

/* What a write is about, by where it goes. */
enum kind { MARK, DATA, ALLOC, HOOKED, PUBLISHED, NR_KINDS };

static enum kind
kind_of (const struct rv_trace_entry *e)
{
  if (e->file == DATA_FILE)
    return DATA;
  if (e->off >= COUNTS)
    return ALLOC;
  if (e->off >= TABLE)
    return PUBLISHED;
  return e->off >= HOOK ? HOOKED : MARK;
}

/* What must be durable before a write of each kind. */
static const unsigned before[NR_KINDS] = {
  [MARK] = 1u << DATA | 1u << ALLOC | 1u << HOOKED | 1u << PUBLISHED,
  [DATA] = 1u << MARK,
  [ALLOC] = 1u << MARK,
  [HOOKED] = 1u << MARK | 1u << DATA | 1u << ALLOC,
  [PUBLISHED] = 1u << MARK | 1u << DATA | 1u << ALLOC | 1u << HOOKED,
};

/* Of requests that were made one after another.  Returns the kinds that are not
 * durable at the end.
 */
static unsigned
check_order (const struct test_writer *w)
{
  unsigned pending = 0;

  for (size_t i = 0; i < w->trace.len; i++) {
    const struct rv_trace_entry *e = &w->trace.entries[i];

    if (e->op == RV_TRACE_SYNC) {
      pending &= e->file == DATA_FILE ? ~(1u << DATA) : 1u << DATA;
      continue;
    }
    if (pending & before[kind_of (e)])
      TEST_FAIL ("entry %zu: kind %d is written, %#x is not durable", i,
                 kind_of (e), pending & before[kind_of (e)]);
    pending |= 1u << kind_of (e);
  }
  return pending;
}

static void
some_requests (struct test_writer *w)
{
  unsigned seed = 7;

  for (unsigned i = 0; i < 200; i++) {
    uint64_t off = rand_r (&seed) % (UNITS - FLAT - 4) * UNIT;

    if (i % 3 == 0)
      CHECK_OK (rv_engine_trim (w->engine, 2 * UNIT, off, &err), err);
    else
      test_write (w, i, UNIT / 2, off + 100);
    if (i % 7 == 0) {
      test_flush (w);
      CHECK_EQ_U64 (check_order (w), 0);
    }
  }
}

static void
E1_and_E3_what_tables_name_is_durable_before_them (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  some_requests (&w);
  CHECK_OK (rv_engine_finish (w.engine, &err), err);
  CHECK_EQ_U64 (check_order (&w), 0);
  test_check_disk (&w, false);
}

/*--- Helpers that stand still -------------------------------------------*/

struct helper {
  struct test_writer *w;
  uint64_t off;
  pthread_t thread;
  atomic_bool done;
  int r;
  rawview_error err;
};

static void *
do_flush (void *opaque)
{
  struct helper *h = opaque;

  h->r = rv_engine_flush (h->w->engine, &h->err);
  atomic_store (&h->done, true);
  return NULL;
}

static void *
do_write (void *opaque)
{
  struct helper *h = opaque;

  h->r = rv_engine_pwrite (h->w->engine, "x", 1, h->off, &h->err);
  atomic_store (&h->done, true);
  return NULL;
}

static void
helper_start (struct helper *h, struct test_writer *w, void *(*work) (void *),
              uint64_t off)
{
  memset (h, 0, sizeof *h);
  h->w = w;
  h->off = off;
  CHECK_EQ_INT (pthread_create (&h->thread, NULL, work, h), 0);
}

static void
helper_join (struct helper *h)
{
  pthread_join (h->thread, NULL);
  CHECK_OK (h->r, h->err);
}

/* A freeze is waiting for those inside. */
static bool
is_freezing (struct test_writer *w)
{
  LOCKED (&w->engine->epoch->lock);
  return w->engine->epoch->freezing;
}

/*--- E2 -----------------------------------------------------------------*/

static void
E2_a_freeze_waits_until_a_publish_is_over (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct helper writer, flusher;

  REQUIRE (test_writer_open (&w, ROOM));
  atomic_store (&w.hold_publish, true);
  helper_start (&writer, &w, do_write, 0);
  AWAIT (atomic_load (&w.in_publish));
  helper_start (&flusher, &w, do_flush, 0);
  AWAIT (is_freezing (&w));
  naps (A_WHILE);
  CHECK (!atomic_load (&flusher.done));
  CHECK_EQ_U64 (w.barriers, 0);
  atomic_store (&w.hold_publish, false);
  helper_join (&flusher);
  helper_join (&writer);
  CHECK (test_on_disk (&w, TABLE, 0) > 1);
}

static void
E2_who_comes_while_a_freeze_waits_does_not_overtake_it (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct helper first, second, flusher;

  REQUIRE (test_writer_open (&w, ROOM));
  atomic_store (&w.hold_publish, true);
  helper_start (&first, &w, do_write, 0);
  AWAIT (atomic_load (&w.in_publish));
  helper_start (&flusher, &w, do_flush, 0);
  AWAIT (is_freezing (&w));
  helper_start (&second, &w, do_write, 10 * UNIT);
  naps (A_WHILE);
  CHECK_EQ_U64 (w.allocations, 1); /* it does not even begin */
  atomic_store (&w.hold_publish, false);
  helper_join (&first);
  helper_join (&second);
  helper_join (&flusher);
}

/*--- E4 -----------------------------------------------------------------*/

static void
E4_a_flush_takes_what_came_after_the_last_freeze (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct helper first, second;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, UNIT, 0));
  atomic_store (&w.hold_barrier, true);
  helper_start (&first, &w, do_flush, 0);
  AWAIT (atomic_load (&w.in_barrier));
  REQUIRE (test_write (&w, 2, UNIT, 10 * UNIT));
  helper_start (&second, &w, do_flush, 0);
  naps (A_WHILE);
  CHECK (!atomic_load (&second.done));
  atomic_store (&w.hold_barrier, false);
  helper_join (&first);
  CHECK (test_on_disk (&w, TABLE, 0) > 1);
  helper_join (&second);
  CHECK (test_on_disk (&w, TABLE, 10) > 1);
  CHECK_EQ_U64 (check_order (&w) & ~(1u << DATA), 0);
}

static void
E4_what_was_written_in_place_is_durable_after_a_flush (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, 10, (UNITS - FLAT) * UNIT));
  CHECK_EQ_U64 (check_order (&w), 1u << DATA);
  REQUIRE (test_flush (&w));
  CHECK_EQ_U64 (check_order (&w), 0);
  CHECK_EQ_U64 (w.barriers, 1);
}

#define FLUSHERS 8u

static void
flushes_that_come_together_share_an_epoch (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct helper first, others[FLUSHERS];

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, UNIT, 0));
  atomic_store (&w.hold_barrier, true);
  helper_start (&first, &w, do_flush, 0);
  AWAIT (atomic_load (&w.in_barrier));
  REQUIRE (test_write (&w, 2, UNIT, 10 * UNIT));
  for (unsigned i = 0; i < FLUSHERS; i++)
    helper_start (&others[i], &w, do_flush, 0);
  naps (A_WHILE);
  atomic_store (&w.hold_barrier, false);
  helper_join (&first);
  for (unsigned i = 0; i < FLUSHERS; i++)
    helper_join (&others[i]);
  CHECK (w.barriers >= 3 + 3);
  CHECK (w.barriers <= 3 + 3 + FLUSHERS / 2); /* some may have been late */
  CHECK_EQ_U64 (check_order (&w) & ~(1u << DATA), 0);
}

static void
a_flush_of_nothing_has_one_barrier (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_flush (&w));
  CHECK_EQ_U64 (w.barriers, 1);
  CHECK_EQ_U64 (w.trace.len, 0); /* and that is free */
}

/*--- E5, E6 -------------------------------------------------------------*/

/* One unit written, flushed and dropped. */
static bool
drop_one (struct test_writer *w)
{
  return test_write (w, 1, UNIT, 0) && test_flush (w) &&
         CHECK_OK (rv_engine_trim (w->engine, UNIT, 0, &err), err);
}

static void
E5_what_was_freed_is_counted_until_no_table_on_disk_names_it (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (drop_one (&w));
  CHECK_EQ_U64 (test_on_disk (&w, TABLE, 0), FLAT * UNIT);
  REQUIRE (test_flush (&w));
  CHECK_EQ_U64 (test_on_disk (&w, TABLE, 0), 1);
  CHECK_EQ_U64 (test_on_disk (&w, COUNTS, FLAT), 1);
  CHECK_EQ_U64 (w.releases, 0);
}

static void
E6_a_place_is_given_out_again_after_the_next_barrier (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (drop_one (&w) && test_flush (&w));
  CHECK_EQ_U64 (w.reuses, 0);
  REQUIRE (test_write (&w, 2, UNIT, 10 * UNIT));
  CHECK_EQ_U64 (w.next, (FLAT + 2) * UNIT);
  REQUIRE (test_flush (&w));
  CHECK_EQ_U64 (test_on_disk (&w, COUNTS, FLAT), 0);
  CHECK_EQ_U64 (w.reuses, 1);
}

static void
E6_a_place_is_not_given_out_while_somebody_reads_there (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct helper flusher;
  unsigned reader;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (drop_one (&w) && test_flush (&w));
  reader = rv_grace_enter (&w.engine->grace);
  helper_start (&flusher, &w, do_flush, 0);
  AWAIT (test_on_disk (&w, COUNTS, FLAT) == 0);
  naps (A_WHILE);
  CHECK_EQ_U64 (w.reuses, 0);
  rv_grace_leave (&w.engine->grace, reader);
  helper_join (&flusher);
  CHECK_EQ_U64 (w.reuses, 1);
}

static void
what_a_failed_epoch_freed_waits_for_the_next (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_io_faults *f = &w.files[TABLE_FILE].faults;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (drop_one (&w));
  *f = (struct rv_io_faults){ 1, RV_FAULT_WRITE, ENOSPC, true, true };
  CHECK_EQ_INT (rv_engine_flush (w.engine, &err), -1);
  REQUIRE (test_flush (&w));
  CHECK_EQ_U64 (w.releases, 0);
  REQUIRE (test_flush (&w));
  CHECK_EQ_U64 (w.reuses, 1);
}

/*--- E7 -----------------------------------------------------------------*/

static void
E7_a_barrier_that_fails_is_for_good (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_io_faults *f = &w.files[DATA_FILE].faults;
  char first[sizeof err.msg];

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, UNIT, 0));
  *f = (struct rv_io_faults){ 1, RV_FAULT_SYNC, EIO, true, false };
  CHECK_EQ_INT (rv_engine_flush (w.engine, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*data*");
  strcpy (first, err.msg);
  CHECK_EQ_INT (rv_engine_flush (w.engine, &err), -1);
  CHECK_STR_EQ (err.msg, first);
  CHECK_EQ_INT (rv_engine_pwrite (w.engine, "x", 1, 0, &err), -1);
  CHECK_STR_EQ (err.msg, first);
  CHECK_EQ_INT (rv_engine_trim (w.engine, UNIT, 0, &err), -1);
  CHECK_EQ_INT (rv_engine_zero (w.engine, UNIT, 0, 0, &err), -1);
  CHECK_EQ_INT (test_read (&w, 0), 1);
  CHECK_EQ_U64 (test_on_disk (&w, TABLE, 0), 0);
  CHECK_EQ_INT (rv_engine_finish (w.engine, &err), -1);
  CHECK_EQ_U64 (w.ended, 0);
  CHECK_EQ_U64 (w.marked, 0);
}

static void
E7_a_write_that_fails_is_repeated_by_the_next_flush (void)
{
  struct test_writer w;
  struct rv_io_faults *f = &w.files[TABLE_FILE].faults;

  for (unsigned n = 1; n <= 3; n++) {
    REQUIRE (test_writer_open (&w, ROOM));
    REQUIRE (test_write (&w, 1, UNIT, 0));
    *f = (struct rv_io_faults){ n, RV_FAULT_WRITE, ENOSPC, true, true };
    CHECK_EQ_INT (rv_engine_flush (w.engine, &err), -1);
    CHECK_EQ_INT (err.errnum, ENOSPC);
    REQUIRE (test_write (&w, 2, UNIT, 10 * UNIT));
    REQUIRE (test_flush (&w));
    CHECK (test_on_disk (&w, TABLE, 0) > 1);
    CHECK (test_on_disk (&w, TABLE, 10) > 1);
    test_check_disk (&w, false);
    test_writer_close (&w);
  }
}

static void
changes_that_cannot_be_written_do_not_pile_up (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_epoch_limits limits = { 64, 1u << 30, 5000, 1000 };

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, UNIT, 0) && test_flush (&w));
  w.files[TABLE_FILE].faults.kinds = RV_FAULT_WRITE;
  w.files[TABLE_FILE].faults.errnum = ENOSPC;
  w.files[TABLE_FILE].faults.countdown = 1;
  rv_epoch_set_limits (w.engine->epoch, &limits);
  test_write (&w, 2, UNIT, UNIT);
  CHECK_EQ_INT (rv_engine_pwrite (w.engine, "x", 1, 5 * UNIT, &err), -1);
  CHECK_EQ_INT (err.errnum, ENOSPC);
  CHECK_EQ_INT (test_read (&w, UNIT), 2);
  w.files[TABLE_FILE].faults.countdown = 0;
  REQUIRE (test_flush (&w));
  REQUIRE (test_write (&w, 3, 1, 5 * UNIT));
}

/*--- Contradictions -----------------------------------------------------*/

static void
a_table_that_contradicts_itself_ends_all_writing (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, UNIT, 0));
  w.corrupt = true;
  CHECK_EQ_INT (rv_engine_pwrite (w.engine, "x", 1, 0, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "test: the table is not a table");
  w.corrupt = false;
  CHECK_EQ_INT (rv_engine_pwrite (w.engine, "x", 1, 5, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "test: the table is not a table");
  CHECK_EQ_INT (rv_engine_trim (w.engine, UNIT, 0, &err), -1);
  CHECK_EQ_U64 (w.marked, 1);
  CHECK_EQ_INT (test_read (&w, 0), 1);
  REQUIRE (test_flush (&w)); /* what came before is not to blame */
  CHECK (test_on_disk (&w, TABLE, 0) > 1);
  CHECK_EQ_INT (rv_engine_finish (w.engine, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "test: the table is not a table");
  CHECK_EQ_U64 (w.ended, 0);
}

/*--- E8 -----------------------------------------------------------------*/

static void
E8_begin_is_durable_before_all_else_and_end_is_the_last (void)
{
  CLEANUP_WRITER struct test_writer w;
  const struct rv_trace_entry *e;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (drop_one (&w));
  e = w.trace.entries;
  CHECK (e[0].op == RV_TRACE_WRITE && kind_of (&e[0]) == MARK);
  CHECK (e[1].op == RV_TRACE_SYNC && e[1].file == TABLE_FILE);
  CHECK_OK (rv_engine_finish (w.engine, &err), err);
  e = &w.trace.entries[w.trace.len];
  CHECK (e[-2].op == RV_TRACE_WRITE && kind_of (&e[-2]) == MARK);
  CHECK (e[-1].op == RV_TRACE_SYNC && e[-1].file == TABLE_FILE);
  CHECK_EQ_U64 (w.begun, 1);
  CHECK_EQ_U64 (w.ended, 1);
  CHECK_EQ_U64 (w.reuses, 1);
  test_check_disk (&w, false);
}

static void
E8_nothing_changes_unless_it_has_begun (void)
{
  CLEANUP_WRITER struct test_writer w;
  uint64_t flat = (UNITS - FLAT) * UNIT;

  REQUIRE (test_writer_open (&w, ROOM));
  w.fail_begin = true;
  CHECK_EQ_INT (rv_engine_pwrite (w.engine, "x", 1, 0, &err), -1);
  CHECK_EQ_INT (rv_engine_pwrite (w.engine, "x", 1, flat, &err), -1);
  CHECK_EQ_INT (rv_engine_zero (w.engine, UNIT, 0, 0, &err), -1);
  CHECK_EQ_INT (rv_engine_trim (w.engine, UNIT, flat, &err), -1);
  CHECK_EQ_INT (err.errnum, ENOSPC);
  CHECK_OK (rv_engine_flush (w.engine, &err), err);
  CHECK_EQ_U64 (w.trace.len, 0);
  w.fail_begin = false;
  REQUIRE (test_write (&w, 1, 1, 0));
}

static void
E8_what_nobody_wrote_is_not_ended (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  CHECK_OK (rv_engine_finish (w.engine, &err), err);
  CHECK_EQ_U64 (w.ended, 0);
  CHECK_EQ_U64 (w.trace.len, 0);
}

static void
after_the_end_nothing_is_written (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, 1, 0));
  CHECK_OK (rv_engine_finish (w.engine, &err), err);
  CHECK_OK (rv_engine_finish (w.engine, &err), err);
  CHECK_EQ_U64 (w.ended, 1);
  CHECK (!rv_engine_is_writable (w.engine));
  CHECK_EQ_INT (rv_engine_pwrite (w.engine, "x", 1, 0, &err), -1);
  CHECK_EQ_INT (err.errnum, EROFS);
  CHECK_EQ_INT (rv_engine_enable_write (w.engine, &err), -1);
  CHECK_EQ_INT (test_read (&w, 0), 1);
}

int
main (void)
{
  TEST (E1_and_E3_what_tables_name_is_durable_before_them);
  TEST (E2_a_freeze_waits_until_a_publish_is_over);
  TEST (E2_who_comes_while_a_freeze_waits_does_not_overtake_it);
  TEST (E4_a_flush_takes_what_came_after_the_last_freeze);
  TEST (E4_what_was_written_in_place_is_durable_after_a_flush);
  TEST (flushes_that_come_together_share_an_epoch);
  TEST (a_flush_of_nothing_has_one_barrier);
  TEST (E5_what_was_freed_is_counted_until_no_table_on_disk_names_it);
  TEST (E6_a_place_is_given_out_again_after_the_next_barrier);
  TEST (E6_a_place_is_not_given_out_while_somebody_reads_there);
  TEST (what_a_failed_epoch_freed_waits_for_the_next);
  TEST (E7_a_barrier_that_fails_is_for_good);
  TEST (E7_a_write_that_fails_is_repeated_by_the_next_flush);
  TEST (changes_that_cannot_be_written_do_not_pile_up);
  TEST (a_table_that_contradicts_itself_ends_all_writing);
  TEST (E8_begin_is_durable_before_all_else_and_end_is_the_last);
  TEST (E8_nothing_changes_unless_it_has_begun);
  TEST (E8_what_nobody_wrote_is_not_ended);
  TEST (after_the_end_nothing_is_written);
  return test_result ();
}
