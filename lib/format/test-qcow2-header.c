/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-qcow2.h"

static uint8_t head[112];
static struct rv_qcow2_header h;
static rawview_error err;

static void
good (void)
{
  put_qcow2_header (head, 16, 1 << 30);
}

static int
parse_len (size_t len)
{
  err = (rawview_error){ 0 };
  return rv_qcow2_header_parse ((struct rv_view){ head, len }, "disk", &h,
                                &err);
}

static int
parse (void)
{
  return parse_len (sizeof head);
}

#define CHECK_REFUSED(kind, pattern) \
  do { \
    CHECK_EQ_INT (parse (), -1); \
    CHECK_ERROR (err, (kind), (pattern)); \
    good (); \
  } while (0)

static void
all_fields_are_read (void)
{
  good ();
  put_be64 (head + 8, 0x200);
  put_be32 (head + 16, 5);
  put_be32 (head + 60, 2);
  put_be64 (head + 64, 0x70000);
  put_be64 (head + 72, QCOW2_INCOMPAT_DIRTY);
  put_be64 (head + 80, QCOW2_COMPAT_LAZY_REFCOUNTS);
  put_be64 (head + 88, QCOW2_AUTOCLEAR_BITMAPS);
  REQUIRE_OK (parse (), err);
  CHECK_EQ_U64 (h.version, 3);
  CHECK_EQ_U64 (h.backing_off, 0x200);
  CHECK_EQ_U64 (h.backing_len, 5);
  CHECK_EQ_U64 (h.cluster_bits, 16);
  CHECK_EQ_U64 (h.size, 1 << 30);
  CHECK_EQ_U64 (h.l1_size, 1);
  CHECK_EQ_U64 (h.l1_off, 0x30000);
  CHECK_EQ_U64 (h.refcount_table_off, 0x10000);
  CHECK_EQ_U64 (h.refcount_table_clusters, 1);
  CHECK_EQ_U64 (h.nb_snapshots, 2);
  CHECK_EQ_U64 (h.snapshots_off, 0x70000);
  CHECK_EQ_U64 (h.incompatible, QCOW2_INCOMPAT_DIRTY);
  CHECK_EQ_U64 (h.compatible, QCOW2_COMPAT_LAZY_REFCOUNTS);
  CHECK_EQ_U64 (h.autoclear, QCOW2_AUTOCLEAR_BITMAPS);
  CHECK_EQ_U64 (h.refcount_order, 4);
  CHECK_EQ_U64 (h.header_length, 112);
}

static void
version_2_ends_at_72_bytes (void)
{
  good ();
  memset (head + 72, 0xff, sizeof head - 72);
  put_be32 (head + 4, 2);
  REQUIRE_OK (parse_len (72), err);
  CHECK_EQ_U64 (h.incompatible | h.compatible | h.autoclear, 0);
  CHECK_EQ_U64 (h.refcount_order, 4);
  CHECK_EQ_U64 (h.header_length, 72);
}

static void
version_3_may_have_104_bytes (void)
{
  good ();
  put_be32 (head + 100, 104);
  head[104] = 1; /* no longer part of the header */
  REQUIRE_OK (parse_len (104), err);
  CHECK_EQ_U64 (h.compression_type, 0);
}

static void
every_cut_header_is_an_error (void)
{
  good ();
  for (size_t len = 0; len < 105; len++) {
    CHECK_EQ_INT (parse_len (len), -1);
    if (len < 4)
      CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "disk: not a QCOW2 image*");
    else
      CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "disk: truncated*");
  }
  put_be32 (head + 4, 2);
  for (size_t len = 8; len < 72; len++)
    CHECK_EQ_INT (parse_len (len), -1);
}

static void
other_files_and_versions_are_called_by_their_name (void)
{
  good ();
  head[3] = 0;
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "disk: not a QCOW2 image*");
  put_be32 (head + 4, 1);
  CHECK_REFUSED (RAWVIEW_ERROR_UNSUPPORTED, "*QCOW version 1*convert*");
  put_be32 (head + 4, 4);
  CHECK_REFUSED (RAWVIEW_ERROR_UNSUPPORTED, "*QCOW version 4*");
  put_be32 (head + 4, 0);
  CHECK_REFUSED (RAWVIEW_ERROR_UNSUPPORTED, "*QCOW version 0*");
}

static void
clusters_have_9_to_21_bits (void)
{
  static const uint32_t wrong[] = { 0, 8, 22, 31, 32, 63, 64, UINT32_MAX };

  good ();
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    put_be32 (head + 20, wrong[i]);
    CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*cluster_bits*9 to 21");
  }
  for (uint32_t bits = 9; bits <= 21; bits++) {
    put_be32 (head + 20, bits);
    CHECK_OK (parse (), err);
  }
}

static void
the_header_length_is_a_multiple_of_8_inside_the_cluster (void)
{
  static const uint32_t wrong[] = { 0,     8,          103,       105,
                                    65544, 0x7fffffff, UINT32_MAX };

  good ();
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    put_be32 (head + 100, wrong[i]);
    CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*header_length*");
  }
  put_be32 (head + 100, 65536);
  CHECK_OK (parse (), err);
}

static void
refcounts_have_at_most_64_bits (void)
{
  good ();
  put_be32 (head + 96, 7);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*refcount_order 7*");
  put_be32 (head + 96, 255);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*refcount_order 255*");
  put_be32 (head + 96, 6);
  CHECK_OK (parse (), err);
}

static void
extended_l2_needs_large_clusters (void)
{
  good ();
  put_be64 (head + 72, QCOW2_INCOMPAT_EXT_L2);
  CHECK_OK (parse (), err);
  CHECK_EQ_U64 (rv_qcow2_l2_bits (&h), 12);
  put_be32 (head + 20, 13);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*extended L2*14*13");
}

static void
the_compression_type_agrees_with_its_bit (void)
{
  good ();
  head[104] = 1;
  CHECK_REFUSED (RAWVIEW_ERROR_CORRUPT, "*compression_type 1 contradicts*");
  put_be64 (head + 72, QCOW2_INCOMPAT_COMPRESSION);
  CHECK_REFUSED (RAWVIEW_ERROR_CORRUPT, "*compression_type 0 contradicts*");
  put_be64 (head + 72, QCOW2_INCOMPAT_COMPRESSION);
  head[104] = 1;
  put_be32 (head + 100, 104);
  CHECK_REFUSED (RAWVIEW_ERROR_CORRUPT, "*contradicts*");
  put_be64 (head + 72, QCOW2_INCOMPAT_COMPRESSION);
  head[104] = 2;
  CHECK_REFUSED (RAWVIEW_ERROR_UNSUPPORTED, "*compression_type 2 is not*");
  put_be64 (head + 72, QCOW2_INCOMPAT_COMPRESSION);
  head[104] = 1;
  CHECK_OK (parse (), err);
}

static void
encrypted_images_are_refused (void)
{
  good ();
  put_be32 (head + 32, 1);
  CHECK_REFUSED (RAWVIEW_ERROR_UNSUPPORTED, "*encrypted (AES)*");
  put_be32 (head + 32, 2);
  CHECK_REFUSED (RAWVIEW_ERROR_UNSUPPORTED, "*encrypted (LUKS)*");
  put_be32 (head + 32, 3);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*crypt_method 3*");
}

static void
put_backing (uint64_t off, uint32_t len)
{
  put_be64 (head + 8, off);
  put_be32 (head + 16, len);
}

static void
the_backing_name_lies_between_header_and_cluster_end (void)
{
  good ();
  put_backing (0, 1);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*no backing file");
  put_backing (111, 1);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*is not between*");
  put_backing (65536 - 4, 5);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*is not between*");
  put_backing (UINT64_MAX, 5);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*is not between*");
  put_backing (200, UINT32_MAX);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*is not between*");
  put_backing (200, 1024);
  CHECK_REFUSED (RAWVIEW_ERROR_LIMIT, "*longer than 1023");
  put_backing (65536 - 1023, 1023);
  CHECK_OK (parse (), err);
}

static void
snapshots_are_limited_and_aligned (void)
{
  good ();
  put_be32 (head + 60, 65537);
  CHECK_REFUSED (RAWVIEW_ERROR_LIMIT, "*65537 QCOW2 snapshots*");
  put_be32 (head + 60, UINT32_MAX);
  CHECK_REFUSED (RAWVIEW_ERROR_LIMIT, "*QCOW2 snapshots*");
  put_be32 (head + 60, 1);
  put_be64 (head + 64, 0x50200);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*snapshot table offset*");
  put_be32 (head + 60, 1);
  put_be64 (head + 64, 0);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*snapshot table offset*");
  put_be64 (head + 64, 0x50200);
  CHECK_OK (parse (), err); /* there are none */
}

/* No single changed byte makes the parser accept numbers past the limits. */
static void
any_byte_may_have_any_value (void)
{
  for (size_t i = 0; i < sizeof head; i++)
    for (unsigned v = 0; v < 256; v++) {
      good ();
      head[i] = v;
      if (parse () == -1)
        CHECK (err.msg[0] != '\0' && err.errnum != 0);
      else
        CHECK (h.cluster_bits >= 9 && h.cluster_bits <= 21 &&
               h.refcount_order <= 6 && h.nb_snapshots <= 65536 &&
               h.header_length <= 1u << h.cluster_bits);
    }
}

int
main (void)
{
  TEST (all_fields_are_read);
  TEST (version_2_ends_at_72_bytes);
  TEST (version_3_may_have_104_bytes);
  TEST (every_cut_header_is_an_error);
  TEST (other_files_and_versions_are_called_by_their_name);
  TEST (clusters_have_9_to_21_bits);
  TEST (the_header_length_is_a_multiple_of_8_inside_the_cluster);
  TEST (refcounts_have_at_most_64_bits);
  TEST (extended_l2_needs_large_clusters);
  TEST (the_compression_type_agrees_with_its_bit);
  TEST (encrypted_images_are_refused);
  TEST (the_backing_name_lies_between_header_and_cluster_end);
  TEST (snapshots_are_limited_and_aligned);
  TEST (any_byte_may_have_any_value);
  return test_result ();
}
