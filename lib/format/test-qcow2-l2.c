/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-qcow2.h"

#define COPIED     QCOW2_OFLAG_COPIED
#define COMPRESSED QCOW2_OFLAG_COMPRESSED
#define ZERO       QCOW2_OFLAG_ZERO

static struct rv_qcow2_header header;
static struct rv_qcow2_cluster c;

static void
begin (unsigned bits, uint64_t incompatible)
{
  header = (struct rv_qcow2_header){ .version = 3,
                                     .cluster_bits = bits,
                                     .incompatible = incompatible };
}

/* Entry and subcluster bitmap. */
static const char *
decode2 (uint64_t entry, uint64_t bitmap)
{
  uint8_t p[16];

  put_be64 (p, entry);
  put_be64 (p + 8, bitmap);
  return rv_qcow2_l2_decode (p, &header, 0x10000, &c);
}

static const char *
decode (uint64_t entry)
{
  uint8_t p[8];

  put_be64 (p, entry);
  return rv_qcow2_l2_decode (p, &header, 0x10000, &c);
}

static void
an_empty_entry_is_unallocated (void)
{
  begin (16, 0);
  CHECK_STR_EQ (decode (0), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_UNALLOCATED);
}

static void
an_offset_is_data_whatever_the_copied_flag_says (void)
{
  begin (16, 0);
  CHECK_STR_EQ (decode (COPIED | 0x50000), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_DATA);
  CHECK_EQ_U64 (c.host_off, 0x50000);
  CHECK_STR_EQ (decode (0x00ffffffffff0000), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_DATA);
  CHECK_EQ_U64 (c.host_off, 0x00ffffffffff0000);
}

static void
zero_clusters_may_be_allocated (void)
{
  begin (16, 0);
  CHECK_STR_EQ (decode (ZERO), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_ZERO);
  CHECK_EQ_U64 (c.host_off, 0);
  CHECK_STR_EQ (decode (COPIED | 0x50000 | ZERO), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_ZERO);
  CHECK_EQ_U64 (c.host_off, 0x50000);
}

static void
version_2_has_no_zero_flag (void)
{
  begin (16, 0);
  header.version = 2;
  CHECK_STR_MATCH (decode (ZERO), "the zero flag*");
  CHECK_STR_MATCH (decode (COPIED | 0x50000 | ZERO), "the zero flag*");
}

static void
reserved_bits_and_odd_offsets_are_damage (void)
{
  begin (16, 0);
  for (unsigned bit = 1; bit <= 8; bit++)
    CHECK_STR_EQ (decode (COPIED | 0x50000 | 1ull << bit), "reserved bits set");
  for (unsigned bit = 56; bit <= 61; bit++)
    CHECK_STR_EQ (decode (COPIED | 0x50000 | 1ull << bit), "reserved bits set");
  for (unsigned bit = 9; bit <= 15; bit++)
    CHECK_STR_MATCH (decode (COPIED | 0x50000 | 1ull << bit), "*not aligned*");
  CHECK_STR_MATCH (decode (COPIED), "the COPIED flag without*");
}

static void
compressed_entries_divide_at_a_place_that_depends_on_the_cluster (void)
{
  for (unsigned bits = 9; bits <= 21; bits++) {
    unsigned x = 62 - (bits - 8);
    uint64_t most = (1ull << (bits - 8)) - 1;

    begin (bits, 0);
    CHECK_STR_EQ (decode (COMPRESSED | 0x12345), NULL);
    CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_COMPRESSED);
    CHECK_EQ_U64 (c.host_off, 0x12345);
    CHECK_EQ_U64 (c.host_len, 512 - 0x145);
    CHECK_STR_EQ (decode (COMPRESSED | most << x | 0x200), NULL);
    CHECK_EQ_U64 (c.host_off, 0x200);
    CHECK_EQ_U64 (c.host_len, 2u << bits);
  }
}

static void
compressed_offsets_stay_below_2_to_the_56 (void)
{
  begin (9, 0); /* 61 bits of offset */
  CHECK_STR_EQ (decode (COMPRESSED | 0x00ffffffffffffff), NULL);
  CHECK_STR_EQ (decode (COMPRESSED | 1ull << 56), "an offset above 2^56");
  CHECK_STR_EQ (decode (COMPRESSED | 1ull << 60), "an offset above 2^56");
}

static void
an_external_data_file_has_the_guests_own_offsets (void)
{
  begin (16, QCOW2_INCOMPAT_DATA_FILE);
  CHECK_STR_EQ (decode (COPIED | 0x10000), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_DATA);
  CHECK_STR_EQ (decode (0x10000), NULL);
  CHECK_STR_MATCH (decode (COPIED | 0x20000), "*is not the guest's");
  CHECK_STR_MATCH (decode (COMPRESSED | 0x10000), "a compressed cluster*");
  /* Offset 0 counts as allocated if the flag says so. */
  CHECK_STR_MATCH (decode (COPIED), "*is not the guest's");
  CHECK_STR_EQ (decode (0), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_UNALLOCATED);
}

static void
the_first_cluster_of_a_data_file_has_offset_0 (void)
{
  uint8_t p[8];

  begin (16, QCOW2_INCOMPAT_DATA_FILE);
  put_be64 (p, COPIED);
  CHECK_STR_EQ (rv_qcow2_l2_decode (p, &header, 0, &c), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_DATA);
}

static void
subclusters_that_agree_are_one_kind (void)
{
  begin (16, QCOW2_INCOMPAT_EXT_L2);
  CHECK_STR_EQ (decode2 (0, 0), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_UNALLOCATED);
  CHECK_STR_EQ (decode2 (COPIED | 0x50000, 0), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_UNALLOCATED);
  CHECK_STR_EQ (decode2 (COPIED | 0x50000, 0xffffffff), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_DATA);
  CHECK_STR_EQ (decode2 (0, 0xffffffffull << 32), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_ZERO);
  CHECK_STR_EQ (decode2 (COMPRESSED | 0x50000, 0), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_COMPRESSED);
}

static void
subclusters_that_differ_are_told_one_by_one (void)
{
  begin (16, QCOW2_INCOMPAT_EXT_L2);
  CHECK_STR_EQ (decode2 (COPIED | 0x50000, 0x80000000ull << 32 | 1), NULL);
  CHECK_EQ_INT (c.kind, QCOW2_CLUSTER_SUBCLUSTERS);
  CHECK_EQ_U64 (c.alloc, 1);
  CHECK_EQ_U64 (c.zero, 0x80000000);
}

static void
contradicting_subclusters_are_damage (void)
{
  begin (16, QCOW2_INCOMPAT_EXT_L2);
  for (unsigned i = 0; i < 32; i++)
    CHECK_STR_MATCH (decode2 (COPIED | 0x50000, 1ull << i | 1ull << (i + 32)),
                     "a subcluster that is both*");
  CHECK_STR_MATCH (decode2 (0, 1), "allocated subclusters without*");
  CHECK_STR_MATCH (decode2 (COPIED | 0x50000 | ZERO, 0), "the zero flag*");
  CHECK_STR_MATCH (decode2 (COMPRESSED | 0x50000, 1),
                   "a subcluster bitmap on a compressed*");
  CHECK_STR_MATCH (decode2 (COMPRESSED | 0x50000, 1ull << 63),
                   "a subcluster bitmap on a compressed*");
}

int
main (void)
{
  TEST (an_empty_entry_is_unallocated);
  TEST (an_offset_is_data_whatever_the_copied_flag_says);
  TEST (zero_clusters_may_be_allocated);
  TEST (version_2_has_no_zero_flag);
  TEST (reserved_bits_and_odd_offsets_are_damage);
  TEST (compressed_entries_divide_at_a_place_that_depends_on_the_cluster);
  TEST (compressed_offsets_stay_below_2_to_the_56);
  TEST (an_external_data_file_has_the_guests_own_offsets);
  TEST (the_first_cluster_of_a_data_file_has_offset_0);
  TEST (subclusters_that_agree_are_one_kind);
  TEST (subclusters_that_differ_are_told_one_by_one);
  TEST (contradicting_subclusters_are_damage);
  return test_result ();
}
