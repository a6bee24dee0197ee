/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small image format that can be written, for the unit tests of writing: its
 * tables in one file, the guest's data in another.
 *
 *   file 0   sector 0: 1 while somebody writes it; sector 1: 8 bytes that
 * change with each allocation, in phase HOOK; at 4096 a table of 8 bytes for
 *            each unit; at 8192 the refcounts of file 1, 8 bytes for each unit
 *   file 1   FLAT units that are always there, then units as they are given out
 *
 * An entry is 0 for the parent's, 1 for zeros, or an offset in file 1, with bit
 * 0 set where it reads as zeros for now.
 *
 * Both files are traced, and fail when they are told to.  The driver itself
 * looks for what an engine must not do.
 */

#ifndef RV_TEST_WRITER_H
#define RV_TEST_WRITER_H

#include <errno.h>
#include <time.h>

#include "engine/engine-internal.h"
#include "util/checked.h"
#include "util/error.h"
#include "util/test.h"

#define UNIT    4096u
#define UNITS   64u /* of the disk, the last one is short */
#define FLAT    16u /* the last of them */
#define SHORT   1024u
#define SIZE    (UNITS * (uint64_t) UNIT - SHORT)
#define HOOK    512u
#define TABLE   4096u
#define COUNTS  8192u
#define ROOM    (256u * UNIT) /* of file 1, normally */
#define PENDING 1u

enum { TABLE_FILE, DATA_FILE, NR_FILES };

struct test_file {
  struct rv_io *ram, *trace, *io;
  uint8_t *bytes;
  struct rv_io_faults faults;
};

struct test_writer {
  struct rv_format base;
  struct test_file files[NR_FILES];
  struct rv_trace trace;
  uint8_t *parent_bytes;
  struct rv_format parent;
  struct rv_chain chain;
  struct rv_engine *engine;

  pthread_mutex_t lock; /* the driver's */
  uint64_t next;
  uint64_t free[256];
  size_t nr_free;
  bool released[256]; /* units of file 1 */

  atomic_uint begun, ended, marked, releases, reuses;
  atomic_uint allocations; /* plans */
  bool fail_begin;
  bool corrupt; /* the next plan */
  bool no_drop; /* the tables cannot say zeros */
  /* Places to stand still in. */
  atomic_bool in_publish, hold_publish;
  atomic_bool in_barrier, hold_barrier;
  atomic_uint barriers;
};

static TEST_UNUSED void
test_nap (void)
{
  nanosleep (&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Says that it is here, and goes on when it is no longer held. */
static TEST_UNUSED void
test_stand (atomic_bool *here, atomic_bool *hold)
{
  atomic_store (here, true);
  while (atomic_load (hold))
    test_nap ();
  atomic_store (here, false);
}

/* Waits, but not for ever. */
#define AWAIT(cond) \
  do { \
    for (unsigned naps_ = 0; naps_ < 5000 && !(cond); naps_++) \
      test_nap (); \
    CHECK (cond); \
  } while (0)

static TEST_UNUSED uint8_t
test_parent_byte (uint64_t off)
{
  return off / UNIT % 4 == 3 ? 0 : 1 + (off * 7 + off / UNIT * 11) % 255;
}

/*--- The parent ---------------------------------------------------------*/

static TEST_UNUSED int
test_parent_map (struct rv_format *format, uint64_t off, uint64_t len,
                 struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  *map = (struct rv_map){ .kind = RV_MAP_DATA, .host_off = off };
  if (off / UNIT % 4 == 3)
    *map = (struct rv_map){ .kind = RV_MAP_ZERO };
  map->io = format->io;
  map->len = rv_min_u64 (len, UNIT - off % UNIT);
  return 0;
}

static TEST_UNUSED const struct rv_format_ops test_parent_ops = {
  .name = "parent",
  .map = test_parent_map,
};

/*--- Tables -------------------------------------------------------------*/

static TEST_UNUSED int
test_load (struct test_writer *w, uint64_t table, uint64_t i, uint64_t *entry,
           rawview_error *err)
{
  struct rv_table *pin;
  const uint8_t *bytes;

  if (rv_tables_pin (w->base.tables, w->base.io, table, 4096, &pin, &bytes,
                     err) == -1)
    return -1;
  memcpy (entry, bytes + i * 8, 8);
  rv_table_unpin (w->base.tables, pin);
  return 0;
}

static TEST_UNUSED int
test_store (struct test_writer *w, uint64_t table, uint64_t i, uint64_t entry,
            enum rv_phase phase, rawview_error *err)
{
  return rv_tables_edit (w->base.tables, w->base.io, table, 4096, i * 8, &entry,
                         8, phase, err);
}

static TEST_UNUSED uint64_t
test_unit_end (uint64_t off)
{
  return rv_min_u64 (rv_align_down (off, UNIT) + UNIT, SIZE);
}

static TEST_UNUSED bool
test_is_flat (uint64_t off)
{
  return off / UNIT >= UNITS - FLAT;
}

static TEST_UNUSED uint64_t
test_flat_off (uint64_t off)
{
  return off - (UNITS - FLAT) * UNIT;
}

static TEST_UNUSED int
test_writer_map (struct rv_format *format, uint64_t off, uint64_t len,
                 struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  struct test_writer *w = (struct test_writer *) format;
  uint64_t entry;

  *damaged = rv_min_u64 (len, test_unit_end (off) - off);
  *map = (struct rv_map){ .kind = RV_MAP_DATA,
                          .len = *damaged,
                          .io = w->files[DATA_FILE].io };
  if (test_is_flat (off)) {
    map->host_off = test_flat_off (off);
    return 0;
  }
  if (test_load (w, TABLE, off / UNIT, &entry, err) == -1)
    return -1;
  if (entry == 0)
    map->kind = RV_MAP_PARENT;
  else if (entry & PENDING)
    map->kind = RV_MAP_ZERO;
  map->host_off = rv_align_down (entry, UNIT) + off % UNIT;
  map->host_avail = rv_min_u64 (map->len, map->io->size - map->host_off);
  return 0;
}

/*--- Writing ------------------------------------------------------------*/

static TEST_UNUSED int
test_enable (struct rv_format *format, rawview_error *err)
{
  return 0;
}

static TEST_UNUSED int
test_mark (struct test_writer *w, uint8_t mark, rawview_error *err)
{
  uint8_t sector[512] = { mark };

  return rv_io_pwrite (w->base.io, sector, sizeof sector, 0, err) == -1 ||
                 rv_io_sync (w->base.io, err) == -1
             ? -1
             : 0;
}

static TEST_UNUSED int
test_begin (struct rv_format *format, rawview_error *err)
{
  struct test_writer *w = (struct test_writer *) format;

  if (w->fail_begin)
    return rv_error_errno (err, ENOSPC, "begin");
  atomic_fetch_add (&w->begun, 1);
  return test_mark (w, 1, err);
}

static TEST_UNUSED int
test_end (struct rv_format *format, rawview_error *err)
{
  struct test_writer *w = (struct test_writer *) format;

  atomic_fetch_add (&w->ended, 1);
  return test_mark (w, 0, err);
}

static TEST_UNUSED void
test_widen (struct rv_format *format, uint64_t *off, uint64_t *len)
{
  uint64_t end = rv_div_up (*off + *len, UNIT) * UNIT;

  if (test_is_flat (*off))
    return;
  *off = rv_align_down (*off, UNIT);
  *len = end - *off;
}

static TEST_UNUSED int
test_plan (struct rv_format *format, uint64_t off, uint64_t len,
           struct rv_plan *plan, rawview_error *err)
{
  struct test_writer *w = (struct test_writer *) format;
  uint64_t entry;

  CHECK (atomic_load (&w->begun) > 0);
  if (w->corrupt)
    return rv_error_corrupt (err, "test: the table is not a table");
  *plan = (struct rv_plan){ .off = off,
                            .len = rv_min_u64 (len, test_unit_end (off) - off),
                            .io = w->files[DATA_FILE].io,
                            .fill_off = rv_align_down (off, UNIT),
                            .fill_len = UNIT };
  if (test_is_flat (off)) {
    plan->host_off = test_flat_off (off);
    return 0;
  }
  if (test_load (w, TABLE, off / UNIT, &entry, err) == -1)
    return -1;
  plan->host_off = rv_align_down (entry, UNIT) + off % UNIT;
  if (entry > 1) {
    plan->kind = entry & PENDING ? RV_PLAN_CLAIM : RV_PLAN_IN_PLACE;
    return 0;
  }
  plan->kind = RV_PLAN_FRESH;
  for (uint64_t i = off / UNIT + 1;
       plan->len < len && !test_is_flat (i * UNIT) && plan->fill_len < 8 * UNIT;
       i++) {
    if (test_load (w, TABLE, i, &entry, err) == -1)
      return -1;
    if (entry > 1)
      break;
    plan->fill_len += UNIT;
    plan->len = rv_min_u64 (len, test_unit_end (i * UNIT) - off);
  }
  return 0;
}

/* One that was freed, or as many as are wanted at the end. */
static TEST_UNUSED int
test_find (struct test_writer *w, struct rv_plan *plan, rawview_error *err)
{
  LOCKED (&w->lock);
  if (w->nr_free > 0) {
    plan->host_off = w->free[--w->nr_free];
    plan->fill_len = UNIT;
    plan->len = rv_min_u64 (plan->len, test_unit_end (plan->off) - plan->off);
    return 0;
  }
  if (w->next + plan->fill_len > 256 * UNIT)
    return rv_error_errno (err, ENOSPC, "allocate");
  plan->host_off = w->next;
  w->next += plan->fill_len;
  return 0;
}

static TEST_UNUSED int
test_allocate (struct rv_format *format, struct rv_plan *plan,
               rawview_error *err)
{
  struct test_writer *w = (struct test_writer *) format;

  uint64_t number = atomic_fetch_add (&w->allocations, 1) + 1;

  if (rv_tables_patch (w->base.tables, w->base.io, HOOK, &number, 8,
                       RV_PHASE_HOOK, err) == -1 ||
      test_find (w, plan, err) == -1)
    return -1;
  for (uint64_t i = 0; i < plan->fill_len / UNIT; i++) {
    uint64_t unit = plan->host_off / UNIT + i, count = 0;

    CHECK_OK (test_load (w, COUNTS, unit, &count, err), *err);
    CHECK_EQ_U64 (count, 0);
    if (test_store (w, COUNTS, unit, 1, RV_PHASE_ALLOC, err) == -1)
      return -1;
  }
  plan->host_off += plan->off - plan->fill_off;
  return 0;
}

static TEST_UNUSED void
test_free (struct test_writer *w, struct rv_freed_list *freed, uint64_t off)
{
  struct rv_freed f = { w->files[DATA_FILE].io, off, UNIT };

  CHECK_EQ_INT (rv_freed_list_append (freed, f), 0);
}

static TEST_UNUSED int
test_publish (struct rv_format *format, const struct rv_plan *plan,
              struct rv_freed_list *freed, rawview_error *err)
{
  struct test_writer *w = (struct test_writer *) format;
  uint64_t host = plan->host_off - (plan->off - plan->fill_off);

  test_stand (&w->in_publish, &w->hold_publish);
  for (uint64_t i = 0; i < plan->fill_len / UNIT; i++)
    if (test_store (w, TABLE, plan->fill_off / UNIT + i, host + i * UNIT,
                    RV_PHASE_PUBLISH, err) == -1)
      return -1;
  return 0;
}

static TEST_UNUSED void
test_cancel (struct rv_format *format, const struct rv_plan *plan,
             struct rv_freed_list *freed)
{
  struct test_writer *w = (struct test_writer *) format;
  uint64_t host = plan->host_off - (plan->off - plan->fill_off);

  CHECK (plan->kind == RV_PLAN_FRESH);
  for (uint64_t i = 0; i < plan->fill_len / UNIT; i++)
    test_free (w, freed, host + i * UNIT);
}

static TEST_UNUSED int
test_drop (struct rv_format *format, uint64_t off, uint64_t len,
           enum rv_drop how, struct rv_drop_answer *answer,
           struct rv_freed_list *freed, rawview_error *err)
{
  struct test_writer *w = (struct test_writer *) format;
  uint64_t entry, new = 1;

  answer->len = rv_min_u64 (len, test_unit_end (off) - off);
  answer->io = w->files[DATA_FILE].io;
  answer->host_off = test_flat_off (off);
  answer->punch = true;
  if (test_is_flat (off)) {
    answer->what = RV_DROP_IN_PLACE;
    return 0;
  }
  CHECK_EQ_U64 (off % UNIT, 0);
  answer->what = w->no_drop ? RV_DROP_WRITE : RV_DROPPED;
  if (w->no_drop)
    return 0;
  if (test_load (w, TABLE, off / UNIT, &entry, err) == -1)
    return -1;
  if (entry > 1 && how == RV_DROP_KEEP)
    new = entry | PENDING;
  else if (entry > 1)
    test_free (w, freed, rv_align_down (entry, UNIT));
  return test_store (w, TABLE, off / UNIT, new, RV_PHASE_PUBLISH, err);
}

static TEST_UNUSED bool
test_can_drop (struct rv_format *format, uint64_t off, uint64_t len,
               enum rv_drop how)
{
  return !((struct test_writer *) format)->no_drop;
}

static TEST_UNUSED int
test_release (struct rv_format *format, const struct rv_freed *freed,
              rawview_error *err)
{
  struct test_writer *w = (struct test_writer *) format;
  uint64_t count;

  atomic_fetch_add (&w->releases, 1);
  if (test_load (w, COUNTS, freed->off / UNIT, &count, err) == -1)
    return -1;
  CHECK_EQ_U64 (count, 1);
  CHECK (!w->released[freed->off / UNIT]);
  w->released[freed->off / UNIT] = true;
  return test_store (w, COUNTS, freed->off / UNIT, 0, RV_PHASE_ALLOC, err);
}

static TEST_UNUSED void
test_reuse (struct rv_format *format, const struct rv_freed *freed)
{
  struct test_writer *w = (struct test_writer *) format;

  LOCKED (&w->lock);
  atomic_fetch_add (&w->reuses, 1);
  CHECK (w->released[freed->off / UNIT]);
  w->released[freed->off / UNIT] = false;
  w->free[w->nr_free++] = freed->off;
}

static TEST_UNUSED void
test_files (struct rv_format *format,
            void (*cb) (void *opaque, struct rv_io *io), void *opaque)
{
  struct test_writer *w = (struct test_writer *) format;

  atomic_fetch_add (&w->barriers, 1);
  test_stand (&w->in_barrier, &w->hold_barrier);
  cb (opaque, w->files[TABLE_FILE].io);
  cb (opaque, w->files[DATA_FILE].io);
}

static TEST_UNUSED void
test_mark_corrupt (struct rv_format *format)
{
  atomic_fetch_add (&((struct test_writer *) format)->marked, 1);
}

static TEST_UNUSED const struct rv_format_write_ops test_write_ops = {
  .enable = test_enable,
  .begin = test_begin,
  .widen = test_widen,
  .plan = test_plan,
  .allocate = test_allocate,
  .publish = test_publish,
  .cancel = test_cancel,
  .drop = test_drop,
  .can_drop = test_can_drop,
  .release = test_release,
  .reuse = test_reuse,
  .files = test_files,
  .end = test_end,
  .mark_corrupt = test_mark_corrupt,
};

static TEST_UNUSED const struct rv_format_ops test_writer_ops = {
  .name = "test",
  .map = test_writer_map,
  .write = &test_write_ops,
};

/*--- Opening ------------------------------------------------------------*/

static TEST_UNUSED bool
test_file_open (struct test_writer *w, unsigned i, uint64_t len, uint64_t room)
{
  struct test_file *f = &w->files[i];
  rawview_error err;

  return CHECK_OK (rv_io_ram_new (len, room, i ? "data" : "tables", &f->ram,
                                  &f->bytes, &err),
                   err) &&
         CHECK_OK (rv_io_trace_new (f->ram, i, &w->trace, &f->trace, &err),
                   err) &&
         CHECK_OK (rv_io_faults_new (f->trace, &f->faults, &f->io, &err), err);
}

static TEST_UNUSED bool
test_writer_engine (struct test_writer *w)
{
  struct rv_engine_options opts = { .tables = w->base.tables };
  rawview_error err;

  return CHECK_OK (rv_engine_new (&w->chain, &opts, &w->engine, &err), err) &&
         CHECK_OK (rv_engine_enable_write (w->engine, &err), err);
}

/* room: of the data file */
static TEST_UNUSED bool
test_writer_open (struct test_writer *w, uint64_t room)
{
  rawview_error err;

  memset (w, 0, sizeof *w);
  rv_trace_init (&w->trace);
  pthread_mutex_init (&w->lock, NULL);
  if (!test_file_open (w, TABLE_FILE, COUNTS + 4096, COUNTS + 4096) ||
      !test_file_open (w, DATA_FILE, FLAT * UNIT, room) ||
      !CHECK_OK (rv_tables_new (1 << 20, &w->base.tables, &err), err))
    return false;
  w->next = FLAT * UNIT;
  w->base.ops = &test_writer_ops;
  w->base.io = w->files[TABLE_FILE].io;
  w->base.size = SIZE;
  w->parent_bytes = malloc (SIZE);
  for (uint64_t i = 0; i < SIZE; i++)
    w->parent_bytes[i] = test_parent_byte (i);
  w->parent.ops = &test_parent_ops;
  w->parent.size = SIZE;
  CHECK_OK (
      rv_io_mem_new (w->parent_bytes, SIZE, "parent", &w->parent.io, &err),
      err);
  CHECK (rv_chain_append (&w->chain, &w->base) == 0);
  CHECK (rv_chain_append (&w->chain, &w->parent) == 0);
  return test_writer_engine (w);
}

static TEST_UNUSED void
test_writer_close (struct test_writer *w)
{
  rv_engine_free (w->engine);
  rv_tables_free (w->base.tables);
  for (unsigned i = 0; i < NR_FILES; i++) {
    rv_io_unref (w->files[i].io);
    rv_io_unref (w->files[i].trace);
    rv_io_unref (w->files[i].ram);
  }
  rv_io_unref (w->parent.io);
  free (w->parent_bytes);
  rv_chain_release (&w->chain);
  rv_trace_release (&w->trace);
  pthread_mutex_destroy (&w->lock);
}
#define CLEANUP_WRITER RV_CLEANUP (test_writer_close)

/* What lies on disk: entries of TABLE or COUNTS, past the cache. */
static TEST_UNUSED uint64_t
test_on_disk (const struct test_writer *w, uint64_t table, uint64_t i)
{
  uint64_t entry = UINT64_MAX;

  CHECK_EQ_INT (
      rv_io_pread (w->files[TABLE_FILE].ram, &entry, 8, table + i * 8, NULL),
      0);
  return entry;
}

static TEST_UNUSED bool
test_write (struct test_writer *w, uint8_t byte, size_t len, uint64_t off)
{
  CLEANUP_FREE uint8_t *buf = malloc (len);
  rawview_error err;

  memset (buf, byte, len);
  return CHECK_OK (rv_engine_pwrite (w->engine, buf, len, off, &err), err);
}

static TEST_UNUSED bool
test_flush (struct test_writer *w)
{
  rawview_error err;

  return CHECK_OK (rv_engine_flush (w->engine, &err), err);
}

/* Is what lies on disk whole: each unit counted once, none twice, and, if all
 * is given back, none that nobody uses?
 */
static TEST_UNUSED void
test_check_disk (const struct test_writer *w, bool leaks)
{
  uint64_t used[256] = { 0 };

  for (unsigned i = 0; i < UNITS - FLAT; i++) {
    uint64_t entry = test_on_disk (w, TABLE, i);

    if (entry > 1 && CHECK (entry / UNIT < 256))
      used[entry / UNIT]++;
  }
  for (unsigned i = 0; i < 256; i++) {
    uint64_t count = test_on_disk (w, COUNTS, i);

    CHECK (used[i] <= 1 && used[i] <= count);
    CHECK (leaks || used[i] == count);
  }
}

static TEST_UNUSED uint8_t
test_read (struct test_writer *w, uint64_t off)
{
  uint8_t byte = 0;
  rawview_error err;

  CHECK_OK (rv_engine_pread (w->engine, &byte, 1, off, &err), err);
  return byte;
}

#endif /* RV_TEST_WRITER_H */
