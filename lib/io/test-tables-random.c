/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random changes, flushes and failures against a model: what everybody sees,
 * what is in which phase, and what has reached the disk.
 */

#include <config.h>

#include <errno.h>

#include "io/test-tables.h"

#define PIECES 12u
#define PINS   6u
#define CLEAN  RV_NR_PHASES

struct piece {
  uint8_t bytes[PIECE];  /* as everybody sees them */
  uint8_t frozen[PIECE]; /* as they were when they were frozen */
  unsigned phase, frozen_phase;
};

/* Somebody who has a piece pinned, and the bytes that he must see. */
struct holder {
  struct rv_table *table;
  const uint8_t *bytes;
  uint8_t expected[PIECE];
};

struct run {
  struct setup s;
  struct rv_io *parent;
  struct rv_io_faults faults;
  uint32_t seed;
  struct piece pieces[PIECES];
  struct holder holders[PINS];
  struct rv_frozen *frozen;
  bool is_frozen;
};

static unsigned
below (struct run *r, unsigned n)
{
  r->seed = r->seed * 1103515245 + 12345;
  return r->seed / 65536 % n;
}

static void
make_dirty (struct piece *p, unsigned phase)
{
  if (phase < p->phase)
    p->phase = phase;
}

/*--- What may happen ----------------------------------------------------*/

static void
change_something (struct run *r)
{
  unsigned i = below (r, PIECES), in = below (r, PIECE), phase;
  size_t n = 1 + below (r, PIECE - in < 40 ? PIECE - in : 40);
  uint8_t bytes[40];
  rawview_error err;

  phase = below (r, RV_NR_PHASES);
  memset (bytes, (int) below (r, 256), n);
  if (rv_tables_edit (r->s.tables, r->s.io, i * PIECE, PIECE, in, bytes, n,
                      (enum rv_phase) phase, &err) == -1) {
    CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
    return;
  }
  if (memcmp (r->pieces[i].bytes + in, bytes, n) == 0)
    return;
  memcpy (r->pieces[i].bytes + in, bytes, n);
  make_dirty (&r->pieces[i], phase);
}

static void
make_something (struct run *r)
{
  struct piece *p = &r->pieces[below (r, PIECES)];
  uint64_t off = (p - r->pieces) * PIECE;
  rawview_error err;

  memset (p->bytes, (int) below (r, 256), PIECE);
  REQUIRE_OK (
      rv_tables_create (r->s.tables, r->s.io, off, PIECE, p->bytes, &err), err);
  make_dirty (p, RV_PHASE_ALLOC);
}

static void
look_at_something (struct run *r)
{
  struct holder *h = &r->holders[below (r, PINS)];
  unsigned i = below (r, PIECES);
  rawview_error err;

  if (h->table) {
    CHECK_MEM_EQ (h->bytes, h->expected, PIECE);
    rv_table_unpin (r->s.tables, STEAL (h->table));
  }
  if (rv_tables_pin (r->s.tables, r->s.io, i * PIECE, PIECE, &h->table,
                     &h->bytes, &err) == -1) {
    CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
    h->table = NULL;
    return;
  }
  memcpy (h->expected, r->pieces[i].bytes, PIECE);
  CHECK_MEM_EQ (h->bytes, h->expected, PIECE);
}

static void
freeze_all (struct run *r)
{
  bool has[RV_NR_PHASES + 1] = { false };

  if (r->is_frozen)
    return;
  r->frozen = freeze (&r->s);
  r->is_frozen = true;
  for (struct piece *p = r->pieces; p < r->pieces + PIECES; p++) {
    memcpy (p->frozen, p->bytes, PIECE);
    p->frozen_phase = p->phase;
    p->phase = CLEAN;
    has[p->frozen_phase] = true;
  }
  for (unsigned i = 0; i < RV_NR_PHASES; i++)
    CHECK_EQ_INT (rv_frozen_has (r->frozen, (enum rv_phase) i), has[i]);
}

/* Writes up to a failure, or to where the epoch gives up for another reason. */
static void
write_and_thaw (struct run *r)
{
  unsigned done, stop = below (r, RV_NR_PHASES + 2);
  rawview_error err;

  if (!r->is_frozen)
    return;
  for (done = 0; done < RV_NR_PHASES && done < stop; done++)
    if (rv_frozen_write (r->s.tables, r->frozen, (enum rv_phase) done, &err) ==
        -1) {
      CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
      break;
    }
  rv_tables_thaw (r->s.tables, r->frozen, (enum rv_phase) done);
  r->is_frozen = false;
  for (struct piece *p = r->pieces; p < r->pieces + PIECES; p++) {
    if (p->frozen_phase >= done)
      make_dirty (p, p->frozen_phase);
    else
      CHECK_MEM_EQ (r->s.disk + (p - r->pieces) * PIECE, p->frozen, PIECE);
  }
}

/* The next one of a kind fails. */
static void
break_something (struct run *r)
{
  r->faults.kinds = below (r, 2) ? RV_FAULT_READ : RV_FAULT_WRITE;
  r->faults.countdown = 1 + below (r, 3);
}

/*--- A run --------------------------------------------------------------*/

static void
run_begin (struct run *r, uint32_t seed)
{
  const size_t budgets[] = { 0, 3 * PIECE, SIZE };
  rawview_error err;

  *r = (struct run){ .seed = seed };
  r->faults =
      (struct rv_io_faults){ .errnum = EIO, .once = true, .torn = true };
  setup (&r->s, budgets[seed % 3]);
  r->parent = r->s.io;
  CHECK_OK (rv_io_faults_new (r->parent, &r->faults, &r->s.io, &err), err);
  for (unsigned i = 0; i < PIECES; i++) {
    memcpy (r->pieces[i].bytes, r->s.disk + i * PIECE, PIECE);
    r->pieces[i].phase = CLEAN;
  }
}

static void
run_end (struct run *r)
{
  for (struct holder *h = r->holders; h < r->holders + PINS; h++)
    if (h->table) {
      CHECK_MEM_EQ (h->bytes, h->expected, PIECE);
      rv_table_unpin (r->s.tables, h->table);
    }
  r->faults.countdown = 0;
  if (r->is_frozen)
    rv_tables_thaw (r->s.tables, r->frozen, RV_PHASE_ALLOC);
  flush (&r->s);
  for (unsigned i = 0; i < PIECES; i++)
    CHECK_MEM_EQ (r->s.disk + i * PIECE, r->pieces[i].bytes, PIECE);
  CHECK_EQ_U64 (rv_tables_dirty (r->s.tables), 0);
  cleanup_setup (&r->s);
  rv_io_unref (r->parent);
}

static void
random_changes_and_failures_end_as_the_model_says (void)
{
  static void (*const events[]) (struct run *) = {
    change_something,  change_something,  change_something, change_something,
    look_at_something, look_at_something, make_something,   freeze_all,
    write_and_thaw,    break_something,
  };
  static struct run r;

  for (uint32_t seed = 1; seed <= 60 && test_failures == 0; seed++) {
    run_begin (&r, seed);
    for (unsigned i = 0; i < 800; i++)
      events[below (&r, sizeof events / sizeof events[0])](&r);
    run_end (&r);
    if (test_failures > 0)
      TEST_FAIL ("seed %" PRIu32, seed);
  }
}

int
main (void)
{
  TEST (random_changes_and_failures_end_as_the_model_says);
  return test_result ();
}
