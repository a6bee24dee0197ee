/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <sys/syscall.h>

#include "format/test-tar.h"
#include "format/test-vmdk.h"
#include "overlay.h"
#include "test-images.h"
#include "util/test-deny.h"

/*--- Files --------------------------------------------------------------*/

static struct image vmdk;

/* An archive of two disks, whose grain 0 is full of the letter. */
static void
ova_file (const char *name)
{
  static struct test_tar tar;

  tar = (struct test_tar){ 0 };
  test_tar_member (&tar, "vm.ovf", "<Envelope/>");
  for (char c = 'a'; c <= 'b'; c++) {
    char member[] = "sub/x.vmdk";

    member[4] = c;
    make_sparse (&vmdk);
    put_gte (&vmdk, 0, AT_DATA);
    memset (vmdk.b + AT_DATA * SECTOR, c, GRAIN);
    test_tar_header (&tar, member, '0', vmdk.len);
    test_tar_bytes (&tar, vmdk.b, vmdk.len);
  }
  test_tar_end (&tar);
  test_file (name, tar.p, tar.len);
}

static bool
exists (const char *name)
{
  CLEANUP_FREE char *path = test_path (name);

  return access (path, F_OK) == 0;
}

/* How many files does the folder have? */
static unsigned
count_files (void)
{
  DIR *dir = opendir (test_dir);
  struct dirent *d;
  unsigned n = 0;

  while ((d = readdir (dir)))
    n += strcmp (d->d_name, ".") != 0 && strcmp (d->d_name, "..") != 0;
  closedir (dir);
  return n;
}

/*--- Opening ------------------------------------------------------------*/

/* Settings are "key=value"; a value that begins with "@" is a file in the
 * folder.  NULL ends.
 */
static int
set_all (rawview_options *opts, const char *const *settings)
{
  for (; settings && *settings; settings++) {
    CLEANUP_FREE char *key = strdup (*settings), *path = NULL;
    char *value = strchr (key, '=');

    *value++ = '\0';
    if (value[0] == '@')
      value = path = test_path (value + 1);
    if (rawview_options_set (opts, key, value, &err) == -1)
      return -1;
  }
  return 0;
}

static int
open_with (const char *name, const char *const *settings)
{
  CLEANUP_FREE char *path = test_path (name);
  rawview_options *opts = rawview_options_new ();
  int r;

  rawview_close (image);
  image = NULL;
  err = (rawview_error){ 0 };
  r = set_all (opts, settings);
  if (r == 0)
    r = rawview_open (path, opts, &image, &err);
  rawview_options_free (opts);
  return r;
}

static int
open_set (const char *name, const char *setting)
{
  const char *settings[] = { setting, NULL };

  return open_with (name, settings);
}

static int
open_over (const char *name)
{
  return open_set (name, "overlay=@over");
}

static const char *
fact_text (unsigned depth, const char *key)
{
  const rawview_fact *f;

  for (size_t i = 0; (f = rawview_get_fact (image, depth, i)); i++)
    if (strcmp (f->key, key) == 0)
      return f->text;
  return NULL;
}

/*--- One that is there --------------------------------------------------*/

static void
an_overlay_lies_on_top_of_the_whole_chain (void)
{
  CLEANUP_FREE char *path = test_path ("top");

  qcow2_file ("base", 0, 'b', NULL, NULL);
  qcow2_file ("top", 1, 't', "base", "qcow2");
  qcow2_file ("over", 2, 'o', "top", "qcow2");
  REQUIRE_OK (open_over ("top"), err);
  check_disk ("bto.....");
  CHECK_EQ_U64 (rawview_get_depth (image), 3);
  CHECK_STR_EQ (fact_text (0, "backing-filename"), "top");
  CHECK_STR_EQ (fact_text (0, "full-backing-filename"), path);
  CHECK_STR_EQ (fact_text (1, "backing-filename"), "base");
  CHECK (rawview_get_warning (image, 0) == NULL);
  CHECK (!rawview_is_writable (image));
}

static void
its_base_is_known_by_what_it_is_and_not_by_its_name (void)
{
  CLEANUP_FREE char *path = test_path ("top"), *link_path = test_path ("hard");

  qcow2_file ("top", 1, 't', NULL, NULL);
  test_symlink ("top", "soft");
  CHECK (link (path, link_path) == 0);
  qcow2_file ("over", 2, 'o', "soft", "qcow2");
  CHECK_OK (open_over ("top"), err);
  CHECK_OK (open_over ("hard"), err);
  qcow2_file ("over", 2, 'o', path, "qcow2");
  CHECK_OK (open_over ("soft"), err);
  test_folder ("sub");
  qcow2_file ("sub/over", 2, 'o', "../top", "qcow2");
  CHECK_OK (open_set ("top", "overlay=@sub/over"), err);
}

static void
an_overlay_of_another_image_is_refused (void)
{
  qcow2_file ("top", 1, 't', NULL, NULL);
  qcow2_file ("other", 1, 't', NULL, NULL);
  qcow2_file ("over", 2, 'o', "other", "qcow2");
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_REFUSED,
               "*over is an overlay of \"other\" and not of *top; use another "
               "overlay file*rebase*");
  qcow2_file ("over", 2, 'o', "gone", "qcow2");
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_REFUSED, "*of \"gone\"*");
}

/* Opening a pipe would wait, or take something out of it. */
static void
the_recorded_name_is_never_opened (void)
{
  test_fifo ("pipe");
  qcow2_file ("top", 1, 't', NULL, NULL);
  qcow2_file ("over", 2, 'o', "pipe", "raw");
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_REFUSED, "*of \"pipe\"*");
  qcow2_file ("over", 2, 'o', "nbd://127.0.0.1:1/x", "qcow2");
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_REFUSED, "*of \"nbd://*");
  qcow2_file ("over", 2, 'o', "json:{\"driver\":\"file\"}", "qcow2");
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_REFUSED, "*of \"json:*");
}

static void
format_and_size_of_the_base_must_agree (void)
{
  qcow2_file ("top", 1, 't', NULL, NULL);
  qcow2_file ("over", 2, 'o', "top", "raw");
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_REFUSED,
               "*records its backing file as raw, but *top is read as qcow2*");
  qcow2_file_of_size ("over", SIZE + 512, 2, 'o', "top", "qcow2");
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_REFUSED,
               "*for a disk of 4608 bytes, but *top has 4096*");
  qcow2_file ("over", 2, 'o', "top", NULL);
  REQUIRE_OK (open_over ("top"), err);
  CHECK_STR_MATCH (rawview_get_warning (image, 0), "*does not record*qcow2*");
}

static void
what_is_no_overlay_is_left_alone (void)
{
  qcow2_file ("top", 1, 't', NULL, NULL);
  qcow2_file ("over", 2, 'o', NULL, NULL);
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_REFUSED,
               "*is a disk of its own and no overlay of*");
  raw_file ("over", 'r', SIZE);
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_REFUSED,
               "*over is there and is no QCOW2 image, so it is left alone*");
  raw_file ("over", 'r', 0);
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_REFUSED, "*no QCOW2 image*");
  test_folder ("sub");
  CHECK_FAILS (open_set ("top", "overlay=@sub"), RAWVIEW_ERROR_REFUSED,
               "*sub is a folder*");
}

static void
a_file_of_the_image_is_no_overlay_of_it (void)
{
  qcow2_file ("base", 0, 'b', NULL, NULL);
  qcow2_file ("top", 1, 't', "base", "qcow2");
  CHECK_FAILS (open_set ("top", "overlay=@top"), RAWVIEW_ERROR_REFUSED,
               "*is part of the image*");
  CHECK_FAILS (open_set ("top", "overlay=@base"), RAWVIEW_ERROR_REFUSED,
               "*is part of the image*");
  qcow2_file ("flat", 1, 'f', "flat.vmdk", "vmdk");
  test_text_file ("flat.vmdk", "# Disk DescriptorFile\nversion=1\n"
                               "CID=00000011\nparentCID=ffffffff\n"
                               "createType=\"monolithicFlat\"\n"
                               "RW 6 FLAT \"flat\" 0\n");
  CHECK_FAILS (open_set ("flat.vmdk", "overlay=@flat"), RAWVIEW_ERROR_REFUSED,
               "*is part of the image*");
}

static void
snapshots_have_no_overlay (void)
{
  qcow2_file ("top", 1, 't', NULL, NULL);
  const char *const both[] = { "overlay=@over", "snapshot=1", NULL };
  CHECK_EQ_INT (open_with ("top", both), -1);
  CHECK (!exists ("over"));
}

/*--- One that is made ---------------------------------------------------*/

static void
an_overlay_is_made_once_and_found_again (void)
{
  CLEANUP_FREE char *path = test_path ("top"), *over = test_path ("over");
  struct stat st, again;

  test_files_clear ();
  qcow2_file ("top", 1, 't', NULL, NULL);
  REQUIRE_OK (open_over ("top"), err);
  check_disk (".t......");
  CHECK_EQ_U64 (rawview_get_depth (image), 2);
  CHECK_STR_EQ (fact_text (0, "backing-filename"), path);
  CHECK_STR_EQ (fact_text (0, "backing-filename-format"), "qcow2");
  REQUIRE (stat (over, &st) == 0);
  CHECK_EQ_INT (st.st_mode & 0777, 0600);
  CHECK_EQ_INT (st.st_nlink, 1);
  CHECK_EQ_INT (count_files (), 2);
  REQUIRE_OK (open_over ("top"), err);
  CHECK (stat (over, &again) == 0 && again.st_ino == st.st_ino);
  check_disk (".t......");
}

static void
make_without_nameless_files (void)
{
  CHECK (test_deny (SYS_openat, 2, O_TMPFILE | O_RDWR | O_CLOEXEC, EOPNOTSUPP));
  an_overlay_is_made_once_and_found_again ();
}

static void
make_by_link (void)
{
  CHECK (test_deny (SYS_renameat2, -1, 0, EINVAL));
  make_without_nameless_files ();
}

static void
make_without_any (void)
{
  qcow2_file ("top", 1, 't', NULL, NULL);
  CHECK (test_deny (SYS_renameat2, -1, 0, EINVAL));
  CHECK (test_deny (SYS_linkat, -1, 0, EPERM));
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_IO,
               "cannot make the overlay *over: Operation not permitted");
  CHECK (test_deny (SYS_openat, 2, O_TMPFILE | O_RDWR | O_CLOEXEC, EOPNOTSUPP));
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_IO, "cannot make*");
  CHECK_EQ_INT (count_files (), 1);
}

static void
filesystems_that_lack_something_will_do (void)
{
  test_in_child (make_without_nameless_files);
  test_in_child (make_by_link);
  test_files_clear ();
  test_in_child (make_without_any);
}

static void
every_failed_step_leaves_nothing_behind_child (void)
{
  qcow2_file ("top", 1, 't', NULL, NULL);
  CHECK (test_deny (SYS_fsync, -1, 0, EIO));
  CHECK_FAILS (open_over ("top"), RAWVIEW_ERROR_IO, "*over*");
  CHECK_EQ_INT (count_files (), 1);
}

static void
every_failed_step_leaves_nothing_behind (void)
{
  test_files_clear ();
  test_in_child (every_failed_step_leaves_nothing_behind_child);
}

static void
a_folder_that_is_not_there_is_not_made (void)
{
  qcow2_file ("top", 1, 't', NULL, NULL);
  CHECK_FAILS (open_set ("top", "overlay=@none/over"), RAWVIEW_ERROR_IO,
               "cannot open the folder *none/ for the overlay: No such file*");
  CHECK_FAILS (open_set ("top", "overlay-dir=@none"), RAWVIEW_ERROR_IO,
               "cannot open the folder *none/ for the overlay: No such file*");
  CHECK (!exists ("none"));
}

static void
nothing_is_replaced (void)
{
  test_symlink ("nowhere", "over");
  qcow2_file ("top", 1, 't', NULL, NULL);
  CHECK_EQ_INT (open_over ("top"), -1);
  CHECK (!exists ("nowhere"));
}

static void
a_raw_disk_has_one_too_if_its_size_allows (void)
{
  const char *const raw[] = { "format=raw", "overlay=@over", NULL };

  raw_file ("disk", 'r', SIZE + 1);
  CHECK_FAILS (open_with ("disk", raw), RAWVIEW_ERROR_UNSUPPORTED,
               "*a disk of 4097 bytes cannot have an overlay*");
  raw_file ("disk", 'r', 0);
  CHECK_EQ_INT (open_with ("disk", raw), -1);
  CHECK (!exists ("over"));
  raw_file ("disk", 'r', SIZE);
  REQUIRE_OK (open_with ("disk", raw), err);
  check_disk ("rrrrrrrr");
  CHECK_STR_EQ (fact_text (0, "backing-filename-format"), "raw");
}

static void
a_name_that_does_not_fit_is_told (void)
{
  char name[1200] = "";
  size_t len = 0;
  int r;

  for (int i = 0; i < 5; i++) {
    len += sprintf (name + len, "%s%0200d", i ? "/" : "", i);
    test_folder (name);
  }
  strcpy (name + len, "/top");
  qcow2_file (name, 1, 't', NULL, NULL);
  r = open_over (name);
  if (strlen (test_dir) + 1 + strlen (name) <= RV_BACKING_NAME_MAX)
    CHECK_OK (r, err);
  else
    CHECK_FAILS (r, RAWVIEW_ERROR_LIMIT, "*room for 1023 bytes*, this takes*");
}

static void
a_descriptor_needs_the_name_of_its_file (void)
{
  CLEANUP_FREE char *path = test_path ("top"), *setting = NULL;
  CLEANUP_CLOSE int fd = -1;

  qcow2_file ("top", 1, 't', NULL, NULL);
  raw_file ("other", 'o', SIZE);
  fd = open (path, O_RDONLY);
  setting = rv_text_format ("fd=%d", fd);
  const char *const both[] = { setting, "overlay=@over", NULL };
  CHECK_FAILS (open_with ("other", both), RAWVIEW_ERROR_USAGE,
               "*the file that was opened is not there*");
  CHECK_OK (open_with ("top", both), err);
}

/*--- A folder of them ---------------------------------------------------*/

static void
each_disk_has_its_own_in_the_folder (void)
{
  test_folder ("overlays");
  qcow2_file ("a.qcow2", 1, 'a', NULL, NULL);
  REQUIRE_OK (open_set ("a.qcow2", "overlay-dir=@overlays"), err);
  CHECK (exists ("overlays/a.qcow2.overlay.qcow2"));
}

static void
a_disk_inside_an_archive_is_recorded_as_json (void)
{
  CLEANUP_FREE char *want = NULL;
  const char *const settings[] = { "overlay-dir=@overlays", "disk=2", NULL };
  char c;

  test_folder ("overlays");
  ova_file ("v\"m.ova");
  for (int i = 0; i < 2; i++) {
    REQUIRE_OK (open_with ("v\"m.ova", settings), err);
    CHECK (exists ("overlays/v\"m.ova-sub-b.vmdk.overlay.qcow2"));
    CHECK_OK (rawview_pread (image, &c, 1, 0, &err), err);
    CHECK_EQ_INT (c, 'b');
  }
  want = rv_text_format ("json:{\"driver\":\"vmdk\",\"file\":{"
                         "\"driver\":\"raw\",\"offset\":%d,\"size\":%zu,"
                         "\"file\":{\"driver\":\"file\",\"filename\":"
                         "\"%s/v\\\"m.ova\"}}}",
                         512 + 512 + 512 + SECTORS * SECTOR + 512, vmdk.len,
                         test_dir);
  CHECK_STR_EQ (fact_text (0, "backing-filename"), want);
  CHECK_STR_EQ (fact_text (0, "backing-filename-format"), "vmdk");
  ova_file ("moved.ova");
  const char *const moved[] = {
    "overlay=@overlays/v\"m.ova-sub-b.vmdk.overlay.qcow2", "disk=2", NULL
  };
  CHECK_FAILS (open_with ("moved.ova", moved), RAWVIEW_ERROR_REFUSED,
               "*is an overlay of \"json:*");
}

static rawview_exports *exports;

static int
add (const char *name, const char *const *settings, bool folder)
{
  CLEANUP_FREE char *path = test_path (name);
  rawview_options *opts = rawview_options_new ();
  int r;

  rawview_exports_free (exports);
  exports = rawview_exports_new ();
  err = (rawview_error){ 0 };
  r = set_all (opts, settings);
  if (r == 0)
    r = folder ? rawview_exports_add_folder (exports, path, opts, &err)
               : rawview_exports_add_source (exports, NULL, path, opts, &err);
  rawview_options_free (opts);
  return r;
}

static int
check_description (void *opaque, const rawview_export *e)
{
  CHECK_STR_MATCH (e->description, "vmdk monolithicSparse, *");
  return 0;
}

static void
the_disks_of_an_archive_cannot_share_one (void)
{
  const char *const one[] = { "overlay=@over", NULL };
  const char *const each[] = { "overlay-dir=@overlays", NULL };

  test_folder ("overlays");
  ova_file ("vm.ova");
  CHECK_FAILS (add ("vm.ova", one, false), RAWVIEW_ERROR_USAGE,
               "*has 2 disks, which cannot share one overlay*");
  REQUIRE_OK (add ("vm.ova", each, false), err);
  CHECK (exists ("overlays/vm.ova-sub-a.vmdk.overlay.qcow2"));
  CHECK (exists ("overlays/vm.ova-sub-b.vmdk.overlay.qcow2"));
  rawview_exports_list (exports, check_description, NULL, &err);
}

static void
looking_at_a_folder_makes_none (void)
{
  const char *const one[] = { "overlay=@over", NULL };
  const char *const each[] = { "overlay-dir=@overlays", NULL };

  test_folder ("overlays");
  test_folder ("images");
  qcow2_file ("images/a.qcow2", 1, 'a', NULL, NULL);
  CHECK_FAILS (add ("images", one, true), RAWVIEW_ERROR_USAGE, "*overlay are*");
  REQUIRE_OK (add ("images", each, true), err);
  CHECK (!exists ("overlays/a.qcow2.overlay.qcow2"));
  rawview_close (image);
  image = NULL;
  REQUIRE_OK (rawview_exports_open (exports, "a.qcow2", &image, &err), err);
  CHECK (exists ("overlays/a.qcow2.overlay.qcow2"));
  check_disk (".a......");
}

static int
count_export (void *opaque, const rawview_export *e)
{
  CHECK_STR_EQ (e->name, "a.qcow2");
  ++*(int *) opaque;
  return 0;
}

/* In the same folder they are no exports of their own. */
static void
overlays_may_lie_beside_their_images (void)
{
  const char *const here[] = { "overlay-dir=@images", NULL };
  const char *const nowhere[] = { "overlay-dir=@none", NULL };
  int n = 0;

  test_folder ("images");
  qcow2_file ("images/a.qcow2", 1, 'a', NULL, NULL);
  CHECK_FAILS (add ("images", nowhere, true), RAWVIEW_ERROR_IO,
               "overlay-dir=*none: No such file*");
  REQUIRE_OK (add ("images", here, true), err);
  rawview_close (image);
  image = NULL;
  REQUIRE_OK (rawview_exports_open (exports, "a.qcow2", &image, &err), err);
  CHECK (exists ("images/a.qcow2.overlay.qcow2"));
  CHECK_OK (rawview_exports_list (exports, count_export, &n, &err), err);
  CHECK_EQ_INT (n, 1);
}

/*--- main ---------------------------------------------------------------*/

static void
run (const char *name, void (*fn) (void))
{
  test_run (name, fn);
  rawview_close (image);
  image = NULL;
  rawview_exports_free (exports);
  exports = NULL;
  test_files_clear ();
}
#define RUN(fn) run (#fn, fn)

int
main (void)
{
  test_files_begin ();
  RUN (an_overlay_lies_on_top_of_the_whole_chain);
  RUN (its_base_is_known_by_what_it_is_and_not_by_its_name);
  RUN (an_overlay_of_another_image_is_refused);
  RUN (the_recorded_name_is_never_opened);
  RUN (format_and_size_of_the_base_must_agree);
  RUN (what_is_no_overlay_is_left_alone);
  RUN (a_file_of_the_image_is_no_overlay_of_it);
  RUN (snapshots_have_no_overlay);
  RUN (an_overlay_is_made_once_and_found_again);
  RUN (filesystems_that_lack_something_will_do);
  RUN (every_failed_step_leaves_nothing_behind);
  RUN (a_folder_that_is_not_there_is_not_made);
  RUN (nothing_is_replaced);
  RUN (a_raw_disk_has_one_too_if_its_size_allows);
  RUN (a_name_that_does_not_fit_is_told);
  RUN (a_descriptor_needs_the_name_of_its_file);
  RUN (each_disk_has_its_own_in_the_folder);
  RUN (a_disk_inside_an_archive_is_recorded_as_json);
  RUN (the_disks_of_an_archive_cannot_share_one);
  RUN (looking_at_a_folder_makes_none);
  RUN (overlays_may_lie_beside_their_images);
  test_files_end ();
  return test_result ();
}
