/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing tables: who sees what. */

#include <config.h>

#include <errno.h>

#include "io/test-tables.h"

/*--- Seeing -------------------------------------------------------------*/

static void
an_edit_is_seen_at_once_and_written_by_nobody (void)
{
  SETUP (s, SIZE);
  int before = seen (&s, 0, 8);

  edit (&s, 0, 8, before + 1, RV_PHASE_PUBLISH);
  CHECK_EQ_INT (seen (&s, 0, 8), before + 1);
  CHECK_EQ_INT (seen (&s, 0, 9), s.disk[9]);
  CHECK_EQ_INT (s.disk[8], before);
  CHECK_EQ_U64 (s.trace.len, 0);
  CHECK (rv_tables_dirty (s.tables) >= PIECE);
  flush (&s);
  CHECK_EQ_INT (s.disk[8], before + 1);
  CHECK_EQ_INT (seen (&s, 0, 8), before + 1);
  CHECK_EQ_U64 (rv_tables_dirty (s.tables), 0);
}

static void
who_has_it_pinned_sees_no_change (void)
{
  struct rv_table *clean, *dirty;
  const uint8_t *old, *newer;
  rawview_error err;
  SETUP (s, SIZE);

  REQUIRE_OK (rv_tables_pin (s.tables, s.io, 0, PIECE, &clean, &old, &err),
              err);
  edit (&s, 0, 0, 0xaa, RV_PHASE_PUBLISH);
  REQUIRE_OK (rv_tables_pin (s.tables, s.io, 0, PIECE, &dirty, &newer, &err),
              err);
  edit (&s, 0, 0, 0xbb, RV_PHASE_PUBLISH);
  CHECK_EQ_INT (old[0], s.disk[0]);
  CHECK_EQ_INT (newer[0], 0xaa);
  CHECK_EQ_INT (seen (&s, 0, 0), 0xbb);
  flush (&s);
  CHECK_EQ_INT (newer[0], 0xaa);
  rv_table_unpin (s.tables, clean);
  rv_table_unpin (s.tables, dirty);
  CHECK_EQ_INT (s.disk[0], 0xbb);
}

static void
dirty_pieces_outlast_the_budget (void)
{
  SETUP (s, 0);

  for (unsigned i = 0; i < 32; i++)
    edit (&s, i * PIECE, i, 0x55, RV_PHASE_ALLOC);
  for (unsigned i = 0; i < 32; i++)
    CHECK_EQ_INT (seen (&s, i * PIECE, i), 0x55);
  flush (&s);
  for (unsigned i = 0; i < 32; i++)
    CHECK_EQ_INT (seen (&s, i * PIECE, i), 0x55);
}

static void
an_edit_that_changes_nothing_is_none (void)
{
  struct rv_frozen *frozen;
  SETUP (s, SIZE);

  edit (&s, 0, 7, s.disk[7], RV_PHASE_PUBLISH);
  CHECK_EQ_U64 (rv_tables_dirty (s.tables), 0);
  frozen = freeze (&s);
  CHECK (frozen == NULL);
  CHECK (!rv_frozen_has (frozen, RV_PHASE_ALLOC));
  rv_tables_thaw (s.tables, frozen, RV_NR_PHASES);
}

static void
after_a_flush_it_is_cached (void)
{
  struct rv_io_faults faults = { .kinds = RV_FAULT_READ, .errnum = EIO };
  struct rv_io *io;
  rawview_error err;
  uint8_t byte = 0x77;
  struct rv_table *table;
  const uint8_t *bytes;
  SETUP (s, SIZE);

  REQUIRE_OK (rv_io_faults_new (s.ram, &faults, &io, &err), err);
  REQUIRE_OK (rv_tables_edit (s.tables, io, 0, PIECE, 3, &byte, 1,
                              RV_PHASE_ALLOC, &err),
              err);
  flush (&s);
  faults.countdown = 1;
  CHECK_OK (rv_tables_pin (s.tables, io, 0, PIECE, &table, &bytes, &err), err);
  CHECK_EQ_INT (bytes[3], 0x77);
  rv_table_unpin (s.tables, table);
  rv_io_unref (io);
}

/*--- Making -------------------------------------------------------------*/

static void
a_new_table_hides_whatever_was_cached_there (void)
{
  const size_t lens[] = { 512, PIECE, 3 * PIECE };
  const uint64_t offs[] = { 4 * PIECE, 3 * PIECE, 4 * PIECE + 512 };
  struct rv_table *table;
  const uint8_t *bytes;
  rawview_error err;
  SETUP (s, SIZE);

  for (unsigned i = 0; i < 9; i++) {
    REQUIRE_OK (rv_tables_pin (s.tables, s.io, offs[i / 3], lens[i % 3], &table,
                               &bytes, &err),
                err);
    rv_table_unpin (s.tables, table);
  }
  create (&s, 4 * PIECE, PIECE);
  CHECK_EQ_INT (seen (&s, 4 * PIECE, 5), 0);
  flush (&s);
  for (unsigned i = 0; i < 9; i++) {
    REQUIRE_OK (rv_tables_pin (s.tables, s.io, offs[i / 3], lens[i % 3], &table,
                               &bytes, &err),
                err);
    CHECK_MEM_EQ (bytes, s.disk + offs[i / 3], lens[i % 3]);
    rv_table_unpin (s.tables, table);
  }
}

static void
a_new_table_replaces_dirty_ones_of_another_length (void)
{
  SETUP (s, SIZE);

  edit (&s, 4 * PIECE, 9, 0x99, RV_PHASE_PUBLISH);
  create (&s, 3 * PIECE, 2 * PIECE);
  flush (&s);
  CHECK_EQ_INT (s.disk[4 * PIECE + 9], 0);
  CHECK_EQ_INT (seen (&s, 4 * PIECE, 9), 0);
  CHECK_EQ_U64 (rv_tables_dirty (s.tables), 0);
}

static void
a_new_table_replaces_frozen_ones_of_another_length (void)
{
  struct rv_frozen *frozen;
  SETUP (s, SIZE);

  edit (&s, 4 * PIECE, 9, 0x99, RV_PHASE_ALLOC);
  edit (&s, 5 * PIECE, 9, 0x99, RV_PHASE_PUBLISH);
  frozen = freeze (&s);
  create (&s, 4 * PIECE, 2 * PIECE);
  write_phase (&s, frozen, RV_PHASE_ALLOC);
  rv_tables_thaw (s.tables, frozen, RV_PHASE_PUBLISH);
  flush (&s);
  for (unsigned i = 4; i < 6; i++) {
    CHECK_EQ_INT (s.disk[i * PIECE + 9], 0);
    CHECK_EQ_INT (seen (&s, i * PIECE, 9), 0);
  }
  CHECK_EQ_U64 (rv_tables_dirty (s.tables), 0);
}

static void
a_new_table_beyond_the_end_makes_the_file_longer (void)
{
  SETUP (s, SIZE);

  create (&s, SIZE + PIECE, PIECE);
  CHECK_EQ_INT (seen (&s, SIZE + PIECE, 0), 0);
  CHECK_EQ_U64 (s.io->size, SIZE);
  edit (&s, SIZE + PIECE, 100, 1, RV_PHASE_PUBLISH);
  flush (&s);
  CHECK_EQ_U64 (s.io->size, SIZE + 2 * PIECE);
  CHECK (s.trace.len == 1 && was_written (&s, 0, SIZE + PIECE, PIECE));
  CHECK_EQ_INT (s.disk[SIZE + PIECE + 100], 1);
}

/*--- What cannot be -----------------------------------------------------*/

static void
impossible_changes_are_refused (void)
{
  rawview_error err;
  char b[32] = { 0 };
  SETUP (s, SIZE);

#define CHECK_INVALID(call) \
  (CHECK_EQ_INT ((call), -1), CHECK_EQ_INT (err.errnum, EINVAL))
  CHECK_INVALID (rv_tables_edit (s.tables, s.io, 0, PIECE, PIECE - 1, b, 2,
                                 RV_PHASE_ALLOC, &err));
  CHECK_INVALID (rv_tables_edit (s.tables, s.io, 0, PIECE, SIZE_MAX, b, 2,
                                 RV_PHASE_ALLOC, &err));
  CHECK_INVALID (
      rv_tables_create (s.tables, s.io, 0, RV_TABLE_PIECE_MAX + 1, NULL, &err));
  CHECK_INVALID (rv_tables_create (s.tables, s.io, 0, 0, NULL, &err));
  CHECK_INVALID (
      rv_tables_create (s.tables, s.io, UINT64_MAX - 100, 512, NULL, &err));
  CHECK_INVALID (rv_tables_patch (s.tables, s.io, 0, b, RV_PATCH_MAX + 1,
                                  RV_PHASE_ALLOC, &err));
  CHECK_INVALID (
      rv_tables_patch (s.tables, s.io, 508, b, 8, RV_PHASE_ALLOC, &err));
  CHECK_EQ_INT (rv_tables_edit (s.tables, s.io, SIZE, PIECE, 0, b, 2,
                                RV_PHASE_ALLOC, &err),
                -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "ram is cut short*");
  CHECK_EQ_U64 (rv_tables_dirty (s.tables), 0);
}

int
main (void)
{
  TEST (an_edit_is_seen_at_once_and_written_by_nobody);
  TEST (who_has_it_pinned_sees_no_change);
  TEST (dirty_pieces_outlast_the_budget);
  TEST (an_edit_that_changes_nothing_is_none);
  TEST (after_a_flush_it_is_cached);
  TEST (a_new_table_hides_whatever_was_cached_there);
  TEST (a_new_table_replaces_dirty_ones_of_another_length);
  TEST (a_new_table_replaces_frozen_ones_of_another_length);
  TEST (a_new_table_beyond_the_end_makes_the_file_longer);
  TEST (impossible_changes_are_refused);
  return test_result ();
}
