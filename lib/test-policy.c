/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In a folder of its own:
 *
 *   images/    where the image lies, with base.qcow2
 *   other/     where it does not, with base.qcow2 and sub/deep.qcow2
 *   images/link -> ../other/base.qcow2, images/pipe a FIFO
 */

#include <config.h>

#include "policy.h"
#include "test-files.h"

static rawview_options *opts;
static struct rv_policy policy;
static struct rv_base base = { .dirfd = -1 };
static struct rv_permit permit = { .dirfd = -1 };
static rawview_error err;

static void
make_tree (void)
{
  test_folder ("images");
  test_folder ("other");
  test_folder ("other/sub");
  test_text_file ("images/base.qcow2", "images/base.qcow2");
  test_text_file ("other/base.qcow2", "other/base.qcow2");
  test_text_file ("other/sub/deep.qcow2", "other/sub/deep.qcow2");
  test_symlink ("../other/base.qcow2", "images/link");
  test_fifo ("images/pipe");
}

/* For an image in images/, with these options set, "key=value". */
static void
begin (const char *const *settings)
{
  CLEANUP_FREE char *image = test_path ("images/vm.qcow2");

  rawview_options_free (opts);
  rv_base_release (&base);
  opts = rawview_options_new ();
  policy = (struct rv_policy){ .opts = opts };
  for (; settings && *settings; settings++) {
    CLEANUP_FREE char *key = strdup (*settings);
    char *value = strchr (key, '=');

    *value++ = '\0';
    CHECK_OK (rawview_options_set (opts, key, value, &err), err);
  }
  CHECK_OK (rv_base_of (AT_FDCWD, image, &base, &err), err);
}

static void
begin_with (const char *setting)
{
  const char *settings[] = { setting, NULL };

  begin (settings);
}

/* references=DIR for a folder of the tree. */
static void
begin_with_folder (const char *name)
{
  CLEANUP_FREE char *setting =
      rv_text_format ("references=%s/%s", test_dir, name);

  begin_with (setting);
}

static int
judge_at (enum rv_ref_role role, const char *name, bool foreign, unsigned depth)
{
  struct rv_ref ref = { .role = role,
                        .name = (char *) name,
                        .foreign_path = foreign };

  rv_permit_release (&permit);
  err = (rawview_error){ 0 };
  return rv_policy_judge (&policy, "vm.qcow2", depth, &base, &ref, &permit,
                          &err);
}

static int
judge (enum rv_ref_role role, const char *name)
{
  return judge_at (role, name, false, 0);
}

static void
check_refused (enum rv_ref_role role, const char *name, const char *pattern)
{
  if (!CHECK_EQ_INT (judge (role, name), -1) ||
      !CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, pattern))
    TEST_FAIL ("\"%s\"", name);
  CHECK (permit.dirfd == -1 && permit.name == NULL && permit.source == NULL);
}

/* Opens what is permitted: that it is this file of the tree, or NULL for none
 * that can be opened.
 */
static void
check_opens (const char *want)
{
  struct rv_io_file_options fo = { 0 };
  CLEANUP_IO struct rv_io *io = NULL;
  char text[100] = "";

  if (rv_io_file_openat (permit.dirfd, permit.name, true, permit.path, &fo, &io,
                         &err) == 0)
    CHECK_OK (rv_io_pread (io, text, io->size, 0, &err), err);
  CHECK_STR_EQ (text, want ? want : "");
}

static void
check_permitted (enum rv_ref_role role, const char *name, const char *want)
{
  if (CHECK_OK (judge (role, name), err))
    check_opens (want);
}

/*--- The image's folder -------------------------------------------------*/

static void
files_beside_the_image_are_permitted (void)
{
  static const enum rv_ref_role roles[] = { RV_REF_PARENT, RV_REF_EXTENT };
  CLEANUP_FREE char *path = test_path ("images/base.qcow2");

  begin (NULL);
  for (size_t i = 0; i < 2; i++) {
    check_permitted (roles[i], "base.qcow2", "images/base.qcow2");
    check_permitted (roles[i], "./base.qcow2", "images/base.qcow2");
    check_permitted (roles[i], "././base.qcow2", "images/base.qcow2");
    CHECK_STR_EQ (permit.path, path);
    CHECK (permit.source == NULL);
  }
}

static void
files_elsewhere_are_refused (void)
{
  static const char *const names[] = {
    "/etc/passwd",
    "../other/base.qcow2",
    "../images/base.qcow2",
    "..",
    ".",
    "sub/x.qcow2",
    "./../x",
    "/",
    "./",
    "/proc/self/mem",
    "/dev/zero",
  };

  begin (NULL);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    check_refused (RV_REF_PARENT, names[i],
                   "vm.qcow2: its backing file or parent *references=DIR or "
                   "parent=FILE");
    check_refused (RV_REF_EXTENT, names[i],
                   "vm.qcow2: its extent *references=DIR");
  }
}

static void
a_name_that_begins_with_dot_and_slashes_is_not_absolute (void)
{
  begin_with ("references=/etc");
  check_refused (RV_REF_PARENT, ".//etc/passwd", "*outside*");
  begin (NULL);
  check_permitted (RV_REF_PARENT, ".//base.qcow2", "images/base.qcow2");
}

static void
links_and_pipes_are_permitted_by_name_but_not_opened (void)
{
  begin (NULL);
  check_permitted (RV_REF_PARENT, "link", NULL);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*symbolic link*");
  check_permitted (RV_REF_PARENT, "pipe", NULL);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*a pipe*");
}

/* What the operator allows is a folder, and not where the kernel can go from
 * there.
 */
static void
magic_links_are_not_followed (void)
{
  CLEANUP_FREE char *root =
      rv_text_format ("/proc/%ld/root/etc/passwd", (long) getpid ());
  CLEANUP_FREE char *fd = rv_text_format ("/proc/%ld/fd/0", (long) getpid ());
  const char *const names[] = { root, fd, "/proc/self/root/etc/passwd",
                                "/proc/thread-self/exe" };

  if (access (root, F_OK) == -1)
    SKIP ("there is no /proc");
  begin_with ("references=/proc");
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    check_permitted (RV_REF_PARENT, names[i], NULL);
    CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*symbolic link*");
  }
}

static void
schemes_are_refused_whatever_is_allowed (void)
{
  static const char *const names[] = {
    "json:{\"driver\":\"nbd\"}",
    "nbd://127.0.0.1/x",
    "nbd:unix:/x",
    "nbd+unix:///?socket=/x",
    "file:/etc/passwd",
    "fd:3",
    "host_device:x",
    "http://host/x",
    "C:\\vm\\a.vmdk",
  };
  const char *const all[] = { "references=same-directory", "references=/",
                              NULL };

  begin (all);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    check_refused (RV_REF_PARENT, names[i], "*not a plain file name*");
    check_refused (RV_REF_EXTENT, names[i], "*not a plain file name*");
  }
}

static void
an_empty_name_is_refused (void)
{
  begin_with ("references=/");
  check_refused (RV_REF_PARENT, "", "*does not name it*");
}

static void
an_image_without_a_folder_has_nothing_beside_it (void)
{
  begin (NULL);
  rv_base_release (&base);
  check_refused (RV_REF_EXTENT, "base.qcow2", "*outside the folders*");
  CHECK_EQ_INT (judge_at (RV_REF_PARENT, "base.qcow2", true, 0), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*outside the folders*");
}

/*--- references= --------------------------------------------------------*/

static void
references_none_permits_nothing (void)
{
  begin_with ("references=none");
  check_refused (RV_REF_PARENT, "base.qcow2", "*references=none");
  check_refused (RV_REF_EXTENT, "base.qcow2", "*references=none");
  CHECK_EQ_INT (judge_at (RV_REF_PARENT, "base.qcow2", true, 0), -1);
}

static void
a_folder_of_the_operator_permits_what_is_below_it (void)
{
  CLEANUP_FREE char *abs = test_path ("other/base.qcow2");
  CLEANUP_FREE char *deep = test_path ("other/sub/deep.qcow2");
  CLEANUP_FREE char *up = test_path ("other/sub/../base.qcow2");

  begin_with_folder ("other");
  check_permitted (RV_REF_PARENT, "../other/base.qcow2", "other/base.qcow2");
  check_permitted (RV_REF_EXTENT, abs, "other/base.qcow2");
  check_permitted (RV_REF_EXTENT, deep, "other/sub/deep.qcow2");
  check_permitted (RV_REF_EXTENT, up, "other/base.qcow2");
}

static void
a_folder_of_the_operator_permits_nothing_else (void)
{
  CLEANUP_FREE char *beside = test_path ("other-too/base.qcow2");
  CLEANUP_FREE char *itself = test_path ("other");
  CLEANUP_FREE char *out = test_path ("other/../images/base.qcow2");

  begin_with_folder ("other");
  check_refused (RV_REF_PARENT, "base.qcow2", "*outside*");
  check_refused (RV_REF_PARENT, beside, "*outside*");
  check_refused (RV_REF_PARENT, itself, "*outside*");
  check_refused (RV_REF_PARENT, out, "*outside*");
  check_refused (RV_REF_PARENT, "/etc/passwd", "*outside*");
}

static void
the_root_permits_every_file (void)
{
  CLEANUP_FREE char *abs = test_path ("other/base.qcow2");

  begin_with ("references=/");
  check_permitted (RV_REF_PARENT, abs, "other/base.qcow2");
  check_refused (RV_REF_PARENT, "/", "*outside*");
}

static void
a_folder_that_is_gone_is_an_error (void)
{
  begin_with ("references=/nonexistent");
  CHECK_EQ_INT (judge (RV_REF_PARENT, "/nonexistent/x"), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*/nonexistent*");
}

/*--- Named by the operator ----------------------------------------------*/

static void
the_operators_parent_replaces_the_images (void)
{
  static const char *const names[] = { "base.qcow2", "/etc/passwd", "json:{}",
                                       "" };
  const char *const settings[] = { "references=none", "parent=/srv/base.qcow2",
                                   NULL };

  begin (settings);
  for (size_t i = 0; i < 4; i++) {
    REQUIRE_OK (judge (RV_REF_PARENT, names[i]), err);
    CHECK_STR_EQ (permit.source, "/srv/base.qcow2");
    CHECK (permit.dirfd == -1);
  }
  check_refused (RV_REF_EXTENT, "x", "*references=none");
}

static void
the_operators_parent_is_that_of_the_image_itself_only (void)
{
  begin_with ("parent=/srv/base.qcow2");
  CHECK_EQ_INT (judge_at (RV_REF_PARENT, "/etc/passwd", false, 1), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*outside*");
}

static void
a_data_file_is_opened_by_the_operators_word_alone (void)
{
  begin_with ("references=/");
  check_refused (RV_REF_DATA_FILE, "base.qcow2", "*data-file=*");
  check_refused (RV_REF_DATA_FILE, "/etc/passwd", "*data-file=*");
  check_refused (RV_REF_DATA_FILE, "", "*data-file=*");
  begin_with ("data-file=/srv/data.raw");
  REQUIRE_OK (judge (RV_REF_DATA_FILE, "/etc/passwd"), err);
  CHECK_STR_EQ (permit.source, "/srv/data.raw");
  CHECK_EQ_INT (judge_at (RV_REF_DATA_FILE, "x", false, 1), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*data-file=*");
}

/*--- Names of other systems ---------------------------------------------*/

static void
of_a_foreign_name_only_the_last_part_is_looked_up (void)
{
  static const char *const names[] = {
    "C:\\vms\\base.qcow2", "/vmfs/volumes/x/base.qcow2", "..\\..\\base.qcow2",
    "base.qcow2",          "json:/base.qcow2",
  };

  begin (NULL);
  for (size_t i = 0; i < 5; i++) {
    REQUIRE_OK (judge_at (RV_REF_PARENT, names[i], true, 0), err);
    check_opens ("images/base.qcow2");
  }
}

static void
a_foreign_name_has_a_last_part (void)
{
  static const char *const names[] = { "C:\\", "/vmfs/", "a\\..", "/.", "\\" };

  begin (NULL);
  for (size_t i = 0; i < 5; i++) {
    CHECK_EQ_INT (judge_at (RV_REF_PARENT, names[i], true, 0), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*outside*");
  }
}

static void
a_foreign_name_is_looked_up_in_all_folders (void)
{
  CLEANUP_FREE char *sub = rv_text_format ("references=%s/other/sub", test_dir);
  const char *const both[] = { "references=same-directory", sub, NULL };

  begin_with_folder ("other");
  REQUIRE_OK (judge_at (RV_REF_PARENT, "C:\\base.qcow2", true, 0), err);
  check_opens ("other/base.qcow2");
  begin (both);
  REQUIRE_OK (judge_at (RV_REF_PARENT, "C:\\deep.qcow2", true, 0), err);
  check_opens ("other/sub/deep.qcow2");
  REQUIRE_OK (judge_at (RV_REF_PARENT, "C:\\base.qcow2", true, 0), err);
  check_opens ("images/base.qcow2");
}

/*--- Folders of imports -------------------------------------------------*/

static void
in_a_folder_only_extents_are_followed (void)
{
  begin (NULL);
  policy.folder = true;
  check_permitted (RV_REF_EXTENT, "base.qcow2", "images/base.qcow2");
  check_refused (RV_REF_PARENT, "base.qcow2", "*folder of imports*");
  begin_with ("references=same-directory");
  policy.folder = true;
  check_permitted (RV_REF_PARENT, "base.qcow2", "images/base.qcow2");
}

/* Between the judgement and the next, somebody renames folders. */
static void
the_base_of_a_permitted_file_is_found_through_no_link (void)
{
  CLEANUP_FREE char *deep = test_path ("other/sub/deep.qcow2");
  CLEANUP_FREE char *sub = test_path ("other/sub");
  CLEANUP_FREE char *moved = test_path ("other/moved");
  struct rv_base b;

  begin_with_folder ("other");
  REQUIRE_OK (judge (RV_REF_PARENT, deep), err);
  REQUIRE_OK (rv_base_of_permit (&permit, &b, &err), err);
  CHECK_STR_EQ (b.path, sub);
  CHECK (faccessat (b.dirfd, "deep.qcow2", F_OK, 0) == 0);
  rv_base_release (&b);
  CHECK (rename (sub, moved) == 0);
  test_symlink ("/etc", "other/sub");
  CHECK_EQ_INT (rv_base_of_permit (&permit, &b, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "cannot open the folder of *");
  CHECK (unlink (sub) == 0 && rename (moved, sub) == 0);
}

static void
the_base_of_a_name_is_its_folder (void)
{
  CLEANUP_FREE char *image = test_path ("images/vm.qcow2");
  CLEANUP_FREE char *folder = test_path ("images");
  CLEANUP_FREE char *nowhere = test_path ("nowhere/vm.qcow2");
  CLEANUP_FREE char *cwd = getcwd (NULL, 0);
  struct rv_base b;

  REQUIRE_OK (rv_base_of (AT_FDCWD, image, &b, &err), err);
  CHECK_STR_EQ (b.path, folder);
  CHECK (faccessat (b.dirfd, "base.qcow2", F_OK, 0) == 0);
  rv_base_release (&b);
  REQUIRE_OK (rv_base_of (AT_FDCWD, "vm.qcow2", &b, &err), err);
  CHECK_STR_EQ (b.path, cwd);
  rv_base_release (&b);
  REQUIRE_OK (rv_base_of (AT_FDCWD, "/vm.qcow2", &b, &err), err);
  CHECK_STR_EQ (b.path, "/");
  rv_base_release (&b);
  CHECK_EQ_INT (rv_base_of (AT_FDCWD, nowhere, &b, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "cannot open the folder *nowhere*");
}

int
main (void)
{
  test_files_begin ();
  make_tree ();
  TEST (files_beside_the_image_are_permitted);
  TEST (files_elsewhere_are_refused);
  TEST (a_name_that_begins_with_dot_and_slashes_is_not_absolute);
  TEST (links_and_pipes_are_permitted_by_name_but_not_opened);
  TEST (magic_links_are_not_followed);
  TEST (schemes_are_refused_whatever_is_allowed);
  TEST (an_empty_name_is_refused);
  TEST (an_image_without_a_folder_has_nothing_beside_it);
  TEST (references_none_permits_nothing);
  TEST (a_folder_of_the_operator_permits_what_is_below_it);
  TEST (a_folder_of_the_operator_permits_nothing_else);
  TEST (the_root_permits_every_file);
  TEST (a_folder_that_is_gone_is_an_error);
  TEST (the_operators_parent_replaces_the_images);
  TEST (the_operators_parent_is_that_of_the_image_itself_only);
  TEST (a_data_file_is_opened_by_the_operators_word_alone);
  TEST (of_a_foreign_name_only_the_last_part_is_looked_up);
  TEST (a_foreign_name_has_a_last_part);
  TEST (a_foreign_name_is_looked_up_in_all_folders);
  TEST (in_a_folder_only_extents_are_followed);
  TEST (the_base_of_a_permitted_file_is_found_through_no_link);
  TEST (the_base_of_a_name_is_its_folder);
  rv_permit_release (&permit);
  rv_base_release (&base);
  rawview_options_free (opts);
  test_files_end ();
  return test_result ();
}
