/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>

#include "format/test-qcow2-tables.h"
#include "util/checked.h"

/* What lies behind the tables, in clusters. */
#define AT_DATA  5u /* and 6: guest clusters 0 and 1 */
#define AT_TABLE 7u /* of snapshots, one: it has the L2 table, too */
#define AT_L1_S  8u
#define CLUSTERS 9u

static rawview_error err;

/* A disk of two clusters of data, not yet opened. */
static bool
begin (struct test_ram *t)
{
  static const uint8_t zeros[(CLUSTERS - AT_L2) * CLUSTER];

  if (!CHECK_OK (test_ram_create (t, &how, &err), err) ||
      !CHECK_OK (
          rv_io_pwrite (t->io, zeros, sizeof zeros, AT_L2 * CLUSTER, &err),
          err))
    return false;
  rv_put_be64 (at (t, AT_L1), QCOW2_OFLAG_COPIED | AT_L2 * CLUSTER);
  for (unsigned i = 0; i < 2; i++)
    rv_put_be64 (at (t, AT_L2) + i * 8,
                 QCOW2_OFLAG_COPIED | (AT_DATA + i) * CLUSTER);
  for (unsigned i = AT_L2; i < CLUSTERS; i++)
    set_count (t, i, 1);
  return true;
}

/* The same with a snapshot, that shares the L2 table and the data. */
static bool
begin_snapshot (struct test_ram *t)
{
  uint8_t *p;

  if (!begin (t))
    return false;
  rv_put_be32 (t->bytes + 60, 1);
  rv_put_be64 (t->bytes + 64, AT_TABLE * CLUSTER);
  p = at (t, AT_TABLE);
  rv_put_be64 (p, AT_L1_S * CLUSTER);
  rv_put_be32 (p + 8, 32);
  rv_put_be16 (p + 12, 1); /* id */
  rv_put_be32 (p + 36, 16);
  rv_put_be64 (p + 48, how.size);
  p[56] = '1';
  rv_put_be64 (at (t, AT_L1_S), AT_L2 * CLUSTER);
  rv_put_be64 (at (t, AT_L1), AT_L2 * CLUSTER);
  for (unsigned i = AT_L2; i < AT_TABLE; i++)
    set_count (t, i, 2);
  for (unsigned i = 0; i < 2; i++)
    rv_put_be64 (at (t, AT_L2) + i * 8, (AT_DATA + i) * CLUSTER);
  return true;
}

static int
enable (struct test_ram *t)
{
  return test_ram_open (t, &err) == -1
             ? -1
             : rv_qcow2_enable_write (t->format, &err);
}

/* Opens, for reading, but cannot be written. */
#define CHECK_REFUSED(t, kind, pattern) \
  do { \
    if (CHECK_OK (test_ram_open ((t), &err), err)) { \
      CHECK_EQ_INT (rv_qcow2_enable_write ((t)->format, &err), -1); \
      CHECK_ERROR (err, (kind), (pattern)); \
      CHECK ((t)->q->writing == NULL); \
    } \
  } while (0)

#define CORRUPT RAWVIEW_ERROR_CORRUPT

/*--- What can be --------------------------------------------------------*/

static void
a_sane_image_can_be_written (void)
{
  CLEANUP_RAM struct test_ram t, s;

  REQUIRE (begin (&t) && begin_snapshot (&s));
  CHECK_OK (enable (&t), err);
  CHECK_OK (enable (&s), err);
  CHECK_CLEAN (&s, 0);
}

static void
an_odd_size_is_no_reason (void)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (begin (&t));
  rv_put_be64 (t.bytes + 24, how.size - 100);
  rv_put_be64 (t.bytes + 64, 1ull << 50); /* nor this, of no snapshots */
  CHECK_OK (enable (&t), err);
}

/*--- The state of the image ---------------------------------------------*/

static void
its_storage_must_be_writable_and_grow (void)
{
  CLEANUP_RAM struct test_ram t, u;

  REQUIRE (begin (&t) && begin (&u));
  t.io->writable = false;
  CHECK_REFUSED (&t, RAWVIEW_ERROR_REFUSED, "disk *for reading only");
  CHECK_EQ_INT (err.errnum, EROFS);
  u.io->can_grow = false;
  CHECK_REFUSED (&u, RAWVIEW_ERROR_UNSUPPORTED, "disk: *can grow*");
}

static void
refuse_bit (uint64_t bit, rawview_error_kind kind, const char *pattern)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (begin (&t));
  rv_put_be64 (t.bytes + 72, bit);
  CHECK_REFUSED (&t, kind, pattern);
}

static void
a_dirty_or_corrupt_one_is_refused (void)
{
  refuse_bit (QCOW2_INCOMPAT_DIRTY, RAWVIEW_ERROR_REFUSED,
              "disk: *not closed cleanly*qemu-img check -r all");
  refuse_bit (QCOW2_INCOMPAT_CORRUPT, RAWVIEW_ERROR_REFUSED,
              "disk: *marked corrupt*");
  refuse_bit (QCOW2_INCOMPAT_DATA_FILE, RAWVIEW_ERROR_UNSUPPORTED,
              "disk: *external data file*");
}

static void
a_snapshot_is_never_written (void)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (begin_snapshot (&t));
  t.params.snapshot = "1";
  CHECK_REFUSED (&t, RAWVIEW_ERROR_REFUSED, "disk: *snapshot is never written");
}

static void
one_bit_cannot_count_for_snapshots (void)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (begin_snapshot (&t));
  test_ram_width (&t, 0);
  CHECK_REFUSED (&t, RAWVIEW_ERROR_UNSUPPORTED, "disk: *one bit*1 internal*");
}

/*--- The refcount table -------------------------------------------------*/

static void
refuse_reftable (uint64_t off, uint32_t clusters, rawview_error_kind kind,
                 const char *pattern)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (begin (&t));
  rv_put_be64 (t.bytes + 48, off);
  rv_put_be32 (t.bytes + 56, clusters);
  CHECK_REFUSED (&t, kind, pattern);
}

static void
the_refcount_table_must_be_possible (void)
{
  refuse_reftable (CLUSTER, 0, CORRUPT, "disk: *has no cluster");
  refuse_reftable (CLUSTER, 2049, RAWVIEW_ERROR_LIMIT,
                   "disk: *2049 clusters*8388608*");
  refuse_reftable (CLUSTER, UINT32_MAX, RAWVIEW_ERROR_LIMIT,
                   "disk: *4294967295 clusters*8388608*");
  refuse_reftable (CLUSTER + 512, 1, CORRUPT, "disk: *offset 0x1200 is not*");
  refuse_reftable (CLUSTERS * CLUSTER, 1, CORRUPT,
                   "disk: truncated: the refcount table*");
  refuse_reftable (1ull << 63, 1, CORRUPT,
                   "disk: truncated: the refcount table*");
  refuse_reftable (AT_DATA * CLUSTER, 5, CORRUPT,
                   "disk: truncated: the refcount table*");
  refuse_reftable (0, 1, CORRUPT, "disk: *overlap at 0");
  refuse_reftable (AT_L1 * CLUSTER, 1, CORRUPT,
                   "disk: *the L1 table and the refcount table overlap*");
  refuse_reftable (AT_L2 * CLUSTER, 1, CORRUPT,
                   "disk: *L1 entry 0 * is the refcount table");
}

static void
refuse_block (uint64_t entry, const char *pattern)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (begin (&t));
  rv_put_be64 (at (&t, AT_REFTABLE) + 8, entry);
  CHECK_REFUSED (&t, CORRUPT, pattern);
}

static void
its_entries_must_be_possible (void)
{
  refuse_block (AT_DATA * CLUSTER + 1, "*entry 1 (0x5001) *reserved bits*");
  refuse_block (AT_DATA * CLUSTER + 512, "*entry 1 (0x5200) *not aligned*");
  refuse_block (CLUSTERS * CLUSTER, "*entry 1 *beyond the end*truncated");
  refuse_block (~0ull << 12, "*entry 1 *beyond the end*truncated");
  refuse_block (AT_REFBLOCK * CLUSTER, "*two entries*the same block*");
  refuse_block (AT_REFTABLE * CLUSTER, "*entry 1 * is the refcount table");
  refuse_block (AT_L1 * CLUSTER, "*entry 1 * is the L1 table");
  refuse_block (AT_L2 * CLUSTER, "*L1 entry 0 * is a refcount block");
}

/*--- L1 entries ---------------------------------------------------------*/

static void
refuse_l1 (uint64_t entry, const char *pattern)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (begin (&t));
  rv_put_be64 (at (&t, AT_L1) + 24, entry);
  CHECK_REFUSED (&t, CORRUPT, pattern);
}

static void
l1_entries_must_be_possible (void)
{
  refuse_l1 (AT_DATA * CLUSTER | 1, "*L1 entry 3 *reserved bits*");
  refuse_l1 (AT_DATA * CLUSTER + 512, "*L1 entry 3 *not aligned*");
  refuse_l1 (CLUSTERS * CLUSTER, "*L1 entry 3 *beyond the end*truncated");
  refuse_l1 (QCOW2_OFFSET_MASK & ~0xfffull,
             "*L1 entry 3 *beyond the end*truncated");
  refuse_l1 (QCOW2_OFLAG_COPIED, "*L1 entry 3 *COPIED*");
  refuse_l1 (AT_L2 * CLUSTER, "*L1 entry 0 *another entry*");
  refuse_l1 (AT_L1 * CLUSTER, "*L1 entry 3 * is the L1 table");
  refuse_l1 (AT_REFTABLE * CLUSTER, "*L1 entry 3 * is the refcount table");
  refuse_l1 (AT_REFBLOCK * CLUSTER, "*L1 entry 3 * is a refcount block");
}

/* A part of a table is missing. */
static void
a_truncated_image_is_refused (void)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (begin (&t));
  rv_put_be64 (at (&t, AT_L1) + 24, (CLUSTERS - 1) * CLUSTER);
  t.io->size -= 512;
  CHECK_REFUSED (&t, CORRUPT, "disk: *L1 entry 3 *truncated");
}

/*--- Snapshots ----------------------------------------------------------*/

static void
the_snapshot_table_must_be_readable (void)
{
  CLEANUP_RAM struct test_ram t, u, v;

  REQUIRE (begin_snapshot (&t) && begin_snapshot (&u) && begin_snapshot (&v));
  /* The second entry begins in the file and ends beyond it. */
  rv_put_be32 (t.bytes + 60, 2);
  rv_put_be64 (t.bytes + 64, (CLUSTERS - 1) * CLUSTER);
  rv_put_be32 (at (&t, CLUSTERS - 1) + 36, 1000);
  rv_put_be16 (at (&t, CLUSTERS - 1) + 14, 3040);
  CHECK_REFUSED (&t, CORRUPT, "disk is cut short*");
  rv_put_be32 (at (&u, AT_TABLE) + 36, 5000);
  CHECK_REFUSED (&u, RAWVIEW_ERROR_LIMIT, "disk: 5000 bytes of extra data*");
  rv_put_be64 (v.bytes + 64, AT_L1 * CLUSTER);
  CHECK_REFUSED (&v, CORRUPT, "disk: *the L1 table and the snapshot table*");
}

static void
refuse_snapshot_l1 (uint64_t off, uint32_t entries, rawview_error_kind kind,
                    const char *pattern)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (begin_snapshot (&t));
  rv_put_be64 (at (&t, AT_TABLE), off);
  rv_put_be32 (at (&t, AT_TABLE) + 8, entries);
  CHECK_REFUSED (&t, kind, pattern);
}

static void
the_l1_tables_of_snapshots_must_be_possible (void)
{
  refuse_snapshot_l1 (CLUSTERS * CLUSTER, 1, CORRUPT,
                      "disk: truncated: the L1 table of a snapshot*");
  refuse_snapshot_l1 (AT_L1_S * CLUSTER + 512, 1, CORRUPT,
                      "disk: *snapshot 1 is not that of a cluster");
  refuse_snapshot_l1 (AT_L1_S * CLUSTER, 0x10000000, RAWVIEW_ERROR_LIMIT,
                      "disk: *L1 tables of the QCOW2 snapshots*");
  refuse_snapshot_l1 (AT_L1 * CLUSTER, 1, CORRUPT,
                      "disk: *the L1 table*overlap*");
  refuse_snapshot_l1 (AT_TABLE * CLUSTER, 1, CORRUPT, "disk: *");
  refuse_snapshot_l1 (0, 1, CORRUPT, "disk: *");
}

static void
refuse_snapshot_l2 (uint64_t entry, const char *pattern)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (begin_snapshot (&t));
  rv_put_be64 (at (&t, AT_L1_S) + 8, entry);
  CHECK_REFUSED (&t, CORRUPT, pattern);
}

static void
the_l2_tables_of_snapshots_must_be_possible (void)
{
  refuse_snapshot_l2 (AT_DATA * CLUSTER | 1, "*L1 entry 1*snapshot 1*");
  refuse_snapshot_l2 (CLUSTERS * CLUSTER, "*L1 entry 1*snapshot 1*");
  refuse_snapshot_l2 (AT_REFBLOCK * CLUSTER, "*in place of a refcount block");
  refuse_snapshot_l2 (AT_REFTABLE * CLUSTER, "*place of the refcount table");
  refuse_snapshot_l2 (AT_TABLE * CLUSTER, "*in place of the snapshot table");
}

/* Three tables of 32 MiB, all the same place: it is not read thrice. */
static void
too_many_tables_of_snapshots_are_refused (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t table = 40 << 20;

  REQUIRE (begin_snapshot (&t));
  REQUIRE_OK (rv_io_pwrite (t.io, "", 1, table + 3 * 64, &err), err);
  for (unsigned i = 0; i < 3; i++) {
    memcpy (t.bytes + table + i * 64, at (&t, AT_TABLE), 64);
    rv_put_be64 (t.bytes + table + i * 64, 1 << 20);
    rv_put_be32 (t.bytes + table + i * 64 + 8, 4 << 20);
  }
  rv_put_be32 (t.bytes + 60, 3);
  rv_put_be64 (t.bytes + 64, table);
  CHECK_REFUSED (&t, RAWVIEW_ERROR_LIMIT, "disk: *67108864 bytes*");
}

/*--- Bitmaps ------------------------------------------------------------*/

static bool
begin_bitmaps (struct test_ram *t, uint64_t off, uint64_t autoclear)
{
  uint8_t *p = t->bytes + 104;

  if (!begin (t))
    return false;
  p = t->bytes + 104;
  rv_put_be32 (p, 0x23852875);
  rv_put_be32 (p + 4, 24);
  rv_put_be32 (p + 8, 1);
  rv_put_be64 (p + 16, 512);
  rv_put_be64 (p + 24, off);
  rv_put_be64 (t->bytes + 88, autoclear);
  return true;
}

static void
the_bitmap_directory_is_a_table_while_its_bit_says_so (void)
{
  CLEANUP_RAM struct test_ram t, u, v;
  uint64_t len = CLUSTER;
  bool own;

  REQUIRE (begin_bitmaps (&t, AT_DATA * CLUSTER, QCOW2_AUTOCLEAR_BITMAPS));
  REQUIRE_OK (enable (&t), err);
  CHECK_EQ_INT (rv_qcow2_protect (t.q, AT_DATA * CLUSTER, &len, &own, &err),
                -1);
  CHECK_ERROR (err, CORRUPT, "*the bitmap directory is there*");
  len = CLUSTER;
  REQUIRE (begin_bitmaps (&u, AT_DATA * CLUSTER, 0));
  REQUIRE_OK (enable (&u), err);
  CHECK_OK (rv_qcow2_protect (u.q, AT_DATA * CLUSTER, &len, &own, &err), err);
  REQUIRE (begin_bitmaps (&v, 1ull << 62, QCOW2_AUTOCLEAR_BITMAPS));
  CHECK_REFUSED (&v, CORRUPT, "disk: truncated: the bitmap directory*");
}

/*--- The first change, and the last -------------------------------------*/

static void
autoclear_bits_are_cleared_before_the_first_change (void)
{
  CLEANUP_RAM struct test_ram t;
  uint8_t head[CLUSTER];

  REQUIRE (begin_bitmaps (&t, AT_DATA * CLUSTER, 0x8000000000000001));
  memcpy (head, t.bytes, CLUSTER);
  REQUIRE_OK (enable (&t), err);
  CHECK_MEM_EQ (t.bytes, head, CLUSTER);
  REQUIRE_OK (rv_qcow2_begin_write (t.format, &err), err);
  memset (head + 88, 0, 8);
  CHECK_MEM_EQ (t.bytes, head, CLUSTER);
  CHECK (!t.io->unsynced);
}

static void
without_any_nothing_is_written (void)
{
  CLEANUP_RAM struct test_ram t;
  struct rv_io_faults faults = { .kinds = ~0u, .errnum = EIO };

  REQUIRE (begin (&t));
  REQUIRE_OK (rv_io_faults_new (t.io, &faults, &t.fault, &err), err);
  REQUIRE_OK (enable (&t), err);
  faults.countdown = 1;
  CHECK_OK (rv_qcow2_begin_write (t.format, &err), err);
  CHECK_OK (rv_qcow2_end_write (t.format, &err), err);
}

/* Nobody may write when they are not known to be durable. */
static void
a_begin_that_fails_says_so (void)
{
  for (unsigned nth = 1; nth <= 2; nth++) {
    CLEANUP_RAM struct test_ram t;
    struct rv_io_faults faults = { .kinds = RV_FAULT_WRITE | RV_FAULT_SYNC,
                                   .errnum = EIO,
                                   .once = true };

    REQUIRE (begin_bitmaps (&t, AT_DATA * CLUSTER, 1));
    REQUIRE_OK (rv_io_faults_new (t.io, &faults, &t.fault, &err), err);
    REQUIRE_OK (enable (&t), err);
    faults.countdown = nth;
    CHECK_EQ_INT (rv_qcow2_begin_write (t.format, &err), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*");
  }
}

static void
an_image_is_marked_corrupt_by_its_bit_alone (void)
{
  CLEANUP_RAM struct test_ram t, v2;
  uint8_t head[CLUSTER];

  REQUIRE (begin (&t) && begin (&v2));
  memcpy (head, t.bytes, CLUSTER);
  REQUIRE_OK (enable (&t), err);
  rv_qcow2_mark_corrupt (t.format);
  head[79] |= QCOW2_INCOMPAT_CORRUPT;
  CHECK_MEM_EQ (t.bytes, head, CLUSTER);
  CHECK (!t.io->unsynced);

  rv_put_be32 (v2.bytes + 4, 2);
  memset (v2.bytes + 72, 0, 40);
  memcpy (head, v2.bytes, CLUSTER);
  REQUIRE_OK (enable (&v2), err);
  rv_qcow2_mark_corrupt (v2.format);
  CHECK_MEM_EQ (v2.bytes, head, CLUSTER);
}

/*--- Anything -----------------------------------------------------------*/

static uint32_t
random_bits (void)
{
  static uint64_t state = 1;

  state = state * 6364136223846793005u + 1442695040888963407u;
  return state >> 33;
}

/* Something somewhere in the tables' beginnings. */
static void
damage (struct test_ram *t)
{
  static const uint64_t words[] = {
    0,
    1,
    512,
    CLUSTER,
    AT_L1 * CLUSTER,
    AT_L2 * CLUSTER,
    AT_REFBLOCK * CLUSTER,
    CLUSTERS * CLUSTER,
    QCOW2_OFLAG_COPIED | CLUSTERS * CLUSTER,
    QCOW2_OFLAG_COMPRESSED | 0x3fffull << 48 | AT_DATA * CLUSTER,
    1ull << 55,
    1ull << 63,
    UINT64_MAX,
  };
  const unsigned n = sizeof words / sizeof words[0];

  for (unsigned k = random_bits () % 3 + 1; k > 0; k--) {
    uint8_t *p = at (t, random_bits () % CLUSTERS);

    if (random_bits () % 2)
      p[random_bits () % 112] = random_bits ();
    else
      rv_put_be64 (p + random_bits () % 14 * 8, words[random_bits () % n]);
  }
}

/* All calls, with what an entry could have said. */
static void
use (struct test_ram *t)
{
  for (unsigned i = 0; i < 20; i++) {
    uint64_t off = random_bits () % (CLUSTERS + 3) * CLUSTER, got, damaged;
    uint64_t len = (random_bits () % 4 + 1) * CLUSTER;
    struct rv_freed freed = { t->io, off + random_bits () % 2 * 100, len };
    struct rv_map map;
    bool own;

    rv_qcow2_protect (t->q, off, &len, &own, &err);
    rv_qcow2_protect_l2 (t->q, off, &own, &err);
    if (rv_qcow2_release (t->format, &freed, &err) == 0)
      rv_qcow2_reuse (t->format, &freed);
    rv_qcow2_alloc (t->q, random_bits () % 100, &off, &got, &err);
    rv_qcow2_alloc_table (t->q, &off, &err);
    if (t->format->size > 0)
      rv_qcow2_map (t->format, 0, rv_min_u64 (t->format->size, CLUSTER), &map,
                    &damaged, &err);
  }
}

static void
no_damage_does_harm (void)
{
  CLEANUP_RAM struct test_ram t;
  uint8_t pristine[CLUSTERS * CLUSTER];
  unsigned written = 0;

  REQUIRE (begin_snapshot (&t));
  memcpy (pristine, t.bytes, sizeof pristine);
  for (unsigned i = 0; i < 5000; i++) {
    memcpy (t.bytes, pristine, sizeof pristine);
    t.io->size = sizeof pristine;
    damage (&t);
    if (enable (&t) == 0) {
      use (&t);
      rv_qcow2_end_write (t.format, &err);
      written++;
    }
    test_ram_close (&t);
  }
  CHECK (written > 500 && written < 4500);
}

int
main (void)
{
  TEST (a_sane_image_can_be_written);
  TEST (an_odd_size_is_no_reason);
  TEST (its_storage_must_be_writable_and_grow);
  TEST (a_dirty_or_corrupt_one_is_refused);
  TEST (a_snapshot_is_never_written);
  TEST (one_bit_cannot_count_for_snapshots);
  TEST (the_refcount_table_must_be_possible);
  TEST (its_entries_must_be_possible);
  TEST (l1_entries_must_be_possible);
  TEST (a_truncated_image_is_refused);
  TEST (the_snapshot_table_must_be_readable);
  TEST (the_l1_tables_of_snapshots_must_be_possible);
  TEST (the_l2_tables_of_snapshots_must_be_possible);
  TEST (too_many_tables_of_snapshots_are_refused);
  TEST (the_bitmap_directory_is_a_table_while_its_bit_says_so);
  TEST (autoclear_bits_are_cleared_before_the_first_change);
  TEST (without_any_nothing_is_written);
  TEST (a_begin_that_fails_says_so);
  TEST (an_image_is_marked_corrupt_by_its_bit_alone);
  TEST (no_damage_does_harm);
  return test_result ();
}
