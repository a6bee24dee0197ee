/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which VMDKs are written in place, and which are repaired first. */

#include <config.h>

#include <errno.h>

#include "format/test-vmdk-write.h"

#define CORRUPT     RAWVIEW_ERROR_CORRUPT
#define REFUSED     RAWVIEW_ERROR_REFUSED
#define UNSUPPORTED RAWVIEW_ERROR_UNSUPPORTED
#define UNCLEAN     72

static ssize_t
no_random (void *buf, size_t len, unsigned flags)
{
  memset (buf, 0, len);
  return len;
}

/*--- One sparse file ----------------------------------------------------*/

static void
check_enable (const struct image *m, rawview_error_kind kind,
              const char *pattern)
{
  struct target t = { 0 };
  rawview_error err;
  uint8_t buf[SECTOR] = { 0 };

  target_add (&t, m->b, m->len, "t.vmdk");
  REQUIRE_OK (target_open (&t, &err), err);
  if (kind == RAWVIEW_ERROR_NONE)
    CHECK_OK (t.ops->enable (t.d.format, &err), err);
  else if (CHECK_EQ_INT (t.ops->enable (t.d.format, &err), -1))
    CHECK_ERROR (err, kind, pattern);
  CHECK_OK (guest_read (&t, buf, SECTOR, (GRAINS - 1) * GRAIN, &err), err);
  CHECK_MEM_EQ (t.bytes[0], m->b, m->len);
  target_free (&t);
}

static void
flags_and_descriptors_that_nobody_knows_are_refused (void)
{
  static struct image m;

  make_sparse (&m);
  check_enable (&m, RAWVIEW_ERROR_NONE, "");
  put32 (m.b, 4, 3);
  check_enable (&m, RAWVIEW_ERROR_NONE, "");
  put32 (m.b, 8, RV_VMDK_FLAG_RGD | 0x100);
  check_enable (&m, UNSUPPORTED, "t.vmdk: *flags*");
  put32 (m.b, 8, RV_VMDK_FLAG_DEFLATE | RV_VMDK_FLAG_MARKERS);
  put16 (m.b, 77, 1);
  check_enable (&m, UNSUPPORTED, "t.vmdk: compressed *");

  make_sparse (&m);
  put_descriptor (&m, "monolithicSparse", "changeTrackPath=\"a-ctk.vmdk\"\n");
  check_enable (&m, UNSUPPORTED, "*changed block tracking*a-ctk.vmdk*");
  make_sparse (&m);
  m.b[SECTOR + 30] = '4';
  check_enable (&m, UNSUPPORTED, "*descriptor version 4 *");
  make_sparse (&m);
  memcpy (m.b + SECTOR + 32, "x", 1);
  check_enable (&m, UNSUPPORTED, "*no CID*");
}

static void
directories_must_lead_to_tables (void)
{
  static struct image m;

  make_sparse (&m);
  put64 (m.b, 48, SECTORS);
  check_enable (&m, CORRUPT, "*redundant grain directory*outside*");
  put64 (m.b, 48, AT_DESCRIPTOR + 1);
  check_enable (&m, CORRUPT, "*redundant grain directory overlaps*");
  put64 (m.b, 48, AT_GD);
  check_enable (&m, CORRUPT, "*redundant grain directory overlaps*");
  make_sparse (&m);
  put32 (m.b, AT_GD * SECTOR + 4, AT_RGD);
  check_enable (&m, CORRUPT, "*directory entry 1, 0x9, points into*");
  make_sparse (&m);
  put32 (m.b, AT_RGD * SECTOR + 8, SECTORS);
  check_enable (&m, CORRUPT, "*entry 2 of the grain directory and of its*");
  put32 (m.b, AT_RGD * SECTOR + 8, 0);
  check_enable (&m, CORRUPT, "*entry 2 of the grain directory and of its*");
  put32 (m.b, AT_GD * SECTOR + 8, 0);
  check_enable (&m, RAWVIEW_ERROR_NONE, "");
  put32 (m.b, AT_RGD * SECTOR, AT_GT);
  check_enable (&m, CORRUPT, "*two grain tables overlap at byte 3072 *");
  make_sparse (&m);
  put32 (m.b, AT_GD * SECTOR, AT_GT + 1);
  check_enable (&m, CORRUPT, "*two grain tables overlap*");
}

static void
tables_must_be_equal_and_grains_apart (void)
{
  static struct image m;

  make_sparse (&m);
  put_gte (&m, 0, 16);
  put_gte (&m, 1, 24);
  check_enable (&m, RAWVIEW_ERROR_NONE, "");
  put_gte (&m, 1, 23);
  check_enable (&m, CORRUPT, "*grain 1, at byte 11776 *overlaps another");
  put_gte (&m, 1, SECTORS);
  check_enable (&m, CORRUPT, "*grain 1: *past the end*");
  put_gte (&m, 1, 1);
  check_enable (&m, CORRUPT, "*grain 1: *means zeros*");
  put_gte (&m, 1, 0);
  put32 (m.b, AT_RGT * SECTOR + 4, 24);
  check_enable (&m, CORRUPT, "*grain table 0 differs*closed cleanly*");

  /* Reading does not mind the copies; a writer would overwrite one. */
  make_sparse (&m);
  put32 (m.b, AT_RGD * SECTOR + 8, 40);
  put_gte (&m, 0, 36);
  check_enable (&m, CORRUPT, "*grain 0: *points into*grain table");
}

static void
a_file_must_be_writable_and_able_to_grow (void)
{
  static struct image m;
  struct target t = { 0 };
  struct disk d;
  rawview_error err;

  make_sparse (&m);
  REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
  CHECK_EQ_INT (d.format->ops->write->enable (d.format, &err), -1);
  CHECK_ERROR (err, REFUSED, "t.vmdk cannot be written where it is*");
  CHECK_EQ_INT (err.errnum, EROFS);
  disk_close (&d);

  target_add (&t, m.b, m.len, "t.vmdk");
  t.ios[0]->can_grow = false;
  REQUIRE_OK (target_open (&t, &err), err);
  CHECK_EQ_INT (t.ops->enable (t.d.format, &err), -1);
  CHECK_ERROR (err, UNSUPPORTED, "t.vmdk: cannot grow*");
  target_free (&t);
}

static void
unusual_images_are_fine (void)
{
  static struct image m;

  make_sparse (&m);
  put32 (m.b, 8, 0); /* no second directory */
  put32 (m.b, AT_RGD * SECTOR, 1000);
  check_enable (&m, RAWVIEW_ERROR_NONE, "");
  m.len = AT_DATA * SECTOR; /* no grain yet */
  check_enable (&m, RAWVIEW_ERROR_NONE, "");
}

/*--- Several files ------------------------------------------------------*/

static void
add_text (struct target *t, const char *extents)
{
  char text[512];

  snprintf (text, sizeof text,
            "# Disk DescriptorFile\nCID=00000007\ncreateType=custom\n%s",
            extents);
  target_add (t, text, strlen (text), "d.vmdk");
}

/* same: the second file is the first. */
static void
check_extents (const char *extents, const void *first, size_t first_len,
               const void *second, size_t second_len, bool same,
               rawview_error_kind kind, const char *pattern)
{
  struct target t = { 0 };
  rawview_error err;

  add_text (&t, extents);
  target_add (&t, first, first_len, "a");
  if (second)
    target_add (&t, second, second_len, "b");
  if (same)
    t.ios[t.nr_files++] = rv_io_ref (t.ios[1]);
  disk_init (&t.d);
  disk_close (&t.d);
  REQUIRE_OK (target_open (&t, &err), err);
  if (kind == RAWVIEW_ERROR_NONE)
    CHECK_OK (t.ops->enable (t.d.format, &err), err);
  else if (CHECK_EQ_INT (t.ops->enable (t.d.format, &err), -1))
    CHECK_ERROR (err, kind, pattern);
  target_free (&t);
}

static void
extents_must_not_share_bytes (void)
{
  static const uint8_t zeros[16 * SECTOR];
  static struct image m;

  make_sparse (&m);
  check_extents ("RW 4 FLAT \"a\" 0\nRW 4 FLAT \"a\" 4\n", zeros, sizeof zeros,
                 NULL, 0, true, RAWVIEW_ERROR_NONE, "");
  check_extents ("RW 4 FLAT \"a\" 0\nRW 4 FLAT \"a\" 3\n", zeros, sizeof zeros,
                 NULL, 0, true, CORRUPT, "a: *byte 0 and from byte 2048 *");
  check_extents ("RDONLY 4 FLAT \"a\" 0\nRW 4 FLAT \"a\" 3\n", zeros,
                 sizeof zeros, NULL, 0, true, CORRUPT, "a: *share bytes*");
  check_extents ("RW 4 FLAT \"a\" 3\nRDONLY 4 FLAT \"a\" 0\n", zeros,
                 sizeof zeros, NULL, 0, true, CORRUPT, "a: *share bytes*");
  check_extents ("RW 2053 SPARSE \"a\"\nRW 2053 SPARSE \"a\"\n", m.b, m.len,
                 NULL, 0, true, CORRUPT, "a: *share bytes*");
  check_extents ("RW 2053 SPARSE \"a\"\nRW 4 FLAT \"a\" 60\n", m.b, m.len, NULL,
                 0, true, CORRUPT, "a: *share bytes*");
  check_extents ("RW 2053 SPARSE \"a\"\nRW 2053 SPARSE \"b\"\n", m.b, m.len,
                 m.b, m.len, false, RAWVIEW_ERROR_NONE, "");
}

static void
some_extent_must_be_writable (void)
{
  static const uint8_t zeros[16 * SECTOR];

  check_extents ("RDONLY 4 FLAT \"a\" 0\nRW 4 ZERO\n", zeros, sizeof zeros,
                 NULL, 0, false, REFUSED, "d.vmdk: *no extent*");
}

static void
a_missing_tail_is_refused (void)
{
  struct target t = { 0 };
  rawview_error err;

  add_text (&t, "RW 4 FLAT \"a\" 0\n");
  target_add (&t, "", 0, "a");
  disk_init (&t.d);
  t.d.io = rv_io_ref (t.ios[0]);
  t.d.params.allow_truncated = true;
  REQUIRE_OK (rv_format_vmdk.open (t.d.io, &t.d.params, &t.d.format, &err),
              err);
  REQUIRE_OK (
      rv_format_vmdk.attach (t.d.format, 0, t.ios[1], &t.d.params, &err), err);
  CHECK_EQ_INT (t.d.format->ops->write->enable (t.d.format, &err), -1);
  CHECK_ERROR (err, CORRUPT, "a: the last 2048 bytes *");
  target_free (&t);
}

static void
snapshots_of_esx_are_refused (void)
{
  static uint8_t cowd[37 * SECTOR];

  memcpy (cowd, "COWD", 4);
  put32 (cowd, 4, 1);
  put32 (cowd, 8, 3);
  put32 (cowd, 12, 4096);
  put32 (cowd, 16, 1);
  put32 (cowd, 20, 4);
  put32 (cowd, 24, 1);
  check_extents ("RW 4096 VMFSSPARSE \"a\"\n", cowd, sizeof cowd, NULL, 0,
                 false, UNSUPPORTED, "a: ESX snapshot (COWD) *");
}

/*--- After an unclean end -----------------------------------------------*/

/* The image is repaired, and written so that each table is used. */
static void
check_repair (const struct image *m, const uint8_t *model)
{
  struct target t = { 0 };
  rawview_error err;

  target_add (&t, m->b, m->len, "t.vmdk");
  t.bytes[0][UNCLEAN] = 1;
  REQUIRE_OK (target_open (&t, &err), err);
  t.model = malloc (t.d.format->size);
  memcpy (t.model, model, t.d.format->size);
  REQUIRE_OK (target_enable (&t, &err), err);
  check_model (&t);
  CHECK_EQ_INT (t.bytes[0][UNCLEAN], 1);
  for (unsigned table = 0; table < 3; table++)
    put_bytes (&t, table * TABLE_ENTRIES * GRAIN, 10, 0x77);
  target_finish (&t);
  CHECK_EQ_INT (t.bytes[0][UNCLEAN], 0);
  target_free (&t);
}

static void
copies_are_made_equal_after_an_unclean_end (void)
{
  static uint8_t model[CAPACITY * SECTOR];
  static struct image m;

  make_sparse (&m);
  memset (m.b + 16 * SECTOR, 1, GRAIN);
  memset (m.b + 24 * SECTOR, 2, GRAIN);
  memset (m.b + 32 * SECTOR, 3, GRAIN);

  /* The primary counts... */
  put32 (m.b, AT_GT * SECTOR, 16);
  put32 (m.b, AT_RGT * SECTOR + 4, 24);
  memset (model, 1, GRAIN);
  check_repair (&m, model);
  /* ...unless it is wrong. */
  put32 (m.b, AT_GT * SECTOR + 8, SECTORS);
  put32 (m.b, AT_RGT * SECTOR + 8, 32);
  put32 (m.b, AT_GT * SECTOR + 12, SECTORS);
  memset (model + 2 * GRAIN, 3, GRAIN);
  check_repair (&m, model);
  /* Directories, too. */
  put32 (m.b, AT_RGD * SECTOR, 0);
  put32 (m.b, AT_GT * SECTOR + 8, 32);
  put32 (m.b, AT_GT * SECTOR + 12, 0);
  put32 (m.b, AT_GD * SECTOR + 4, 0);
  put32 (m.b, AT_RGD * SECTOR + 8, SECTORS);
  check_repair (&m, model);
}

static void
what_both_copies_have_wrong_is_not_repaired (void)
{
  static struct image m;

  make_sparse (&m);
  m.b[UNCLEAN] = 1;
  put32 (m.b, AT_GT * SECTOR, SECTORS);
  put32 (m.b, AT_RGT * SECTOR, SECTORS + 8);
  check_enable (&m, CORRUPT, "*grain 0: *past the end*");
  make_sparse (&m);
  m.b[UNCLEAN] = 1;
  put32 (m.b, AT_GT * SECTOR, 16);
  put32 (m.b, AT_GT * SECTOR + 4, 16);
  check_enable (&m, CORRUPT, "*overlaps another");
}

int
main (void)
{
  rv_vmdk_cid_random = no_random;
  TEST (flags_and_descriptors_that_nobody_knows_are_refused);
  TEST (directories_must_lead_to_tables);
  TEST (tables_must_be_equal_and_grains_apart);
  TEST (a_file_must_be_writable_and_able_to_grow);
  TEST (unusual_images_are_fine);
  TEST (extents_must_not_share_bytes);
  TEST (some_extent_must_be_writable);
  TEST (a_missing_tail_is_refused);
  TEST (snapshots_of_esx_are_refused);
  TEST (copies_are_made_equal_after_an_unclean_end);
  TEST (what_both_copies_have_wrong_is_not_repaired);
  return test_result ();
}
