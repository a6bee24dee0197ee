/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>

#include "engine/test-writer.h"

static rawview_error err;

static void
the_ends_of_a_zeroed_range_are_written (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE_OK (rv_engine_zero (w.engine, 2 * UNIT, 100, 0, &err), err);
  CHECK_EQ_U64 (w.allocations, 2);
  CHECK_EQ_INT (test_read (&w, 99), test_parent_byte (99));
  CHECK_EQ_INT (test_read (&w, 100), 0);
  CHECK_EQ_INT (test_read (&w, 2 * UNIT + 99), 0);
  CHECK_EQ_INT (test_read (&w, 2 * UNIT + 100),
                test_parent_byte (2 * UNIT + 100));
}

static void
what_reads_as_zeros_gets_no_place (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE_OK (rv_engine_zero (w.engine, 100, 3 * UNIT + 100, 0, &err), err);
  REQUIRE_OK (
      rv_engine_zero (w.engine, 100, 3 * UNIT + 100, RAWVIEW_ZERO_FAST, &err),
      err);
  w.no_drop = true;
  REQUIRE_OK (rv_engine_zero (w.engine, UNIT, 3 * UNIT, 0, &err), err);
  CHECK_EQ_U64 (w.allocations, 0);
  REQUIRE_OK (rv_engine_zero (w.engine, 2 * UNIT, 3 * UNIT, 0, &err), err);
  CHECK_EQ_U64 (w.next, (FLAT + 1) * UNIT);
}

static void
a_trim_leaves_the_ends_alone (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE_OK (rv_engine_trim (w.engine, 2 * UNIT, 100, &err), err);
  CHECK_EQ_U64 (w.allocations, 0);
  CHECK_EQ_INT (test_read (&w, 100), test_parent_byte (100));
  CHECK_EQ_INT (test_read (&w, UNIT), 0);
  CHECK_EQ_INT (test_read (&w, 2 * UNIT - 1), 0);
  CHECK_EQ_INT (test_read (&w, 2 * UNIT), test_parent_byte (2 * UNIT));
}

static void
the_last_unit_may_be_short (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  w.base.size = w.parent.size = 5 * UNIT + 100;
  REQUIRE_OK (rv_engine_zero (w.engine, UNIT + 100, 4 * UNIT, 0, &err), err);
  CHECK_EQ_U64 (w.allocations, 0);
  CHECK_EQ_INT (test_read (&w, 5 * UNIT), 0);
}

static void
zeros_that_are_not_fast_change_nothing (void)
{
  CLEANUP_WRITER struct test_writer w;

  REQUIRE (test_writer_open (&w, ROOM));
  CHECK_EQ_INT (rv_engine_zero (w.engine, 100, 100, RAWVIEW_ZERO_FAST, &err),
                -1);
  CHECK_EQ_INT (err.errnum, ENOTSUP);
  w.no_drop = true;
  CHECK_EQ_INT (
      rv_engine_zero (w.engine, 5 * UNIT, 100, RAWVIEW_ZERO_FAST, &err), -1);
  CHECK_EQ_INT (err.errnum, ENOTSUP);
  CHECK_EQ_U64 (w.trace.len, 0);
  w.no_drop = false;
  CHECK_OK (rv_engine_zero (w.engine, 5 * UNIT, 100, RAWVIEW_ZERO_FAST, &err),
            err);
}

static void
zeros_without_a_table_are_the_files (void)
{
  CLEANUP_WRITER struct test_writer w;
  uint64_t off = (UNITS - FLAT) * UNIT;

  REQUIRE (test_writer_open (&w, ROOM));
  REQUIRE (test_write (&w, 7, UNIT, off));
  REQUIRE_OK (rv_engine_zero (w.engine, 100, off + 10, RAWVIEW_ZERO_FAST, &err),
              err);
  CHECK_EQ_INT (w.files[DATA_FILE].bytes[9], 7);
  CHECK_EQ_INT (w.files[DATA_FILE].bytes[10], 0);
  CHECK_EQ_INT (w.files[DATA_FILE].bytes[110], 7);
  CHECK_EQ_INT (w.trace.entries[w.trace.len - 1].op, RV_TRACE_ZERO);
}

int
main (void)
{
  TEST (the_ends_of_a_zeroed_range_are_written);
  TEST (what_reads_as_zeros_gets_no_place);
  TEST (a_trim_leaves_the_ends_alone);
  TEST (the_last_unit_may_be_short);
  TEST (zeros_that_are_not_fast_change_nothing);
  TEST (zeros_without_a_table_are_the_files);
  return test_result ();
}
