/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <time.h>

#include "io/tables.h"
#include "util/error.h"
#include "util/test.h"

#define THREADS 8
#define PIECE   1024u
#define PIECES  64u
#define SIZE    (PIECE * PIECES)

/* A source whose bytes tell where they are, that counts its reads, and can be
 * slow or broken.
 */
struct fake_io {
  struct rv_io base;
  atomic_uint reads;
  atomic_bool slow, broken;
};

static uint8_t
byte_at (uint64_t off)
{
  return off * 7 + off / PIECE * 13;
}

static void
sleep_ms (long ms)
{
  nanosleep (&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static int
fake_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
            rawview_error *err)
{
  struct fake_io *f = (struct fake_io *) io;
  unsigned n = atomic_fetch_add (&f->reads, 1) + 1;

  if (atomic_load (&f->slow))
    sleep_ms (50);
  if (atomic_load (&f->broken))
    return rv_error_set (err, RAWVIEW_ERROR_IO, EIO, "read %u failed", n);
  for (size_t i = 0; i < len; i++)
    ((uint8_t *) buf)[i] = byte_at (off + i);
  return 0;
}

static void
fake_free (struct rv_io *io)
{
}

static const struct rv_io_ops fake_ops = {
  .name = "fake",
  .pread = fake_pread,
  .free = fake_free,
};

static void
fake_init (struct fake_io *f)
{
  *f = (struct fake_io){ 0 };
  CHECK (rv_io_init (&f->base, &fake_ops, "fake", SIZE) == 0);
}

static void
cleanup_tables (struct rv_tables **tables)
{
  rv_tables_free (*tables);
}
#define CLEANUP_TABLES RV_CLEANUP (cleanup_tables)

/* Pins a piece, looks at it, and lets it go; whether that worked. */
static bool
look_at (struct rv_tables *tables, struct rv_io *io, unsigned piece,
         rawview_error *err)
{
  struct rv_table *table;
  const uint8_t *bytes;
  bool ok = true;

  if (rv_tables_pin (tables, io, piece * PIECE, PIECE, &table, &bytes, err) ==
      -1)
    return false;
  for (unsigned i = 0; i < PIECE; i++)
    ok = ok && bytes[i] == byte_at (piece * PIECE + i);
  CHECK (ok);
  rv_table_unpin (tables, table);
  return ok;
}

static void
a_piece_is_read_once (void)
{
  CLEANUP_TABLES struct rv_tables *tables = NULL;
  struct fake_io f;
  rawview_error err;

  fake_init (&f);
  REQUIRE_OK (rv_tables_new (SIZE, &tables, &err), err);
  for (unsigned i = 0; i < 10; i++)
    CHECK (look_at (tables, &f.base, 3, &err));
  CHECK_EQ_U64 (f.reads, 1);
  rv_io_unref (&f.base);
}

static void
the_least_recently_used_piece_is_evicted (void)
{
  CLEANUP_TABLES struct rv_tables *tables = NULL;
  struct fake_io f;
  rawview_error err;

  fake_init (&f);
  REQUIRE_OK (rv_tables_new (8 * PIECE, &tables, &err), err);
  for (unsigned i = 0; i < 8; i++)
    CHECK (look_at (tables, &f.base, i, &err));
  CHECK (look_at (tables, &f.base, 0, &err)); /* now 1 is the oldest */
  CHECK (look_at (tables, &f.base, 8, &err));
  CHECK_EQ_U64 (f.reads, 9);
  CHECK (look_at (tables, &f.base, 0, &err));
  CHECK_EQ_U64 (f.reads, 9);
  CHECK (look_at (tables, &f.base, 1, &err));
  CHECK_EQ_U64 (f.reads, 10);
  rv_io_unref (&f.base);
}

static void
pinned_pieces_stay_whatever_the_budget (void)
{
  CLEANUP_TABLES struct rv_tables *tables = NULL;
  struct rv_table *table[PIECES];
  const uint8_t *bytes[PIECES];
  struct fake_io f;
  rawview_error err;

  fake_init (&f);
  REQUIRE_OK (rv_tables_new (PIECE, &tables, &err), err);
  for (unsigned i = 0; i < PIECES; i++)
    REQUIRE_OK (rv_tables_pin (tables, &f.base, i * PIECE, PIECE, &table[i],
                               &bytes[i], &err),
                err);
  for (unsigned i = 0; i < PIECES; i++) {
    CHECK (bytes[i][PIECE - 1] == byte_at (i * PIECE + PIECE - 1));
    CHECK (look_at (tables, &f.base, i, &err));
  }
  CHECK_EQ_U64 (f.reads, PIECES);
  for (unsigned i = 0; i < PIECES; i++)
    rv_table_unpin (tables, table[i]);
  CHECK (look_at (tables, &f.base, 0, &err));
  CHECK_EQ_U64 (f.reads, PIECES + 1);
  rv_io_unref (&f.base);
}

static void
a_budget_of_nothing_still_works (void)
{
  CLEANUP_TABLES struct rv_tables *tables = NULL;
  struct fake_io f;
  rawview_error err;

  fake_init (&f);
  REQUIRE_OK (rv_tables_new (0, &tables, &err), err);
  for (unsigned i = 0; i < PIECES; i++)
    CHECK (look_at (tables, &f.base, i % 3, &err));
  rv_io_unref (&f.base);
}

static void
another_length_is_never_answered_with_fewer_bytes (void)
{
  CLEANUP_TABLES struct rv_tables *tables = NULL;
  struct rv_table *small, *large;
  const uint8_t *bytes;
  struct fake_io f;
  rawview_error err;

  fake_init (&f);
  REQUIRE_OK (rv_tables_new (SIZE, &tables, &err), err);
  REQUIRE_OK (rv_tables_pin (tables, &f.base, 0, 8, &small, &bytes, &err), err);
  REQUIRE_OK (rv_tables_pin (tables, &f.base, 0, SIZE, &large, &bytes, &err),
              err);
  CHECK (bytes[SIZE - 1] == byte_at (SIZE - 1));
  rv_table_unpin (tables, small);
  rv_table_unpin (tables, large);
  rv_io_unref (&f.base);
}

static void
a_new_source_at_an_old_address_is_read_anew (void)
{
  CLEANUP_TABLES struct rv_tables *tables = NULL;
  struct fake_io f;
  rawview_error err;

  REQUIRE_OK (rv_tables_new (SIZE, &tables, &err), err);
  for (unsigned i = 0; i < 3; i++) {
    fake_init (&f);
    CHECK (look_at (tables, &f.base, 0, &err));
    CHECK_EQ_U64 (f.reads, 1);
    rv_io_unref (&f.base);
  }
}

static void
a_table_beyond_the_end_is_corruption (void)
{
  CLEANUP_TABLES struct rv_tables *tables = NULL;
  struct rv_table *table;
  const uint8_t *bytes;
  struct fake_io f;
  rawview_error err;

  fake_init (&f);
  REQUIRE_OK (rv_tables_new (SIZE, &tables, &err), err);
  CHECK (rv_tables_pin (tables, &f.base, SIZE - 1, 2, &table, &bytes, &err) ==
         -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "fake is cut short*");
  CHECK_EQ_U64 (f.reads, 0);
  rv_io_unref (&f.base);
}

/*--- Many threads -------------------------------------------------------*/

struct visitor {
  pthread_t thread;
  struct rv_tables *tables;
  struct fake_io *f;
  pthread_barrier_t *start;
  unsigned number;
  bool ok;
  rawview_error err;
};

static void
visit_all (void *(*run) (void *), struct visitor *v, struct rv_tables *tables,
           struct fake_io *f)
{
  pthread_barrier_t start;

  pthread_barrier_init (&start, NULL, THREADS);
  for (unsigned i = 0; i < THREADS; i++) {
    v[i] = (struct visitor){
      .tables = tables, .f = f, .start = &start, .number = i
    };
    CHECK (pthread_create (&v[i].thread, NULL, run, &v[i]) == 0);
  }
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join (v[i].thread, NULL);
  pthread_barrier_destroy (&start);
}

static void *
visit_one_piece (void *opaque)
{
  struct visitor *v = opaque;

  pthread_barrier_wait (v->start);
  v->ok = look_at (v->tables, &v->f->base, 5, &v->err);
  return NULL;
}

static void
threads_that_want_one_piece_wait_for_one_read (void)
{
  CLEANUP_TABLES struct rv_tables *tables = NULL;
  struct visitor v[THREADS];
  struct fake_io f;
  rawview_error err;

  fake_init (&f);
  f.slow = true;
  REQUIRE_OK (rv_tables_new (SIZE, &tables, &err), err);
  visit_all (visit_one_piece, v, tables, &f);
  for (unsigned i = 0; i < THREADS; i++)
    CHECK (v[i].ok);
  CHECK_EQ_U64 (f.reads, 1);
  rv_io_unref (&f.base);
}

static void
a_failed_read_is_told_to_every_waiter_and_forgotten (void)
{
  CLEANUP_TABLES struct rv_tables *tables = NULL;
  struct visitor v[THREADS];
  struct fake_io f;
  rawview_error err;
  unsigned before;

  fake_init (&f);
  f.slow = f.broken = true;
  REQUIRE_OK (rv_tables_new (SIZE, &tables, &err), err);
  visit_all (visit_one_piece, v, tables, &f);
  for (unsigned i = 0; i < THREADS; i++) {
    CHECK (!v[i].ok);
    CHECK_ERROR (v[i].err, RAWVIEW_ERROR_IO, "read [1-8] failed");
    CHECK_EQ_INT (v[i].err.errnum, EIO);
  }
  before = f.reads;
  f.broken = false;
  CHECK (look_at (tables, &f.base, 5, &err));
  CHECK_EQ_U64 (f.reads, before + 1);
  rv_io_unref (&f.base);
}

static void *
visit_many_pieces (void *opaque)
{
  struct visitor *v = opaque;
  unsigned r = v->number + 1;

  pthread_barrier_wait (v->start);
  v->ok = true;
  for (unsigned i = 0; i < 5000; i++) {
    r = r * 1103515245 + 12345;
    if (v->number == 0)
      atomic_store (&v->f->broken, i % 8 == 0);
    if (!look_at (v->tables, &v->f->base, r / 65536 % PIECES, &v->err))
      v->ok = v->ok && v->err.kind == RAWVIEW_ERROR_IO;
  }
  return NULL;
}

static void
threads_see_right_bytes_while_pieces_come_and_go_and_fail (void)
{
  CLEANUP_TABLES struct rv_tables *tables = NULL;
  struct visitor v[THREADS];
  struct fake_io f;
  rawview_error err;

  fake_init (&f);
  REQUIRE_OK (rv_tables_new (PIECES / 4 * PIECE, &tables, &err), err);
  visit_all (visit_many_pieces, v, tables, &f);
  for (unsigned i = 0; i < THREADS; i++)
    CHECK (v[i].ok);
  rv_io_unref (&f.base);
}

/*--- The n-th read fails ------------------------------------------------*/

static bool
look_at_ten (struct rv_tables *tables, struct rv_io *io, rawview_error *err)
{
  for (unsigned i = 0; i < 10; i++)
    if (!look_at (tables, io, i, err))
      return false;
  return true;
}

static void
after_any_failed_read_the_rest_works (void)
{
  struct fake_io f;
  rawview_error err = { 0 };
  bool done = false;

  fake_init (&f);
  for (unsigned n = 1; !done && n < 100; n++) {
    CLEANUP_TABLES struct rv_tables *tables = NULL;
    CLEANUP_IO struct rv_io *io = NULL;
    atomic_uint countdown = n;

    REQUIRE_OK (rv_tables_new (4 * PIECE, &tables, &err), err);
    REQUIRE_OK (rv_io_fault_new (&f.base, &countdown, &io, &err), err);
    done = look_at_ten (tables, io, &err);
    CHECK (done == (n > 10));
    if (!done)
      CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected fault*");
    atomic_store (&countdown, 0);
    CHECK (look_at_ten (tables, io, &err));
  }
  CHECK (done);
  rv_io_unref (&f.base);
}

int
main (void)
{
  TEST (a_piece_is_read_once);
  TEST (the_least_recently_used_piece_is_evicted);
  TEST (pinned_pieces_stay_whatever_the_budget);
  TEST (a_budget_of_nothing_still_works);
  TEST (another_length_is_never_answered_with_fewer_bytes);
  TEST (a_new_source_at_an_old_address_is_read_anew);
  TEST (a_table_beyond_the_end_is_corruption);
  TEST (threads_that_want_one_piece_wait_for_one_read);
  TEST (a_failed_read_is_told_to_every_waiter_and_forgotten);
  TEST (threads_see_right_bytes_while_pieces_come_and_go_and_fail);
  TEST (after_any_failed_read_the_rest_works);
  return test_result ();
}
