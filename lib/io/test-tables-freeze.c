/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing changed tables: what, in which phase, and what failures leave. */

#include <config.h>

#include <errno.h>

#include "io/test-tables.h"

/*--- Phases -------------------------------------------------------------*/

static void
each_phase_writes_what_is_its_own (void)
{
  struct rv_frozen *frozen;
  SETUP (s, SIZE);

  edit (&s, 2 * PIECE, 0, 0xee, RV_PHASE_PUBLISH);
  edit (&s, 0, 0, 0xee, RV_PHASE_ALLOC);
  patch (&s, 9 * PIECE + 5, "hook", RV_PHASE_HOOK);
  frozen = freeze (&s);
  for (int phase = 0; phase < RV_NR_PHASES; phase++)
    CHECK (rv_frozen_has (frozen, phase));
  write_phase (&s, frozen, RV_PHASE_ALLOC);
  CHECK (s.trace.len == 1 && was_written (&s, 0, 0, 512));
  write_phase (&s, frozen, RV_PHASE_HOOK);
  CHECK (s.trace.len == 2 && was_written (&s, 1, 9 * PIECE + 5, 4));
  write_phase (&s, frozen, RV_PHASE_PUBLISH);
  CHECK (s.trace.len == 3 && was_written (&s, 2, 2 * PIECE, 512));
  rv_tables_thaw (s.tables, frozen, RV_NR_PHASES);
  CHECK (freeze (&s) == NULL);
}

static void
only_changed_sectors_are_written_and_neighbours_together (void)
{
  SETUP (s, SIZE);

  edit (&s, PIECE, 511, 0xee, RV_PHASE_ALLOC);
  edit (&s, PIECE, 512, 0xee, RV_PHASE_ALLOC);
  edit (&s, PIECE, 2048, 0xee, RV_PHASE_ALLOC);
  edit (&s, PIECE, PIECE - 1, 0xee, RV_PHASE_ALLOC);
  flush (&s);
  REQUIRE (s.trace.len == 3);
  CHECK (was_written (&s, 0, PIECE, 1024));
  CHECK (was_written (&s, 1, PIECE + 2048, 512));
  CHECK (was_written (&s, 2, 2 * PIECE - 512, 512));
  edit (&s, PIECE, 600, 0xee, RV_PHASE_ALLOC);
  flush (&s);
  CHECK (s.trace.len == 4 && was_written (&s, 3, PIECE + 512, 512));
}

static void
the_largest_piece_between_sectors_is_written_whole (void)
{
  SETUP (s, SIZE);

  create (&s, 100, RV_TABLE_PIECE_MAX);
  flush (&s);
  CHECK (s.trace.len == 1 && was_written (&s, 0, 100, RV_TABLE_PIECE_MAX));
}

static void
what_was_made_in_this_epoch_stays_in_its_phase (void)
{
  struct rv_frozen *frozen;
  SETUP (s, SIZE);

  create (&s, PIECE, PIECE);
  edit (&s, PIECE, 8, 1, RV_PHASE_PUBLISH);
  frozen = freeze (&s);
  CHECK (!rv_frozen_has (frozen, RV_PHASE_PUBLISH));
  write_phase (&s, frozen, RV_PHASE_ALLOC);
  edit (&s, PIECE, 8, 2, RV_PHASE_PUBLISH);
  rv_tables_thaw (s.tables, frozen, RV_PHASE_HOOK);
  CHECK_EQ_INT (s.disk[PIECE + 8], 1);
  frozen = freeze (&s);
  CHECK (!rv_frozen_has (frozen, RV_PHASE_ALLOC));
  CHECK (rv_frozen_has (frozen, RV_PHASE_PUBLISH));
  rv_tables_thaw (s.tables, frozen, RV_PHASE_ALLOC);
  flush (&s);
  CHECK_EQ_INT (s.disk[PIECE + 8], 2);
}

static void
what_is_changed_during_a_freeze_is_for_the_next (void)
{
  struct rv_frozen *frozen, *second;
  rawview_error err;
  SETUP (s, SIZE);

  edit (&s, 0, 0, 1, RV_PHASE_PUBLISH);
  frozen = freeze (&s);
  edit (&s, 0, 600, 2, RV_PHASE_PUBLISH);
  edit (&s, PIECE, 0, 3, RV_PHASE_PUBLISH);
  CHECK_EQ_INT (rv_tables_freeze (s.tables, &second, &err), -1);
  CHECK_EQ_INT (err.errnum, EBUSY);
  write_phase (&s, frozen, RV_PHASE_PUBLISH);
  CHECK (s.trace.len == 1 && was_written (&s, 0, 0, 512));
  rv_tables_thaw (s.tables, frozen, RV_NR_PHASES);
  CHECK_EQ_INT (seen (&s, 0, 0), 1);
  CHECK_EQ_INT (seen (&s, 0, 600), 2);
  CHECK_EQ_INT (seen (&s, PIECE, 0), 3);
  flush (&s);
  CHECK (s.trace.len == 3 && was_written (&s, 1, 512, 512));
}

static void
what_failed_comes_back_with_what_came_meanwhile (void)
{
  struct rv_frozen *frozen;
  SETUP (s, SIZE);

  create (&s, 0, PIECE);
  edit (&s, PIECE, 0, 1, RV_PHASE_ALLOC);
  edit (&s, 2 * PIECE, 0, 1, RV_PHASE_PUBLISH);
  frozen = freeze (&s);
  edit (&s, 0, 600, 2, RV_PHASE_PUBLISH);
  edit (&s, 2 * PIECE, 600, 2, RV_PHASE_PUBLISH);
  rv_tables_thaw (s.tables, frozen, RV_PHASE_ALLOC);
  CHECK (rv_tables_dirty (s.tables) >= 3 * PIECE);
  frozen = freeze (&s);
  write_phase (&s, frozen, RV_PHASE_ALLOC);
  CHECK_EQ_INT (s.disk[0], 0);
  CHECK_EQ_INT (s.disk[600], 2); /* still the table that nothing points to */
  CHECK_EQ_INT (s.disk[PIECE], 1);
  CHECK (s.disk[2 * PIECE] != 1);
  write_phase (&s, frozen, RV_PHASE_PUBLISH);
  CHECK_EQ_INT (s.disk[2 * PIECE], 1);
  CHECK_EQ_INT (s.disk[2 * PIECE + 600], 2);
  rv_tables_thaw (s.tables, frozen, RV_NR_PHASES);
  CHECK_EQ_U64 (rv_tables_dirty (s.tables), 0);
}

/*--- Patches ------------------------------------------------------------*/

static void
a_later_patch_replaces_an_earlier_one (void)
{
  struct rv_frozen *frozen;
  SETUP (s, SIZE);

  patch (&s, 16, "aaaa", RV_PHASE_PUBLISH);
  patch (&s, 16, "bbbb", RV_PHASE_PUBLISH);
  frozen = freeze (&s);
  patch (&s, 16, "cccc", RV_PHASE_PUBLISH);
  write_phase (&s, frozen, RV_PHASE_PUBLISH);
  CHECK (s.trace.len == 1 && was_written (&s, 0, 16, 4));
  CHECK_MEM_EQ (s.disk + 16, "bbbb", 4);
  rv_tables_thaw (s.tables, frozen, RV_PHASE_PUBLISH);
  flush (&s);
  CHECK (s.trace.len == 2);
  CHECK_MEM_EQ (s.disk + 16, "cccc", 4);
  CHECK_EQ_U64 (rv_tables_dirty (s.tables), 0);
}

static void
a_patch_that_failed_comes_back_before_later_ones (void)
{
  struct rv_frozen *frozen;
  SETUP (s, SIZE);

  patch (&s, 16, "aaaaaaaa", RV_PHASE_HOOK);
  patch (&s, 64, "aaaaaaaa", RV_PHASE_HOOK);
  frozen = freeze (&s);
  patch (&s, 20, "bb", RV_PHASE_HOOK);
  rv_tables_thaw (s.tables, frozen, RV_PHASE_HOOK);
  flush (&s);
  CHECK_MEM_EQ (s.disk + 16, "aaaabbaa", 8);
  CHECK (s.trace.len == 3 && was_written (&s, 0, 16, 8) &&
         was_written (&s, 1, 64, 8));
}

static void
of_overlapping_patches_the_last_one_counts (void)
{
  SETUP (s, SIZE);

  patch (&s, 16, "aaaa", RV_PHASE_HOOK);
  patch (&s, 16, "bbbbbbbb", RV_PHASE_HOOK);
  patch (&s, 16, "cccc", RV_PHASE_HOOK);
  flush (&s);
  CHECK_MEM_EQ (s.disk + 16, "ccccbbbb", 8);
}

/* The n-th read or write fails: nothing is lost, and what failed can be
 * repeated.
 */
static void
after_any_failure_all_is_written_in_the_end (void)
{
  bool failed = true;

  for (unsigned n = 1; failed && n < 100; n++) {
    struct rv_io_faults faults = { .countdown = n,
                                   .kinds = RV_FAULT_READ | RV_FAULT_WRITE,
                                   .errnum = EIO,
                                   .once = true,
                                   .torn = true };
    struct rv_io *io;
    rawview_error err;
    SETUP (s, SIZE);

    REQUIRE_OK (rv_io_faults_new (s.ram, &faults, &io, &err), err);
    rv_io_unref (s.io);
    s.io = io;
    failed = false;
    for (unsigned i = 0; i < 12; i++) {
      uint8_t byte = 0xcc;
      int r;

      do {
        r = rv_tables_edit (s.tables, s.io, i * PIECE, PIECE, i * 200, &byte, 1,
                            i % RV_NR_PHASES, &err);
        failed = failed || r == -1;
      } while (r == -1);
    }
    for (int r = -1; r == -1;) {
      struct rv_frozen *frozen = freeze (&s);
      int phase;

      for (phase = 0, r = 0; r == 0 && phase < RV_NR_PHASES; phase++)
        r = rv_frozen_write (s.tables, frozen, phase, &err);
      rv_tables_thaw (s.tables, frozen, r == 0 ? phase : phase - 1);
      failed = failed || r == -1;
    }
    for (unsigned i = 0; i < 12; i++)
      CHECK_EQ_INT (s.disk[i * PIECE + i * 200], 0xcc);
    CHECK_EQ_U64 (rv_tables_dirty (s.tables), 0);
  }
  CHECK (!failed);
}

/* A freeze of many pieces takes as long for each as one of few. */
static void
many_pieces_are_frozen_in_one_go (void)
{
  rawview_error err;
  SETUP (s, SIZE);

  for (unsigned i = 0; i < 512; i++) {
    uint8_t byte = ~s.disk[i * 512];

    CHECK_OK (rv_tables_edit (s.tables, s.io, i * 512, 512, 0, &byte, 1,
                              RV_PHASE_PUBLISH, &err),
              err);
    patch (&s, i * 512 + 8, "xy", RV_PHASE_HOOK);
  }
  CHECK (rv_tables_dirty (s.tables) >= 512 * 514);
  flush (&s);
  CHECK_EQ_U64 (s.trace.len, 1024);
  CHECK_EQ_U64 (rv_tables_dirty (s.tables), 0);
}

int
main (void)
{
  TEST (each_phase_writes_what_is_its_own);
  TEST (only_changed_sectors_are_written_and_neighbours_together);
  TEST (the_largest_piece_between_sectors_is_written_whole);
  TEST (what_was_made_in_this_epoch_stays_in_its_phase);
  TEST (what_is_changed_during_a_freeze_is_for_the_next);
  TEST (what_failed_comes_back_with_what_came_meanwhile);
  TEST (a_later_patch_replaces_an_earlier_one);
  TEST (a_patch_that_failed_comes_back_before_later_ones);
  TEST (of_overlapping_patches_the_last_one_counts);
  TEST (after_any_failure_all_is_written_in_the_end);
  TEST (many_pieces_are_frozen_in_one_go);
  return test_result ();
}
