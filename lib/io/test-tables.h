/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests of changing tables.  The storage is memory with a log of what is
 * written.
 */

#ifndef RV_TEST_TABLES_H
#define RV_TEST_TABLES_H

#include "io/tables.h"
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
static TEST_UNUSED int
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

static TEST_UNUSED void
edit (struct setup *s, uint64_t off, size_t in, uint8_t byte,
      enum rv_phase phase)
{
  rawview_error err;

  CHECK_OK (
      rv_tables_edit (s->tables, s->io, off, PIECE, in, &byte, 1, phase, &err),
      err);
}

static TEST_UNUSED void
create (struct setup *s, uint64_t off, size_t len)
{
  rawview_error err;

  CHECK_OK (rv_tables_create (s->tables, s->io, off, len, NULL, &err), err);
}

static TEST_UNUSED void
patch (struct setup *s, uint64_t off, const char *text, enum rv_phase phase)
{
  rawview_error err;

  CHECK_OK (
      rv_tables_patch (s->tables, s->io, off, text, strlen (text), phase, &err),
      err);
}

static TEST_UNUSED struct rv_frozen *
freeze (struct setup *s)
{
  struct rv_frozen *frozen = NULL;
  rawview_error err;

  CHECK_OK (rv_tables_freeze (s->tables, &frozen, &err), err);
  return frozen;
}

static TEST_UNUSED void
write_phase (struct setup *s, struct rv_frozen *frozen, enum rv_phase phase)
{
  rawview_error err;

  CHECK_OK (rv_frozen_write (s->tables, frozen, phase, &err), err);
}

/* All of it, as an epoch does that succeeds. */
static TEST_UNUSED void
flush (struct setup *s)
{
  struct rv_frozen *frozen = freeze (s);

  for (int phase = 0; phase < RV_NR_PHASES; phase++)
    write_phase (s, frozen, phase);
  rv_tables_thaw (s->tables, frozen, RV_NR_PHASES);
}

static TEST_UNUSED bool
was_written (struct setup *s, size_t i, uint64_t off, uint64_t len)
{
  return i < s->trace.len && s->trace.entries[i].op == RV_TRACE_WRITE &&
         CHECK_EQ_U64 (s->trace.entries[i].off, off) &&
         CHECK_EQ_U64 (s->trace.entries[i].len, len);
}

#endif /* RV_TEST_TABLES_H */
