/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Epochs that nobody asked for. */

#include <config.h>

#include <errno.h>

#include "engine/epoch-internal.h"
#include "engine/test-writer.h"

static rawview_error err;

/* What the thread has done. */
static uint64_t
durable (struct test_writer *w)
{
  LOCKED (&w->engine->epoch->lock);
  return w->engine->epoch->durable;
}

static uint64_t
failed (struct test_writer *w)
{
  LOCKED (&w->engine->epoch->lock);
  return w->engine->epoch->failed;
}

#define NEVER_MS 1000000u

static bool
open_with (struct test_writer *w, struct rv_epoch_limits limits, bool thread)
{
  if (!test_writer_open (w, ROOM))
    return false;
  rv_epoch_set_limits (w->engine->epoch, &limits);
  return !thread || CHECK_OK (rv_engine_start (w->engine, &err), err);
}

static void
changes_become_durable_and_space_comes_back_by_time (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (open_with (&w, (struct rv_epoch_limits){ 1 << 30, 1 << 30, 30, 10 },
                      true));
  REQUIRE (test_write (&w, 1, UNIT, 0));
  AWAIT (durable (&w) > 0);
  CHECK (test_on_disk (&w, TABLE, 0) > 1);
  REQUIRE_OK (rv_engine_trim (w.engine, UNIT, 0, &err), err);
  AWAIT (w.reuses == 1);
}

static void
changes_become_durable_when_there_are_many (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (open_with (
      &w, (struct rv_epoch_limits){ 64, 1 << 30, NEVER_MS, NEVER_MS }, true));
  REQUIRE (test_write (&w, 1, UNIT, 0));
  AWAIT (test_on_disk (&w, TABLE, 0) > 1);
}

static void
space_comes_back_when_there_is_much (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (open_with (
      &w, (struct rv_epoch_limits){ 1 << 30, UNIT, NEVER_MS, NEVER_MS }, true));
  REQUIRE (test_write (&w, 1, 4 * UNIT, 0));
  REQUIRE_OK (rv_engine_trim (w.engine, 4 * UNIT, 0, &err), err);
  AWAIT (w.reuses == 4);
}

static void
without_the_thread_who_changes_much_does_it (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (open_with (
      &w, (struct rv_epoch_limits){ 64, 1 << 30, NEVER_MS, NEVER_MS }, false));
  REQUIRE (test_write (&w, 1, UNIT, 0));
  CHECK (test_on_disk (&w, TABLE, 0) > 1);
}

/* The thread must not spin, and must not stop trying. */
static void
after_a_failure_the_thread_tries_again_later (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_io_faults *f = &w.files[TABLE_FILE].faults;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 1, UNIT, 0) && test_flush (&w));
  *f = (struct rv_io_faults){ 2, RV_FAULT_WRITE, EIO, true, false };
  rv_epoch_set_limits (w.engine->epoch,
                       &(struct rv_epoch_limits){ 1 << 30, 1 << 30, 20, 5 });
  REQUIRE_OK (rv_engine_start (w.engine, &err), err);
  REQUIRE (test_write (&w, 1, UNIT, UNIT));
  AWAIT (failed (&w) > 0);
  AWAIT (durable (&w) > failed (&w));
  CHECK (test_on_disk (&w, TABLE, 1) > 1);
  CHECK (w.barriers < 20);
}

static void
a_thread_can_be_started_before_writing (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_engine_options opts = { 0 };

  REQUIRE (test_writer_open (&w, ROOM));
  opts.tables = w.base.tables;
  rv_engine_free (w.engine);
  REQUIRE_OK (rv_engine_new (&w.chain, &opts, &w.engine, &err), err);
  REQUIRE_OK (rv_engine_start (w.engine, &err), err);
  REQUIRE_OK (rv_engine_enable_write (w.engine, &err), err);
  REQUIRE_OK (rv_engine_enable_write (w.engine, &err), err);
  rv_epoch_set_limits (w.engine->epoch,
                       &(struct rv_epoch_limits){ 64, 1 << 30, NEVER_MS, 1 });
  REQUIRE (test_write (&w, 1, UNIT, 0));
  AWAIT (test_on_disk (&w, TABLE, 0) > 1);
}

/* Others may write the file by then. */
static void
after_a_failed_end_the_thread_does_not_come_back (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_io_faults *f = &w.files[TABLE_FILE].faults;

  REQUIRE (open_with (&w, (struct rv_epoch_limits){ 1 << 30, 1 << 30, 1, 1 },
                      false));
  REQUIRE (test_write (&w, 1, UNIT, 0));
  *f = (struct rv_io_faults){ 1, RV_FAULT_WRITE, EIO, true, false };
  CHECK_EQ_INT (rv_engine_finish (w.engine, &err), -1);
  CHECK_EQ_INT (err.errnum, EIO);
  REQUIRE_OK (rv_engine_start (w.engine, &err), err);
  for (int i = 0; i < 20; i++)
    test_nap ();
  CHECK_EQ_U64 (test_on_disk (&w, TABLE, 0), 0);
}

int
main (void)
{
  TEST (changes_become_durable_and_space_comes_back_by_time);
  TEST (changes_become_durable_when_there_are_many);
  TEST (space_comes_back_when_there_is_much);
  TEST (without_the_thread_who_changes_much_does_it);
  TEST (after_a_failure_the_thread_tries_again_later);
  TEST (a_thread_can_be_started_before_writing);
  TEST (after_a_failed_end_the_thread_does_not_come_back);
  return test_result ();
}
