/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2 images in writable memory, for the unit tests of the writer. */

#ifndef RV_TEST_QCOW2_RAM_H
#define RV_TEST_QCOW2_RAM_H

#include "format/qcow2-refcount.h"
#include "format/qcow2-write.h"
#include "util/test.h"

struct test_ram {
  struct rv_io *io;
  struct rv_io *fault; /* what the format is opened on, if set */
  uint8_t *bytes;
  struct rv_tables *tables;
  struct rv_warnings warnings;
  struct rv_format_params params;
  struct rv_format *format;
  struct rv_qcow2 *q; /* the same */
};

#define RAM_ROOM (64u << 20)

static TEST_UNUSED int
test_ram_open (struct test_ram *t, rawview_error *err)
{
  int r;

  *err = (rawview_error){ 0 };
  if (t->tables == NULL && rv_tables_new (1 << 20, &t->tables, err) == -1)
    return -1;
  t->params.max_size = RV_DEFAULT_MAX_SIZE;
  t->params.tables = t->tables;
  t->params.warnings = &t->warnings;
  r = rv_format_qcow2.open (t->fault ? t->fault : t->io, &t->params, &t->format,
                            err);
  t->q = (struct rv_qcow2 *) t->format;
  return r;
}

/* An empty image; it can be changed before it is opened. */
static TEST_UNUSED int
test_ram_create (struct test_ram *t, const struct rv_qcow2_create *how,
                 rawview_error *err)
{
  *t = (struct test_ram){ 0 };
  *err = (rawview_error){ 0 };
  if (rv_io_ram_new (0, RAM_ROOM, "disk", &t->io, &t->bytes, err) == -1)
    return -1;
  return rv_qcow2_create (t->io, how, err);
}

/* Refcounts of another width, in an image that is just created and has one
 * refcount block.
 */
static TEST_UNUSED void
test_ram_width (struct test_ram *t, unsigned order)
{
  unsigned bits = rv_be32 (t->bytes + 20);
  uint8_t *block = t->bytes + (2ull << bits);

  rv_put_be32 (t->bytes + 96, order);
  memset (block, 0, 1ull << bits);
  for (uint64_t i = 0; i < t->io->size >> bits; i++)
    rv_qcow2_refcount_set (block, i, order, 1);
}

/* Keeps the bytes. */
static TEST_UNUSED void
test_ram_close (struct test_ram *t)
{
  if (t->format)
    t->format->ops->close (t->format);
  t->format = NULL;
  t->q = NULL;
  rv_tables_free (t->tables);
  t->tables = NULL;
  rv_warnings_free (&t->warnings);
}

static TEST_UNUSED void
test_ram_release (struct test_ram *t)
{
  test_ram_close (t);
  rv_io_unref (t->fault);
  rv_io_unref (t->io);
}
#define CLEANUP_RAM RV_CLEANUP (test_ram_release)

/* An epoch: all changed tables are written, with its barriers. */
static TEST_UNUSED int
test_ram_flush (struct test_ram *t, rawview_error *err)
{
  struct rv_frozen *frozen;
  unsigned done;
  int r = 0;

  if (rv_tables_freeze (t->tables, &frozen, err) == -1)
    return -1;
  for (done = 0; done < RV_NR_PHASES; done++) {
    r = rv_frozen_write (t->tables, frozen, done, err);
    if (r == 0)
      r = rv_io_sync (t->q->base.io, err);
    if (r == -1)
      break;
  }
  rv_tables_thaw (t->tables, frozen, done);
  return r;
}

static TEST_UNUSED void
test_ram_finding (void *opaque, rawview_finding finding, const char *msg)
{
  if (opaque)
    fprintf (stderr, "# %s\n", msg);
}

/* What our own checker says about the bytes as they are. */
static TEST_UNUSED rawview_check_result
test_ram_check (struct test_ram *t)
{
  rawview_check_result result = { 0 };
  rawview_error err;
  struct test_ram other = { .io = t->io };

  if (CHECK_OK (test_ram_open (&other, &err), err))
    CHECK_OK (rv_format_qcow2.check (other.format, test_ram_finding, NULL,
                                     &result, &err),
              err);
  test_ram_close (&other);
  return result;
}

#define CHECK_CLEAN(t, leaks_) \
  do { \
    rawview_check_result result_ = test_ram_check (t); \
    CHECK_EQ_U64 (result_.corruptions, 0); \
    CHECK_EQ_U64 (result_.check_errors, 0); \
    CHECK_EQ_U64 (result_.leaks, (leaks_)); \
  } while (0)

#endif /* RV_TEST_QCOW2_RAM_H */
