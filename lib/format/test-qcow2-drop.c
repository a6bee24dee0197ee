/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-qcow2-write.h"

#define BITS    9u
#define CLUSTER (1u << BITS)
#define PER_L2  (CLUSTER / 8) /* entries */
#define L1_SPAN ((uint64_t) PER_L2 * CLUSTER)

static bool
dirty (struct test_writer *w)
{
  return rv_tables_dirty (w->t.tables) > 0;
}

/* Guest clusters: 0 and 1 ours, 2 preallocated, 3 zero, 4 compressed, 5 with a
 * refcount of 2, 6 nothing.
 */
static void
begin (struct test_writer *w)
{
  writer_init (w, BITS, AT_FREE + 6, 4 * L1_SPAN);
  put_be32 (w->t.p + 36, 4);
  for (unsigned i = 0; i < 3; i++)
    writer_data (w, i, AT_FREE + i, 1);
  test_qcow2_entry (
      &w->t, 2, QCOW2_OFLAG_COPIED | QCOW2_OFLAG_ZERO | (AT_FREE + 2) << BITS);
  test_qcow2_entry (&w->t, 3, QCOW2_OFLAG_ZERO);
  test_qcow2_compressed (&w->t, 4, (AT_FREE + 3) * CLUSTER + 1, 1);
  test_refcount (&w->t, AT_FREE + 3, 1);
  writer_data (w, 5, AT_FREE + 4, 1);
  test_qcow2_entry (&w->t, 5, (AT_FREE + 4) << BITS);
  test_refcount (&w->t, AT_FREE + 4, 2);
}

static void
zeros_give_clusters_back (void)
{
  for (enum rv_drop how = RV_DROP_ZERO; how <= RV_DROP_TRIM; how++) {
    CLEANUP_WRITER struct test_writer w;

    begin (&w);
    REQUIRE_OK (writer_open (&w), err);
    CHECK (writer_ops (&w)->can_drop (w.t.format, 0, 8 * CLUSTER, how));
    CHECK_EQ_INT (writer_drop (&w, 0, 8 * CLUSTER, how), 0);
    CHECK_GUEST (&w, 0, 8 * CLUSTER, 0);
    CHECK_EQ_U64 (refcount (&w, AT_FREE), 1); /* not before a flush */
    REQUIRE_OK (writer_flush (&w), err);
    for (unsigned i = 0; i < 6; i++)
      CHECK_EQ_U64 (entry_on_disk (&w, i), QCOW2_OFLAG_ZERO);
    CHECK_EQ_U64 (entry_on_disk (&w, 6), 0); /* reads as zeros anyway */
    for (unsigned c = 0; c < 4; c++)
      CHECK_EQ_U64 (refcount (&w, AT_FREE + c), 0);
    CHECK_EQ_U64 (refcount (&w, AT_FREE + 4), 1);
  }
}

static void
zeros_that_may_not_deallocate_keep_our_clusters (void)
{
  CLEANUP_WRITER struct test_writer w;

  begin (&w);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_EQ_INT (writer_drop (&w, 0, 8 * CLUSTER, RV_DROP_KEEP), 0);
  CHECK_GUEST (&w, 0, 8 * CLUSTER, 0);
  REQUIRE_OK (writer_flush (&w), err);
  for (unsigned i = 0; i < 3; i++)
    CHECK_EQ_U64 (entry_on_disk (&w, i), QCOW2_OFLAG_COPIED | QCOW2_OFLAG_ZERO |
                                             (AT_FREE + i) << BITS);
  for (unsigned i = 3; i < 6; i++)
    CHECK_EQ_U64 (entry_on_disk (&w, i), QCOW2_OFLAG_ZERO);
  CHECK_EQ_U64 (refcount (&w, AT_FREE), 1);
  CHECK_EQ_U64 (refcount (&w, AT_FREE + 3), 0);
  CHECK_EQ_U64 (refcount (&w, AT_FREE + 4), 1);
}

static void
the_copied_flag_alone_keeps_no_cluster (void)
{
  CLEANUP_WRITER struct test_writer w;

  begin (&w);
  test_refcount (&w.t, AT_FREE, 2);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_EQ_INT (writer_drop (&w, 0, 2 * CLUSTER, RV_DROP_KEEP), 0);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (entry_on_disk (&w, 0), QCOW2_OFLAG_ZERO);
  CHECK_EQ_U64 (refcount (&w, AT_FREE), 1);
  CHECK_EQ_U64 (refcount (&w, AT_FREE + 1), 1);
}

static void
what_is_zero_already_changes_nothing (void)
{
  CLEANUP_WRITER struct test_writer w;

  begin (&w);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_EQ_INT (writer_drop (&w, 3 * CLUSTER, CLUSTER, RV_DROP_ZERO), 0);
  CHECK_EQ_INT (writer_drop (&w, 6 * CLUSTER, L1_SPAN, RV_DROP_ZERO), 0);
  CHECK_EQ_INT (writer_drop (&w, 2 * CLUSTER, CLUSTER, RV_DROP_KEEP), 0);
  CHECK (!dirty (&w));
  CHECK_EQ_U64 (w.freed.len, 0);
}

static void
missing_tables_are_one_answer (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_drop_answer answer;

  begin (&w);
  REQUIRE_OK (writer_open (&w), err);
  REQUIRE_OK (writer_ops (&w)->drop (w.t.format, L1_SPAN + CLUSTER,
                                     3 * L1_SPAN - CLUSTER, RV_DROP_ZERO,
                                     &answer, &w.freed, &err),
              err);
  CHECK_EQ_INT (answer.what, RV_DROPPED);
  CHECK_EQ_U64 (answer.len, 3 * L1_SPAN - CLUSTER);
  CHECK (!dirty (&w));
}

static void
zeros_over_a_parent_make_a_table (void)
{
  CLEANUP_WRITER struct test_writer w;

  begin (&w);
  REQUIRE_OK (writer_open (&w), err);
  writer_add_parent (&w);
  CHECK_EQ_INT (writer_drop (&w, L1_SPAN + CLUSTER, CLUSTER, RV_DROP_ZERO), 0);
  CHECK_GUEST (&w, L1_SPAN, CLUSTER, parent_byte (w.t.format, L1_SPAN));
  CHECK_GUEST (&w, L1_SPAN + CLUSTER, CLUSTER, 0);
  CHECK_EQ_INT (writer_drop (&w, 6 * CLUSTER, CLUSTER, RV_DROP_KEEP), 0);
  CHECK_GUEST (&w, 6 * CLUSTER, CLUSTER, 0);
  CHECK_GUEST (&w, 7 * CLUSTER, CLUSTER, parent_byte (w.t.format, 7 * CLUSTER));
}

static void
trim_over_a_parent_makes_none (void)
{
  CLEANUP_WRITER struct test_writer w;

  begin (&w);
  REQUIRE_OK (writer_open (&w), err);
  writer_add_parent (&w);
  CHECK_EQ_INT (writer_drop (&w, L1_SPAN, L1_SPAN, RV_DROP_TRIM), 0);
  CHECK (!dirty (&w));
  CHECK_GUEST (&w, L1_SPAN, CLUSTER, parent_byte (w.t.format, L1_SPAN));
  CHECK_EQ_INT (writer_drop (&w, 0, L1_SPAN, RV_DROP_TRIM), 0);
  CHECK_GUEST (&w, 0, L1_SPAN, 0);
}

static void
the_last_cluster_may_be_cut_by_the_disks_end (void)
{
  CLEANUP_WRITER struct test_writer w;

  writer_init (&w, 12, AT_FREE + 1, 4096 + 512);
  writer_data (&w, 1, AT_FREE, 1);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_EQ_INT (writer_drop (&w, 4096, 512, RV_DROP_TRIM), 0);
  CHECK_GUEST (&w, 4096, 512, 0);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (refcount (&w, AT_FREE), 0);
  writer_check (&w);
}

static void
a_shared_table_is_copied_first (void)
{
  CLEANUP_WRITER struct test_writer w;

  writer_init (&w, BITS, AT_FREE + 4, 4 * L1_SPAN);
  put_be32 (w.t.p + 36, 4);
  writer_data (&w, 0, AT_FREE, 1);
  writer_data (&w, 1, AT_FREE + 1, 1);
  writer_snapshot (&w, AT_FREE + 2, 4 * L1_SPAN);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_EQ_INT (writer_drop (&w, 2 * CLUSTER, CLUSTER, RV_DROP_ZERO), 0);
  CHECK (!dirty (&w));
  CHECK_EQ_INT (writer_drop (&w, 0, CLUSTER, RV_DROP_KEEP), 0);
  CHECK_GUEST (&w, 0, CLUSTER, 0);
  CHECK_GUEST (&w, CLUSTER, CLUSTER, 1);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (refcount (&w, AT_FREE), 1);
  CHECK_EQ_U64 (refcount (&w, AT_FREE + 1), 2);
  for (unsigned c = AT_L2; c < AT_FREE + 4; c++)
    CHECK_MEM_EQ (w.disk + (c << BITS), test_qcow2_at (&w.t, c), CLUSTER);
  writer_check (&w);
}

static void
version_2_says_it_only_without_a_parent (void)
{
  CLEANUP_WRITER struct test_writer w;

  begin (&w);
  put_be32 (w.t.p + 4, 2);
  memset (w.t.p + 72, 0, 40);
  test_qcow2_entry (&w.t, 2, 0);
  test_qcow2_entry (&w.t, 3, 0);
  test_refcount (&w.t, AT_FREE + 2, 0);
  REQUIRE_OK (writer_open (&w), err);
  CHECK (writer_ops (&w)->can_drop (w.t.format, 0, CLUSTER, RV_DROP_TRIM));
  CHECK (!writer_ops (&w)->can_drop (w.t.format, 0, CLUSTER, RV_DROP_KEEP));
  CHECK_EQ_INT (writer_drop (&w, 0, CLUSTER, RV_DROP_KEEP), 1);
  CHECK_EQ_INT (writer_drop (&w, 0, CLUSTER, RV_DROP_TRIM), 0);
  CHECK_GUEST (&w, 0, CLUSTER, 0);
  writer_add_parent (&w);
  CHECK (!writer_ops (&w)->can_drop (w.t.format, 0, CLUSTER, RV_DROP_TRIM));
  CHECK_EQ_INT (writer_drop (&w, CLUSTER, CLUSTER, RV_DROP_TRIM), 1);
  CHECK_EQ_INT (writer_drop (&w, CLUSTER, CLUSTER, RV_DROP_ZERO), 1);
  CHECK_GUEST (&w, CLUSTER, CLUSTER, 1);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (entry_on_disk (&w, 0), 0);
}

static void
subclusters_become_zero_together (void)
{
  for (enum rv_drop how = RV_DROP_KEEP; how <= RV_DROP_TRIM; how++) {
    CLEANUP_WRITER struct test_writer w;
    uint64_t kept = how == RV_DROP_KEEP;

    writer_init (&w, 14, AT_FREE + 1, 64 << 14);
    test_qcow2_make_extended (&w.t);
    writer_data (&w, 0, AT_FREE, 1);
    test_qcow2_bitmap (&w.t, 0, 0xf0, 0xf);
    test_qcow2_bitmap (&w.t, 1, 0xf0, 0);
    REQUIRE_OK (writer_open (&w), err);
    writer_add_parent (&w);
    CHECK_EQ_INT (writer_drop (&w, 0, 2 << 14, how), 0);
    CHECK_GUEST (&w, 0, 2 << 14, 0);
    REQUIRE_OK (writer_flush (&w), err);
    CHECK_EQ_U64 (entry_on_disk (&w, 0),
                  kept ? QCOW2_OFLAG_COPIED | AT_FREE << 14 : 0);
    CHECK_EQ_U64 (entry_on_disk (&w, 1), 0);
    for (unsigned i = 0; i < 2; i++)
      CHECK_EQ_U64 (rv_be64 (w.disk + (AT_L2 << 14) + i * 16 + 8),
                    0xffffffff00000000);
    CHECK_EQ_U64 (refcount (&w, AT_FREE), kept);
    writer_check (&w);
  }
}

static void
one_damaged_entry_leaves_all_as_it_was (void)
{
  CLEANUP_WRITER struct test_writer w;

  begin (&w);
  test_qcow2_entry (&w.t, 6, QCOW2_OFLAG_COPIED | 2 | AT_FREE << BITS);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_EQ_INT (writer_drop (&w, 0, 8 * CLUSTER, RV_DROP_ZERO), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*reserved bits*");
  CHECK (!dirty (&w));
  CHECK_EQ_U64 (w.freed.len, 0);
  CHECK_GUEST (&w, 0, 2 * CLUSTER, 1);
}

int
main (void)
{
  TEST (zeros_give_clusters_back);
  TEST (zeros_that_may_not_deallocate_keep_our_clusters);
  TEST (the_copied_flag_alone_keeps_no_cluster);
  TEST (what_is_zero_already_changes_nothing);
  TEST (missing_tables_are_one_answer);
  TEST (zeros_over_a_parent_make_a_table);
  TEST (trim_over_a_parent_makes_none);
  TEST (the_last_cluster_may_be_cut_by_the_disks_end);
  TEST (a_shared_table_is_copied_first);
  TEST (version_2_says_it_only_without_a_parent);
  TEST (subclusters_become_zero_together);
  TEST (one_damaged_entry_leaves_all_as_it_was);
  return test_result ();
}
