/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/qcow2-snapshot.h"
#include "format/test-qcow2.h"

#define BITS     9u
#define CLUSTER  (1u << BITS)
#define SIZE     (64u * CLUSTER) /* one L1 entry */
#define AT_TABLE 5u              /* snapshot table, 2 clusters */
#define AT_L1_S  7u              /* the snapshot's L1 table */
#define AT_L2_S  8u

static rawview_error err;

struct entry {
  uint64_t l1_off;
  uint32_t l1_size;
  const char *id, *name;
  uint32_t extra; /* bytes; the second 8 are the disk size */
  uint64_t disk_size;
};

/* Writes an entry at p and returns the bytes that it takes. */
static size_t
put_entry (uint8_t *p, const struct entry *e)
{
  size_t id_len = strlen (e->id), name_len = strlen (e->name);

  put_be64 (p, e->l1_off);
  put_be32 (p + 8, e->l1_size);
  put_be16 (p + 12, id_len);
  put_be16 (p + 14, name_len);
  put_be32 (p + 16, 1234567890);
  put_be32 (p + 20, 500);
  put_be64 (p + 24, 77);
  put_be32 (p + 32, 4096);
  put_be32 (p + 36, e->extra);
  if (e->extra >= 8)
    put_be64 (p + 40, 1ull << 33); /* the VM state's real size */
  if (e->extra >= 16)
    put_be64 (p + 48, e->disk_size);
  memcpy (p + 40 + e->extra, e->id, id_len);
  memcpy (p + 40 + e->extra + id_len, e->name, name_len);
  return (40 + e->extra + id_len + name_len + 7) / 8 * 8;
}

/* An image with n snapshots; its free clusters are from 9 on. */
static void
begin (struct test_qcow2 *t, const struct entry *entries, size_t n)
{
  size_t at = AT_TABLE * CLUSTER;

  test_qcow2_init (t, BITS, 12, SIZE);
  put_be32 (t->p + 60, n);
  put_be64 (t->p + 64, AT_TABLE * CLUSTER);
  for (size_t i = 0; i < n; i++)
    at += put_entry (t->p + at, &entries[i]);
  put_be64 (test_qcow2_at (t, AT_L1_S), AT_L2_S << BITS);
  put_be64 (test_qcow2_at (t, AT_L2_S), 9 << BITS);
  test_qcow2_data (t, 0, 10);
}

static const struct entry two[] = {
  { AT_L1_S << BITS, 1, "1", "before", 24, SIZE / 2 },
  { AT_L1_S << BITS, 1, "2", "1", 16, SIZE },
};

struct seen {
  unsigned n;
  rawview_snapshot last;
  char id[100], name[100];
  unsigned stop_after;
};

static int
see (void *opaque, const rawview_snapshot *s)
{
  struct seen *seen = opaque;

  seen->last = *s;
  snprintf (seen->id, sizeof seen->id, "%s", s->id);
  snprintf (seen->name, sizeof seen->name, "%s", s->name);
  return ++seen->n == seen->stop_after;
}

static void
all_snapshots_are_listed_in_order (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  struct seen seen = { .stop_after = 1 };

  begin (&t, two, 2);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  REQUIRE_OK (t.format->ops->snapshots (t.format, see, &seen, &err), err);
  CHECK_EQ_U64 (seen.n, 1);
  CHECK_STR_EQ (seen.id, "1");
  CHECK_STR_EQ (seen.name, "before");
  CHECK_EQ_U64 (seen.last.virtual_size, SIZE / 2);
  CHECK_EQ_U64 (seen.last.vm_state_size, 1ull << 33);
  CHECK_EQ_U64 (seen.last.date_sec, 1234567890);
  CHECK_EQ_U64 (seen.last.date_nsec, 500);
  CHECK_EQ_U64 (seen.last.vm_clock_nsec, 77);
  seen = (struct seen){ 0 };
  REQUIRE_OK (t.format->ops->snapshots (t.format, see, &seen, &err), err);
  CHECK_EQ_U64 (seen.n, 2);
  CHECK_STR_EQ (seen.name, "1");
}

static void
an_image_without_snapshots_lists_none (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  struct seen seen = { 0 };

  begin (&t, NULL, 0);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_OK (t.format->ops->snapshots (t.format, see, &seen, &err), err);
  CHECK_EQ_U64 (seen.n, 0);
}

static void
names_are_made_printable (void)
{
  static const struct entry odd = { AT_L1_S << BITS, 1,  "\x1b[1m",
                                    "a\nb",          16, SIZE };
  CLEANUP_QCOW2 struct test_qcow2 t;
  struct seen seen = { 0 };

  begin (&t, &odd, 1);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_OK (t.format->ops->snapshots (t.format, see, &seen, &err), err);
  CHECK_STR_EQ (seen.id, "?[1m");
  CHECK_STR_EQ (seen.name, "a?b");
}

static int
find (struct test_qcow2 *t, const char *id_or_name)
{
  t->params.snapshot = id_or_name;
  return test_qcow2_open (t, &err);
}

static void
a_snapshot_shows_its_own_table_and_size (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t, two, 2);
  REQUIRE_OK (find (&t, "before"), err);
  CHECK_EQ_U64 (t.format->size, SIZE / 2);
  CHECK_MAP (&t, 0, CLUSTER, RV_MAP_DATA, CLUSTER);
  CHECK_EQ_U64 (t.map.host_off, 9 * CLUSTER);
}

static void
an_id_counts_more_than_a_name (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t, two, 2);
  REQUIRE_OK (find (&t, "1"), err);
  CHECK_EQ_U64 (t.format->size, SIZE / 2);
  test_qcow2_close (&t);
  REQUIRE_OK (find (&t, "2"), err);
  CHECK_EQ_U64 (t.format->size, SIZE);
}

static void
of_two_with_one_name_the_first_counts (void)
{
  static const struct entry same[] = {
    { AT_L1_S << BITS, 1, "7", "x", 16, SIZE / 2 },
    { AT_L1_S << BITS, 1, "8", "x", 16, SIZE },
  };
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t, same, 2);
  REQUIRE_OK (find (&t, "x"), err);
  CHECK_EQ_U64 (t.format->size, SIZE / 2);
}

static void
an_unknown_snapshot_is_the_users_mistake (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t, two, 2);
  CHECK_EQ_INT (find (&t, "3"), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*\"3\"*");
  test_qcow2_close (&t);
  CHECK_EQ_INT (find (&t, ""), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*no internal snapshot*");
}

static void
version_2_snapshots_have_the_disks_size (void)
{
  static const struct entry old = { AT_L1_S << BITS, 1, "1", "old", 0, 0 };
  CLEANUP_QCOW2 struct test_qcow2 t;
  struct seen seen = { 0 };

  begin (&t, &old, 1);
  put_be32 (t.p + 4, 2);
  REQUIRE_OK (find (&t, "old"), err);
  CHECK_EQ_U64 (t.format->size, SIZE);
  CHECK_OK (t.format->ops->snapshots (t.format, see, &seen, &err), err);
  CHECK_EQ_U64 (seen.last.vm_state_size, 4096);
}

static void
version_3_snapshots_must_tell_their_size (void)
{
  for (uint32_t extra = 0; extra < 16; extra += 8) {
    struct entry short_one = { AT_L1_S << BITS, 1, "1", "x", extra, 0 };
    CLEANUP_QCOW2 struct test_qcow2 t;

    begin (&t, &short_one, 1);
    CHECK_EQ_INT (find (&t, "x"), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*version 3*");
  }
}

static void
a_snapshots_table_is_checked_like_the_active_one (void)
{
  static const struct {
    struct entry e;
    rawview_error_kind kind;
  } bad[] = {
    { { 0, 1, "1", "x", 16, SIZE }, RAWVIEW_ERROR_CORRUPT },
    { { AT_L1_S * CLUSTER + 8, 1, "1", "x", 16, SIZE }, RAWVIEW_ERROR_CORRUPT },
    { { 12 << BITS, 1, "1", "x", 16, SIZE }, RAWVIEW_ERROR_CORRUPT },
    { { 0xfffffffffffffe00, 1, "1", "x", 16, SIZE }, RAWVIEW_ERROR_CORRUPT },
    { { AT_L1_S << BITS, 0, "1", "x", 16, SIZE }, RAWVIEW_ERROR_CORRUPT },
    { { AT_L1_S << BITS, 1, "1", "x", 16, SIZE + 512 }, RAWVIEW_ERROR_CORRUPT },
    { { AT_L1_S << BITS, 0x10000000, "1", "x", 16, SIZE },
      RAWVIEW_ERROR_LIMIT },
    { { AT_L1_S << BITS, UINT32_MAX, "1", "x", 16, SIZE },
      RAWVIEW_ERROR_LIMIT },
    { { AT_L1_S << BITS, 1, "1", "x", 16, UINT64_MAX }, RAWVIEW_ERROR_LIMIT },
  };

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CLEANUP_QCOW2 struct test_qcow2 t;

    begin (&t, &bad[i].e, 1);
    CHECK_EQ_INT (find (&t, "x"), -1);
    CHECK_ERROR (err, bad[i].kind, "disk: *");
    test_qcow2_close (&t);
    t.params.snapshot = NULL; /* the active disk has no part in that */
    CHECK_OK (test_qcow2_open (&t, &err), err);
  }
}

static void
lengths_in_an_entry_are_limited (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  struct seen seen = { 0 };

  begin (&t, two, 1);
  put_be32 (t.p + AT_TABLE * CLUSTER + 36, 1025);
  REQUIRE_OK (test_qcow2_open (&t, &err), err);
  CHECK_EQ_INT (t.format->ops->snapshots (t.format, see, &seen, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*1025 bytes of extra data*");
  put_be32 (t.p + AT_TABLE * CLUSTER + 36, UINT32_MAX);
  CHECK_EQ_INT (t.format->ops->snapshots (t.format, see, &seen, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*extra data*");
  put_be32 (t.p + AT_TABLE * CLUSTER + 36, 24);
  put_be16 (t.p + AT_TABLE * CLUSTER + 12, 65535);
  CHECK_EQ_INT (t.format->ops->snapshots (t.format, see, &seen, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*cut short*");
}

static void
every_cut_table_is_an_error (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  size_t end = AT_TABLE * CLUSTER + 40 + 24 + 1 + 6;

  begin (&t, two, 1);
  for (t.len = AT_TABLE * CLUSTER; t.len < end; t.len++) {
    struct seen seen = { 0 };
    int r = test_qcow2_open (&t, &err);

    if (r == 0)
      r = t.format->ops->snapshots (t.format, see, &seen, &err);
    CHECK_EQ_INT (r, -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT,
                 t.format ? "*cut short*" : "*truncated*snapshot table*");
    CHECK_EQ_U64 (seen.n, 0);
    test_qcow2_close (&t);
  }
}

static void
a_table_beyond_the_file_is_noticed_at_once (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;

  begin (&t, two, 2);
  put_be64 (t.p + 64, 0x7ffffffffffffe00);
  CHECK_EQ_INT (test_qcow2_open (&t, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*snapshot table*");
  test_qcow2_close (&t);
  put_be64 (t.p + 64, AT_TABLE * CLUSTER);
  put_be32 (t.p + 60, 65536);
  CHECK_EQ_INT (test_qcow2_open (&t, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*65536 entries*");
}

/* 65536 entries of 64 KiB each would be 4 GiB. */
static void
a_table_is_limited_as_a_whole (void)
{
  const uint64_t entry = 64 << 10, entries = 1100;
  CLEANUP_FREE uint8_t *p = calloc (entries, entry);
  CLEANUP_IO struct rv_io *io = NULL;
  struct rv_qcow2_header header = { .version = 2, .nb_snapshots = entries };
  struct rv_qcow2_snapshot s;

  REQUIRE (p != NULL);
  for (uint64_t i = 0; i < entries; i++)
    put_be16 (p + i * entry + 14, entry - 40);
  REQUIRE_OK (rv_io_mem_new (p, entries * entry, "disk", &io, &err), err);
  CHECK_EQ_INT (rv_qcow2_snapshot_find (io, &header, "x", &s, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*larger than*");
}

static void
every_failed_read_is_an_error_and_nothing_leaks (void)
{
  CLEANUP_QCOW2 struct test_qcow2 t;
  unsigned failures = 0;

  begin (&t, two, 2);
  for (unsigned n = 1; failures == n - 1 && n < 100; n++) {
    atomic_uint countdown = n;

    REQUIRE_OK (rv_io_mem_new (t.p, t.len, "disk", &t.io, &err), err);
    REQUIRE_OK (rv_io_fault_new (t.io, &countdown, &t.fault, &err), err);
    if (find (&t, "2") == -1) {
      CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
      failures++;
    }
    rv_io_unref (t.fault);
    test_qcow2_close (&t);
  }
  CHECK (failures > 8 && failures < 99);
}

int
main (void)
{
  TEST (all_snapshots_are_listed_in_order);
  TEST (an_image_without_snapshots_lists_none);
  TEST (names_are_made_printable);
  TEST (a_snapshot_shows_its_own_table_and_size);
  TEST (an_id_counts_more_than_a_name);
  TEST (of_two_with_one_name_the_first_counts);
  TEST (an_unknown_snapshot_is_the_users_mistake);
  TEST (version_2_snapshots_have_the_disks_size);
  TEST (version_3_snapshots_must_tell_their_size);
  TEST (a_snapshots_table_is_checked_like_the_active_one);
  TEST (lengths_in_an_entry_are_limited);
  TEST (every_cut_table_is_an_error);
  TEST (a_table_beyond_the_file_is_noticed_at_once);
  TEST (a_table_is_limited_as_a_whole);
  TEST (every_failed_read_is_an_error_and_nothing_leaks);
  return test_result ();
}
