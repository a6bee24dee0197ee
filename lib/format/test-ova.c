/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/ova.h"
#include "format/test-tar.h"

static struct test_tar t;
static struct rv_ova_members disks;
static struct rv_warnings warnings;
static struct rv_io *io;
static rawview_error err;

static void
forget (void)
{
  rv_ova_members_free (&disks);
  rv_warnings_free (&warnings);
  rv_io_unref (io);
  io = NULL;
}

/* An archive that begins with an OVF. */
static void
begin (void)
{
  memset (&t, 0, sizeof t);
  test_tar_member (&t, "vm.ovf", "<Envelope/>");
}

static int
look (void)
{
  forget ();
  err = (rawview_error){ 0 };
  if (rv_io_mem_new (t.p, t.len, "vm.ova", &io, &err) == -1)
    return -1;
  return rv_ova_disks (io, &disks, &warnings, &err);
}

#define CHECK_REFUSED(kind, pattern) \
  do { \
    CHECK_EQ_INT (look (), -1); \
    CHECK_ERROR (err, (kind), (pattern)); \
  } while (0)

static void
disks_are_found_where_they_lie (void)
{
  begin ();
  test_tar_member (&t, "vm.mf", "SHA256(...)= 0");
  test_tar_member (&t, "./a.vmdk", "first");
  test_tar_member (&t, "sub/b.VMDK", "second one");
  test_tar_end (&t);
  REQUIRE_OK (look (), err);
  CHECK_EQ_U64 (warnings.len, 0);
  REQUIRE (disks.len == 2);
  CHECK_STR_EQ (disks.ptr[0].name, "a.vmdk");
  CHECK_MEM_EQ (t.p + disks.ptr[0].off, "first", 5);
  CHECK_EQ_U64 (disks.ptr[0].len, 5);
  CHECK_STR_EQ (disks.ptr[1].name, "sub/b.VMDK");
  CHECK_MEM_EQ (t.p + disks.ptr[1].off, "second one", 10);
}

static void
an_archive_without_disks_is_no_ova (void)
{
  begin ();
  test_tar_member (&t, "vmdk", "x");
  test_tar_member (&t, "a.vmdk.txt", "x");
  test_tar_end (&t);
  CHECK_REFUSED (RAWVIEW_ERROR_FORMAT, "*no VMDK disk*");
}

static void
what_is_odd_but_readable_is_told (void)
{
  memset (&t, 0, sizeof t);
  test_tar_member (&t, "a.vmdk", "x");
  REQUIRE_OK (look (), err); /* no OVF, no end */
  REQUIRE (warnings.len == 2);
  CHECK_STR_MATCH (warnings.ptr[0], "*without an OVF*");
  CHECK_STR_MATCH (warnings.ptr[1], "*may be truncated*");
}

static void
two_descriptions_are_a_contradiction (void)
{
  begin ();
  test_tar_member (&t, "other.OVF", "x");
  test_tar_member (&t, "a.vmdk", "x");
  CHECK_REFUSED (RAWVIEW_ERROR_CORRUPT, "*more than one OVF*");
}

static void
two_disks_have_two_names (void)
{
  begin ();
  test_tar_member (&t, "a.vmdk", "x");
  test_tar_member (&t, "./a.vmdk", "y");
  CHECK_REFUSED (RAWVIEW_ERROR_CORRUPT, "*two members are called \"a.vmdk\"");
  CHECK_EQ_U64 (disks.len, 0); /* nothing to free after a failure */
  begin ();
  test_tar_member (&t, "a\001.vmdk", "x");
  test_tar_member (&t, "a\002.vmdk", "y"); /* both are shown as a?.vmdk */
  CHECK_REFUSED (RAWVIEW_ERROR_CORRUPT, "*two members are called \"a?.vmdk\"");
}

static void
links_and_devices_are_not_disks (void)
{
  static const char types[] = "123456SZ";

  for (size_t i = 0; types[i]; i++) {
    begin ();
    test_tar_header (&t, "a.vmdk", types[i], 0);
    CHECK_REFUSED (RAWVIEW_ERROR_UNSUPPORTED, "*\"a.vmdk\" is a link*");
  }
}

static void
sparse_members_are_not_their_disks_bytes (void)
{
  begin ();
  test_tar_pax (&t, "GNU.sparse.major=1");
  test_tar_member (&t, "a.vmdk", "x");
  CHECK_REFUSED (RAWVIEW_ERROR_UNSUPPORTED, "*sparse*");
}

static void
chunks_and_compressed_disks_are_refused_with_advice (void)
{
  begin ();
  test_tar_member (&t, "a.vmdk.000000000", "x");
  CHECK_REFUSED (RAWVIEW_ERROR_UNSUPPORTED, "*chunk*join*");
  begin ();
  test_tar_member (&t, "a.vmdk.gz", "x");
  CHECK_REFUSED (RAWVIEW_ERROR_UNSUPPORTED, "*gzip; unpack*");
  begin ();
  test_tar_member (&t, "a.vmdk", "\x1f\x8b\x08");
  CHECK_REFUSED (RAWVIEW_ERROR_UNSUPPORTED, "*gzip; unpack*");
  begin ();
  test_tar_member (&t, "a.vmdk.1x", "x");
  test_tar_member (&t, "1", "x");
  test_tar_member (&t, ".vmdk.", "x");
  test_tar_member (&t, "b.vmdk", "");
  CHECK_OK (look (), err);
}

static void
the_number_of_disks_is_limited (void)
{
  const size_t n = 2000;
  CLEANUP_FREE uint8_t *p = calloc (n, RV_TAR_BLOCK);

  for (size_t i = 0; i < n; i++) {
    char name[32];

    snprintf (name, sizeof name, "%zu.vmdk", i);
    test_tar_block (p + i * RV_TAR_BLOCK, name, '0', 0);
  }
  forget ();
  REQUIRE_OK (rv_io_mem_new (p, n * RV_TAR_BLOCK, "vm.ova", &io, &err), err);
  CHECK_EQ_INT (rv_ova_disks (io, &disks, &warnings, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*more than * disks*");
  forget ();
}

static void
truncated_archives_are_refused (void)
{
  begin ();
  test_tar_member (&t, "a.vmdk", "12345");
  t.len = 1024 + 512 + 4;
  CHECK_REFUSED (RAWVIEW_ERROR_CORRUPT, "*truncated*");
}

/*--- Choosing -----------------------------------------------------------*/

static int
choose (const char *disk, size_t *i)
{
  err = (rawview_error){ 0 };
  return rv_ova_choose (io, &disks, disk, i, &err);
}

static void
the_only_disk_need_not_be_named (void)
{
  size_t i = 9;

  begin ();
  test_tar_member (&t, "a.vmdk", "x");
  REQUIRE_OK (look (), err);
  CHECK_OK (choose (NULL, &i), err);
  CHECK_EQ_U64 (i, 0);
  test_tar_member (&t, "b.vmdk", "x");
  REQUIRE_OK (look (), err);
  CHECK_EQ_INT (choose (NULL, &i), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*2 disks*\"a.vmdk\"*disk=*");
}

static void
a_disk_is_meant_by_name_number_or_last_part (void)
{
  static const struct {
    const char *disk;
    int index; /* -1: none */
  } cases[] = {
    { "x/a.vmdk", 0 }, { "y/a.vmdk", 1 }, { "2", 2 },       { "1", 0 },
    { "4", 3 },        { "c.vmdk", 3 },   { "a.vmdk", -1 }, { "0", -1 },
    { "5", -1 },       { "", -1 },        { "-1", -1 },     { "z/c.vmdk", 3 },
    { "vm.ovf", -1 },
  };

  begin ();
  test_tar_member (&t, "x/a.vmdk", "x");
  test_tar_member (&t, "y/a.vmdk", "x");
  test_tar_member (&t, "2.vmdk", "x");
  test_tar_member (&t, "z/c.vmdk", "x");
  REQUIRE_OK (look (), err);
  free (disks.ptr[2].name);
  disks.ptr[2].name = strdup ("2"); /* a name comes before a number */
  for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
    size_t i = 99;
    int r = choose (cases[k].disk, &i);

    if (!CHECK_EQ_INT (r, cases[k].index == -1 ? -1 : 0) ||
        (r == 0 && !CHECK_EQ_U64 (i, cases[k].index)))
      TEST_FAIL ("disk=%s", cases[k].disk);
    if (r == -1)
      CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*there is no disk*");
  }
}

static void
every_failed_read_is_an_error_and_nothing_leaks (void)
{
  unsigned failures = 0;

  begin ();
  test_tar_pax (&t, "path=longer.vmdk");
  test_tar_member (&t, "a", "123");
  test_tar_member (&t, "b.vmdk", "123");
  test_tar_end (&t);
  for (unsigned n = 1; failures == n - 1 && n < 100; n++) {
    CLEANUP_IO struct rv_io *mem = NULL;
    atomic_uint countdown = n;

    forget ();
    REQUIRE_OK (rv_io_mem_new (t.p, t.len, "vm.ova", &mem, &err), err);
    REQUIRE_OK (rv_io_fault_new (mem, &countdown, &io, &err), err);
    if (rv_ova_disks (io, &disks, &warnings, &err) == -1) {
      CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
      failures++;
    }
    else
      CHECK_EQ_U64 (disks.len, 2);
    forget ();
  }
  CHECK_EQ_U64 (failures, 8);
}

int
main (void)
{
  TEST (disks_are_found_where_they_lie);
  TEST (an_archive_without_disks_is_no_ova);
  TEST (what_is_odd_but_readable_is_told);
  TEST (two_descriptions_are_a_contradiction);
  TEST (two_disks_have_two_names);
  TEST (links_and_devices_are_not_disks);
  TEST (sparse_members_are_not_their_disks_bytes);
  TEST (chunks_and_compressed_disks_are_refused_with_advice);
  TEST (the_number_of_disks_is_limited);
  TEST (truncated_archives_are_refused);
  TEST (the_only_disk_need_not_be_named);
  TEST (a_disk_is_meant_by_name_number_or_last_part);
  TEST (every_failed_read_is_an_error_and_nothing_leaks);
  forget ();
  return test_result ();
}
