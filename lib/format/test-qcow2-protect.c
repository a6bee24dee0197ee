/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-qcow2-tables.h"

/* What lies behind the tables, in clusters. */
#define AT_DATA  5u  /* to 9 */
#define AT_TABLE 10u /* of snapshots */
#define AT_L1_S  11u
#define AT_L2_S  12u
#define CLUSTERS 14u

static rawview_error err;

/* A disk with a snapshot that has a table of its own; not yet opened. */
static bool
make (struct test_ram *t)
{
  static const uint8_t zeros[(CLUSTERS - AT_L2) * CLUSTER];
  uint8_t *p;

  if (!CHECK_OK (test_ram_create (t, &how, &err), err) ||
      !CHECK_OK (
          rv_io_pwrite (t->io, zeros, sizeof zeros, AT_L2 * CLUSTER, &err),
          err))
    return false;
  rv_put_be64 (at (t, AT_L1), QCOW2_OFLAG_COPIED | AT_L2 * CLUSTER);
  rv_put_be32 (t->bytes + 60, 1);
  rv_put_be64 (t->bytes + 64, AT_TABLE * CLUSTER);
  p = at (t, AT_TABLE);
  rv_put_be64 (p, AT_L1_S * CLUSTER);
  rv_put_be32 (p + 8, 32);
  rv_put_be32 (p + 36, 16);
  rv_put_be64 (p + 48, how.size);
  rv_put_be64 (at (t, AT_L1_S), AT_L2_S * CLUSTER);
  for (unsigned i = AT_L2; i < CLUSTERS; i++)
    set_count (t, i, 1);
  return true;
}

static bool
enable (struct test_ram *t)
{
  return CHECK_OK (test_ram_open (t, &err), err) &&
         CHECK_OK (rv_qcow2_enable_write (t->format, &err), err);
}

/* The answer for len bytes, in clusters. */
static void
allowed (struct test_ram *t, uint64_t off, uint64_t clusters, bool own,
         uint64_t got)
{
  uint64_t len = clusters * CLUSTER;
  bool is;

  REQUIRE_OK (rv_qcow2_protect (t->q, off, &len, &is, &err), err);
  CHECK_EQ_U64 (len, got * CLUSTER);
  CHECK_EQ_INT (is, own);
}

static void
refused (struct test_ram *t, uint64_t off, const char *pattern)
{
  uint64_t len = CLUSTER;
  bool own;

  CHECK_EQ_INT (rv_qcow2_protect (t->q, off, &len, &own, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, pattern);
}

static void
runs_of_equal_clusters_have_one_answer (void)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (make (&t));
  set_count (&t, AT_DATA + 2, 2);
  set_count (&t, AT_DATA + 3, 2);
  REQUIRE (enable (&t));
  allowed (&t, AT_DATA * CLUSTER, 1, true, 1);
  allowed (&t, AT_DATA * CLUSTER, 5, true, 2);
  allowed (&t, (AT_DATA + 2) * CLUSTER, 3, false, 2);
  allowed (&t, (AT_DATA + 4) * CLUSTER, 8, true, 1); /* then a table */
}

static void
what_is_not_in_use_is_refused (void)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (make (&t));
  set_count (&t, AT_DATA, 0);
  REQUIRE (enable (&t));
  refused (&t, AT_DATA * CLUSTER, "disk: *0x5000 *has refcount 0");
  refused (&t, AT_DATA * CLUSTER + 512, "disk: *not aligned");
  refused (&t, CLUSTERS * CLUSTER, "disk: *beyond the end*");
  refused (&t, ~0ull << BITS, "disk: *beyond the end*");
}

static void
tables_are_refused (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t table;

  REQUIRE (make (&t) && enable (&t));
  refused (&t, 0, "disk: *the header is there");
  refused (&t, AT_REFTABLE * CLUSTER, "disk: *the refcount table is there");
  refused (&t, AT_REFBLOCK * CLUSTER, "disk: *a refcount block is there");
  refused (&t, AT_L1 * CLUSTER, "disk: *the L1 table is there");
  refused (&t, AT_L2 * CLUSTER, "disk: *an L2 table is there");
  refused (&t, AT_TABLE * CLUSTER, "disk: *the snapshot table is there");
  refused (&t, AT_L1_S * CLUSTER, "disk: *the L1 table of a snapshot is there");
  refused (&t, AT_L2_S * CLUSTER, "disk: *an L2 table of a snapshot is there");
  REQUIRE_OK (rv_qcow2_alloc_table (t.q, &table, &err), err);
  REQUIRE_OK (rv_io_pwrite (t.io, "", 1, table, &err), err);
  refused (&t, table, "disk: *a new table is there");
}

/* The last cluster need not be complete. */
static void
the_cut_last_cluster_is_inside (void)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (make (&t));
  t.io->size -= CLUSTER - 1;
  REQUIRE (enable (&t));
  allowed (&t, (CLUSTERS - 1) * CLUSTER, 4, true, 1);
}

/*--- L2 tables ----------------------------------------------------------*/

static void
l2 (struct test_ram *t, uint64_t cluster, bool own)
{
  bool is = !own;

  REQUIRE_OK (rv_qcow2_protect_l2 (t->q, cluster * CLUSTER, &is, &err), err);
  CHECK_EQ_INT (is, own);
}

static void
l2_refused (struct test_ram *t, uint64_t off, const char *pattern)
{
  bool own;

  CHECK_EQ_INT (rv_qcow2_protect_l2 (t->q, off, &own, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, pattern);
}

static void
an_l2_table_of_ours_alone_may_be_changed (void)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (make (&t));
  rv_put_be64 (at (&t, AT_L2), QCOW2_OFLAG_COPIED | AT_DATA * CLUSTER);
  REQUIRE (enable (&t));
  l2 (&t, AT_L2, true);
  l2_refused (&t, AT_L2 * CLUSTER + 512, "disk: *not aligned");
  l2_refused (&t, CLUSTERS * CLUSTER, "disk: *beyond the end*");
  l2_refused (&t, AT_L1 * CLUSTER, "disk: *in place of another table");
  l2_refused (&t, AT_REFBLOCK * CLUSTER, "disk: *in a refcount block");
}

static void
one_that_a_snapshot_has_too_is_copied (void)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (make (&t));
  rv_put_be64 (at (&t, AT_L1), AT_L2_S * CLUSTER);
  set_count (&t, AT_L2_S, 2);
  REQUIRE (enable (&t));
  l2 (&t, AT_L2_S, false);
}

/* Its refcount would let us change the snapshot. */
static void
one_that_a_snapshot_has_too_must_be_counted_so (void)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (make (&t));
  rv_put_be64 (at (&t, AT_L1), QCOW2_OFLAG_COPIED | AT_L2_S * CLUSTER);
  REQUIRE (enable (&t));
  l2_refused (&t, AT_L2_S * CLUSTER, "disk: *snapshot has too*refcount is 1");
}

static void
one_with_refcount_0_is_refused (void)
{
  CLEANUP_RAM struct test_ram t;

  REQUIRE (make (&t));
  set_count (&t, AT_L2, 0);
  REQUIRE (enable (&t));
  l2_refused (&t, AT_L2 * CLUSTER, "disk: *has refcount 0");
}

static void
one_of_this_run_may_be_changed_before_it_is_in_the_file (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t table;

  REQUIRE (make (&t) && enable (&t));
  REQUIRE_OK (rv_qcow2_alloc_table (t.q, &table, &err), err);
  CHECK (table >= t.io->size);
  l2 (&t, table / CLUSTER, true);
}

/* While the refcount of the table that snapshots have, too, is read, another
 * thread has made its copy, and the snapshots are the only ones to have it.
 */
struct meddler {
  struct rv_io base;
  struct test_ram *t;
  bool done;
};

static int
meddler_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
               rawview_error *e)
{
  struct meddler *m = (struct meddler *) io;

  if (off == AT_REFBLOCK * CLUSTER && !m->done) {
    rv_qcow2_l1_store (m->t->q, 0, QCOW2_OFLAG_COPIED | AT_L2 * CLUSTER);
    set_count (m->t, AT_L2_S, 1);
    m->done = true;
  }
  return rv_io_pread (m->t->io, buf, len, off, e);
}

static void
meddler_free (struct rv_io *io)
{
  free (io);
}

static const struct rv_io_ops meddler_ops = { .name = "meddler",
                                              .pread = meddler_pread,
                                              .free = meddler_free };

static void
one_that_is_copied_meanwhile_is_looked_at_again (void)
{
  CLEANUP_RAM struct test_ram t;
  struct meddler *m = calloc (1, sizeof *m);
  uint64_t off;
  bool own;

  REQUIRE (make (&t));
  rv_put_be64 (at (&t, AT_L1), AT_L2_S * CLUSTER);
  set_count (&t, AT_L2_S, 2);
  CHECK_EQ_INT (rv_io_init (&m->base, &meddler_ops, "disk", t.io->size), 0);
  rv_io_like (&m->base, t.io);
  m->t = &t;
  t.fault = &m->base;
  REQUIRE (enable (&t));
  REQUIRE_OK (rv_qcow2_l2_find (t.q, 0, &off, &own, &err), err);
  CHECK (m->done);
  CHECK_EQ_U64 (off, AT_L2 * CLUSTER);
  CHECK (own);
}

/* The file will grow: then the entry would name somebody else's bytes. */
static void
one_that_names_what_is_missing_is_refused (void)
{
  static const uint64_t entries[] = {
    QCOW2_OFLAG_COPIED | CLUSTERS * CLUSTER,
    QCOW2_OFLAG_COPIED | QCOW2_OFLAG_ZERO | 1000 * CLUSTER,
    QCOW2_OFLAG_COMPRESSED | CLUSTERS * CLUSTER,
    QCOW2_OFLAG_COMPRESSED | 1ull << 58 | (CLUSTERS * CLUSTER - 512),
  };

  for (unsigned i = 0; i < sizeof entries / sizeof entries[0]; i++) {
    CLEANUP_RAM struct test_ram t;
    uint64_t off, got;

    REQUIRE (make (&t));
    rv_put_be64 (at (&t, AT_L2) + CLUSTER - 8, entries[i]);
    REQUIRE (enable (&t));
    REQUIRE_OK (rv_qcow2_alloc (t.q, 1, &off, &got, &err), err);
    REQUIRE_OK (rv_io_pwrite (t.io, "", 1, off + CLUSTER - 1, &err), err);
    l2_refused (&t, AT_L2 * CLUSTER, "disk: truncated: *0x4000 *0xe000");
  }
}

/* What another has written there since is not what the entry has lost. */
static void
what_is_missing_is_not_read_when_the_file_has_grown (void)
{
  static const uint64_t entries[] = {
    QCOW2_OFLAG_COPIED | CLUSTERS * CLUSTER,
    QCOW2_OFLAG_COMPRESSED | CLUSTERS * CLUSTER,
  };

  for (unsigned i = 0; i < sizeof entries / sizeof entries[0]; i++) {
    CLEANUP_RAM struct test_ram t;
    uint64_t off, got, damaged;
    struct rv_map map;

    REQUIRE (make (&t));
    rv_put_be64 (at (&t, AT_L2), entries[i]);
    rv_put_be64 (at (&t, AT_L2) + 8, QCOW2_OFLAG_COPIED | AT_DATA * CLUSTER);
    REQUIRE (enable (&t));
    REQUIRE_OK (rv_qcow2_alloc (t.q, 1, &off, &got, &err), err);
    CHECK_EQ_U64 (off, CLUSTERS * CLUSTER);
    REQUIRE_OK (rv_io_pwrite (t.io, "", 1, off + CLUSTER - 1, &err), err);
    CHECK_EQ_INT (rv_qcow2_map (t.format, 0, CLUSTER, &map, &damaged, &err),
                  -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "disk: *beyond the end*");
    CHECK_OK (rv_qcow2_map (t.format, CLUSTER, CLUSTER, &map, &damaged, &err),
              err);
  }
}

/* Once looked at, it may name what the file has got since. */
static void
one_that_was_checked_may_grow_with_the_file (void)
{
  CLEANUP_RAM struct test_ram t;
  uint64_t off, got, damaged;
  struct rv_map map;
  uint8_t entry[8];

  REQUIRE (make (&t) && enable (&t));
  l2 (&t, AT_L2, true);
  REQUIRE_OK (rv_qcow2_alloc (t.q, 1, &off, &got, &err), err);
  rv_put_be64 (entry, QCOW2_OFLAG_COPIED | off);
  REQUIRE_OK (rv_tables_edit (t.tables, t.io, AT_L2 * CLUSTER, CLUSTER, 0,
                              entry, 8, RV_PHASE_PUBLISH, &err),
              err);
  l2 (&t, AT_L2, true);
  REQUIRE_OK (rv_io_pwrite (t.io, "", 1, off, &err), err);
  CHECK_OK (rv_qcow2_map (t.format, 0, CLUSTER, &map, &damaged, &err), err);
  CHECK_EQ_INT (map.kind, RV_MAP_DATA);
  CHECK_EQ_U64 (map.host_off, off);
}

int
main (void)
{
  TEST (runs_of_equal_clusters_have_one_answer);
  TEST (what_is_not_in_use_is_refused);
  TEST (tables_are_refused);
  TEST (the_cut_last_cluster_is_inside);
  TEST (an_l2_table_of_ours_alone_may_be_changed);
  TEST (one_that_a_snapshot_has_too_is_copied);
  TEST (one_that_a_snapshot_has_too_must_be_counted_so);
  TEST (one_with_refcount_0_is_refused);
  TEST (one_of_this_run_may_be_changed_before_it_is_in_the_file);
  TEST (one_that_is_copied_meanwhile_is_looked_at_again);
  TEST (one_that_names_what_is_missing_is_refused);
  TEST (what_is_missing_is_not_read_when_the_file_has_grown);
  TEST (one_that_was_checked_may_grow_with_the_file);
  return test_result ();
}
