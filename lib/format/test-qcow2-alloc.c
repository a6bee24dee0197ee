/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-qcow2-alloc.h"

static void
new_clusters_are_behind_the_file_and_counted (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t end;

  REQUIRE (begin (&t, &small));
  end = t.io->size;
  CHECK_EQ_U64 (take (&t, 3), end);
  CHECK_EQ_U64 (count (&t, end), 1);
  CHECK_EQ_U64 (count (&t, end + 2 * CLUSTER), 1);
  CHECK_EQ_U64 (count (&t, end + 3 * CLUSTER), 0);
  CHECK_EQ_U64 (take (&t, 1), end + 3 * CLUSTER);
  CHECK_EQ_U64 (t.io->size, end); /* nothing is written yet */
}

static void
a_last_cluster_that_is_not_whole_is_not_given_out (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t size;

  REQUIRE_OK (test_ram_create (&t, &small, &err), err);
  size = t.io->size;
  REQUIRE_OK (rv_io_pwrite (t.io, "x", 1, size, &err), err);
  REQUIRE (enable (&t));
  CHECK_EQ_U64 (take (&t, 1), size + CLUSTER);
}

static void
clusters_behind_the_end_that_are_counted_are_left_alone (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t end;

  REQUIRE_OK (test_ram_create (&t, &small, &err), err);
  end = t.io->size;
  rv_put_be16 (t.bytes + 2 * CLUSTER + (end / CLUSTER) * 2, 1);
  rv_put_be16 (t.bytes + 2 * CLUSTER + (end / CLUSTER + 1) * 2, 7);
  rv_put_be16 (t.bytes + 2 * CLUSTER + (end / CLUSTER + 4) * 2, 1);
  REQUIRE (enable (&t));
  CHECK_EQ_U64 (take (&t, 2), end + 2 * CLUSTER);
  CHECK_EQ_U64 (take (&t, 4), end + 5 * CLUSTER);
  CHECK_EQ_U64 (count (&t, end), 1);
  CHECK_EQ_U64 (count (&t, end + CLUSTER), 7);
  CHECK_EQ_U64 (count (&t, end + 4 * CLUSTER), 1);
}

/* Three blocks of 64 KiB that say that all 1.5 Mi clusters are in use. */
static void
too_many_of_them_are_refused (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t off, got, end;
  uint8_t *block;

  REQUIRE_OK (test_ram_create (&t, &large, &err), err);
  test_ram_width (&t, 0);
  end = t.io->size;
  block = calloc (3, 1 << 16);
  REQUIRE (block != NULL);
  REQUIRE_OK (rv_io_pwrite (t.io, block, 3 << 16, end, &err), err);
  free (block);
  memset (t.bytes + (2 << 16), 0xff, 1 << 16);
  memset (t.bytes + end, 0xff, 2 << 16);
  rv_put_be64 (t.bytes + (1 << 16) + 8, end);
  rv_put_be64 (t.bytes + (1 << 16) + 16, end + (1 << 16));
  REQUIRE (enable (&t));
  for (unsigned i = 0; i < 2; i++) {
    CHECK_EQ_INT (rv_qcow2_alloc (t.q, 1, &off, &got, &err), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT,
                 "disk: * clusters behind the end *refcounts*");
    CHECK_EQ_INT (err.errnum, ENOSPC);
  }
}

/*--- Given back ---------------------------------------------------------*/

static void
what_is_released_is_not_given_out_before_reuse (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t off, behind;

  REQUIRE (begin (&t, &small));
  off = take (&t, 4);
  release (&t, off + CLUSTER, 2 * CLUSTER);
  CHECK_EQ_U64 (count (&t, off + CLUSTER), 0);
  behind = take (&t, 1);
  CHECK_EQ_U64 (behind, off + 4 * CLUSTER);
  reuse (&t, off + CLUSTER, 2 * CLUSTER);
  CHECK_EQ_U64 (take (&t, 2), off + CLUSTER);
  CHECK_EQ_U64 (take (&t, 1), behind + CLUSTER);
}

static void
what_is_given_back_reads_as_zeros (void)
{
  CLEANUP_RAM struct test_ram t;
  uint8_t data[3 * CLUSTER];
  uint64_t off;

  REQUIRE (begin (&t, &small));
  off = take (&t, 3);
  memset (data, 0x55, sizeof data);
  REQUIRE_OK (rv_io_pwrite (t.io, data, sizeof data, off, &err), err);
  release (&t, off + CLUSTER, 2 * CLUSTER);
  CHECK_EQ_INT (t.bytes[off + CLUSTER], 0x55);
  reuse (&t, off + CLUSTER, 2 * CLUSTER);
  CHECK_EQ_INT (t.bytes[off + CLUSTER - 1], 0x55);
  CHECK_EQ_INT (t.bytes[off + CLUSTER], 0);
  CHECK_EQ_INT (t.bytes[off + 3 * CLUSTER - 1], 0);
}

static void
what_others_still_have_is_not_given_out (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t off;

  REQUIRE (begin (&t, &small));
  off = take (&t, 3);
  REQUIRE_OK (add (&t, off + CLUSTER, CLUSTER, 1), err);
  give_back (&t, off, 3 * CLUSTER);
  CHECK_EQ_U64 (count (&t, off + CLUSTER), 1);
  CHECK_EQ_U64 (take (&t, 1), off);
  CHECK_EQ_U64 (take (&t, 1), off + 2 * CLUSTER);
  CHECK_EQ_U64 (take (&t, 1), off + 3 * CLUSTER);
}

/* Two compressed clusters share one: readers of the second may still be there
 * when those of the first have left.
 */
static void
a_shared_cluster_waits_for_the_last_reader (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t off;

  REQUIRE (begin (&t, &small));
  off = take (&t, 1);
  REQUIRE_OK (add (&t, off, CLUSTER, 1), err);
  release (&t, off, 100);
  release (&t, off + 100, 200);
  reuse (&t, off, 100);
  CHECK_EQ_U64 (take (&t, 1), off + CLUSTER);
  reuse (&t, off + 100, 200);
  CHECK_EQ_U64 (take (&t, 1), off);
}

/* The same when two entries had the very same range. */
static void
a_range_that_two_had_waits_for_the_second (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t off;

  REQUIRE (begin (&t, &small));
  off = take (&t, 1);
  REQUIRE_OK (add (&t, off, CLUSTER, 1), err);
  release (&t, off, CLUSTER);
  release (&t, off, CLUSTER);
  reuse (&t, off, CLUSTER);
  CHECK_EQ_U64 (take (&t, 1), off + CLUSTER);
  reuse (&t, off, CLUSTER);
  CHECK_EQ_U64 (take (&t, 1), off);
}

/* A compressed cluster of a few bytes may touch two host clusters. */
static void
all_clusters_that_bytes_touch_are_released (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t off;

  REQUIRE (begin (&t, &small));
  off = take (&t, 3);
  give_back (&t, off + CLUSTER - 1, 2);
  CHECK_EQ_U64 (count (&t, off), 0);
  CHECK_EQ_U64 (count (&t, off + CLUSTER), 0);
  CHECK_EQ_U64 (count (&t, off + 2 * CLUSTER), 1);
  CHECK_EQ_U64 (take (&t, 2), off);
}

static void
what_was_not_released_is_not_reused (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t off;

  REQUIRE (begin (&t, &small));
  off = take (&t, 2);
  reuse (&t, off, CLUSTER);
  CHECK_EQ_U64 (take (&t, 1), off + 2 * CLUSTER);
  CHECK_EQ_U64 (count (&t, off), 1);
}

static void
tables_cannot_be_released (void)
{
  CLEANUP_RAM struct test_ram t;
  struct rv_freed header = { NULL, 0, CLUSTER }, l1 = { NULL, 3 * CLUSTER, 1 },
                  block = { NULL, 3 * CLUSTER - 1, 1 };

  REQUIRE (begin (&t, &small));
  CHECK_EQ_INT (rv_qcow2_release (t.format, &header, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*the header is there*");
  CHECK_EQ_INT (rv_qcow2_release (t.format, &l1, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*the L1 table is there*");
  CHECK_EQ_INT (rv_qcow2_release (t.format, &block, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*a refcount block is there*");
  CHECK_EQ_U64 (count (&t, 0), 1);
  CHECK_EQ_U64 (count (&t, 2 * CLUSTER), 1);
}

static void
a_table_of_this_run_cannot_be_released (void)
{
  CLEANUP_RAM struct test_ram t;
  struct rv_freed table;
  uint64_t off;

  REQUIRE (begin (&t, &small));
  REQUIRE_OK (rv_qcow2_alloc_table (t.q, &off, &err), err);
  CHECK_EQ_U64 (rv_qcow2_own_clear (t.q, off, CLUSTER), 0);
  CHECK_EQ_U64 (rv_qcow2_own_clear (t.q, off + CLUSTER - 1, 5), 0);
  CHECK_EQ_U64 (rv_qcow2_own_clear (t.q, off + CLUSTER, 5), 5);
  CHECK_EQ_U64 (rv_qcow2_own_clear (t.q, off - 7, 50), 7);
  table = (struct rv_freed){ NULL, off + CLUSTER - 512, 1024 };
  CHECK_EQ_INT (rv_qcow2_release (t.format, &table, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*a new table is there*");
  CHECK_EQ_U64 (count (&t, off), 1);
  rv_qcow2_own_remove (t.q, off);
  release (&t, off, CLUSTER);
  reuse (&t, off, CLUSTER);
  CHECK_EQ_U64 (take (&t, 1), off);
}

static void
adjoining_freed_clusters_become_one_range_but_bytes_do_not (void)
{
  CLEANUP_RAM struct test_ram t;
  struct rv_freed_list list = { 0 };

  REQUIRE (begin (&t, &small));
  CHECK_OK (rv_qcow2_freed (t.q, &list, 8 * CLUSTER, CLUSTER, &err), err);
  CHECK_OK (rv_qcow2_freed (t.q, &list, 9 * CLUSTER, CLUSTER, &err), err);
  CHECK_EQ_U64 (list.len, 1);
  CHECK_EQ_U64 (list.ptr[0].len, 2 * CLUSTER);
  CHECK_OK (rv_qcow2_freed (t.q, &list, 10 * CLUSTER, 100, &err), err);
  CHECK_OK (rv_qcow2_freed (t.q, &list, 10 * CLUSTER + 100, 100, &err), err);
  CHECK_EQ_U64 (list.len, 3);
  rv_freed_list_release (&list);
}

/* Each second cluster of many, so that nothing adjoins: this must not take
 * time by their square.
 */
static void
many_scattered_clusters_come_and_go_quickly (void)
{
  static uint64_t offs[100000];
  const unsigned n = sizeof offs / sizeof offs[0];
  CLEANUP_RAM struct test_ram t;
  uint64_t end;

  REQUIRE (begin (&t, &large));
  for (unsigned i = 0; i < n; i++) {
    offs[i] = take (&t, 1);
    take (&t, 1);
  }
  end = ((struct rv_qcow2_writing *) t.q->writing)->next;
  for (unsigned i = 0; i < n; i++)
    release (&t, offs[i], 1 << 16);
  for (unsigned i = 0; i < n; i++)
    reuse (&t, offs[i], 1 << 16);
  for (unsigned i = 0; i < n; i++) {
    uint64_t one = take (&t, 1);

    CHECK (one < end);
    give_back (&t, one, 1 << 16);
  }
  for (unsigned i = 0; i < n; i++)
    CHECK (take (&t, 1) < end);
  CHECK_EQ_U64 (take (&t, 64), end);
}

/*--- Threads ------------------------------------------------------------*/

#define THREADS    4u
#define PER_THREAD 600u

struct thread {
  pthread_t id;
  struct test_ram *t;
  unsigned nr;
  uint64_t offs[PER_THREAD];
};

/* Takes clusters, gives each third back, asks about the others. */
static void *
run (void *opaque)
{
  struct thread *thread = opaque;
  struct test_ram *t = thread->t;
  rawview_error e;

  for (unsigned i = 0; i < PER_THREAD; i++) {
    uint64_t *off = &thread->offs[i], n = 1, len = CLUSTER;
    bool own;

    if (i % 5 == thread->nr)
      CHECK_OK (rv_qcow2_alloc_table (t->q, off, &e), e);
    else
      CHECK_OK (rv_qcow2_alloc (t->q, 1, off, &n, &e), e);
    CHECK_EQ_U64 (n, 1);
    if (i % 5 != thread->nr) {
      CHECK_OK (rv_io_pwrite (t->io, "", 1, *off, &e), e);
      CHECK_OK (rv_qcow2_protect (t->q, *off, &len, &own, &e), e);
      CHECK (own);
    }
    if (i % 3 == 0) {
      struct rv_freed freed = { t->io, *off, CLUSTER };

      rv_qcow2_own_remove (t->q, *off);
      *off = 0;
      CHECK_OK (rv_qcow2_release (t->format, &freed, &e), e);
      rv_qcow2_reuse (t->format, &freed);
    }
  }
  return NULL;
}

static int
compare (const void *a, const void *b)
{
  const uint64_t *x = a, *y = b;

  return *x < *y ? -1 : *x > *y;
}

static void
no_two_threads_get_the_same_cluster (void)
{
  static struct thread threads[THREADS];
  static uint64_t all[THREADS * PER_THREAD];
  CLEANUP_RAM struct test_ram t;

  REQUIRE_OK (test_ram_create (&t, &small, &err), err);
  test_ram_width (&t, 6);
  REQUIRE (enable (&t));
  for (unsigned i = 0; i < THREADS; i++) {
    threads[i].t = &t;
    threads[i].nr = i;
    REQUIRE (pthread_create (&threads[i].id, NULL, run, &threads[i]) == 0);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    pthread_join (threads[i].id, NULL);
    memcpy (all + i * PER_THREAD, threads[i].offs, sizeof threads[i].offs);
  }
  qsort (all, THREADS * PER_THREAD, sizeof *all, compare);
  for (unsigned i = 1; i < THREADS * PER_THREAD; i++)
    CHECK (all[i] == 0 || all[i - 1] != all[i]);
}

int
main (void)
{
  TEST (new_clusters_are_behind_the_file_and_counted);
  TEST (a_last_cluster_that_is_not_whole_is_not_given_out);
  TEST (clusters_behind_the_end_that_are_counted_are_left_alone);
  TEST (too_many_of_them_are_refused);
  TEST (what_is_released_is_not_given_out_before_reuse);
  TEST (what_is_given_back_reads_as_zeros);
  TEST (what_others_still_have_is_not_given_out);
  TEST (a_shared_cluster_waits_for_the_last_reader);
  TEST (a_range_that_two_had_waits_for_the_second);
  TEST (all_clusters_that_bytes_touch_are_released);
  TEST (what_was_not_released_is_not_reused);
  TEST (tables_cannot_be_released);
  TEST (a_table_of_this_run_cannot_be_released);
  TEST (adjoining_freed_clusters_become_one_range_but_bytes_do_not);
  TEST (many_scattered_clusters_come_and_go_quickly);
  TEST (no_two_threads_get_the_same_cluster);
  return test_result ();
}
