/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In a folder of its own:
 *
 *   vm/vm.vmx         a description, and beside it disk.vmdk and link.vmdk,
 *                     which leads to ../other/disk.vmdk; pipe.vmdk, a FIFO
 *   other/disk.vmdk   not beside it
 */

#include <config.h>

#include <errno.h>

#include "format/test-tar.h"
#include "test-files.h"

static rawview_error err;
static struct test_tar tar;
static char *text;
static size_t len;

/*--- In an archive ------------------------------------------------------*/

static void
begin_archive (void)
{
  memset (&tar, 0, sizeof tar);
}

static int
read_ovf (void)
{
  CLEANUP_FREE char *path = test_path ("vm.ova");

  test_file ("vm.ova", tar.p, tar.len);
  free (text);
  text = NULL;
  err = (rawview_error){ 0 };
  return rawview_read_ovf (path, NULL, &text, &len, &err);
}

static void
the_description_of_an_archive_is_read (void)
{
  begin_archive ();
  test_tar_member (&tar, "vm.mf", "x");
  test_tar_member (&tar, "./sub/VM.OVF", "<Envelope/>");
  test_tar_member (&tar, "a.vmdk", "x");
  test_tar_end (&tar);
  REQUIRE_OK (read_ovf (), err);
  CHECK_STR_EQ (text, "<Envelope/>");
  CHECK_EQ_U64 (len, 11);
}

static void
an_archive_may_have_none (void)
{
  begin_archive ();
  test_tar_member (&tar, "a.vmdk", "x");
  test_tar_end (&tar);
  REQUIRE_OK (read_ovf (), err);
  CHECK (text == NULL && len == 0);
}

static void
what_is_no_archive_has_none (void)
{
  CLEANUP_FREE char *path = test_path ("vm/disk.vmdk");

  REQUIRE_OK (rawview_read_ovf (path, NULL, &text, &len, &err), err);
  CHECK (text == NULL);
}

static void
two_descriptions_are_refused (void)
{
  begin_archive ();
  test_tar_member (&tar, "a.ovf", "x");
  test_tar_member (&tar, "b.ovf", "y");
  test_tar_end (&tar);
  CHECK_EQ_INT (read_ovf (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*more than one OVF description");
}

static void
a_description_that_is_a_link_is_refused (void)
{
  begin_archive ();
  test_tar_header (&tar, "a.ovf", '2', 0);
  test_tar_end (&tar);
  CHECK_EQ_INT (read_ovf (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_UNSUPPORTED, "*\"a.ovf\" is not stored as*");
}

/* Its member is as long as it says, in a file with a hole. */
static void
a_long_description_is_refused (void)
{
  static const uint8_t end[2 * RV_TAR_BLOCK];
  CLEANUP_FREE char *path = test_path ("vm.ova");
  const size_t size = (4 << 20) + 1;

  begin_archive ();
  test_tar_header (&tar, "a.ovf", '0', size);
  test_file ("vm.ova", tar.p, tar.len);
  REQUIRE (truncate (path, RV_TAR_BLOCK + size + RV_TAR_BLOCK - 1 +
                               (off_t) sizeof end) == 0);
  CHECK_EQ_INT (rawview_read_ovf (path, NULL, &text, &len, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*4194305 bytes, more than 4194304");
  CHECK (text == NULL);
}

/*--- Beside its disks ---------------------------------------------------*/

static void
make_tree (void)
{
  test_folder ("vm");
  test_folder ("other");
  test_folder ("vm/sub");
  test_text_file ("vm/vm.vmx", "x");
  test_text_file ("vm/disk.vmdk", "x");
  test_text_file ("vm/sub/disk.vmdk", "x");
  test_text_file ("other/disk.vmdk", "x");
  test_symlink ("../other/disk.vmdk", "vm/link.vmdk");
  test_fifo ("vm/pipe.vmdk");
}

/* references: NULL, or the option's value. */
static int
find (const char *name, const char *references, char **path)
{
  CLEANUP_FREE char *from = test_path ("vm/vm.vmx");
  rawview_options *opts = rawview_options_new ();
  int r = 0;

  err = (rawview_error){ 0 };
  if (references != NULL)
    r = rawview_options_set (opts, "references", references, &err);
  if (r == 0)
    r = rawview_find_named_disk (from, name, opts, path, &err);
  rawview_options_free (opts);
  return r;
}

static void
finds (const char *name, const char *references, const char *file)
{
  CLEANUP_FREE char *expected = test_path (file);
  CLEANUP_FREE char *path = NULL;

  if (CHECK_OK (find (name, references, &path), err))
    CHECK_STR_EQ (path, expected);
}

static void
refuses (const char *name, const char *references, const char *pattern)
{
  char *path = NULL;

  if (!CHECK_EQ_INT (find (name, references, &path), -1) ||
      !CHECK_STR_MATCH (err.msg, pattern))
    TEST_FAIL ("\"%s\"", name);
  CHECK (path == NULL);
}

static void
disks_beside_it_are_found (void)
{
  finds ("disk.vmdk", NULL, "vm/disk.vmdk");
  finds ("./disk.vmdk", NULL, "vm/disk.vmdk");
  finds ("C:\\machines\\vm\\disk.vmdk", NULL, "vm/disk.vmdk");
  finds ("/vmfs/volumes/1/vm/disk.vmdk", NULL, "vm/disk.vmdk");
}

static void
what_lies_elsewhere_is_refused (void)
{
  static const char *const names[] = { "../other/disk.vmdk", "sub/disk.vmdk",
                                       "/etc/passwd", "..", "." };

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    refuses (names[i], NULL, "*its disk *outside the folders allowed*");
    CHECK_EQ_INT (err.kind, RAWVIEW_ERROR_REFUSED);
  }
  refuses ("nbd://host/disk", NULL, "*not a plain file name");
  refuses ("json:{}", NULL, "*not a plain file name");
  refuses ("", NULL, "*it has no name");
  refuses ("disk.vmdk", "none", "*references=none");
}

static void
the_operator_may_allow_folders (void)
{
  CLEANUP_FREE char *other = test_path ("other");

  finds ("../other/disk.vmdk", other, "other/disk.vmdk");
  refuses ("disk.vmdk", other, "*outside the folders allowed*");
}

static void
links_and_pipes_are_not_disks (void)
{
  refuses ("link.vmdk", NULL, "*its disk:*");
  refuses ("pipe.vmdk", NULL, "*its disk:*");
}

static void
a_missing_disk_is_named (void)
{
  refuses ("gone.vmdk", NULL, "*/vm/gone.vmdk*");
  CHECK_EQ_INT (err.errnum, ENOENT);
}

int
main (void)
{
  test_files_begin ();
  make_tree ();
  TEST (the_description_of_an_archive_is_read);
  TEST (an_archive_may_have_none);
  TEST (what_is_no_archive_has_none);
  TEST (two_descriptions_are_refused);
  TEST (a_description_that_is_a_link_is_refused);
  TEST (a_long_description_is_refused);
  TEST (disks_beside_it_are_found);
  TEST (what_lies_elsewhere_is_refused);
  TEST (the_operator_may_allow_folders);
  TEST (links_and_pipes_are_not_disks);
  TEST (a_missing_disk_is_named);
  free (text);
  test_files_end ();
  return test_result ();
}
