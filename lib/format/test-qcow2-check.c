/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-qcow2.h"

#define BITS     9u
#define CLUSTER  (1u << BITS)
#define SIZE     (64u * CLUSTER)
#define CLUSTERS 16u

static rawview_error err;
static rawview_check_result result;
static char findings[4096]; /* lines */

static void
find (void *opaque, rawview_finding finding, const char *msg)
{
  size_t n = strlen (findings);

  CHECK (strpbrk (msg, "\n\033") == NULL);
  snprintf (findings + n, sizeof findings - n, "%c %s\n", "CLE"[finding], msg);
}

static void
set_refcount (struct test_qcow2 *t, unsigned cluster, uint16_t n)
{
  put_be16 (test_qcow2_at (t, AT_REFBLOCK) + cluster * 2, n);
}

/* An image with nothing wrong: one cluster of data and two of zeros. */
static void
begin (struct test_qcow2 *t)
{
  test_qcow2_init (t, BITS, CLUSTERS, SIZE);
  test_qcow2_data (t, 0, AT_FREE);
  test_qcow2_entry (t, 1, QCOW2_OFLAG_ZERO);
  test_qcow2_entry (
      t, 2, QCOW2_OFLAG_COPIED | QCOW2_OFLAG_ZERO | (AT_FREE + 1) << BITS);
  for (unsigned i = 0; i <= AT_FREE + 1; i++)
    set_refcount (t, i, 1);
}

static int
check (struct test_qcow2 *t)
{
  findings[0] = '\0';
  result = (rawview_check_result){ 0 };
  test_qcow2_close (t);
  if (test_qcow2_open (t, &err) == -1)
    return -1;
  return t->format->ops->check (t->format, find, NULL, &result, &err);
}

#define CHECK_FINDINGS(t, corruptions_, leaks_, pattern) \
  do { \
    CHECK_OK (check (t), err); \
    CHECK_EQ_U64 (result.corruptions, (corruptions_)); \
    CHECK_EQ_U64 (result.leaks, (leaks_)); \
    CHECK_STR_MATCH (findings, (pattern)); \
  } while (0)

static void
a_good_image_has_no_findings (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  CHECK_FINDINGS (&t, 0, 0, "");
  CHECK_EQ_U64 (result.check_errors, 0);
  CHECK_EQ_U64 (result.total_clusters, 64);
  CHECK_EQ_U64 (result.allocated_clusters, 2);
  CHECK_EQ_U64 (result.compressed_clusters, 0);
  CHECK_EQ_U64 (result.image_end_offset, (AT_FREE + 2) * CLUSTER);
}

static void
unused_clusters_with_a_refcount_are_leaks (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  set_refcount (&t, 10, 1);
  set_refcount (&t, AT_FREE, 2);
  CHECK_FINDINGS (&t, 1, 2, "*L leaked cluster 10: refcount 1, 0 users*");
}

static void
used_clusters_with_too_low_a_refcount_are_corruptions (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  set_refcount (&t, AT_L1, 0);
  CHECK_FINDINGS (&t, 1, 0, "C cluster 3 has refcount 0 but 1 users\n");
}

static void
two_entries_for_one_cluster_are_two_users (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_data (&t, 5, AT_FREE);
  CHECK_FINDINGS (&t, 1, 0,
                  "C guest offsets 0 and * are both stored at host offset *, "
                  "which has refcount 1\n");
  set_refcount (&t, AT_FREE, 2);
  CHECK_FINDINGS (&t, 2, 0, "C *COPIED flag*refcount is 2\nC *\n");
}

/* Told once, and also if the refcount counts both. */
static void
a_cluster_on_top_of_a_table_is_a_corruption (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_data (&t, 5, AT_L2);
  CHECK_FINDINGS (&t, 1, 0, "C the L2 entry for guest offset * an L2 table\n");
  test_qcow2_entry (&t, 5, AT_L2 << BITS);
  set_refcount (&t, AT_L2, 2);
  put_be64 (test_qcow2_at (&t, AT_L1), AT_L2 << BITS);
  CHECK_FINDINGS (&t, 1, 0, "C the L2 entry for guest offset * an L2 table\n");
}

static void
the_copied_flag_says_whether_the_refcount_is_1 (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_entry (&t, 0, AT_FREE << BITS);
  CHECK_FINDINGS (&t, 1, 0, "C the L2 entry*0 lacks the COPIED flag*1\n");
  test_qcow2_data (&t, 0, AT_FREE);
  put_be64 (test_qcow2_at (&t, AT_L1), AT_L2 << BITS);
  CHECK_FINDINGS (&t, 1, 0, "C the L1 entry*0 lacks the COPIED flag*1\n");
}

static void
compressed_clusters_may_share_a_host_cluster (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_compressed (&t, 3, 8 * CLUSTER + 10, 1);
  test_qcow2_compressed (&t, 4, 8 * CLUSTER + 200, 2);
  set_refcount (&t, 8, 2);
  set_refcount (&t, 9, 1);
  CHECK_FINDINGS (&t, 0, 0, "");
  CHECK_EQ_U64 (result.allocated_clusters, 4);
  CHECK_EQ_U64 (result.compressed_clusters, 2);
}

/* Sectors may be missing, since the last host cluster may be. */
static void
compressed_clusters_may_end_with_the_file (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  t.len = 10 * CLUSTER - 100;
  test_qcow2_compressed (&t, 3, 8 * CLUSTER + 200, 2);
  set_refcount (&t, 8, 1);
  set_refcount (&t, 9, 1);
  CHECK_FINDINGS (&t, 0, 0, "");
  t.len = 9 * CLUSTER;
  CHECK_FINDINGS (&t, 1, 0, "C a compressed cluster*past the end*\n");
  t.len = 8 * CLUSTER;
  CHECK_FINDINGS (&t, 1, 0, "C a compressed cluster*beyond the end*\n");
}

static void
what_lies_beyond_the_file_is_told (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_data (&t, 3, CLUSTERS);
  CHECK_FINDINGS (&t, 1, 0, "C a data cluster*beyond the end*\n");
  test_qcow2_entry (&t, 3, 0x00fffffffffffe00);
  CHECK_FINDINGS (&t, 1, 0, "C a data cluster*beyond the end*\n");
  test_qcow2_entry (&t, 3, 2);
  CHECK_FINDINGS (&t, 1, 0, "C entry 3 of the L2 table*reserved bits*\n");
}

/* Its guest bytes cannot be read, whatever the refcounts say. */
static void
what_lies_in_a_table_is_told_with_right_refcounts_too (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_entry (&t, 5, AT_REFBLOCK << BITS);
  set_refcount (&t, AT_REFBLOCK, 2);
  CHECK_FINDINGS (&t, 1, 0, "C the L2 entry*0xa00 has *refcount block*\n");
  test_qcow2_entry (&t, 5, 0);
  set_refcount (&t, AT_REFBLOCK, 1);
  test_qcow2_compressed (&t, 5, (AT_REFTABLE << BITS) + 17, 1);
  set_refcount (&t, AT_REFTABLE, 2);
  CHECK_FINDINGS (&t, 1, 0, "C the L2 entry*0xa00 has *refcount table*\n");
}

static void
an_l2_table_in_another_one_is_told (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be64 (test_qcow2_at (&t, AT_L1), QCOW2_OFLAG_COPIED);
  CHECK_FINDINGS (&t, 1, 3, "*C L1 entry 0 (0x8*) has *header*\n");
  put_be64 (test_qcow2_at (&t, AT_L1), AT_L1 << BITS);
  set_refcount (&t, AT_L1, 3);
  CHECK_OK (check (&t), err);
  CHECK_STR_MATCH (findings, "*C L1 entry 0 (0x600) has *L1 table\n*");
}

static void
an_impossible_refcount_table_is_one_corruption_and_more (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be64 (t.p + 48, 8);
  CHECK_OK (check (&t), err);
  CHECK_STR_MATCH (findings, "C the refcount table*impossible\n*");
  put_be64 (t.p + 48, AT_REFTABLE << BITS);
  put_be64 (test_qcow2_at (&t, AT_REFTABLE) + 8, 0x7ffffffffffffe00);
  CHECK_FINDINGS (&t, 1, 0, "C refcount table entry 1*impossible\n");
}

static void
refcounts_may_have_any_width (void)
{
  for (unsigned order = 0; order <= 6; order++) {
    CLEANUP_QCOW2 struct test_qcow2 t;
    uint8_t *block;

    begin (&t);
    put_be32 (t.p + 96, order);
    block = test_qcow2_at (&t, AT_REFBLOCK);
    memset (block, 0, CLUSTER);
    for (unsigned i = 0; i <= AT_FREE + 1; i++)
      if (order < 3)
        block[(i << order) / 8] |= 1 << ((i << order) % 8);
      else
        block[((i + 1) << (order - 3)) - 1] = 1;
    CHECK_FINDINGS (&t, 0, 0, "");
  }
}

/*--- Snapshots and bitmaps ----------------------------------------------*/

/* A snapshot with an L1 table of its own in cluster 8, table in 9. */
static void
add_snapshot (struct test_qcow2 *t, const char *id)
{
  uint8_t *p = test_qcow2_at (t, 9);

  put_be32 (t->p + 60, 1);
  put_be64 (t->p + 64, 9 << BITS);
  put_be64 (p, 8 << BITS);
  put_be32 (p + 8, 1);
  put_be16 (p + 12, strlen (id));
  put_be32 (p + 36, 16);
  put_be64 (p + 48, SIZE);
  memcpy (p + 56, id, strlen (id));
  set_refcount (t, 8, 1);
  set_refcount (t, 9, 1);
}

static void
snapshots_are_users_too (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  add_snapshot (&t, "1");
  CHECK_FINDINGS (&t, 0, 0, "");
  put_be64 (test_qcow2_at (&t, 8), AT_L2 << BITS);
  CHECK_OK (check (&t), err);
  CHECK_STR_MATCH (findings, "C cluster 4 has refcount 1 but 2 users\n"
                             "C cluster 5 has refcount 1 but 2 users\n"
                             "C cluster 6 has refcount 1 but 2 users\n");
}

static void
what_an_image_says_cannot_break_the_line (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  add_snapshot (&t, "a\033[1m\nb");
  put_be64 (test_qcow2_at (&t, 9), 8); /* of its L1 table */
  CHECK_OK (check (&t), err);
  CHECK_STR_MATCH (findings, "C *snapshot a?[[]1m?b *\n*");
}

/* 65535 bitmaps that all have the same table of many MiB would take hours. */
static void
tables_that_overlap_are_not_walked_again_and_again (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  const uint64_t clusters = 16384;
  const uint32_t bitmaps = 65535;
  uint8_t *ext;

  test_qcow2_init (&t, BITS, clusters, SIZE);
  put_be64 (t.p + 88, QCOW2_AUTOCLEAR_BITMAPS);
  ext = t.p + 112;
  put_be32 (ext, 0x23852875);
  put_be32 (ext + 4, 24);
  put_be32 (ext + 8, bitmaps);
  put_be64 (ext + 16, bitmaps * 24);
  put_be64 (ext + 24, 16 << BITS);
  for (uint32_t i = 0; i < bitmaps; i++) {
    put_be64 (test_qcow2_at (&t, 16) + i * 24, 0);
    put_be32 (test_qcow2_at (&t, 16) + i * 24 + 8, (clusters << BITS) / 8);
  }
  CHECK_OK (check (&t), err); /* or does not come back */
  CHECK (result.check_errors > 0);
}

static void
every_failed_read_is_an_error_and_nothing_leaks (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  unsigned failures = 0;

  begin (&t);
  for (unsigned n = 1; failures == n - 1 && n < 100; n++) {
    atomic_uint countdown = 0;

    REQUIRE_OK (rv_io_mem_new (t.p, t.len, "disk", &t.io, &err), err);
    REQUIRE_OK (rv_io_fault_new (t.io, &countdown, &t.fault, &err), err);
    REQUIRE_OK (test_qcow2_open (&t, &err), err);
    countdown = n;
    result = (rawview_check_result){ 0 };
    if (t.format->ops->check (t.format, find, NULL, &result, &err) == -1) {
      CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
      failures++;
    }
    else
      CHECK_EQ_U64 (result.corruptions, 0);
    rv_io_unref (t.fault);
    t.fault = NULL;
    test_qcow2_close (&t);
  }
  CHECK (failures >= 4 && failures < 99);
}

int
main (void)
{
  TEST (a_good_image_has_no_findings);
  TEST (unused_clusters_with_a_refcount_are_leaks);
  TEST (used_clusters_with_too_low_a_refcount_are_corruptions);
  TEST (two_entries_for_one_cluster_are_two_users);
  TEST (a_cluster_on_top_of_a_table_is_a_corruption);
  TEST (the_copied_flag_says_whether_the_refcount_is_1);
  TEST (compressed_clusters_may_share_a_host_cluster);
  TEST (compressed_clusters_may_end_with_the_file);
  TEST (what_lies_beyond_the_file_is_told);
  TEST (what_lies_in_a_table_is_told_with_right_refcounts_too);
  TEST (an_l2_table_in_another_one_is_told);
  TEST (an_impossible_refcount_table_is_one_corruption_and_more);
  TEST (refcounts_may_have_any_width);
  TEST (snapshots_are_users_too);
  TEST (what_an_image_says_cannot_break_the_line);
  TEST (tables_that_overlap_are_not_walked_again_and_again);
  TEST (every_failed_read_is_an_error_and_nothing_leaks);
  return test_result ();
}
