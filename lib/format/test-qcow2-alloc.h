/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of allocation and of refcounts share. */

#ifndef RV_TEST_QCOW2_ALLOC_H
#define RV_TEST_QCOW2_ALLOC_H

#include <errno.h>

#include "format/test-qcow2-ram.h"
#include "util/checked.h"

#define BITS    9u
#define CLUSTER (1ull << BITS)

static rawview_error err;

static TEST_UNUSED const struct rv_qcow2_create small = { .size = 1 << 20,
                                                          .cluster_bits =
                                                              BITS };
static TEST_UNUSED const struct rv_qcow2_create large = { .size = 64ull << 30,
                                                          .cluster_bits = 16 };

static TEST_UNUSED bool
enable (struct test_ram *t)
{
  return CHECK_OK (test_ram_open (t, &err), err) &&
         CHECK_OK (rv_qcow2_enable_write (t->format, &err), err);
}

/* An empty image, writable. */
static TEST_UNUSED bool
begin (struct test_ram *t, const struct rv_qcow2_create *how)
{
  return CHECK_OK (test_ram_create (t, how, &err), err) && enable (t);
}

static TEST_UNUSED uint64_t
count (struct test_ram *t, uint64_t off)
{
  uint64_t n = 99;

  CHECK_OK (rv_qcow2_refcount (t->q, off, &n, &err), err);
  return n;
}

/* All that was asked for; -1: failed, 0: less. */
static TEST_UNUSED uint64_t
take (struct test_ram *t, uint64_t want)
{
  uint64_t off = 0, got = 0;

  if (!CHECK_OK (rv_qcow2_alloc (t->q, want, &off, &got, &err), err))
    return UINT64_MAX;
  CHECK_EQ_U64 (got, want);
  return off;
}

static TEST_UNUSED int
add (struct test_ram *t, uint64_t off, uint64_t len, int delta)
{
  struct rv_qcow2_writing *w = t->q->writing;
  LOCKED (&w->alloc_lock);

  return rv_qcow2_refcount_add (t->q, off, len, delta, &err);
}

static TEST_UNUSED void
release (struct test_ram *t, uint64_t off, uint64_t len)
{
  CHECK_OK (
      rv_qcow2_release (t->format, &(struct rv_freed){ t->io, off, len }, &err),
      err);
}

static TEST_UNUSED void
reuse (struct test_ram *t, uint64_t off, uint64_t len)
{
  rv_qcow2_reuse (t->format, &(struct rv_freed){ t->io, off, len });
}

static TEST_UNUSED void
give_back (struct test_ram *t, uint64_t off, uint64_t len)
{
  release (t, off, len);
  reuse (t, off, len);
}

#endif /* RV_TEST_QCOW2_ALLOC_H */
