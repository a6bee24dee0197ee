/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small QCOW2 images in memory, for the unit tests.  What lies where, in
 * clusters:
 *
 *   0 header   1 refcount table   2 refcount block   3 L1   4 L2   5... free
 *
 * The one L2 table is for the first guest bytes; entries are the test's to
 * fill.
 */

#ifndef RV_TEST_QCOW2_H
#define RV_TEST_QCOW2_H

#include <endian.h>

#include "format/format.h"
#include "format/qcow2-header.h"
#include "format/qcow2-l2.h"
#include "util/test.h"

#define AT_REFTABLE 1u
#define AT_REFBLOCK 2u
#define AT_L1       3u
#define AT_L2       4u
#define AT_FREE     5u

struct test_qcow2 {
  uint8_t *p;
  uint64_t len; /* of the file, may be made smaller */
  unsigned bits;
  bool extended; /* L2 entries */

  struct rv_io *io;
  struct rv_io *fault; /* what the format is opened on, if set */
  struct rv_tables *tables;
  struct rv_warnings warnings;
  struct rv_format_params params;
  struct rv_format *format;

  struct rv_map map; /* the last answer */
  uint64_t damaged;
};

static TEST_UNUSED void
put_be16 (uint8_t *p, uint16_t n)
{
  n = htobe16 (n);
  memcpy (p, &n, sizeof n);
}

static TEST_UNUSED void
put_be32 (uint8_t *p, uint32_t n)
{
  n = htobe32 (n);
  memcpy (p, &n, sizeof n);
}

static TEST_UNUSED void
put_be64 (uint8_t *p, uint64_t n)
{
  n = htobe64 (n);
  memcpy (p, &n, sizeof n);
}

/* A version 3 header of 112 bytes for clusters of 1 << bits bytes. */
static TEST_UNUSED void
put_qcow2_header (uint8_t *p, unsigned bits, uint64_t size)
{
  memset (p, 0, 112);
  memcpy (p, "QFI\xfb", 4);
  put_be32 (p + 4, 3);
  put_be32 (p + 20, bits);
  put_be64 (p + 24, size);
  put_be32 (p + 36, 1);
  put_be64 (p + 40, (uint64_t) AT_L1 << bits);
  put_be64 (p + 48, (uint64_t) AT_REFTABLE << bits);
  put_be32 (p + 56, 1);
  put_be32 (p + 96, 4);
  put_be32 (p + 100, 112);
}

static TEST_UNUSED uint8_t *
test_qcow2_at (struct test_qcow2 *t, uint64_t cluster)
{
  return t->p + (cluster << t->bits);
}

static TEST_UNUSED uint64_t
test_qcow2_cluster (const struct test_qcow2 *t)
{
  return 1ull << t->bits;
}

static TEST_UNUSED void
test_qcow2_init (struct test_qcow2 *t, unsigned bits, uint64_t clusters,
                 uint64_t size)
{
  *t = (struct test_qcow2){ .bits = bits, .len = clusters << bits };
  t->p = calloc (clusters, 1ull << bits);
  put_qcow2_header (t->p, bits, size);
  put_be64 (test_qcow2_at (t, AT_REFTABLE), (uint64_t) AT_REFBLOCK << bits);
  put_be64 (test_qcow2_at (t, AT_L1),
            QCOW2_OFLAG_COPIED | (uint64_t) AT_L2 << bits);
  t->params.max_size = RV_DEFAULT_MAX_SIZE;
}

static TEST_UNUSED void
test_qcow2_make_extended (struct test_qcow2 *t)
{
  t->extended = true;
  put_be64 (t->p + 72, QCOW2_INCOMPAT_EXT_L2);
}

/* The i-th L2 entry. */
static TEST_UNUSED void
test_qcow2_entry (struct test_qcow2 *t, unsigned i, uint64_t entry)
{
  put_be64 (test_qcow2_at (t, AT_L2) + i * (t->extended ? 16 : 8), entry);
}

static TEST_UNUSED void
test_qcow2_bitmap (struct test_qcow2 *t, unsigned i, uint32_t zero,
                   uint32_t alloc)
{
  put_be64 (test_qcow2_at (t, AT_L2) + i * 16 + 8,
            (uint64_t) zero << 32 | alloc);
}

/* Guest cluster i is host cluster c. */
static TEST_UNUSED void
test_qcow2_data (struct test_qcow2 *t, unsigned i, uint64_t c)
{
  test_qcow2_entry (t, i, QCOW2_OFLAG_COPIED | c << t->bits);
  if (t->extended)
    test_qcow2_bitmap (t, i, 0, UINT32_MAX);
}

/* Guest cluster i is compressed in the sectors from off on. */
static TEST_UNUSED void
test_qcow2_compressed (struct test_qcow2 *t, unsigned i, uint64_t off,
                       uint64_t sectors)
{
  test_qcow2_entry (t, i,
                    QCOW2_OFLAG_COMPRESSED |
                        (sectors - 1) << (62 - (t->bits - 8)) | off);
}

static TEST_UNUSED int
test_qcow2_open (struct test_qcow2 *t, rawview_error *err)
{
  *err = (rawview_error){ 0 };
  if (t->io == NULL && rv_io_mem_new (t->p, t->len, "disk", &t->io, err) == -1)
    return -1;
  if (t->tables == NULL && rv_tables_new (1 << 20, &t->tables, err) == -1)
    return -1;
  t->params.tables = t->tables;
  t->params.warnings = &t->warnings;
  return rv_format_qcow2.open (t->fault ? t->fault : t->io, &t->params,
                               &t->format, err);
}

/* Frees what open made, not the bytes. */
static TEST_UNUSED void
test_qcow2_close (struct test_qcow2 *t)
{
  if (t->format)
    t->format->ops->close (t->format);
  t->format = NULL;
  rv_io_unref (t->io);
  t->io = NULL;
  rv_tables_free (t->tables);
  t->tables = NULL;
  rv_warnings_free (&t->warnings);
}

static TEST_UNUSED void
test_qcow2_release (struct test_qcow2 *t)
{
  test_qcow2_close (t);
  free (t->p);
}
#define CLEANUP_QCOW2 RV_CLEANUP (test_qcow2_release)

static TEST_UNUSED int
test_qcow2_map (struct test_qcow2 *t, uint64_t off, uint64_t len,
                rawview_error *err)
{
  *err = (rawview_error){ 0 };
  t->damaged = 0;
  return t->format->ops->map (t->format, off, len, &t->map, &t->damaged, err);
}

/* The checks of an answer; lines are those of the caller. */
#define CHECK_MAP(t, off, want, kind_, len_) \
  do { \
    rawview_error map_err_; \
    if (CHECK_OK (test_qcow2_map ((t), (off), (want), &map_err_), map_err_)) { \
      CHECK_EQ_INT ((t)->map.kind, (kind_)); \
      CHECK_EQ_U64 ((t)->map.len, (len_)); \
    } \
  } while (0)

#define CHECK_DAMAGED(t, off, want, damaged_, pattern) \
  do { \
    rawview_error map_err_; \
    CHECK_EQ_INT (test_qcow2_map ((t), (off), (want), &map_err_), -1); \
    CHECK_ERROR (map_err_, RAWVIEW_ERROR_CORRUPT, pattern); \
    CHECK_EQ_U64 ((t)->damaged, (damaged_)); \
  } while (0)

#endif /* RV_TEST_QCOW2_H */
