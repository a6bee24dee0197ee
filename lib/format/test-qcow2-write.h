/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2 images in memory that are written: what the engine would do, in the
 * simplest way.  Guest bytes are read through the map; compressed clusters are
 * not decoded: they read as a byte that depends on their offset, and so does
 * the parent.
 */

#ifndef RV_TEST_QCOW2_WRITE_H
#define RV_TEST_QCOW2_WRITE_H

#include "format/qcow2-snapshot.h"
#include "format/qcow2-write.h"
#include "format/test-qcow2.h"

#define ROOM (64u << 20) /* for files to grow */

struct test_writer {
  struct test_qcow2 t;
  uint8_t *disk; /* the file's bytes */
  struct rv_freed_list freed;
  unsigned plans;              /* of the last write */
  struct rv_io_faults *faults; /* if set, what the format is opened on has them
                                */
};

static rawview_error err;

static TEST_UNUSED struct rv_qcow2 *
writer_qcow2 (struct test_writer *w)
{
  return (struct rv_qcow2 *) w->t.format;
}

static TEST_UNUSED const struct rv_format_write_ops *
writer_ops (struct test_writer *w)
{
  return w->t.format->ops->write;
}

/*--- Images -------------------------------------------------------------*/

/* Host cluster c is named n times. */
static TEST_UNUSED void
test_refcount (struct test_qcow2 *t, uint64_t c, uint16_t n)
{
  put_be16 (test_qcow2_at (t, AT_REFBLOCK) + c * 2, n);
}

/* An image of clusters host clusters, all tables counted, the rest free. */
static TEST_UNUSED void
writer_init (struct test_writer *w, unsigned bits, uint64_t clusters,
             uint64_t size)
{
  *w = (struct test_writer){ .freed = { 0 } };
  test_qcow2_init (&w->t, bits, clusters, size);
  for (unsigned c = 0; c < AT_FREE; c++)
    test_refcount (&w->t, c, 1);
}

/* Guest cluster i is host cluster c, full of the byte. */
static TEST_UNUSED void
writer_data (struct test_writer *w, unsigned i, uint64_t c, uint8_t byte)
{
  test_qcow2_data (&w->t, i, c);
  test_refcount (&w->t, c, 1);
  memset (test_qcow2_at (&w->t, c), byte, test_qcow2_cluster (&w->t));
}

/* The bytes of all so far become those of a snapshot: its L1 table is in
 * cluster at, its table in the next.  Only the one L2 table is followed.
 */
static TEST_UNUSED void
writer_snapshot (struct test_writer *w, uint64_t at, uint64_t size)
{
  struct test_qcow2 *t = &w->t;
  unsigned step = t->extended ? 16 : 8;
  uint8_t *p = test_qcow2_at (t, at + 1);

  put_be64 (test_qcow2_at (t, AT_L1), (uint64_t) AT_L2 << t->bits);
  put_be64 (test_qcow2_at (t, at), (uint64_t) AT_L2 << t->bits);
  test_refcount (t, AT_L2, 2);
  test_refcount (t, at, 1);
  test_refcount (t, at + 1, 1);
  for (uint8_t *e = test_qcow2_at (t, AT_L2); e < test_qcow2_at (t, AT_L2 + 1);
       e += step) {
    uint64_t entry = rv_be64 (e), c = (entry & QCOW2_OFFSET_MASK) >> t->bits;

    if (entry & QCOW2_OFLAG_COMPRESSED || c == 0)
      continue;
    put_be64 (e, entry & ~QCOW2_OFLAG_COPIED);
    test_refcount (t, c, 2);
  }
  put_be64 (p, at << t->bits);
  put_be32 (p + 8, 1);
  put_be16 (p + 12, 1);
  put_be16 (p + 14, 1);
  put_be32 (p + 36, 16);
  put_be64 (p + 48, size);
  memcpy (p + 56, "1s", 2);
  put_be32 (t->p + 60, 1);
  put_be64 (t->p + 64, (at + 1) << t->bits);
}

static TEST_UNUSED int
writer_open (struct test_writer *w)
{
  if (rv_io_ram_new (w->t.len, ROOM, "disk", &w->t.io, &w->disk, &err) == -1)
    return -1;
  memcpy (w->disk, w->t.p, w->t.len);
  if (w->faults &&
      rv_io_faults_new (w->t.io, w->faults, &w->t.fault, &err) == -1)
    return -1;
  if (test_qcow2_open (&w->t, &err) == -1 ||
      writer_ops (w)->enable (w->t.format, &err) == -1)
    return -1;
  return writer_ops (w)->begin (w->t.format, &err);
}

static TEST_UNUSED void
writer_add_parent (struct test_writer *w)
{
  CHECK_EQ_INT (
      rv_refs_add (&w->t.format->refs, RV_REF_PARENT, "base", "raw", false), 0);
}

static TEST_UNUSED void
writer_release (struct test_writer *w)
{
  rv_freed_list_release (&w->freed);
  rv_io_unref (w->t.fault);
  test_qcow2_release (&w->t);
}
#define CLEANUP_WRITER RV_CLEANUP (writer_release)

/*--- Reading ------------------------------------------------------------*/

static TEST_UNUSED uint8_t
parent_byte (const struct rv_format *format, uint64_t off)
{
  for (size_t i = 0; i < format->refs.len; i++)
    if (format->refs.ptr[i].role == RV_REF_PARENT)
      return 0x80 | (off >> 9 & 0x3f);
  return 0;
}

static TEST_UNUSED uint8_t
compressed_byte (uint64_t unit_off)
{
  return 0x41 + (unit_off >> 9) % 23;
}

static TEST_UNUSED int
writer_read_run (struct test_writer *w, uint64_t off, const struct rv_map *map,
                 uint8_t *buf)
{
  uint64_t n = map->host_avail ? map->host_avail : map->len;

  memset (buf, 0, map->len);
  switch (map->kind) {
  case RV_MAP_ZERO:
    return 0;
  case RV_MAP_DATA:
    return rv_io_pread (map->io, buf, n < map->len ? n : map->len,
                        map->host_off, &err);
  case RV_MAP_COMPRESSED:
    memset (buf, compressed_byte (map->unit_off), map->len);
    return 0;
  case RV_MAP_PARENT:
    for (uint64_t i = 0; i < map->len; i++)
      buf[i] = parent_byte (w->t.format, off + i);
    return 0;
  }
  return -1;
}

/* What the guest reads; zeros beyond the disk's end. */
static TEST_UNUSED int
writer_read (struct test_writer *w, uint64_t off, uint64_t len, uint8_t *buf)
{
  uint64_t size = w->t.format->size;

  memset (buf, 0, len);
  if (off >= size)
    return 0;
  if (len > size - off)
    len = size - off;
  while (len > 0) {
    if (test_qcow2_map (&w->t, off, len, &err) == -1 ||
        writer_read_run (w, off, &w->t.map, buf) == -1)
      return -1;
    buf += w->t.map.len;
    off += w->t.map.len;
    len -= w->t.map.len;
  }
  return 0;
}

/*--- Writing ------------------------------------------------------------*/

static TEST_UNUSED int
writer_plan (struct test_writer *w, uint64_t off, uint64_t len,
             struct rv_plan *plan)
{
  err = (rawview_error){ 0 };
  return writer_ops (w)->plan (w->t.format, off, len, plan, &err);
}

/* Fills what the plan asks for and writes buf, the request's bytes at its
 * offset.
 */
static TEST_UNUSED int
writer_move (struct test_writer *w, const struct rv_plan *plan,
             const uint8_t *buf)
{
  CLEANUP_FREE uint8_t *fill = NULL;

  if (plan->kind == RV_PLAN_IN_PLACE)
    return rv_io_pwrite (plan->io, buf, plan->len, plan->host_off, &err);
  CHECK (plan->fill_off <= plan->off &&
         plan->off + plan->len <= plan->fill_off + plan->fill_len);
  fill = malloc (plan->fill_len);
  if (writer_read (w, plan->fill_off, plan->fill_len, fill) == -1)
    return -1;
  memcpy (fill + (plan->off - plan->fill_off), buf, plan->len);
  return rv_io_pwrite (plan->io, fill, plan->fill_len,
                       plan->host_off - (plan->off - plan->fill_off), &err);
}

static TEST_UNUSED int
writer_step (struct test_writer *w, struct rv_plan *plan, const uint8_t *buf)
{
  bool fresh = plan->kind == RV_PLAN_FRESH;

  if (fresh && writer_ops (w)->allocate (w->t.format, plan, &err) == -1)
    return -1;
  if (writer_move (w, plan, buf) == 0 &&
      (plan->kind == RV_PLAN_IN_PLACE ||
       writer_ops (w)->publish (w->t.format, plan, &w->freed, &err) == 0))
    return 0;
  if (fresh)
    writer_ops (w)->cancel (w->t.format, plan, &w->freed);
  return -1;
}

static TEST_UNUSED int
writer_write (struct test_writer *w, uint64_t off, uint64_t len,
              const uint8_t *buf)
{
  w->plans = 0;
  while (len > 0) {
    struct rv_plan plan;

    if (writer_plan (w, off, len, &plan) == -1)
      return -1;
    w->plans++;
    if (!CHECK (plan.off == off && plan.len > 0 && plan.len <= len))
      return -1;
    if (writer_step (w, &plan, buf) == -1)
      return -1;
    off += plan.len;
    len -= plan.len;
    buf += plan.len;
  }
  return 0;
}

static TEST_UNUSED int
writer_write_byte (struct test_writer *w, uint64_t off, uint64_t len,
                   uint8_t byte)
{
  CLEANUP_FREE uint8_t *buf = malloc (len);

  memset (buf, byte, len);
  return writer_write (w, off, len, buf);
}

/* Of whole clusters.  1: some of it has to be written. */
static TEST_UNUSED int
writer_drop (struct test_writer *w, uint64_t off, uint64_t len,
             enum rv_drop how)
{
  int r = 0;

  err = (rawview_error){ 0 };
  while (len > 0) {
    struct rv_drop_answer answer;

    if (writer_ops (w)->drop (w->t.format, off, len, how, &answer, &w->freed,
                              &err) == -1)
      return -1;
    if (!CHECK (answer.len > 0 && answer.len <= len))
      return -1;
    CHECK (answer.what != RV_DROP_IN_PLACE);
    r |= answer.what == RV_DROP_WRITE;
    off += answer.len;
    len -= answer.len;
  }
  return r;
}

/*--- Flushing -----------------------------------------------------------*/

static TEST_UNUSED int
writer_write_tables (struct test_writer *w)
{
  struct rv_frozen *frozen;
  int r = 0;

  if (rv_tables_freeze (w->t.tables, &frozen, &err) == -1)
    return -1;
  if (frozen == NULL)
    return 0;
  for (enum rv_phase phase = 0; phase < RV_NR_PHASES && r == 0; phase++)
    r = rv_frozen_write (w->t.tables, frozen, phase, &err);
  rv_tables_thaw (w->t.tables, frozen, RV_NR_PHASES);
  return r;
}

/* As two epochs in a row: the refcounts of what was freed are durable, and it
 * may be reused.
 */
static TEST_UNUSED int
writer_flush (struct test_writer *w)
{
  struct rv_freed_list freed = w->freed;
  int r = writer_write_tables (w);

  w->freed = (struct rv_freed_list){ 0 };
  for (size_t i = 0; i < freed.len && r == 0; i++)
    r = writer_ops (w)->release (w->t.format, &freed.ptr[i], &err);
  if (r == 0)
    r = writer_write_tables (w);
  for (size_t i = 0; i < freed.len && r == 0; i++)
    writer_ops (w)->reuse (w->t.format, &freed.ptr[i]);
  rv_freed_list_release (&freed);
  return r;
}

static TEST_UNUSED void
writer_finding (void *opaque, rawview_finding finding, const char *msg)
{
  TEST_FAIL ("check: %s", msg);
}

/* Everything durable, closed; what is in the file is right. */
static TEST_UNUSED void
writer_check (struct test_writer *w)
{
  rawview_check_result result = { 0 };

  REQUIRE_OK (writer_flush (w), err);
  CHECK_EQ_U64 (w->freed.len, 0);
  REQUIRE_OK (writer_ops (w)->end (w->t.format, &err), err);
  REQUIRE_OK (w->t.format->ops->check (w->t.format, writer_finding, NULL,
                                       &result, &err),
              err);
  CHECK_EQ_U64 (result.corruptions, 0);
  CHECK_EQ_U64 (result.leaks, 0);
}

/* The L2 entry of guest cluster i as it is in the file. */
static TEST_UNUSED uint64_t
entry_on_disk (const struct test_writer *w, unsigned i)
{
  return rv_be64 (w->disk + ((uint64_t) AT_L2 << w->t.bits) +
                  i * (w->t.extended ? 16 : 8));
}

static TEST_UNUSED uint64_t
refcount (struct test_writer *w, uint64_t cluster)
{
  uint64_t n = 0;

  CHECK_OK (
      rv_qcow2_refcount (writer_qcow2 (w), cluster << w->t.bits, &n, &err),
      err);
  return n;
}

#define CHECK_GUEST(w, off, len, byte) \
  do { \
    CLEANUP_FREE uint8_t *guest_ = malloc (len); \
    CLEANUP_FREE uint8_t *want_ = malloc (len); \
    memset (want_, (byte), (len)); \
    if (CHECK_OK (writer_read ((w), (off), (len), guest_), err)) \
      CHECK_MEM_EQ (guest_, want_, (len)); \
  } while (0)

#define CHECK_PLAN(w, off_, len_, plan, kind_, plan_len) \
  do { \
    REQUIRE_OK (writer_plan ((w), (off_), (len_), (plan)), err); \
    CHECK_EQ_INT ((plan)->kind, (kind_)); \
    CHECK_EQ_U64 ((plan)->len, (plan_len)); \
  } while (0)

#endif /* RV_TEST_QCOW2_WRITE_H */
