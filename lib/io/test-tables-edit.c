/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing tables.  The storage is memory with a log of what is written. */

#include <config.h>

#include <errno.h>

#include "io/tables.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/test.h"

#define PIECE 4096u
#define SIZE  (64 * PIECE)
#define ROOM  (SIZE + 16 * PIECE)

struct setup {
  struct rv_io *ram, *io; /* io passes to ram */
  uint8_t *disk;          /* ram's bytes */
  struct rv_trace trace;
  struct rv_tables *tables;
};

static void
cleanup_setup (struct setup *s)
{
  rv_tables_free (s->tables);
  rv_io_unref (s->io);
  rv_io_unref (s->ram);
  rv_trace_release (&s->trace);
}
#define SETUP(s, budget) \
  RV_CLEANUP (cleanup_setup) struct setup s = { 0 }; \
  setup (&s, (budget))

static void
setup (struct setup *s, size_t budget)
{
  rawview_error err;

  rv_trace_init (&s->trace);
  CHECK_OK (rv_io_ram_new (SIZE, ROOM, "ram", &s->ram, &s->disk, &err), err);
  for (unsigned i = 0; i < SIZE; i++)
    s->disk[i] = i / 512 + i % 251;
  CHECK_OK (rv_io_trace_new (s->ram, 0, &s->trace, &s->io, &err), err);
  CHECK_OK (rv_tables_new (budget, &s->tables, &err), err);
}

/* The byte at in of the piece at off, as who pins it now sees it. */
static int
seen (struct setup *s, uint64_t off, size_t in)
{
  struct rv_table *table;
  const uint8_t *bytes;
  rawview_error err;
  int r;

  if (!CHECK_OK (
          rv_tables_pin (s->tables, s->io, off, PIECE, &table, &bytes, &err),
          err))
    return -1;
  r = bytes[in];
  rv_table_unpin (s->tables, table);
  return r;
}

static void
edit (struct setup *s, uint64_t off, size_t in, uint8_t byte,
      enum rv_phase phase)
{
  rawview_error err;

  CHECK_OK (
      rv_tables_edit (s->tables, s->io, off, PIECE, in, &byte, 1, phase, &err),
      err);
}

static void
create (struct setup *s, uint64_t off, size_t len)
{
  rawview_error err;

  CHECK_OK (rv_tables_create (s->tables, s->io, off, len, NULL, &err), err);
}

static void
patch (struct setup *s, uint64_t off, const char *text, enum rv_phase phase)
{
  rawview_error err;

  CHECK_OK (
      rv_tables_patch (s->tables, s->io, off, text, strlen (text), phase, &err),
      err);
}

static struct rv_frozen *
freeze (struct setup *s)
{
  struct rv_frozen *frozen = NULL;
  rawview_error err;

  CHECK_OK (rv_tables_freeze (s->tables, &frozen, &err), err);
  return frozen;
}

static void
write_phase (struct setup *s, struct rv_frozen *frozen, enum rv_phase phase)
{
  rawview_error err;

  CHECK_OK (rv_frozen_write (s->tables, frozen, phase, &err), err);
}

/* All of it, as an epoch does that succeeds. */
static void
flush (struct setup *s)
{
  struct rv_frozen *frozen = freeze (s);

  for (int phase = 0; phase < RV_NR_PHASES; phase++)
    write_phase (s, frozen, phase);
  rv_tables_thaw (s->tables, frozen, RV_NR_PHASES);
}

static bool
was_written (struct setup *s, size_t i, uint64_t off, uint64_t len)
{
  return i < s->trace.len && s->trace.entries[i].op == RV_TRACE_WRITE &&
         CHECK_EQ_U64 (s->trace.entries[i].off, off) &&
         CHECK_EQ_U64 (s->trace.entries[i].len, len);
}

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

/*--- A load that a flush overtakes --------------------------------------*/

/* Storage whose next read does something while it is under way: before it has
 * the bytes, and after.
 */
struct eventful_io {
  struct rv_io base;
  struct rv_io *parent;
  void (*before) (struct setup *s), (*after) (struct setup *s);
  struct setup *s;
  unsigned reads;
};

static int
eventful_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
                rawview_error *err)
{
  struct eventful_io *e = (struct eventful_io *) io;
  void (*before) (struct setup * s) = STEAL (e->before);
  void (*after) (struct setup * s) = STEAL (e->after);
  int r;

  e->reads++;
  if (before)
    before (e->s);
  r = rv_io_pread (e->parent, buf, len, off, err);
  if (after)
    after (e->s);
  return r;
}

static int
eventful_pwrite (struct rv_io *io, const void *buf, size_t len, uint64_t off,
                 rawview_error *err)
{
  return rv_io_pwrite (((struct eventful_io *) io)->parent, buf, len, off, err);
}

static void
eventful_free (struct rv_io *io)
{
}

static const struct rv_io_ops eventful_ops = {
  .name = "eventful",
  .pread = eventful_pread,
  .pwrite = eventful_pwrite,
  .free = eventful_free,
};

static void
make_new (struct setup *s)
{
  create (s, PIECE, PIECE);
}

static void
make_new_and_flush (struct setup *s)
{
  create (s, PIECE, PIECE);
  flush (s);
}

/* Like a thread that changes another entry meanwhile. */
static void
raise_another_and_flush (struct setup *s)
{
  create (s, PIECE, PIECE);
  edit (s, PIECE, 100, 0x64, RV_PHASE_PUBLISH);
  flush (s);
}

static void
eventful_setup (struct setup *s, struct eventful_io *e)
{
  *e = (struct eventful_io){ .parent = s->io, .s = s };
  CHECK (rv_io_init (&e->base, &eventful_ops, "eventful", SIZE) == 0);
  e->base.writable = e->base.can_grow = true;
  s->io = &e->base;
}

static void
eventful_release (struct setup *s, struct eventful_io *e)
{
  rv_tables_free (STEAL (s->tables));
  s->io = e->parent;
  rv_io_unref (&e->base);
}

static void
old_bytes_that_were_being_read_are_not_given_out (void)
{
  void (*const events[]) (struct setup *) = { make_new, make_new_and_flush };

  for (unsigned i = 0; i < 4; i++) {
    struct eventful_io e;
    SETUP (s, SIZE);

    eventful_setup (&s, &e);
    *(i & 1 ? &e.before : &e.after) = events[i / 2];
    CHECK_EQ_INT (seen (&s, PIECE, 3), 0);
    CHECK_EQ_INT (seen (&s, PIECE, 3), 0);
    flush (&s);
    CHECK_EQ_INT (seen (&s, PIECE, 3), 0);
    CHECK_EQ_U64 (e.reads, 1);
    eventful_release (&s, &e);
  }
}

static void
an_edit_of_old_bytes_begins_anew (void)
{
  struct eventful_io e;
  SETUP (s, SIZE);

  eventful_setup (&s, &e);
  e.after = raise_another_and_flush;
  edit (&s, PIECE, 8, 0x88, RV_PHASE_PUBLISH);
  CHECK_EQ_INT (seen (&s, PIECE, 100), 0x64);
  CHECK_EQ_INT (seen (&s, PIECE, 8), 0x88);
  CHECK_EQ_INT (seen (&s, PIECE, 9), 0);
  flush (&s);
  CHECK_EQ_INT (s.disk[PIECE + 8], 0x88);
  CHECK_EQ_INT (s.disk[PIECE + 100], 0x64);
  CHECK_EQ_INT (s.disk[PIECE + 9], 0);
  eventful_release (&s, &e);
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

/*--- Many threads -------------------------------------------------------*/

/* Each of the writers owns one 64-bit counter in each piece, which he only ever
 * raises.  Whoever pins a piece sees all counters no lower than before, and
 * unchanged while he holds it.
 */
#define WRITERS 3u
#define READERS 3u
#define SHARED  4u
#define ROUNDS  3000u

struct thread {
  pthread_t id;
  struct setup *s;
  unsigned number;
  atomic_uint *running;
};

static void *
raise_counters (void *opaque)
{
  struct thread *t = opaque;
  rawview_error err;
  uint64_t n;

  for (unsigned i = 0; i < ROUNDS; i++) {
    n = i / SHARED + 1;
    CHECK_OK (rv_tables_edit (t->s->tables, t->s->io, i % SHARED * PIECE, PIECE,
                              t->number * 1024, &n, sizeof n, RV_PHASE_PUBLISH,
                              &err),
              err);
  }
  atomic_fetch_sub (t->running, 1);
  return NULL;
}

static uint64_t
counter (const uint8_t *bytes, unsigned number)
{
  uint64_t n;

  memcpy (&n, bytes + number * 1024, sizeof n);
  return n;
}

static void *
watch_counters (void *opaque)
{
  struct thread *t = opaque;
  uint64_t last[SHARED][WRITERS] = { 0 };
  rawview_error err;

  for (unsigned i = t->number; atomic_load (t->running) > 0; i++) {
    uint64_t *seen_before = last[i % SHARED];
    struct rv_table *table;
    const uint8_t *bytes;

    if (!CHECK_OK (rv_tables_pin (t->s->tables, t->s->io, i % SHARED * PIECE,
                                  PIECE, &table, &bytes, &err),
                   err))
      break;
    for (unsigned w = 0; w < WRITERS; w++) {
      uint64_t n = counter (bytes, w);

      if (n < seen_before[w])
        CHECK_EQ_U64 (n, seen_before[w]);
      seen_before[w] = n;
    }
    for (unsigned w = 0; w < WRITERS; w++)
      if (counter (bytes, w) != seen_before[w])
        CHECK_EQ_U64 (counter (bytes, w), seen_before[w]);
    rv_table_unpin (t->s->tables, table);
  }
  return NULL;
}

static void *
flush_often (void *opaque)
{
  struct thread *t = opaque;

  for (unsigned i = 0; atomic_load (t->running) > 0; i++) {
    struct rv_frozen *frozen = freeze (t->s);
    int done = i % (RV_NR_PHASES + 1);

    for (int phase = 0; phase < RV_NR_PHASES && phase <= done; phase++)
      write_phase (t->s, frozen, phase);
    rv_tables_thaw (t->s->tables, frozen, done);
  }
  return NULL;
}

static void
threads_never_see_old_bytes_again (size_t budget)
{
  void *(*const run[]) (void *) = { raise_counters, watch_counters,
                                    flush_often };
  struct thread threads[WRITERS + READERS + 1];
  atomic_uint running = WRITERS;
  SETUP (s, budget);

  memset (s.disk, 0, SIZE);
  for (unsigned i = 0; i < WRITERS + READERS + 1; i++) {
    unsigned kind = i < WRITERS ? 0 : i < WRITERS + READERS ? 1 : 2;

    threads[i] = (struct thread){ .s = &s, .number = i, .running = &running };
    CHECK (pthread_create (&threads[i].id, NULL, run[kind], &threads[i]) == 0);
  }
  for (unsigned i = 0; i < WRITERS + READERS + 1; i++)
    pthread_join (threads[i].id, NULL);
  flush (&s);
  for (unsigned p = 0; p < SHARED; p++)
    for (unsigned w = 0; w < WRITERS; w++)
      CHECK_EQ_U64 (counter (s.disk + p * PIECE, w), ROUNDS / SHARED);
}

static void
threads_that_pin_edit_and_flush_agree (void)
{
  threads_never_see_old_bytes_again (SIZE);
}

static void
threads_agree_without_a_cache (void)
{
  threads_never_see_old_bytes_again (0);
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
  TEST (an_edit_is_seen_at_once_and_written_by_nobody);
  TEST (who_has_it_pinned_sees_no_change);
  TEST (dirty_pieces_outlast_the_budget);
  TEST (an_edit_that_changes_nothing_is_none);
  TEST (after_a_flush_it_is_cached);
  TEST (a_new_table_hides_whatever_was_cached_there);
  TEST (a_new_table_replaces_dirty_ones_of_another_length);
  TEST (a_new_table_replaces_frozen_ones_of_another_length);
  TEST (a_new_table_beyond_the_end_makes_the_file_longer);
  TEST (each_phase_writes_what_is_its_own);
  TEST (only_changed_sectors_are_written_and_neighbours_together);
  TEST (the_largest_piece_between_sectors_is_written_whole);
  TEST (what_was_made_in_this_epoch_stays_in_its_phase);
  TEST (what_is_changed_during_a_freeze_is_for_the_next);
  TEST (what_failed_comes_back_with_what_came_meanwhile);
  TEST (old_bytes_that_were_being_read_are_not_given_out);
  TEST (an_edit_of_old_bytes_begins_anew);
  TEST (a_later_patch_replaces_an_earlier_one);
  TEST (a_patch_that_failed_comes_back_before_later_ones);
  TEST (of_overlapping_patches_the_last_one_counts);
  TEST (impossible_changes_are_refused);
  TEST (after_any_failure_all_is_written_in_the_end);
  TEST (threads_that_pin_edit_and_flush_agree);
  TEST (threads_agree_without_a_cache);
  TEST (many_pieces_are_frozen_in_one_go);
  return test_result ();
}
