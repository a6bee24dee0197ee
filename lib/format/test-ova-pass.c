/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives in memory, whose disks nobody looks into. */

#include <config.h>

#include <sys/mman.h>
#include <unistd.h>

#include "format/ova-pass.h"
#include "format/test-tar.h"

static struct test_tar t;
static rawview_error err;
static char came[100]; /* the disk's bytes */
static char chosen[100];

static int
run_pass (struct rv_ova_pass *pass, struct rv_pipe *pipe, const char *disk)
{
  uint64_t len;

  came[0] = chosen[0] = '\0';
  if (rv_ova_pass_init (pass, pipe, disk, &err) == -1 ||
      rv_ova_pass_find (pass, &len, &err) == -1)
    return -1;
  snprintf (chosen, sizeof chosen, "%s", pass->chosen);
  if (len >= sizeof came)
    return rv_pipe_take (pipe, NULL, len, "the disk", &err);
  came[len] = '\0';
  if (rv_pipe_take (pipe, came, len, "the disk", &err) == -1)
    return -1;
  return rv_ova_pass_finish (pass, &err);
}

static int
pass_of (size_t n, const char *disk)
{
  struct rv_ova_pass pass = { 0 };
  struct rv_pipe pipe;
  int fd = memfd_create ("archive", MFD_CLOEXEC), r;

  if (write (fd, t.p, n) != (ssize_t) n || lseek (fd, 0, SEEK_SET) != 0 ||
      rv_pipe_init (&pipe, fd, "x.ova", &err) == -1)
    abort ();
  r = run_pass (&pass, &pipe, disk);
  rv_ova_pass_release (&pass);
  rv_pipe_release (&pipe);
  close (fd);
  return r;
}

static int
pass (const char *disk)
{
  return pass_of (t.len, disk);
}

static void
begin (void)
{
  memset (&t, 0, sizeof t);
  test_tar_member (&t, "vm.ovf", "<Envelope/>");
}

/* A manifest with the checksum of "abc", from FIPS 180. */
static void
manifest (const char *name)
{
  char text[200];

  snprintf (text, sizeof text,
            "SHA1(%s)= a9993e364706816aba3e25717850c26c9cd0d89d\n", name);
  test_tar_member (&t, "vm.mf", text);
}

static void
the_disk_and_its_checksum_are_found (void)
{
  for (int first = 0; first < 2; first++) {
    begin ();
    if (first)
      manifest ("./a.vmdk");
    test_tar_member (&t, "./a.vmdk", "abc");
    if (!first)
      manifest ("a.vmdk");
    test_tar_end (&t);
    CHECK_OK (pass (NULL), err);
    CHECK_STR_EQ (chosen, "a.vmdk");
    CHECK_STR_EQ (came, "abc");
  }
}

static void
a_wrong_checksum_is_noticed (void)
{
  for (int first = 0; first < 2; first++) {
    begin ();
    if (first)
      manifest ("a.vmdk");
    test_tar_member (&t, "a.vmdk", "abd");
    if (!first)
      manifest ("a.vmdk");
    test_tar_end (&t);
    CHECK_EQ_INT (pass (NULL), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "x.ova: the checksum of \"a*");
  }
}

static void
a_member_that_never_came_is_noticed (void)
{
  begin ();
  test_tar_member (&t, "a.vmdk", "abc");
  manifest ("b.vmdk");
  test_tar_end (&t);
  CHECK_EQ_INT (pass (NULL), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*\"b.vmdk\", which has not come*");
}

static void
two_manifests_are_refused (void)
{
  begin ();
  manifest ("a.vmdk");
  manifest ("a.vmdk");
  test_tar_end (&t);
  CHECK_EQ_INT (pass (NULL), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*more than one manifest*");
}

static void
two_disks (void)
{
  begin ();
  test_tar_member (&t, "dir/a.vmdk", "first");
  test_tar_member (&t, "b.vmdk", "second");
  test_tar_member (&t, "other/b.VMDK", "third");
  test_tar_end (&t);
}

static void
the_disk_that_is_meant_is_found (void)
{
  static const struct {
    const char *disk, *came;
  } cases[] = {
    { "1", "first" },      { "2", "second" },      { "dir/a.vmdk", "first" },
    { "a.vmdk", "first" }, { "b.vmdk", "second" }, { "b.VMDK", "third" },
  };

  two_disks ();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    CHECK_OK (pass (cases[i].disk), err);
    CHECK_STR_EQ (came, cases[i].came);
  }
}

static void
a_disk_that_is_not_named_must_be_the_only_one (void)
{
  two_disks ();
  CHECK_EQ_INT (pass (NULL), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE,
               "*after the disk \"dir/a.vmdk\" comes another, \"b.vmdk\"*");
  CHECK_EQ_INT (pass ("4"), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*no disk \"4\" among the 3*");
}

static void
a_name_that_fits_two_disks_is_refused (void)
{
  begin ();
  test_tar_member (&t, "x/a.vmdk", "first");
  test_tar_member (&t, "a.vmdk", "second");
  test_tar_end (&t);
  CHECK_EQ_INT (pass ("a.vmdk"), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*fits \"x/a.vmdk\" and \"a.vmdk\"*");
  CHECK_OK (pass ("x/a.vmdk"), err);
}

static void
every_cut_is_noticed (void)
{
  begin ();
  test_tar_member (&t, "a.vmdk", "abc");
  manifest ("a.vmdk");
  test_tar_end (&t);
  for (size_t n = 0; n <= t.len - 2 * RV_TAR_BLOCK; n++)
    if (!CHECK (pass_of (n, NULL) == -1) ||
        !CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "x.ova: ends at byte *"))
      TEST_FAIL ("cut at %zu", n);
}

static void
what_follows_the_end_is_refused (void)
{
  begin ();
  test_tar_member (&t, "a.vmdk", "abc");
  test_tar_end (&t);
  t.len += 8192;
  CHECK_OK (pass (NULL), err);
  t.p[t.len++] = 'x';
  CHECK_EQ_INT (pass (NULL), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*something follows*");
}

static void
damage_anywhere_gets_an_answer (void)
{
  uint32_t seed = 1;

  for (unsigned i = 0; i < 1000; i++) {
    begin ();
    test_tar_pax (&t, "path=a.vmdk\nsize=3\n");
    test_tar_member (&t, "x", "abc");
    manifest ("a.vmdk");
    test_tar_end (&t);
    for (unsigned n = 0; n < 1 + i % 3; n++) {
      seed = seed * 1664525 + 1013904223;
      t.p[(seed >> 8) % t.len] ^= 1 << (seed >> 4) % 8;
    }
    for (size_t at = 0; i % 2 && at + 512 <= t.len; at += 512)
      if (memcmp (t.p + at + 257, "ustar", 5) == 0)
        test_tar_sum (t.p + at);
    err.msg[0] = '\0';
    if (pass (NULL) == -1)
      CHECK (err.msg[0] != '\0');
  }
}

int
main (void)
{
  TEST (the_disk_and_its_checksum_are_found);
  TEST (a_wrong_checksum_is_noticed);
  TEST (a_member_that_never_came_is_noticed);
  TEST (two_manifests_are_refused);
  TEST (the_disk_that_is_meant_is_found);
  TEST (a_disk_that_is_not_named_must_be_the_only_one);
  TEST (a_name_that_fits_two_disks_is_refused);
  TEST (every_cut_is_noticed);
  TEST (what_follows_the_end_is_refused);
  TEST (damage_anywhere_gets_an_answer);
  return test_result ();
}
