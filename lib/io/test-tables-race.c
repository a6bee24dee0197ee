/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readers, writers and flushes that overtake each other. */

#include <config.h>

#include <errno.h>

#include "io/test-tables.h"

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

int
main (void)
{
  TEST (old_bytes_that_were_being_read_are_not_given_out);
  TEST (an_edit_of_old_bytes_begins_anew);
  TEST (threads_that_pin_edit_and_flush_agree);
  TEST (threads_agree_without_a_cache);
  return test_result ();
}
