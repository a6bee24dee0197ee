/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-qcow2-ram.h"

#define BITS    9u
#define CLUSTER (1ull << BITS)

static rawview_error err;

static const struct rv_qcow2_create small = { .size = 1 << 20,
                                              .cluster_bits = BITS };

/* An empty image, writable. */
static bool
begin (struct test_ram *t, const struct rv_qcow2_create *how)
{
  return CHECK_OK (test_ram_create (t, how, &err), err) &&
         CHECK_OK (test_ram_open (t, &err), err) &&
         CHECK_OK (rv_qcow2_enable_write (t->format, &err), err);
}

static uint64_t
count (struct test_ram *t, uint64_t off)
{
  uint64_t n = 99;

  CHECK_OK (rv_qcow2_refcount (t->q, off, &n, &err), err);
  return n;
}

static void
new_clusters_are_behind_the_file_and_counted (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t off, got, end;

  REQUIRE (begin (&t, &small));
  end = t.io->size;
  REQUIRE_OK (rv_qcow2_alloc (t.q, 3, &off, &got, &err), err);
  CHECK_EQ_U64 (off, end);
  CHECK_EQ_U64 (got, 3);
  CHECK_EQ_U64 (count (&t, off), 1);
  CHECK_EQ_U64 (count (&t, off + 2 * CLUSTER), 1);
  CHECK_EQ_U64 (count (&t, off + 3 * CLUSTER), 0);
  REQUIRE_OK (rv_qcow2_alloc (t.q, 1, &off, &got, &err), err);
  CHECK_EQ_U64 (off, end + 3 * CLUSTER);
  CHECK_EQ_U64 (t.io->size, end); /* nothing is written yet */
}

int
main (void)
{
  TEST (new_clusters_are_behind_the_file_and_counted);
  return test_result ();
}
