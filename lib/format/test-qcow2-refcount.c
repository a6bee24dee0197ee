/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-qcow2-alloc.h"

#define MAX 40000u

/* Takes n clusters, and writes them as if for guests. */
static void
fill (struct test_ram *t, unsigned n, uint64_t *offs)
{
  static const uint8_t data[64 * CLUSTER];

  for (unsigned i = 0; i < n;) {
    uint64_t got = 0;

    /* One, two, three... a row ends where a block does. */
    REQUIRE_OK (rv_qcow2_alloc (t->q, rv_min_u64 (i % 64 + 1, n - i), &offs[i],
                                &got, &err),
                err);
    REQUIRE (got > 0 && got <= n - i);
    REQUIRE_OK (rv_io_pwrite (t->io, data, got * CLUSTER, offs[i], &err), err);
    for (uint64_t k = 1; k < got; k++)
      offs[i + k] = offs[i] + k * CLUSTER;
    i += got;
  }
}

/* From nothing through blocks and perhaps larger tables, and back. */
static void
fill_and_empty (unsigned order, unsigned n)
{
  static uint64_t offs[MAX];
  CLEANUP_RAM struct test_ram t;

  REQUIRE_OK (test_ram_create (&t, &small, &err), err);
  test_ram_width (&t, order);
  REQUIRE (enable (&t));
  fill (&t, n, offs);
  for (unsigned i = 0; i < n; i += 7)
    CHECK_EQ_U64 (count (&t, offs[i]), 1);
  REQUIRE_OK (test_ram_flush (&t, &err), err);
  for (unsigned i = 0; i < n; i++)
    release (&t, offs[i], CLUSTER);
  REQUIRE_OK (test_ram_flush (&t, &err), err);
  for (unsigned i = 0; i < n; i++)
    reuse (&t, offs[i], CLUSTER);
  /* They all come back, before any new one. */
  fill (&t, n, offs);
  REQUIRE_OK (test_ram_flush (&t, &err), err);
  REQUIRE_OK (rv_qcow2_end_write (t.format, &err), err);
  CHECK_CLEAN (&t, n);
  for (unsigned i = 0; i < n; i++)
    release (&t, offs[i], CLUSTER);
  REQUIRE_OK (rv_qcow2_end_write (t.format, &err), err);
  CHECK_CLEAN (&t, 0);
}

static void
refcounts_of_all_widths_can_be_changed (void)
{
  for (unsigned order = 0; order <= 6; order++)
    fill_and_empty (order, 5000);
}

static void
the_refcount_table_grows_again_and_again (void)
{
  fill_and_empty (4, 20000);
  fill_and_empty (6, MAX);
}

static void
a_larger_table_changes_nothing_else_of_the_header (void)
{
  static uint64_t offs[5000];
  CLEANUP_RAM struct test_ram t;
  uint8_t head[CLUSTER];

  REQUIRE_OK (test_ram_create (&t, &small, &err), err);
  test_ram_width (&t, 6);
  memset (t.bytes + 112, 0xab, CLUSTER - 112);
  memcpy (head, t.bytes, CLUSTER);
  REQUIRE (enable (&t));
  fill (&t, 5000, offs);
  CHECK_MEM_EQ (t.bytes, head, CLUSTER);
  REQUIRE_OK (test_ram_flush (&t, &err), err);
  CHECK (memcmp (t.bytes + 48, head + 48, 12) != 0);
  memcpy (head + 48, t.bytes + 48, 12);
  CHECK_MEM_EQ (t.bytes, head, CLUSTER);
}

/* The handle that has made it knows where it is. */
static void
the_larger_table_is_the_one_that_is_checked (void)
{
  static uint64_t offs[5000];
  CLEANUP_RAM struct test_ram t;
  rawview_check_result result = { 0 };

  REQUIRE_OK (test_ram_create (&t, &small, &err), err);
  test_ram_width (&t, 6);
  REQUIRE (enable (&t));
  fill (&t, 5000, offs);
  REQUIRE_OK (test_ram_flush (&t, &err), err);
  REQUIRE_OK (
      t.format->ops->check (t.format, test_ram_finding, NULL, &result, &err),
      err);
  CHECK_EQ_U64 (result.corruptions, 0);
  CHECK_EQ_U64 (result.leaks, 5000 + 1); /* and the old table, until the end */
}

static void
tables_that_were_made_are_protected (void)
{
  static uint64_t offs[5000];
  CLEANUP_RAM struct test_ram t;
  struct rv_qcow2_writing *w;

  REQUIRE_OK (test_ram_create (&t, &small, &err), err);
  test_ram_width (&t, 6);
  REQUIRE (enable (&t));
  w = t.q->writing;
  fill (&t, 5000, offs);
  for (uint64_t i = 0; i < w->reftable_len; i += 8) {
    uint64_t block = rv_be64 (w->reftable + i);

    if (block != 0 && block != 2 * CLUSTER)
      CHECK_EQ_U64 (rv_qcow2_own_clear (t.q, block, CLUSTER), 0);
  }
  for (uint64_t in = 0; in < w->reftable_len; in += CLUSTER)
    CHECK_EQ_U64 (rv_qcow2_own_clear (t.q, w->reftable_off + in, CLUSTER), 0);
  for (unsigned i = 0; i < 5000; i++)
    CHECK_EQ_U64 (rv_qcow2_own_clear (t.q, offs[i], CLUSTER), CLUSTER);
}

/* Clusters of 2 MiB: blocks and tables of many pieces. */
static void
large_clusters_have_blocks_of_many_pieces (void)
{
  static const struct rv_qcow2_create how = { .size = 1 << 20,
                                              .cluster_bits = 21 };
  CLEANUP_RAM struct test_ram t;
  uint64_t last;

  REQUIRE (begin (&t, &how));
  for (unsigned i = 0; i < 70000; i++)
    take (&t, 1);
  last = take (&t, 1);
  CHECK_EQ_U64 (count (&t, last), 1);
  CHECK_EQ_U64 (count (&t, last - (32769ull << 21)), 1);
  CHECK_EQ_U64 (count (&t, last + (1ull << 21)), 0);
}

/*--- Limits -------------------------------------------------------------*/

static void
a_table_that_may_not_grow_says_so (void)
{
  CLEANUP_RAM struct test_ram t;
  struct rv_qcow2_writing *w;
  uint64_t off, got;

  REQUIRE (begin (&t, &small));
  w = t.q->writing;
  /* 2^20 blocks of 256 clusters. */
  w->next = (1ull << 20) * 256 * CLUSTER;
  CHECK_EQ_INT (rv_qcow2_alloc (t.q, 1, &off, &got, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "disk: *refcount table*8388608*");
  CHECK_EQ_INT (err.errnum, ENOSPC);
  w->next -= 8192 * CLUSTER; /* no room for the new table itself */
  CHECK_EQ_INT (rv_qcow2_alloc (t.q, 1, &off, &got, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "disk: *refcount table*8388608*");
  CHECK_EQ_U64 (w->own.len, 0);
  w->next -= 100000 * CLUSTER;
  CHECK (take (&t, 1) > w->end);
}

static void
a_refcount_stays_between_nothing_and_its_width (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t off;

  REQUIRE_OK (test_ram_create (&t, &small, &err), err);
  test_ram_width (&t, 1);
  REQUIRE (enable (&t));
  off = take (&t, 20);
  CHECK_OK (add (&t, off, 20 * CLUSTER, 1), err);
  CHECK_OK (add (&t, off + 15 * CLUSTER, 1, 1), err);
  CHECK_EQ_INT (add (&t, off, 20 * CLUSTER, 1), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "disk: *refcount 3*2 bits*");
  for (unsigned i = 0; i < 20; i++)
    CHECK_EQ_U64 (count (&t, off + i * CLUSTER), i == 15 ? 3 : 2);
  CHECK_OK (add (&t, off, 20 * CLUSTER, -1), err);
  CHECK_OK (add (&t, off, 3 * CLUSTER, -1), err);
  CHECK_EQ_INT (add (&t, off + 2 * CLUSTER, 4 * CLUSTER, -1), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "disk: *refcount*is 0*");
  CHECK_EQ_U64 (count (&t, off + 3 * CLUSTER), 1);
  CHECK_EQ_INT (add (&t, 1ull << 40, CLUSTER, -1), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "disk: *refcount*is 0*");
  CHECK_EQ_INT (add (&t, UINT64_MAX - 5, CLUSTER, -1), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*impossible*");
}

/* One bit more fails in the second piece: the first is as it was. */
static void
a_range_is_counted_whole_or_not_at_all (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t off;

  REQUIRE (begin (&t, &small));
  off = take (&t, 200);
  release (&t, off + 199 * CLUSTER, CLUSTER);
  CHECK_EQ_INT (add (&t, off, 200 * CLUSTER, -1), -1);
  for (unsigned i = 0; i < 199; i++)
    CHECK_EQ_U64 (count (&t, off + i * CLUSTER), 1);
}

/* Every operation of the storage fails once: what is asked for again then
 * works, and nothing is counted that nobody has got.
 */
static void
a_failure_leaves_all_as_it_was (void)
{
  for (unsigned nth = 1; nth < 12; nth++) {
    CLEANUP_RAM struct test_ram t;
    struct rv_io_faults faults = { .kinds = RV_FAULT_READ,
                                   .errnum = EIO,
                                   .once = true };
    uint64_t off, got;
    unsigned taken = 0;

    REQUIRE_OK (test_ram_create (&t, &small, &err), err);
    test_ram_width (&t, 6);
    REQUIRE_OK (rv_io_faults_new (t.io, &faults, &t.fault, &err), err);
    REQUIRE (enable (&t));
    faults.countdown = nth;
    while (taken < 4200) {
      if (rv_qcow2_alloc (t.q, 50, &off, &got, &err) == -1)
        CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*");
      else {
        static const uint8_t data[50 * CLUSTER];

        taken += got;
        REQUIRE_OK (rv_io_pwrite (t.io, data, got * CLUSTER, off, &err), err);
      }
    }
    REQUIRE_OK (test_ram_flush (&t, &err), err);
    REQUIRE_OK (rv_qcow2_end_write (t.format, &err), err);
    CHECK_CLEAN (&t, taken);
  }
}

/*--- Crashes ------------------------------------------------------------*/

#define CRASH_ROOM (4u << 20)

static uint32_t
random_bits (void)
{
  static uint64_t state = 1;

  state = state * 6364136223846793005u + 1442695040888963407u;
  return state >> 33;
}

/* A file: as the disk has it. */
struct disk {
  uint8_t *bytes;
  uint64_t len;
};

/* Does a write, or some of its sectors. */
static void
replay (struct disk *d, const struct rv_trace_entry *e, bool torn)
{
  for (uint64_t in = 0, n; in < e->len; in += n) {
    n = rv_min_u64 (512 - (e->off + in) % 512, e->len - in);
    if (torn && random_bits () % 2)
      continue;
    REQUIRE (e->off + in + n <= CRASH_ROOM);
    memcpy (d->bytes + e->off + in, e->bytes + in, n);
    d->len = rv_max_u64 (d->len, e->off + in + n);
  }
}

/* After any crash there are leaks at most. */
static void
judge (const struct disk *d)
{
  struct test_ram t = { 0 };

  if (CHECK_OK (rv_io_mem_new (d->bytes, d->len, "crashed", &t.io, &err), err))
    CHECK_EQ_U64 (test_ram_check (&t).corruptions, 0);
  test_ram_release (&t);
}

/* What was written since the last barrier, from entry first on: any part of it
 * may be there.
 */
static void
judge_parts (const struct disk *before, const struct rv_trace *trace,
             size_t first, size_t end)
{
  struct disk d = { calloc (1, CRASH_ROOM) };

  REQUIRE (d.bytes != NULL);
  for (unsigned i = 0; i < 4; i++) {
    memcpy (d.bytes, before->bytes, before->len);
    if (d.len > before->len)
      memset (d.bytes + before->len, 0, d.len - before->len);
    d.len = before->len;
    for (size_t k = first; k < end; k++)
      if (random_bits () % 2)
        replay (&d, &trace->entries[k], i % 2);
    judge (&d);
  }
  free (d.bytes);
}

static void
judge_all (struct disk *d, const struct rv_trace *trace)
{
  size_t first = 0;

  for (size_t i = 0; i < trace->len; i++) {
    if (trace->entries[i].op != RV_TRACE_SYNC)
      continue;
    if (i > first)
      judge_parts (d, trace, first, i);
    for (; first < i; first++)
      replay (d, &trace->entries[first], false);
    first = i + 1;
    judge (d);
  }
}

/* Blocks and tables that grow are safe at each moment; no guest data here. */
static void
crashes_leave_leaks_at_most (void)
{
  CLEANUP_RAM struct test_ram t;
  struct rv_trace trace;
  struct disk d = { calloc (1, CRASH_ROOM) };

  REQUIRE (d.bytes != NULL);
  REQUIRE_OK (test_ram_create (&t, &small, &err), err);
  test_ram_width (&t, 6);
  d.len = t.io->size;
  memcpy (d.bytes, t.bytes, d.len);
  rv_trace_init (&trace);
  REQUIRE_OK (rv_io_trace_new (t.io, 0, &trace, &t.fault, &err), err);
  REQUIRE (enable (&t));
  for (unsigned i = 0; i < 110; i++) {
    uint64_t off = take (&t, 1);

    for (unsigned k = random_bits () % 100; k > 0; k--)
      off = take (&t, 1);
    release (&t, off, CLUSTER);
    REQUIRE_OK (test_ram_flush (&t, &err), err);
  }
  CHECK (((struct rv_qcow2_writing *) t.q->writing)->old_reftables.len > 0);
  REQUIRE_OK (rv_qcow2_end_write (t.format, &err), err);
  judge_all (&d, &trace);
  rv_trace_release (&trace);
  free (d.bytes);
}

int
main (void)
{
  TEST (refcounts_of_all_widths_can_be_changed);
  TEST (the_refcount_table_grows_again_and_again);
  TEST (a_larger_table_changes_nothing_else_of_the_header);
  TEST (the_larger_table_is_the_one_that_is_checked);
  TEST (tables_that_were_made_are_protected);
  TEST (large_clusters_have_blocks_of_many_pieces);
  TEST (a_table_that_may_not_grow_says_so);
  TEST (a_refcount_stays_between_nothing_and_its_width);
  TEST (a_range_is_counted_whole_or_not_at_all);
  TEST (a_failure_leaves_all_as_it_was);
  TEST (crashes_leave_leaks_at_most);
  return test_result ();
}
