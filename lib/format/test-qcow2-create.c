/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-qcow2-ram.h"

#define GiB (1ull << 30)

static rawview_error err;

/* Creates, opens, checks. */
static void
try (const struct rv_qcow2_create *how)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE_OK (test_ram_create (&t, how, &err), err);
  CHECK_CLEAN (&t, 0);
  REQUIRE_OK (test_ram_open (&t, &err), err);
  CHECK_EQ_U64 (t.format->size, how->size);
  CHECK_EQ_U64 (t.format->cluster_size, 1u << how->cluster_bits);
  CHECK_EQ_U64 (t.format->refs.len, how->backing ? 1 : 0);
  CHECK_OK (rv_qcow2_enable_write (t.format, &err), err);
}

static void
an_overlay_names_its_backing_file_and_format (void)
{
  static const struct rv_qcow2_create how = { .size = 10 * GiB,
                                              .cluster_bits = 17,
                                              .ext_l2 = true,
                                              .backing =
                                                  "/some where/disk.vmdk",
                                              .backing_format = "vmdk" };
  CLEANUP_RAM struct test_ram t;

  try (&how);
  REQUIRE_OK (test_ram_create (&t, &how, &err), err);
  REQUIRE_OK (test_ram_open (&t, &err), err);
  REQUIRE (t.format->refs.len == 1);
  CHECK_STR_EQ (t.format->refs.ptr[0].name, "/some where/disk.vmdk");
  CHECK_STR_EQ (t.format->refs.ptr[0].format, "vmdk");
  CHECK (rv_qcow2_ext_l2 (&t.q->header));
  CHECK_EQ_U64 (t.io->size, 4 << 17);
}

static void
disks_of_all_sizes_and_clusters_are_clean (void)
{
  static const struct rv_qcow2_create hows[] = {
    { 0, 16, false, NULL, NULL },
    { 512, 9, false, NULL, NULL },
    { 16 * GiB, 9, false, NULL, NULL },
    { 3 * GiB + 512, 12, false, "base", "raw" },
    { GiB, 14, true, "base", "qcow2" },
    { 64ull << 40, 17, true, "base", "raw" },
    { 64ull << 40, 21, false, NULL, NULL },
  };

  for (size_t i = 0; i < sizeof hows / sizeof hows[0]; i++)
    try (&hows[i]);
}

static void
refused (const struct rv_qcow2_create *how, rawview_error_kind kind,
         const char *pattern)
{
  CLEANUP_RAM struct test_ram t;

  CHECK_EQ_INT (test_ram_create (&t, how, &err), -1);
  CHECK_ERROR (err, kind, pattern);
  CHECK_EQ_U64 (t.io->size, 0);
}

static void
what_cannot_be_is_refused (void)
{
  char name[1026];

  refused (&(struct rv_qcow2_create){ .size = GiB, .cluster_bits = 8 },
           RAWVIEW_ERROR_USAGE, "*cluster_bits 8*");
  refused (&(struct rv_qcow2_create){ GiB, 13, true, NULL, NULL },
           RAWVIEW_ERROR_USAGE, "*cluster_bits 13*");
  refused (&(struct rv_qcow2_create){ .size = GiB + 1, .cluster_bits = 16 },
           RAWVIEW_ERROR_USAGE, "*whole sectors*");
  refused (&(struct rv_qcow2_create){ .size = 200 * GiB, .cluster_bits = 9 },
           RAWVIEW_ERROR_LIMIT, "*too large*");
  refused (&(struct rv_qcow2_create){ .size = 64 * GiB, .cluster_bits = 9 },
           RAWVIEW_ERROR_LIMIT, "*needs larger QCOW2 clusters*");
  refused (&(struct rv_qcow2_create){ GiB, 16, false, "a", "much-too-long-xx" },
           RAWVIEW_ERROR_USAGE, "*not a format*");
  memset (name, 'a', sizeof name);
  name[1025] = '\0';
  name[500] = '\0';
  refused (&(struct rv_qcow2_create){ GiB / 64, 9, false, name, "raw" },
           RAWVIEW_ERROR_LIMIT, "*does not fit*512*");
  name[500] = 'a';
  refused (&(struct rv_qcow2_create){ GiB, 16, false, name, "raw" },
           RAWVIEW_ERROR_LIMIT, "*name of 1025 bytes is too long*");
}

int
main (void)
{
  TEST (an_overlay_names_its_backing_file_and_format);
  TEST (disks_of_all_sizes_and_clusters_are_clean);
  TEST (what_cannot_be_is_refused);
  return test_result ();
}
