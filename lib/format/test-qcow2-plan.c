/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-qcow2-write.h"

#define BITS    9u
#define CLUSTER (1u << BITS)
#define PER_L2  (CLUSTER / 8) /* entries */
#define L1_SPAN ((uint64_t) PER_L2 * CLUSTER)

static uint64_t
bitmap_on_disk (const struct test_writer *w, unsigned i)
{
  return rv_be64 (w->disk + ((uint64_t) AT_L2 << w->t.bits) + i * 16 + 8);
}

/* A disk of 4 L1 entries, the first of which has the L2 table. */
static void
begin (struct test_writer *w, uint64_t clusters)
{
  writer_init (w, BITS, clusters, 4 * L1_SPAN);
  put_be32 (w->t.p + 36, 4);
}

/*--- Where may it go? ---------------------------------------------------*/

static void
clusters_of_our_own_are_one_run_in_place (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin (&w, AT_FREE + 9);
  for (unsigned i = 0; i < 5; i++)
    writer_data (&w, i, AT_FREE + i, 1);
  writer_data (&w, 5, AT_FREE + 8, 1);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 100, L1_SPAN, &plan, RV_PLAN_IN_PLACE, 5 * CLUSTER - 100);
  CHECK_EQ_U64 (plan.host_off, AT_FREE * CLUSTER + 100);
  CHECK (plan.io == w.t.io);
  CHECK_PLAN (&w, 100, 7, &plan, RV_PLAN_IN_PLACE, 7);
  CHECK_PLAN (&w, 5 * CLUSTER, CLUSTER, &plan, RV_PLAN_IN_PLACE, CLUSTER);
  CHECK_EQ_U64 (plan.host_off, (AT_FREE + 8) * CLUSTER);
}

static void
the_copied_flag_is_only_a_hint (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin (&w, AT_FREE + 3);
  for (unsigned i = 0; i < 3; i++)
    writer_data (&w, i, AT_FREE + i, 1);
  test_refcount (&w.t, AT_FREE + 1, 2);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 0, 3 * CLUSTER, &plan, RV_PLAN_IN_PLACE, CLUSTER);
  CHECK_PLAN (&w, CLUSTER, 2 * CLUSTER, &plan, RV_PLAN_FRESH, CLUSTER);
  CHECK_PLAN (&w, 2 * CLUSTER, CLUSTER, &plan, RV_PLAN_IN_PLACE, CLUSTER);
}

static void
without_the_copied_flag_a_cluster_is_replaced (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin (&w, AT_FREE + 1);
  writer_data (&w, 0, AT_FREE, 7);
  test_qcow2_entry (&w.t, 0, AT_FREE << BITS);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 5, 20, &plan, RV_PLAN_FRESH, 20);
  CHECK_EQ_U64 (plan.fill_off, 0);
  CHECK_EQ_U64 (plan.fill_len, CLUSTER);
  REQUIRE_OK (writer_write_byte (&w, 5, 20, 9), err);
  CHECK_GUEST (&w, 0, 5, 7);
  CHECK_GUEST (&w, 5, 20, 9);
  CHECK_GUEST (&w, 25, CLUSTER - 25, 7);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (refcount (&w, AT_FREE), 0);
  writer_check (&w);
}

static void
what_has_no_cluster_is_one_fresh_run (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin (&w, AT_FREE + 2);
  test_qcow2_entry (&w.t, 1, QCOW2_OFLAG_ZERO);
  test_qcow2_compressed (&w.t, 2, AT_FREE * CLUSTER + 1, 1);
  test_refcount (&w.t, AT_FREE, 1);
  writer_data (&w, 4, AT_FREE + 1, 1);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 10, L1_SPAN, &plan, RV_PLAN_FRESH, 4 * CLUSTER - 10);
  CHECK_EQ_U64 (plan.fill_off, 0);
  CHECK_EQ_U64 (plan.fill_len, 4 * CLUSTER);
  CHECK_PLAN (&w, 4 * CLUSTER - 1, 2, &plan, RV_PLAN_FRESH, 1);
  CHECK_EQ_U64 (plan.fill_off, 3 * CLUSTER);
  CHECK_EQ_U64 (plan.fill_len, CLUSTER);
}

static void
a_large_write_into_an_empty_disk_is_one_plan (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  writer_init (&w, 16, AT_FREE, 1ull << 30);
  put_be32 (w.t.p + 36, 2);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 0, 1 << 20, &plan, RV_PLAN_FRESH, 1 << 20);
  CHECK_EQ_U64 (plan.fill_len, 1 << 20);
  CHECK_PLAN (&w, 512, 8 << 20, &plan, RV_PLAN_FRESH, (4 << 20) - 512);
}

static void
fresh_runs_end_with_the_piece_of_the_table (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin (&w, AT_FREE);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 5, 2 * L1_SPAN, &plan, RV_PLAN_FRESH, L1_SPAN - 5);
  CHECK_PLAN (&w, L1_SPAN, 2 * L1_SPAN, &plan, RV_PLAN_FRESH, L1_SPAN);
}

static void
the_last_cluster_is_filled_beyond_the_disks_end (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  writer_init (&w, 12, AT_FREE, 4096 + 512);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 4096, 512, &plan, RV_PLAN_FRESH, 512);
  CHECK_EQ_U64 (plan.fill_off, 4096);
  CHECK_EQ_U64 (plan.fill_len, 4096);
  REQUIRE_OK (writer_write_byte (&w, 4096, 512, 3), err);
  CHECK_GUEST (&w, 4096, 512, 3);
  CHECK_PLAN (&w, 4100, 8, &plan, RV_PLAN_IN_PLACE, 8);
  writer_check (&w);
}

static void
widen_gives_whole_clusters (void)
{
  CLEANUP_WRITER struct test_writer w;
  uint64_t off = CLUSTER + 7, len = CLUSTER;

  begin (&w, AT_FREE);
  REQUIRE_OK (writer_open (&w), err);
  writer_ops (&w)->widen (w.t.format, &off, &len);
  CHECK_EQ_U64 (off, CLUSTER);
  CHECK_EQ_U64 (len, 2 * CLUSTER);
}

/*--- Publishing ---------------------------------------------------------*/

static void
readers_see_what_was_published_and_the_disk_after_a_flush (void)
{
  CLEANUP_WRITER struct test_writer w;

  begin (&w, AT_FREE);
  REQUIRE_OK (writer_open (&w), err);
  REQUIRE_OK (writer_write_byte (&w, 3 * CLUSTER + 8, 100, 5), err);
  CHECK_GUEST (&w, 3 * CLUSTER, 8, 0);
  CHECK_GUEST (&w, 3 * CLUSTER + 8, 100, 5);
  CHECK_GUEST (&w, 3 * CLUSTER + 108, CLUSTER - 108, 0);
  CHECK_EQ_U64 (entry_on_disk (&w, 3), 0);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (entry_on_disk (&w, 3),
                QCOW2_OFLAG_COPIED | w.t.map.host_off >> BITS << BITS);
  writer_check (&w);
}

static void
a_missing_table_is_made (void)
{
  CLEANUP_WRITER struct test_writer w;
  uint64_t l1;

  begin (&w, AT_FREE);
  REQUIRE_OK (writer_open (&w), err);
  REQUIRE_OK (writer_write_byte (&w, 2 * L1_SPAN - 10, 20, 6), err);
  CHECK_EQ_INT (w.plans, 2);
  CHECK_GUEST (&w, 2 * L1_SPAN - 10, 20, 6);
  CHECK_GUEST (&w, 2 * L1_SPAN + 10, L1_SPAN - 10, 0);
  CHECK_EQ_U64 (rv_be64 (w.disk + (AT_L1 << BITS) + 8), 0);
  REQUIRE_OK (writer_flush (&w), err);
  l1 = rv_be64 (w.disk + (AT_L1 << BITS) + 8);
  CHECK (l1 & QCOW2_OFLAG_COPIED);
  CHECK_EQ_U64 (refcount (&w, (l1 & QCOW2_OFFSET_MASK) >> BITS), 1);
  CHECK_EQ_U64 (rv_be64 (w.disk + (AT_L1 << BITS) + 24), 0);
  writer_check (&w);
}

static void
guest_data_is_never_taken_from_a_new_table (void)
{
  CLEANUP_WRITER struct test_writer w;

  begin (&w, AT_FREE + 1);
  writer_data (&w, 0, AT_FREE, 1);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_GUEST (&w, 0, CLUSTER, 1);
  REQUIRE_OK (rv_qcow2_own_add (writer_qcow2 (&w), AT_FREE << BITS, &err), err);
  CHECK_DAMAGED (&w.t, 0, L1_SPAN, CLUSTER, "*has a table*");
  rv_qcow2_own_remove (writer_qcow2 (&w), AT_FREE << BITS);
  CHECK_GUEST (&w, 0, CLUSTER, 1);
}

/* Of 2 MiB, in pieces of 64 KiB. */
static void
a_large_table_is_made_with_all_its_pieces (void)
{
  CLEANUP_WRITER struct test_writer w;
  const uint64_t span = 1ull << 39, last = 2 * span - 512;

  writer_init (&w, 21, AT_FREE, 2 * span);
  put_be32 (w.t.p + 36, 2);
  REQUIRE_OK (writer_open (&w), err);
  REQUIRE_OK (writer_write_byte (&w, last, 512, 6), err);
  CHECK_GUEST (&w, last, 512, 6);
  CHECK_GUEST (&w, last - 512, 512, 0);
  CHECK_GUEST (&w, span, 512, 0);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_GUEST (&w, last, 512, 6);
  writer_check (&w);
}

static void
a_preallocated_cluster_is_claimed (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin (&w, AT_FREE + 2);
  for (unsigned i = 0; i < 2; i++) {
    writer_data (&w, i, AT_FREE + i, 0xee); /* what it had must not be seen */
    test_qcow2_entry (
        &w.t, i, QCOW2_OFLAG_COPIED | QCOW2_OFLAG_ZERO | (AT_FREE + i) << BITS);
  }
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 10, CLUSTER, &plan, RV_PLAN_CLAIM, CLUSTER);
  CHECK_EQ_U64 (plan.host_off, AT_FREE * CLUSTER + 10);
  CHECK_EQ_U64 (plan.fill_off, 0);
  CHECK_EQ_U64 (plan.fill_len, 2 * CLUSTER);
  REQUIRE_OK (writer_write_byte (&w, 10, 20, 4), err);
  CHECK_GUEST (&w, 0, 10, 0);
  CHECK_GUEST (&w, 10, 20, 4);
  CHECK_GUEST (&w, 30, 2 * CLUSTER - 30, 0);
  CHECK (entry_on_disk (&w, 0) & QCOW2_OFLAG_ZERO);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (entry_on_disk (&w, 0), QCOW2_OFLAG_COPIED | AT_FREE << BITS);
  CHECK (entry_on_disk (&w, 1) & QCOW2_OFLAG_ZERO);
  writer_check (&w);
}

/* Two in one host cluster: it is given back with the second. */
static void
compressed_neighbours_share_a_host_cluster (void)
{
  CLEANUP_WRITER struct test_writer w;

  begin (&w, AT_FREE + 2);
  test_qcow2_compressed (&w.t, 0, AT_FREE * CLUSTER + 1, 1);
  test_qcow2_compressed (&w.t, 1, AT_FREE * CLUSTER + 300, 2);
  test_refcount (&w.t, AT_FREE, 2);
  test_refcount (&w.t, AT_FREE + 1, 1);
  REQUIRE_OK (writer_open (&w), err);
  REQUIRE_OK (writer_write_byte (&w, CLUSTER + 50, 3, 1), err);
  CHECK_GUEST (&w, 0, CLUSTER, compressed_byte (0));
  CHECK_GUEST (&w, CLUSTER, 50, compressed_byte (CLUSTER));
  CHECK_GUEST (&w, CLUSTER + 50, 3, 1);
  CHECK_GUEST (&w, CLUSTER + 53, CLUSTER - 53, compressed_byte (CLUSTER));
  CHECK_EQ_U64 (refcount (&w, AT_FREE), 2); /* not before a flush */
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (refcount (&w, AT_FREE), 1);
  CHECK_EQ_U64 (refcount (&w, AT_FREE + 1), 0);
  REQUIRE_OK (writer_write_byte (&w, 0, CLUSTER, 2), err);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (refcount (&w, AT_FREE), 0);
  writer_check (&w);
}

static void
cancelled_plans_give_their_place_back (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin (&w, AT_FREE);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, CLUSTER + 5, 700, &plan, RV_PLAN_FRESH, 700);
  REQUIRE_OK (writer_ops (&w)->allocate (w.t.format, &plan, &err), err);
  REQUIRE_OK (writer_move (&w, &plan, w.t.p), err);
  writer_ops (&w)->cancel (w.t.format, &plan, &w.freed);
  CHECK_GUEST (&w, CLUSTER, 700, 0);
  writer_check (&w);
}

/*--- Snapshots ----------------------------------------------------------*/

static void
what_a_snapshot_has_stays_as_it_was (void)
{
  CLEANUP_WRITER struct test_writer w;

  begin (&w, AT_FREE + 4);
  writer_data (&w, 0, AT_FREE, 1);
  writer_data (&w, 1, AT_FREE + 1, 2);
  writer_snapshot (&w, AT_FREE + 2, 4 * L1_SPAN);
  REQUIRE_OK (writer_open (&w), err);
  REQUIRE_OK (writer_write_byte (&w, 5, 6, 9), err);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_GUEST (&w, 0, 5, 1);
  CHECK_GUEST (&w, 5, 6, 9);
  CHECK_GUEST (&w, CLUSTER, CLUSTER, 2);
  CHECK_EQ_U64 (refcount (&w, AT_L2), 1);
  CHECK_EQ_U64 (refcount (&w, AT_FREE), 1);
  CHECK_EQ_U64 (refcount (&w, AT_FREE + 1), 2);
  for (unsigned c = AT_L2; c < AT_FREE + 4; c++)
    CHECK_MEM_EQ (w.disk + (c << BITS), test_qcow2_at (&w.t, c), CLUSTER);
  writer_check (&w);
}

/* Whatever its entries say: with the COPIED flag the copy would allow to write
 * into the snapshot's clusters.
 */
static void
in_a_copied_table_no_cluster_is_ours (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin (&w, AT_FREE + 3);
  writer_data (&w, 0, AT_FREE, 1);
  writer_snapshot (&w, AT_FREE + 1, 4 * L1_SPAN);
  test_qcow2_entry (&w.t, 0, QCOW2_OFLAG_COPIED | AT_FREE << BITS);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 0, 9, &plan, RV_PLAN_FRESH, 9);
  REQUIRE_OK (writer_write_byte (&w, CLUSTER, 6, 9), err);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (rv_be64 (w.disk + (rv_be64 (w.disk + (AT_L1 << BITS)) &
                                   QCOW2_OFFSET_MASK)),
                AT_FREE << BITS);
  CHECK_EQ_U64 (entry_on_disk (&w, 0), QCOW2_OFLAG_COPIED | AT_FREE << BITS);
}

static void
a_shared_table_must_share_its_clusters (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin (&w, AT_FREE + 3);
  writer_data (&w, 0, AT_FREE, 1);
  writer_snapshot (&w, AT_FREE + 1, 4 * L1_SPAN);
  test_refcount (&w.t, AT_FREE, 1);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_EQ_INT (writer_plan (&w, 0, 9, &plan), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "disk: *shared*refcount 1*");
  CHECK_EQ_INT (writer_drop (&w, 0, CLUSTER, RV_DROP_ZERO), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "disk: *shared*refcount 1*");
}

static void
count_finding (void *opaque, rawview_finding finding, const char *msg)
{
}

/* Who has removed the last snapshot and was killed leaves such tables. */
static void
a_table_with_a_leaked_reference_is_copied (void)
{
  CLEANUP_WRITER struct test_writer w;
  rawview_check_result result = { 0 };
  struct rv_plan plan;

  begin (&w, AT_FREE + 2);
  writer_data (&w, 0, AT_FREE, 1);
  writer_data (&w, 1, AT_FREE + 1, 2);
  test_refcount (&w.t, AT_L2, 2);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 0, 9, &plan, RV_PLAN_FRESH, 9);
  REQUIRE_OK (writer_write_byte (&w, 0, 9, 3), err);
  CHECK_EQ_INT (writer_drop (&w, CLUSTER, CLUSTER, RV_DROP_ZERO), 0);
  CHECK_GUEST (&w, 0, 9, 3);
  CHECK_GUEST (&w, 9, CLUSTER - 9, 1);
  CHECK_GUEST (&w, CLUSTER, CLUSTER, 0);
  REQUIRE_OK (writer_flush (&w), err);
  REQUIRE_OK (
      w.t.format->ops->check (w.t.format, count_finding, NULL, &result, &err),
      err);
  CHECK_EQ_U64 (result.corruptions, 0);
  CHECK_EQ_U64 (result.leaks, 1);
}

/*--- Subclusters --------------------------------------------------------*/

#define XBITS 14u
#define SUB   (1u << (XBITS - 5))

static void
begin_extended (struct test_writer *w)
{
  writer_init (w, XBITS, 12, 64 << XBITS);
  test_qcow2_make_extended (&w->t);
}

static void
data_subclusters_are_in_place_and_others_are_claimed (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin_extended (&w);
  writer_data (&w, 0, AT_FREE, 7);
  test_qcow2_bitmap (&w.t, 0, 0x00000300, 0x000000f0);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 4 * SUB + 1, 9 * SUB, &plan, RV_PLAN_IN_PLACE, 4 * SUB - 1);
  CHECK_PLAN (&w, SUB + 1, 9 * SUB, &plan, RV_PLAN_CLAIM, 3 * SUB - 1);
  CHECK_EQ_U64 (plan.fill_off, SUB);
  CHECK_EQ_U64 (plan.fill_len, 3 * SUB);
  CHECK_EQ_U64 (plan.host_off, (AT_FREE << XBITS) + SUB + 1);
  CHECK_PLAN (&w, 9 * SUB, 1, &plan, RV_PLAN_CLAIM, 1);
  CHECK_EQ_U64 (plan.fill_len, SUB);
  REQUIRE_OK (writer_write_byte (&w, 9 * SUB, 1, 5), err);
  CHECK_GUEST (&w, 8 * SUB, SUB, 0);
  CHECK_GUEST (&w, 9 * SUB, 1, 5);
  CHECK_GUEST (&w, 9 * SUB + 1, SUB - 1, 0);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (bitmap_on_disk (&w, 0), 0x00000100000002f0);
  writer_check (&w);
}

static void
of_a_fresh_cluster_only_touched_subclusters_are_filled (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin_extended (&w);
  test_qcow2_bitmap (&w.t, 0, 0xff000008, 0);
  REQUIRE_OK (writer_open (&w), err);
  writer_add_parent (&w);
  CHECK_PLAN (&w, 2 * SUB + 9, SUB, &plan, RV_PLAN_FRESH, SUB);
  CHECK_EQ_U64 (plan.fill_off, 2 * SUB);
  CHECK_EQ_U64 (plan.fill_len, 2 * SUB);
  REQUIRE_OK (writer_write_byte (&w, 2 * SUB + 9, SUB, 5), err);
  CHECK_GUEST (&w, SUB, SUB, parent_byte (w.t.format, SUB));
  CHECK_GUEST (&w, 2 * SUB, 9, parent_byte (w.t.format, 2 * SUB));
  CHECK_GUEST (&w, 2 * SUB + 9, SUB, 5);
  CHECK_GUEST (&w, 3 * SUB + 9, SUB - 9, 0);
  CHECK_GUEST (&w, 30 * SUB, SUB, 0);
  REQUIRE_OK (writer_flush (&w), err);
  CHECK_EQ_U64 (bitmap_on_disk (&w, 0), 0xff0000000000000c);
  writer_check (&w);
}

static void
a_copy_has_all_data_subclusters (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin_extended (&w);
  writer_data (&w, 0, AT_FREE, 7);
  test_qcow2_bitmap (&w.t, 0, 0x00100001, 0x02001000);
  writer_snapshot (&w, AT_FREE + 1, 64 << XBITS);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_PLAN (&w, 14 * SUB, 1, &plan, RV_PLAN_FRESH, 1);
  CHECK_EQ_U64 (plan.fill_off, 12 * SUB);
  CHECK_EQ_U64 (plan.fill_len, 14 * SUB);
  REQUIRE_OK (writer_write_byte (&w, 14 * SUB, 1, 5), err);
  CHECK_GUEST (&w, 12 * SUB, SUB, 7);
  CHECK_GUEST (&w, 13 * SUB, SUB, 0);
  CHECK_GUEST (&w, 14 * SUB, 1, 5);
  CHECK_GUEST (&w, 25 * SUB, SUB, 7);
  writer_check (&w);
}

/*--- Contradictions -----------------------------------------------------*/

static void
what_contradicts_itself_is_not_written (void)
{
  static const struct {
    uint64_t entry;
    const char *what;
  } bad[] = {
    { QCOW2_OFLAG_COPIED | AT_FREE << BITS | 2, "*reserved bits*" },
    { QCOW2_OFLAG_COPIED | AT_FREE << BITS, "*refcount*" }, /* of 0 */
    { AT_FREE << BITS, "*refcount*" },
    { QCOW2_OFLAG_COPIED | AT_L1 << BITS, "*" },
    { QCOW2_OFLAG_COPIED | AT_L2 << BITS, "*" },
    { QCOW2_OFLAG_COPIED | AT_REFBLOCK << BITS, "*" },
    { QCOW2_OFLAG_COMPRESSED | ((AT_FREE << BITS) + 1), "*refcount*" },
    { QCOW2_OFLAG_COMPRESSED | ((AT_L1 << BITS) + 1), "*" },
    { QCOW2_OFLAG_COMPRESSED | 1, "*" },
  };

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CLEANUP_WRITER struct test_writer w;
    struct rv_plan plan;

    begin (&w, AT_FREE + 2);
    writer_data (&w, 0, AT_FREE + 1, 1);
    test_qcow2_entry (&w.t, 1, bad[i].entry);
    REQUIRE_OK (writer_open (&w), err);
    CHECK_EQ_INT (writer_plan (&w, CLUSTER, 1, &plan), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, bad[i].what);
    CHECK_EQ_INT (writer_drop (&w, CLUSTER, CLUSTER, RV_DROP_ZERO), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, bad[i].what);
    CHECK_PLAN (&w, 0, 2 * CLUSTER, &plan, RV_PLAN_IN_PLACE, CLUSTER);
    CHECK_PLAN (&w, 2 * CLUSTER, CLUSTER, &plan, RV_PLAN_FRESH, CLUSTER);
    CHECK_EQ_U64 (w.freed.len, 0);
  }
}

static void
version_2_has_no_zero_flag (void)
{
  CLEANUP_WRITER struct test_writer w;
  struct rv_plan plan;

  begin (&w, AT_FREE);
  put_be32 (w.t.p + 4, 2);
  memset (w.t.p + 72, 0, 40);
  test_qcow2_entry (&w.t, 0, QCOW2_OFLAG_ZERO);
  REQUIRE_OK (writer_open (&w), err);
  CHECK_EQ_INT (writer_plan (&w, 0, 1, &plan), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*zero flag*");
}

int
main (void)
{
  TEST (clusters_of_our_own_are_one_run_in_place);
  TEST (the_copied_flag_is_only_a_hint);
  TEST (without_the_copied_flag_a_cluster_is_replaced);
  TEST (what_has_no_cluster_is_one_fresh_run);
  TEST (a_large_write_into_an_empty_disk_is_one_plan);
  TEST (fresh_runs_end_with_the_piece_of_the_table);
  TEST (the_last_cluster_is_filled_beyond_the_disks_end);
  TEST (widen_gives_whole_clusters);
  TEST (readers_see_what_was_published_and_the_disk_after_a_flush);
  TEST (a_missing_table_is_made);
  TEST (guest_data_is_never_taken_from_a_new_table);
  TEST (a_large_table_is_made_with_all_its_pieces);
  TEST (a_preallocated_cluster_is_claimed);
  TEST (compressed_neighbours_share_a_host_cluster);
  TEST (cancelled_plans_give_their_place_back);
  TEST (what_a_snapshot_has_stays_as_it_was);
  TEST (in_a_copied_table_no_cluster_is_ours);
  TEST (a_shared_table_must_share_its_clusters);
  TEST (a_table_with_a_leaked_reference_is_copied);
  TEST (data_subclusters_are_in_place_and_others_are_claimed);
  TEST (of_a_fresh_cluster_only_touched_subclusters_are_filled);
  TEST (a_copy_has_all_data_subclusters);
  TEST (what_contradicts_itself_is_not_written);
  TEST (version_2_has_no_zero_flag);
  return test_result ();
}
