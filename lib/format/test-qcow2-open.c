/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>

#include "format/test-qcow2.h"

#define BITS    9u
#define CLUSTER (1u << BITS)
#define SIZE    (64u * CLUSTER) /* one L1 entry */

static rawview_error err;

static void
begin (struct test_qcow2 *t)
{
  test_qcow2_init (t, BITS, 8, SIZE);
}

#define CHECK_OPEN_FAILS(t, kind, pattern) \
  do { \
    CHECK_EQ_INT (test_qcow2_open ((t), &err), -1); \
    CHECK_ERROR (err, (kind), (pattern)); \
    test_qcow2_close (t); \
  } while (0)

static size_t
put_extension (uint8_t *p, size_t at, uint32_t type, const char *text)
{
  put_be32 (p + at, type);
  put_be32 (p + at + 4, strlen (text));
  memcpy (p + at + 8, text, strlen (text));
  return at + 8 + (strlen (text) + 7) / 8 * 8;
}

static void
put_backing (struct test_qcow2 *t, const char *name, const char *format)
{
  if (format)
    put_extension (t->p, 112, 0xe2792aca, format);
  put_be64 (t->p + 8, 300);
  put_be32 (t->p + 16, strlen (name));
  memcpy (t->p + 300, name, strlen (name));
}

/* The text or number of a fact; NULL if there is none. */
static const rawview_fact *
fact (const struct test_qcow2 *t, const char *key)
{
  for (size_t i = 0; i < t->format->facts.len; i++)
    if (strcmp (t->format->facts.ptr[i].key, key) == 0)
      return &t->format->facts.ptr[i];
  return NULL;
}

static void
the_probe_looks_at_the_signature_alone (void)
{
  CHECK (rv_format_qcow2.probe ((struct rv_view){ (uint8_t *) "QFI\xfb", 4 }));
  CHECK (!rv_format_qcow2.probe ((struct rv_view){ (uint8_t *) "QFI\xfb", 3 }));
  CHECK (!rv_format_qcow2.probe ((struct rv_view){ (uint8_t *) "QFI\xfa", 4 }));
}

static void
an_image_has_size_cluster_and_facts (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_EQ_U64 (t.format->size, SIZE);
  CHECK_EQ_U64 (t.format->cluster_size, CLUSTER);
  CHECK_EQ_U64 (t.format->refs.len, 0);
  CHECK_EQ_U64 (t.warnings.len, 0);
  REQUIRE (fact (&t, "format-specific.data.compat"));
  CHECK_STR_EQ (fact (&t, "format-specific.data.compat")->text, "1.1");
  CHECK_EQ_U64 (fact (&t, "format-specific.data.refcount-bits")->number, 16);
}

static void
an_empty_disk_needs_no_tables (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be64 (t.p + 24, 0);
  put_be32 (t.p + 36, 0);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_EQ_U64 (t.format->size, 0);
}

static void
half_a_sector_at_the_end_is_left_out_with_a_warning (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be64 (t.p + 24, SIZE - 100);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_EQ_U64 (t.format->size, SIZE - 512);
  REQUIRE (t.warnings.len == 1);
  CHECK_STR_MATCH (t.warnings.ptr[0], "*32668*last 412 bytes are left out*");
}

static void
images_that_must_not_be_written_can_be_read (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be64 (t.p + 72, QCOW2_INCOMPAT_DIRTY | QCOW2_INCOMPAT_CORRUPT);
  put_be64 (t.p + 80, UINT64_MAX); /* unknown, but compatible */
  put_be64 (t.p + 88, UINT64_MAX & ~QCOW2_AUTOCLEAR_DATA_FILE_RAW);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  REQUIRE (t.warnings.len == 2);
  CHECK_STR_MATCH (t.warnings.ptr[0], "*marked corrupt*");
  CHECK_STR_MATCH (t.warnings.ptr[1], "*not closed cleanly*");
}

static void
unknown_incompatible_features_are_refused_by_name (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be64 (t.p + 72, 1ull << 63);
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_UNSUPPORTED, "*bit 63 (unknown)*");
  put_be64 (t.p + 72, 1ull << 5);
  put_be32 (t.p + 112, 0x6803f857);
  put_be32 (t.p + 116, 48);
  t.p[121] = 5;
  strcpy ((char *) t.p + 122, "sub\nclusters");
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_UNSUPPORTED, "*bit 5 (sub?clusters)*");
}

/*--- Sizes and the L1 table ---------------------------------------------*/

static void
disks_above_max_size_are_refused_at_once (void)
{
  static const uint64_t sizes[] = { SIZE + 1, 1ull << 61, (1ull << 63) - 512,
                                    UINT64_MAX };
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  t.params.max_size = SIZE;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    put_be64 (t.p + 24, sizes[i]);
    CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_LIMIT, "*above max-size*");
  }
  put_be64 (t.p + 24, SIZE);
  CHECK_OK (test_qcow2_open (&t, &err), err);
}

static void
the_l1_table_is_as_large_as_the_disk_needs (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be64 (t.p + 24, SIZE + 512);
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_CORRUPT, "*1 entries is too small*2");
  put_be64 (t.p + 24, 512);
  put_be32 (t.p + 36, 0);
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_CORRUPT, "*0 entries is too small*1");
  put_be32 (t.p + 36, 64); /* larger is fine */
  CHECK_OK (test_qcow2_open (&t, &err), err);
}

static void
the_l1_table_has_at_most_32_mib (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be32 (t.p + 36, UINT32_MAX);
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_LIMIT, "*4294967295 entries*");
  put_be32 (t.p + 36, 0x7fffffff);
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_LIMIT, "*entries*");
  put_be32 (t.p + 36, (4u << 20) + 1);
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_LIMIT, "*entries*");
  put_be32 (t.p + 36, 4u << 20);
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_CORRUPT, "*truncated*does not fit*");
}

static void
the_l1_table_lies_in_a_cluster_inside_the_file (void)
{
  static const uint64_t offs[] = { 0, 8, AT_L1 * CLUSTER + 8 };
  static const uint64_t beyond[] = { 8 * CLUSTER, 0x7fffffffffff0000,
                                     0xfffffffffffffe00 };
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  for (size_t i = 0; i < 3; i++) {
    put_be64 (t.p + 40, offs[i]);
    CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_CORRUPT, "*L1 table offset*");
  }
  for (size_t i = 0; i < 3; i++) {
    put_be64 (t.p + 40, beyond[i]);
    CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_CORRUPT, "*truncated*");
  }
}

static void
a_refcount_table_that_is_nonsense_is_no_reason_to_refuse (void)
{
  static const uint64_t offs[] = { 0, 1, 0x7fffffffffff0000, UINT64_MAX };
  static const uint32_t clusters[] = { 0, 1, 0x20001, UINT32_MAX };

  for (size_t i = 0; i < 4; i++)
    for (size_t j = 0; j < 4; j++) {
      CLEANUP_QCOW2 struct test_qcow2 t;

      begin (&t);
      put_be64 (t.p + 48, offs[i]);
      put_be32 (t.p + 56, clusters[j]);
      CHECK_OK (test_qcow2_open (&t, &err), err);
    }
}

/*--- References ---------------------------------------------------------*/

static void
the_backing_file_is_a_name_not_an_order (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_backing (&t, "/etc/passwd", "raw");
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  REQUIRE (t.format->refs.len == 1);
  CHECK_EQ_INT (t.format->refs.ptr[0].role, RV_REF_PARENT);
  CHECK_STR_EQ (t.format->refs.ptr[0].name, "/etc/passwd");
  CHECK_STR_EQ (t.format->refs.ptr[0].format, "raw");
  CHECK (!t.format->refs.ptr[0].foreign_path);
  CHECK_STR_EQ (fact (&t, "backing-filename")->text, "/etc/passwd");
  CHECK_STR_EQ (fact (&t, "backing-filename-format")->text, "raw");
}

static void
a_missing_backing_format_stays_missing (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_backing (&t, "base", NULL);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  REQUIRE (t.format->refs.len == 1);
  CHECK_STR_EQ (t.format->refs.ptr[0].format, NULL);
}

static void
a_backing_name_has_no_nul (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_backing (&t, "base", "raw");
  t.p[302] = 0;
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_FORMAT, "*NUL*");
}

static void
a_data_file_has_bit_name_and_permission_together (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_extension (t.p, 112, 0x44415441, "/etc/passwd");
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_CORRUPT, "*not the feature bit*");
  put_be64 (t.p + 72, QCOW2_INCOMPAT_DATA_FILE);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  REQUIRE (t.format->refs.len == 1);
  CHECK_EQ_INT (t.format->refs.ptr[0].role, RV_REF_DATA_FILE);
  CHECK_STR_EQ (t.format->refs.ptr[0].name, "/etc/passwd");
  CHECK_STR_EQ (fact (&t, "format-specific.data.data-file")->text,
                "/etc/passwd");
}

static void
a_data_file_for_an_image_without_one_is_the_users_mistake (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  t.params.has_data_file = true;
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_USAGE, "*no external data file*");
}

static void
a_data_file_forbids_snapshots_and_when_raw_a_backing_file (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be64 (t.p + 72, QCOW2_INCOMPAT_DATA_FILE);
  put_be32 (t.p + 60, 1);
  put_be64 (t.p + 64, 5 * CLUSTER);
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_CORRUPT, "*snapshots");
  put_be32 (t.p + 60, 0);
  put_be64 (t.p + 88, QCOW2_AUTOCLEAR_DATA_FILE_RAW);
  put_backing (&t, "base", "raw");
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_CORRUPT, "*backing file");
}

static void
an_image_is_not_its_own_data_file (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be64 (t.p + 72, QCOW2_INCOMPAT_DATA_FILE);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_EQ_INT (t.format->ops->attach (t.format, 0, t.io, &t.params, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*its own data file");
}

static void
encrypted_images_are_refused_before_any_table_is_read (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t);
  put_be32 (t.p + 32, 2);
  put_extension (t.p, 112, 0x0537be77, "1234567812345678");
  CHECK_OPEN_FAILS (&t, RAWVIEW_ERROR_UNSUPPORTED, "*encrypted (LUKS)*");
}

/*--- Failing storage ----------------------------------------------------*/

/* Opens and maps with the n-th read failing, until nothing fails. */
static void
every_failed_read_is_an_error_and_nothing_leaks (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  unsigned failures = 0;

  begin (&t);
  put_backing (&t, "base", "raw");
  test_qcow2_data (&t, 0, AT_FREE);
  for (unsigned n = 1; failures == n - 1 && n < 100; n++) {
    atomic_uint countdown = n;

    REQUIRE_OK (rv_io_mem_new (t.p, t.len, "disk", &t.io, &err), err);
    REQUIRE_OK (rv_io_fault_new (t.io, &countdown, &t.fault, &err), err);
    if (test_qcow2_open (&t, &err) == -1 ||
        test_qcow2_map (&t, 0, SIZE, &err) == -1) {
      CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
      CHECK_EQ_INT (err.errnum, EIO);
      failures++;
    }
    else
      CHECK_EQ_U64 (t.map.host_off, AT_FREE * CLUSTER);
    rv_io_unref (t.fault);
    test_qcow2_close (&t);
  }
  CHECK (failures >= 5 && failures < 99);
}

int
main (void)
{
  TEST (the_probe_looks_at_the_signature_alone);
  TEST (an_image_has_size_cluster_and_facts);
  TEST (an_empty_disk_needs_no_tables);
  TEST (half_a_sector_at_the_end_is_left_out_with_a_warning);
  TEST (images_that_must_not_be_written_can_be_read);
  TEST (unknown_incompatible_features_are_refused_by_name);
  TEST (disks_above_max_size_are_refused_at_once);
  TEST (the_l1_table_is_as_large_as_the_disk_needs);
  TEST (the_l1_table_has_at_most_32_mib);
  TEST (the_l1_table_lies_in_a_cluster_inside_the_file);
  TEST (a_refcount_table_that_is_nonsense_is_no_reason_to_refuse);
  TEST (the_backing_file_is_a_name_not_an_order);
  TEST (a_missing_backing_format_stays_missing);
  TEST (a_backing_name_has_no_nul);
  TEST (a_data_file_has_bit_name_and_permission_together);
  TEST (a_data_file_for_an_image_without_one_is_the_users_mistake);
  TEST (a_data_file_forbids_snapshots_and_when_raw_a_backing_file);
  TEST (an_image_is_not_its_own_data_file);
  TEST (encrypted_images_are_refused_before_any_table_is_read);
  TEST (every_failed_read_is_an_error_and_nothing_leaks);
  return test_result ();
}
