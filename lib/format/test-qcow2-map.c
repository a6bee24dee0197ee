/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>

#include "format/test-qcow2.h"
#include "format/test-tables-of.h"

#define BITS    9u
#define CLUSTER (1u << BITS)
#define PER_L2  (CLUSTER / 8) /* entries */
#define L1_SPAN ((uint64_t) PER_L2 * CLUSTER)

static rawview_error err;

/* A disk of 4 L1 entries, the first of which has the L2 table. */
static void
begin (struct test_qcow2 *t)
{
  test_qcow2_init (t, BITS, 20, 4 * L1_SPAN);
  put_be32 (t->p + 36, 4);
}

/* Sets the i-th L1 entry. */
static void
set_l1 (struct test_qcow2 *t, unsigned i, uint64_t entry)
{
  put_be64 (test_qcow2_at (t, AT_L1) + i * 8, entry);
}

/*--- Runs ---------------------------------------------------------------*/

static void
missing_l2_tables_are_one_long_run (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  set_l1 (&t, 0, 0);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, 4 * L1_SPAN, RV_MAP_PARENT, 4 * L1_SPAN);
  CHECK_MAP (&t, 5, 100, RV_MAP_PARENT, 100);
  CHECK_MAP (&t, L1_SPAN - 1, 2, RV_MAP_PARENT, 2);
}

static void
a_run_of_missing_tables_ends_where_a_table_is (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  set_l1 (&t, 0, 0);
  set_l1 (&t, 2, (uint64_t) AT_L2 << BITS);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 7, 4 * L1_SPAN - 7, RV_MAP_PARENT, 2 * L1_SPAN - 7);
  CHECK_MAP (&t, 2 * L1_SPAN, 2 * L1_SPAN, RV_MAP_PARENT, L1_SPAN);
}

static void
clusters_that_adjoin_on_both_sides_are_one_run (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  for (unsigned i = 0; i < 3; i++)
    test_qcow2_data (&t, i, AT_FREE + i);
  test_qcow2_data (&t, 3, AT_FREE + 5);
  test_qcow2_data (&t, 4, AT_FREE + 4);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, L1_SPAN, RV_MAP_DATA, 3 * CLUSTER);
  CHECK_EQ_U64 (t.map.host_off, AT_FREE * CLUSTER);
  CHECK (t.map.io == t.io);
  CHECK_EQ_U64 (t.map.host_avail, 0);
  CHECK_MAP (&t, 100, L1_SPAN, RV_MAP_DATA, 3 * CLUSTER - 100);
  CHECK_EQ_U64 (t.map.host_off, AT_FREE * CLUSTER + 100);
  CHECK_MAP (&t, 3 * CLUSTER, L1_SPAN, RV_MAP_DATA, CLUSTER);
  CHECK_MAP (&t, 4 * CLUSTER + 1, L1_SPAN, RV_MAP_DATA, CLUSTER - 1);
  CHECK_EQ_U64 (t.map.host_off, (AT_FREE + 4) * CLUSTER + 1);
}

static void
a_run_is_not_longer_than_the_question (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  for (unsigned i = 0; i < 3; i++)
    test_qcow2_data (&t, i, AT_FREE + i);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, 1, RV_MAP_DATA, 1);
  CHECK_MAP (&t, 511, 2, RV_MAP_DATA, 2);
  CHECK_MAP (&t, 3 * CLUSTER, 1, RV_MAP_PARENT, 1);
}

static uint64_t allocated;

static uint64_t
say_allocated (struct rv_io *io)
{
  return allocated;
}

static void
holes_are_looked_for_in_a_file_that_has_some (void)
{
  static struct rv_io_ops ops;
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_data (&t, 0, AT_FREE);
  REQUIRE_OK (rv_io_mem_new (t.p, t.len, "disk", &t.io, &err), err);
  ops = *t.io->ops;
  ops.allocated = say_allocated;
  t.io->ops = &ops;
  allocated = t.len - 1; /* clusters that were only preallocated */
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, CLUSTER, RV_MAP_DATA, CLUSTER);
  CHECK (t.map.sparse_host);
  t.format->ops->close (t.format);
  t.format = NULL;
  allocated = t.len;
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, CLUSTER, RV_MAP_DATA, CLUSTER);
  CHECK (!t.map.sparse_host);
}

static void
zeros_with_and_without_space_are_two_runs (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_entry (&t, 0, QCOW2_OFLAG_ZERO);
  test_qcow2_entry (&t, 1, QCOW2_OFLAG_ZERO);
  test_qcow2_entry (&t, 2, QCOW2_OFLAG_ZERO | AT_FREE << BITS);
  test_qcow2_entry (&t, 3, QCOW2_OFLAG_ZERO | (AT_FREE + 9) << BITS);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, L1_SPAN, RV_MAP_ZERO, 2 * CLUSTER);
  CHECK (t.map.hole);
  CHECK_MAP (&t, 2 * CLUSTER, L1_SPAN, RV_MAP_ZERO, 2 * CLUSTER);
  CHECK (!t.map.hole);
}

static void
each_compressed_cluster_is_a_run_of_its_own (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_compressed (&t, 0, AT_FREE * CLUSTER + 100, 1);
  test_qcow2_compressed (&t, 1, AT_FREE * CLUSTER + 300, 2);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 10, L1_SPAN, RV_MAP_COMPRESSED, CLUSTER - 10);
  CHECK_EQ_U64 (t.map.host_off, AT_FREE * CLUSTER + 100);
  CHECK_EQ_U64 (t.map.host_len, 412);
  CHECK_EQ_U64 (t.map.unit_off, 0);
  CHECK_EQ_U64 (t.map.unit_len, CLUSTER);
  CHECK_EQ_U64 (t.map.unit_min, CLUSTER);
  CHECK_EQ_INT (t.map.codec, RV_CODEC_DEFLATE);
  CHECK (t.map.payload == NULL);
  CHECK_MAP (&t, CLUSTER, L1_SPAN, RV_MAP_COMPRESSED, CLUSTER);
  CHECK_EQ_U64 (t.map.host_len, 1024 - 300);
  CHECK_EQ_U64 (t.map.unit_off, CLUSTER);
}

static void
the_header_says_which_codec (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be64 (t.p + 72, QCOW2_INCOMPAT_COMPRESSION);
  t.p[104] = 1;
  test_qcow2_compressed (&t, 0, AT_FREE * CLUSTER, 1);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, CLUSTER, RV_MAP_COMPRESSED, CLUSTER);
  CHECK_EQ_INT (t.map.codec, RV_CODEC_ZSTD);
}

/* Tables of 2 MiB are looked at in pieces. */
static void
large_tables_are_found_in_any_piece (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  const unsigned bits = 21, per_piece = RV_TABLE_PIECE_MAX / 8;

  test_qcow2_init (&t, bits, 8, (2ull << 20) << bits);
  put_be32 (t.p + 36, 8);
  test_qcow2_data (&t, per_piece - 1, AT_FREE);
  test_qcow2_data (&t, per_piece, AT_FREE + 1);
  test_qcow2_data (&t, (1u << 18) - 1, AT_FREE + 2);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, (uint64_t) (per_piece - 1) << bits, 1ull << 30, RV_MAP_DATA,
             1u << bits);
  CHECK_EQ_U64 (t.map.host_off, (uint64_t) AT_FREE << bits);
  CHECK_MAP (&t, (uint64_t) per_piece << bits, 1ull << 30, RV_MAP_DATA,
             1u << bits);
  CHECK_EQ_U64 (t.map.host_off, (uint64_t) (AT_FREE + 1) << bits);
  CHECK_MAP (&t, (((1ull << 18) - 1) << bits) + 5, 1ull << 30, RV_MAP_DATA,
             (1u << bits) - 5);
  CHECK_EQ_U64 (t.map.host_off, ((uint64_t) (AT_FREE + 2) << bits) + 5);
}

static void
every_cluster_size_maps_alike (void)
{
  for (unsigned bits = 9; bits <= 21; bits++) {
    CLEANUP_QCOW2 struct test_qcow2 t;
    uint64_t last = (1ull << (bits - 3)) - 1;

    test_qcow2_init (&t, bits, 7, (last + 1) << bits);
    test_qcow2_data (&t, 1, AT_FREE);
    test_qcow2_data (&t, last, AT_FREE + 1);
    REQUIRE_OK (test_qcow2_open (&t, &err), err);
    CHECK_MAP (&t, 1ull << bits, 1ull << bits, RV_MAP_DATA, 1ull << bits);
    CHECK_EQ_U64 (t.map.host_off, (uint64_t) AT_FREE << bits);
    CHECK_MAP (&t, last << bits, 1ull << bits, RV_MAP_DATA, 1ull << bits);
    CHECK_EQ_U64 (t.map.host_off, (AT_FREE + 1ull) << bits);
  }
}

/*--- Extended L2 entries ------------------------------------------------*/

#define XBITS 14u
#define SUB   (1u << (XBITS - 5))

static void
begin_extended (struct test_qcow2 *t)
{
  test_qcow2_init (t, XBITS, 12, 64 << XBITS);
  test_qcow2_make_extended (t);
}

static void
subclusters_that_are_equal_are_one_run (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin_extended (&t);
  test_qcow2_entry (&t, 0, AT_FREE << XBITS);
  test_qcow2_bitmap (&t, 0, 0x0000ff00, 0x000000ff);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, 1 << XBITS, RV_MAP_DATA, 8 * SUB);
  CHECK_MAP (&t, SUB + 7, 1 << XBITS, RV_MAP_DATA, 7 * SUB - 7);
  CHECK_EQ_U64 (t.map.host_off, (AT_FREE << XBITS) + SUB + 7);
  CHECK_MAP (&t, 8 * SUB, 1 << XBITS, RV_MAP_ZERO, 8 * SUB);
  CHECK (!t.map.hole);
  CHECK_MAP (&t, 16 * SUB, 16 * SUB, RV_MAP_PARENT, 16 * SUB);
}

static void
runs_of_subclusters_go_on_in_the_next_cluster (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin_extended (&t);
  test_qcow2_entry (&t, 0, AT_FREE << XBITS);
  test_qcow2_bitmap (&t, 0, 0, 0x80000000);
  test_qcow2_entry (&t, 1, (AT_FREE + 1) << XBITS);
  test_qcow2_bitmap (&t, 1, 0, 0x7fffffff);
  test_qcow2_entry (&t, 2, 0);
  test_qcow2_bitmap (&t, 2, 0x1, 0);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, 4 << XBITS, RV_MAP_PARENT, 31 * SUB);
  CHECK_MAP (&t, 31 * SUB, 4 << XBITS, RV_MAP_DATA, 32 * SUB);
  CHECK_MAP (&t, 63 * SUB, 4 << XBITS, RV_MAP_PARENT, SUB);
  CHECK_MAP (&t, 64 * SUB, 4 << XBITS, RV_MAP_ZERO, SUB);
  CHECK (t.map.hole);
  CHECK_MAP (&t, 65 * SUB, 2 << XBITS, RV_MAP_PARENT, 2 << XBITS);
}

static void
damaged_subclusters_do_not_hurt_their_neighbours (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin_extended (&t);
  test_qcow2_entry (&t, 0, 100ull << XBITS); /* past the end */
  test_qcow2_bitmap (&t, 0, 0x4, 0x2);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, 1 << XBITS, RV_MAP_PARENT, SUB);
  CHECK_DAMAGED (&t, SUB, 1 << XBITS, SUB, "*beyond the end*");
  CHECK_MAP (&t, 2 * SUB, 1 << XBITS, RV_MAP_ZERO, SUB);
}

static void
contradicting_subclusters_damage_their_cluster (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin_extended (&t);
  test_qcow2_data (&t, 0, AT_FREE);
  test_qcow2_entry (&t, 1, (AT_FREE + 1) << XBITS);
  test_qcow2_bitmap (&t, 1, 1, 1);
  test_qcow2_data (&t, 2, AT_FREE + 2);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, 3 << XBITS, RV_MAP_DATA, 1 << XBITS);
  CHECK_DAMAGED (&t, 1 << XBITS, 2 << XBITS, 1 << XBITS, "*both allocated*");
  CHECK_MAP (&t, 2 << XBITS, 1 << XBITS, RV_MAP_DATA, 1 << XBITS);
}

/*--- Damage -------------------------------------------------------------*/

static void
a_damaged_entry_ends_a_run_and_damages_its_cluster (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_data (&t, 0, AT_FREE);
  test_qcow2_entry (&t, 1, ((AT_FREE + 1) << BITS) | 2);
  test_qcow2_data (&t, 2, AT_FREE + 2);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, L1_SPAN, RV_MAP_DATA, CLUSTER);
  CHECK_DAMAGED (&t, CLUSTER + 7, L1_SPAN - CLUSTER, CLUSTER - 7,
                 "disk: the QCOW2 L2 entry 0xc02 for guest offset 0x200 has "
                 "reserved bits set");
  CHECK_DAMAGED (&t, CLUSTER + 7, 2, 2, "*reserved bits*");
  CHECK_MAP (&t, 2 * CLUSTER, CLUSTER, RV_MAP_DATA, CLUSTER);
}

static void
what_starts_beyond_the_file_is_damage_and_never_zeros (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_data (&t, 0, 19);
  test_qcow2_data (&t, 1, 20);
  test_qcow2_data (&t, 2, 0x7fffffffffull);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, L1_SPAN, RV_MAP_DATA, CLUSTER);
  CHECK_DAMAGED (&t, CLUSTER, L1_SPAN, CLUSTER,
                 "*L2 entry 0x8000000000002800*beyond the end*");
  CHECK_DAMAGED (&t, 2 * CLUSTER, L1_SPAN, CLUSTER, "*beyond the end*");
}

static void
the_last_host_cluster_need_not_be_complete (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_data (&t, 0, 18);
  test_qcow2_data (&t, 1, 19);
  test_qcow2_data (&t, 2, 20);
  t.len = 19 * CLUSTER + 100;
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, L1_SPAN, RV_MAP_DATA, 2 * CLUSTER);
  CHECK_EQ_U64 (t.map.host_avail, CLUSTER + 100);
  CHECK_MAP (&t, CLUSTER + 99, L1_SPAN, RV_MAP_DATA, CLUSTER - 99);
  CHECK_EQ_U64 (t.map.host_avail, 1);
  CHECK_MAP (&t, CLUSTER + 100, 300, RV_MAP_ZERO, 300);
  CHECK (!t.map.hole);
  CHECK_DAMAGED (&t, 2 * CLUSTER, CLUSTER, CLUSTER, "*beyond the end*");
}

static void
guest_data_is_never_taken_from_a_table (void)
{
  static const char *const tables[] = { "*the header*", "*the refcount table*",
                                        "*a refcount block*", "*the L1 table*",
                                        "*an L2 table*" };

  for (unsigned c = 1; c < 5; c++) {
    CLEANUP_QCOW2 struct test_qcow2 t;

    begin (&t);
    test_qcow2_data (&t, 0, c);
    test_qcow2_compressed (&t, 1, c * CLUSTER + 511, 1);
    test_qcow2_compressed (&t, 2, (c - 1) * CLUSTER + 511, 2);
    REQUIRE_OK (test_qcow2_open (&t, &err), err);
    CHECK_DAMAGED (&t, 0, L1_SPAN, CLUSTER, tables[c]);
    CHECK_DAMAGED (&t, CLUSTER, L1_SPAN, CLUSTER, tables[c]);
    CHECK_DAMAGED (&t, 2 * CLUSTER, L1_SPAN, CLUSTER, "*");
  }
}

static void
compressed_data_in_the_header_is_damage (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_compressed (&t, 0, 0, 1);
  test_qcow2_compressed (&t, 1, 300, 1);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_DAMAGED (&t, 0, L1_SPAN, CLUSTER, "*the header*");
  CHECK_DAMAGED (&t, CLUSTER, L1_SPAN, CLUSTER, "*the header*");
}

static void
a_run_ends_before_a_table_and_goes_on_behind_it (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  set_l1 (&t, 1, 7 << BITS);
  for (unsigned i = 0; i < 5; i++)
    test_qcow2_data (&t, i, 5 + i);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, L1_SPAN, RV_MAP_DATA, 2 * CLUSTER);
  CHECK_DAMAGED (&t, 2 * CLUSTER, L1_SPAN, CLUSTER, "*an L2 table*");
  CHECK_MAP (&t, 3 * CLUSTER, L1_SPAN, RV_MAP_DATA, 2 * CLUSTER);
}

static void
a_compressed_cluster_may_end_with_the_file (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  test_qcow2_compressed (&t, 0, 19 * CLUSTER + 500, 2);
  test_qcow2_compressed (&t, 1, 20 * CLUSTER, 1);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, CLUSTER, RV_MAP_COMPRESSED, CLUSTER);
  CHECK_EQ_U64 (t.map.host_len, 12);
  CHECK_DAMAGED (&t, CLUSTER, CLUSTER, CLUSTER, "*beyond the end*");
}

static void
a_bad_l1_entry_damages_all_that_it_stands_for (void)
{
  static const struct {
    uint64_t entry;
    const char *what;
  } bad[] = {
    { 6 << BITS | 1, "*L1 entry 1*reserved bits*" },
    { 6 << BITS | 1ull << 56, "*L1 entry 1*reserved bits*" },
    { 20 << BITS, "*does not fit into the file*" },
    { 0x00fffffffffffe00, "*does not fit into the file*" },
    { QCOW2_OFLAG_COPIED, "*in the header*" },
    { AT_L1 << BITS, "*in the L1 table*" },
    { AT_L2 << BITS, "*that another entry has too*" },
    { AT_REFTABLE << BITS, "*in the refcount table*" },
    { AT_REFBLOCK << BITS, "*in a refcount block*" },
  };

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CLEANUP_QCOW2 struct test_qcow2 t;

    begin (&t);
    set_l1 (&t, 1, bad[i].entry);
    REQUIRE_OK (test_qcow2_open (&t, &err), err);
    CHECK_DAMAGED (&t, L1_SPAN + 5, 2 * L1_SPAN, L1_SPAN - 5, bad[i].what);
    CHECK_DAMAGED (&t, L1_SPAN + 5, 7, 7, bad[i].what);
    CHECK_MAP (&t, 2 * L1_SPAN, L1_SPAN, RV_MAP_PARENT, L1_SPAN);
  }
}

static void
an_l2_table_that_is_not_aligned_is_damage (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  test_qcow2_init (&t, 16, 8, 1 << 20);
  put_be64 (test_qcow2_at (&t, AT_L1), (4 << 16) + 512);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_DAMAGED (&t, 0, 1 << 20, 1 << 20, "*not aligned*");
}

static void
version_2_images_have_no_zero_clusters (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be32 (t.p + 4, 2);
  memset (t.p + 72, 0, 40);
  test_qcow2_entry (&t, 0, QCOW2_OFLAG_ZERO);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_DAMAGED (&t, 0, L1_SPAN, CLUSTER, "*version 2*");
}

static void
nonsense_in_the_refcount_table_does_not_keep_from_reading (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  memset (test_qcow2_at (&t, AT_REFTABLE), 0xff, CLUSTER);
  test_qcow2_data (&t, 0, AT_FREE);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_MAP (&t, 0, CLUSTER, RV_MAP_DATA, CLUSTER);
}

static void
failing_storage_is_told_with_the_length_that_it_affects (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  atomic_uint countdown = 0;

  begin (&t);
  REQUIRE_OK (rv_io_mem_new (t.p, t.len, "disk", &t.io, &err), err);
  REQUIRE_OK (rv_io_fault_new (t.io, &countdown, &t.fault, &err), err);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  countdown = 1;
  CHECK_EQ_INT (test_qcow2_map (&t, 5, 2 * L1_SPAN, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
  CHECK_EQ_U64 (t.damaged, L1_SPAN - 5);
  countdown = 0;
  CHECK_MAP (&t, 5, L1_SPAN - 5, RV_MAP_PARENT, L1_SPAN - 5);
  rv_io_unref (t.fault);
}

/*--- External data file -------------------------------------------------*/

static void
a_data_file_has_the_bytes_at_the_guests_offsets (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  uint8_t bytes[3 * CLUSTER] = { 0 };
  CLEANUP_IO struct rv_io *io = NULL;

  begin (&t);
  put_be64 (t.p + 72, QCOW2_INCOMPAT_DATA_FILE);
  test_qcow2_entry (&t, 0, QCOW2_OFLAG_COPIED);
  test_qcow2_entry (&t, 1, QCOW2_OFLAG_COPIED | 1 << BITS);
  test_qcow2_entry (&t, 2, QCOW2_OFLAG_COPIED | 3 << BITS);
  test_qcow2_entry (&t, 3, QCOW2_OFLAG_COPIED | 3 << BITS);
  t.params.has_data_file = true;
  REQUIRE_OK (rv_io_mem_new (bytes, sizeof bytes, "data", &io, &err), err);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_EQ_U64 (t.format->refs.len, 1);
  REQUIRE_OK (t.format->ops->attach (t.format, 0, io, &t.params, &err), err);
  CHECK_MAP (&t, 0, L1_SPAN, RV_MAP_DATA, 2 * CLUSTER);
  CHECK (t.map.io == io);
  CHECK_EQ_U64 (t.map.host_off, 0);
  CHECK_DAMAGED (&t, 2 * CLUSTER, L1_SPAN, CLUSTER, "*not the guest's*");
  CHECK_DAMAGED (&t, 3 * CLUSTER, L1_SPAN, CLUSTER, "*beyond the end*");
}

/*--- Any image ----------------------------------------------------------*/

/* Walks the whole disk: every answer must be within the question and the file.
 * Returns the number of runs.
 */
static void
walk (struct test_qcow2 *t)
{
  uint64_t off = 0, size = t->format->size;

  while (off < size) {
    uint64_t n;

    if (test_qcow2_map (t, off, size - off, &err) == 0) {
      const struct rv_map *m = &t->map;

      n = m->len;
      if (m->kind == RV_MAP_DATA) {
        uint64_t avail = m->host_avail ? m->host_avail : m->len;

        CHECK (m->host_off + avail <= t->len);
      }
      if (m->kind == RV_MAP_COMPRESSED)
        CHECK (m->host_off + m->host_len <= t->len && m->host_len > 0);
    }
    else
      n = t->damaged;
    if (!CHECK (n > 0 && n <= size - off))
      return;
    off += n;
  }
}

static void
fill (struct test_qcow2 *t)
{
  test_qcow2_data (t, 0, AT_FREE);
  test_qcow2_data (t, 1, AT_FREE + 1);
  test_qcow2_entry (t, 2, QCOW2_OFLAG_ZERO);
  test_qcow2_entry (t, 3, QCOW2_OFLAG_ZERO | (AT_FREE + 2) << BITS);
  test_qcow2_compressed (t, 4, (AT_FREE + 3) * CLUSTER, 2);
  test_qcow2_data (t, 6, AT_FREE + 5);
}

/* Cut images fail to open, or fail where something is missing. */
static void
every_truncated_length_is_refused_or_damaged (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  fill (&t);
  for (t.len = 0; t.len <= (AT_FREE + 5) * CLUSTER; t.len++) {
    bool opened = test_qcow2_open (&t, &err) == 0;

    CHECK (opened || err.msg[0] != '\0');
    CHECK (!opened || t.len >= AT_L1 * CLUSTER + 4 * 8);
    if (opened) {
      walk (&t);
      CHECK_EQ_INT (test_qcow2_map (&t, 6 * CLUSTER, CLUSTER, &err), -1);
      CHECK_EQ_INT (test_qcow2_map (&t, 0, CLUSTER, &err),
                    t.len > AT_FREE * CLUSTER ? 0 : -1);
      if (t.len <= AT_L2 * CLUSTER + CLUSTER - 1)
        CHECK_EQ_INT (test_qcow2_map (&t, 2 * CLUSTER, 1, &err), -1);
    }
    test_qcow2_close (&t);
  }
}

static void
any_changed_byte_gives_an_answer_inside_the_file (void)
{
  static const uint8_t values[] = { 0, 1, 0x40, 0x80, 0xff };
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  fill (&t);
  t.params.max_size = 1 << 20;
  for (uint64_t i = 0; i < AT_FREE * CLUSTER; i++)
    for (size_t v = 0; v < sizeof values; v++) {
      uint8_t before = t.p[i];

      if (i > 120 && i < AT_REFTABLE * CLUSTER)
        continue;
      t.p[i] = values[v];
      if (test_qcow2_open (&t, &err) == 0)
        walk (&t);
      else
        CHECK (err.msg[0] != '\0' && err.errnum != 0);
      test_qcow2_close (&t);
      t.p[i] = before;
    }
}

/*--- Tables -------------------------------------------------------------*/

static void
open_counted (struct test_qcow2 *t, atomic_uint *reads_left, struct rv_io **io)
{
  REQUIRE_OK (counted_io (t->p, t->len, reads_left, io, &err), err);
  t->fault = *io;
  REQUIRE_OK (test_qcow2_open (t, &err), err);
}

/* The second of four is not there, and the last one lies nowhere. */
static void
the_tables_that_map_needs_are_named (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  CLEANUP_IO struct rv_io *io = NULL;
  atomic_uint reads_left;

  begin (&t);
  test_qcow2_data (&t, 3, AT_FREE);
  set_l1 (&t, 2, (uint64_t) (AT_FREE + 1) << BITS);
  set_l1 (&t, 3, 12345);
  open_counted (&t, &reads_left, &io);
  REQUIRE (t.format != NULL);
  check_tables_of (t.format, &reads_left, L1_SPAN, L1_SPAN, 0);
  check_tables_of (t.format, &reads_left, L1_SPAN - 1, 2, 1);
  check_tables_of (t.format, &reads_left, 2 * L1_SPAN, 2 * L1_SPAN, 1);
  check_tables_of_ends (t.format, 1);
}

static void
all_tables_of_a_disk_are_named (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  CLEANUP_IO struct rv_io *io = NULL;
  atomic_uint reads_left;

  begin (&t);
  for (unsigned i = 1; i < 4; i++)
    set_l1 (&t, i, (uint64_t) (AT_FREE + i) << BITS);
  open_counted (&t, &reads_left, &io);
  REQUIRE (t.format != NULL);
  check_tables_of (t.format, &reads_left, 0, 4 * L1_SPAN, 4);
}

/* A table of 128 KiB is two pieces, each for half of its clusters. */
static void
of_large_tables_the_pieces_are_named (void)
{
  for (unsigned extended = 0; extended < 2; extended++) {
    CLEANUP_QCOW2 struct test_qcow2 t;
    CLEANUP_IO struct rv_io *io = NULL;
    uint64_t half = UINT64_C (1) << (extended ? 29 : 30);
    atomic_uint reads_left;

    test_qcow2_init (&t, 17, 8, 2 * half);
    if (extended)
      test_qcow2_make_extended (&t);
    test_qcow2_data (&t, 8, AT_FREE);
    open_counted (&t, &reads_left, &io);
    REQUIRE (t.format != NULL);
    check_tables_of (t.format, &reads_left, 0, half, 1);
    check_tables_of (t.format, &reads_left, half + 5, half - 5, 1);
    check_tables_of_ends (t.format, 2);
  }
}

int
main (void)
{
  TEST (missing_l2_tables_are_one_long_run);
  TEST (a_run_of_missing_tables_ends_where_a_table_is);
  TEST (clusters_that_adjoin_on_both_sides_are_one_run);
  TEST (a_run_is_not_longer_than_the_question);
  TEST (holes_are_looked_for_in_a_file_that_has_some);
  TEST (zeros_with_and_without_space_are_two_runs);
  TEST (each_compressed_cluster_is_a_run_of_its_own);
  TEST (the_header_says_which_codec);
  TEST (large_tables_are_found_in_any_piece);
  TEST (every_cluster_size_maps_alike);
  TEST (subclusters_that_are_equal_are_one_run);
  TEST (runs_of_subclusters_go_on_in_the_next_cluster);
  TEST (damaged_subclusters_do_not_hurt_their_neighbours);
  TEST (contradicting_subclusters_damage_their_cluster);
  TEST (a_damaged_entry_ends_a_run_and_damages_its_cluster);
  TEST (what_starts_beyond_the_file_is_damage_and_never_zeros);
  TEST (the_last_host_cluster_need_not_be_complete);
  TEST (guest_data_is_never_taken_from_a_table);
  TEST (compressed_data_in_the_header_is_damage);
  TEST (a_run_ends_before_a_table_and_goes_on_behind_it);
  TEST (a_compressed_cluster_may_end_with_the_file);
  TEST (a_bad_l1_entry_damages_all_that_it_stands_for);
  TEST (an_l2_table_that_is_not_aligned_is_damage);
  TEST (version_2_images_have_no_zero_clusters);
  TEST (nonsense_in_the_refcount_table_does_not_keep_from_reading);
  TEST (failing_storage_is_told_with_the_length_that_it_affects);
  TEST (a_data_file_has_the_bytes_at_the_guests_offsets);
  TEST (every_truncated_length_is_refused_or_damaged);
  TEST (any_changed_byte_gives_an_answer_inside_the_file);
  TEST (the_tables_that_map_needs_are_named);
  TEST (all_tables_of_a_disk_are_named);
  TEST (of_large_tables_the_pieces_are_named);
  return test_result ();
}
