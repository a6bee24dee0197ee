/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <sys/resource.h>

#include "format/test-qcow2.h"
#include "format/test-tar.h"
#include "format/test-vmdk.h"
#include "test-files.h"

#define BITS    9u
#define CLUSTER (1u << BITS)
#define SIZE    (8 * CLUSTER)

static rawview_error err;
static rawview_exports *exports;
static char log_text[8192];

static void
log_line (void *opaque, const char *msg)
{
  size_t n = strlen (log_text);

  snprintf (log_text + n, sizeof log_text - n, "%s\n", msg);
}

/*--- Files --------------------------------------------------------------*/

static void
qcow2_file_with (const char *name, char c, const char *backing)
{
  struct test_qcow2 t;

  test_qcow2_init (&t, BITS, 8, SIZE);
  test_qcow2_data (&t, 0, AT_FREE);
  memset (test_qcow2_at (&t, AT_FREE), c, CLUSTER);
  if (backing) {
    put_be64 (t.p + 8, 300);
    put_be32 (t.p + 16, strlen (backing));
    memcpy (t.p + 300, backing, strlen (backing));
    put_be32 (t.p + 112, 0xe2792aca);
    put_be32 (t.p + 116, 5);
    memcpy (t.p + 120, "qcow2", 5);
  }
  test_file (name, t.p, t.len);
  test_qcow2_release (&t);
}

static void
qcow2_file (const char *name, char c)
{
  qcow2_file_with (name, c, NULL);
}

/* A descriptor of one flat extent of 8 sectors. */
static void
descriptor_file (const char *name, const char *extent)
{
  CLEANUP_FREE char *text =
      rv_text_format ("# Disk DescriptorFile\nversion=1\nCID=00000011\n"
                      "parentCID=ffffffff\ncreateType=\"monolithicFlat\"\n"
                      "RW 8 FLAT \"%s\" 0\n",
                      extent);

  test_text_file (name, text);
}

static void
flat_file (const char *name, char c)
{
  char bytes[SIZE];

  memset (bytes, c, sizeof bytes);
  test_file (name, bytes, sizeof bytes);
}

static struct test_tar tar;
static struct image vmdk;

static void
ova_file (const char *name, const char *const *members)
{
  memset (&tar, 0, sizeof tar);
  test_tar_member (&tar, "vm.ovf", "<Envelope/>");
  make_sparse (&vmdk);
  for (size_t i = 0; members[i]; i++) {
    put_gte (&vmdk, 0, AT_DATA);
    memset (vmdk.b + AT_DATA * SECTOR, 'A' + i, GRAIN);
    test_tar_header (&tar, members[i], '0', vmdk.len);
    test_tar_bytes (&tar, vmdk.b, vmdk.len);
  }
  test_tar_end (&tar);
  test_file (name, tar.p, tar.len);
}

/*--- The set ------------------------------------------------------------*/

static void
forget (void)
{
  rawview_exports_free (exports);
  exports = rawview_exports_new ();
  rawview_exports_set_log (exports, log_line, NULL);
  log_text[0] = '\0';
}

/* Adds the folder of tests; setting: NULL or "key=value". */
static int
add_folder (const char *setting)
{
  rawview_options *opts = rawview_options_new ();
  int r = 0;

  forget ();
  rawview_options_set (opts, "workers", "1", NULL);
  if (setting) {
    CLEANUP_FREE char *key = strdup (setting);
    char *value = strchr (key, '=');

    *value++ = '\0';
    r = rawview_options_set (opts, key, value, &err);
  }
  if (r == 0)
    r = rawview_exports_add_folder (exports, test_dir, opts, &err);
  rawview_options_free (opts);
  return r;
}

static int
add_source (const char *name, const char *file, const char *disk)
{
  CLEANUP_FREE char *path = test_path (file);
  rawview_options *opts = rawview_options_new ();
  int r;

  if (disk)
    rawview_options_set (opts, "disk", disk, NULL);
  r = rawview_exports_add_source (exports, name, path, opts, &err);
  rawview_options_free (opts);
  return r;
}

static int
list_one (void *opaque, const rawview_export *e)
{
  char *text = opaque;

  sprintf (text + strlen (text), "%s%s", *text ? " " : "", e->name);
  CHECK (e->size > 0 && e->description[0] && e->mtime_sec > 1000000000);
  return 0;
}

static void
check_list (const char *want)
{
  char got[4096] = "";

  CHECK_OK (rawview_exports_list (exports, list_one, got, &err), err);
  CHECK_STR_EQ (got, want);
}

/* Opens an export and looks at its first byte. */
static void
check_export (const char *name, char want)
{
  rawview_image *image;
  char c = 0;

  if (!CHECK_OK (rawview_exports_open (exports, name, &image, &err), err))
    return;
  CHECK_OK (rawview_pread (image, &c, 1, 0, &err), err);
  CHECK_EQ_INT (c, want);
  rawview_close (image);
}

static void
check_unknown (const char *name)
{
  rawview_image *image;

  CHECK_EQ_INT (rawview_exports_open (exports, name, &image, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*");
  CHECK_EQ_INT (err.errnum, ENOENT);
}

#define CHECK_LOG(pattern) \
  do { \
    CHECK_STR_MATCH (log_text, (pattern)); \
    log_text[0] = '\0'; \
  } while (0)

/*--- Folders ------------------------------------------------------------*/

static void
every_image_of_a_folder_is_an_export (void)
{
  qcow2_file ("b.qcow2", 'b');
  qcow2_file ("a.qcow2", 'a');
  test_text_file ("README", "nothing to see");
  test_folder ("sub");
  qcow2_file (".hidden.qcow2", 'h');
  REQUIRE_OK (add_folder (NULL), err);
  check_list ("a.qcow2 b.qcow2");
  check_export ("a.qcow2", 'a');
  check_export ("b.qcow2", 'b');
  check_unknown ("README");
  check_unknown ("c.qcow2");
  check_unknown ("../x");
  check_unknown ("");
  CHECK_STR_EQ (rawview_exports_default (exports), NULL);
  CHECK_LOG ("");
}

static void
files_come_change_and_go (void)
{
  CLEANUP_FREE char *path = test_path ("a.qcow2");

  REQUIRE_OK (add_folder (NULL), err);
  check_list ("");
  qcow2_file ("a.qcow2", 'a');
  check_export ("a.qcow2", 'a');
  check_list ("a.qcow2");
  unlink (path);
  qcow2_file ("a.qcow2", 'x');
  check_export ("a.qcow2", 'x');
  unlink (path);
  check_unknown ("a.qcow2");
  check_list ("");
}

static void
users_of_a_disk_share_its_handle (void)
{
  CLEANUP_FREE char *path = test_path ("a.qcow2");
  rawview_image *first, *second, *third;
  char c = 0;

  qcow2_file ("a.qcow2", 'a');
  REQUIRE_OK (add_folder (NULL), err);
  REQUIRE_OK (rawview_exports_open (exports, "a.qcow2", &first, &err), err);
  REQUIRE_OK (rawview_exports_open (exports, "a.qcow2", &second, &err), err);
  CHECK (first == second);
  unlink (path); /* whoever has it keeps it */
  qcow2_file ("a.qcow2", 'x');
  REQUIRE_OK (rawview_exports_open (exports, "a.qcow2", &third, &err), err);
  CHECK (third != first);
  CHECK_OK (rawview_pread (first, &c, 1, 0, &err), err);
  CHECK_EQ_INT (c, 'a');
  rawview_close (first);
  rawview_close (second);
  rawview_close (third);
}

static void
refused_files_are_reported_once (void)
{
  CLEANUP_FREE char *path = test_path ("bad.qcow2");

  test_text_file ("bad.qcow2", "QFI\xfb bad");
  qcow2_file ("good.qcow2", 'g');
  REQUIRE_OK (add_folder (NULL), err);
  CHECK_LOG ("skipped: bad.qcow2: *\n");
  check_list ("good.qcow2");
  check_list ("good.qcow2");
  check_export ("good.qcow2", 'g');
  CHECK_LOG ("");
  unlink (path);
  test_text_file ("bad.qcow2", "vhdxfile");
  check_list ("good.qcow2");
  CHECK_LOG ("skipped: bad.qcow2: *VHDX*\n");
}

static void
links_and_pipes_in_a_folder_are_not_followed (void)
{
  test_symlink ("/etc/passwd", "link");
  test_fifo ("pipe");
  REQUIRE_OK (add_folder (NULL), err);
  check_list ("");
  CHECK_LOG ("skipped: *link*symbolic link*\n");
}

/*--- Extents ------------------------------------------------------------*/

static void
extents_are_not_exports (void)
{
  descriptor_file ("vm.vmdk", "vm-flat.vmdk");
  flat_file ("vm-flat.vmdk", 'f');
  REQUIRE_OK (add_folder (NULL), err);
  CHECK_LOG ("");
  check_list ("vm.vmdk");
  check_export ("vm.vmdk", 'f');
  check_unknown ("vm-flat.vmdk");
}

/* What a guest writes to its disk decides nothing. */
static void
an_extent_that_looks_like_an_image_is_not_one (void)
{
  descriptor_file ("vm.vmdk", "data.bin");
  qcow2_file ("data.bin", 'q');
  REQUIRE_OK (add_folder (NULL), err);
  CHECK_LOG ("*begins like a qcow2 image*");
  check_list ("vm.vmdk");
  check_export ("vm.vmdk", 'Q');
}

static void
extents_stay_extents_when_their_descriptor_is_refused (void)
{
  CLEANUP_FREE char *two = NULL;

  descriptor_file ("vm.vmdk", "data.bin");
  qcow2_file ("data.bin", 'q');
  two = test_path ("vm.vmdk");
  FILE *f = fopen (two, "a");
  fputs ("RW 8 FLAT \"missing.bin\" 0\n", f);
  fclose (f);
  REQUIRE_OK (add_folder (NULL), err);
  CHECK_LOG ("skipped: *missing.bin*\n");
  check_list ("");
  check_list ("");
  CHECK_LOG ("");
}

static void
an_extent_that_looks_like_a_descriptor_hides_nothing (void)
{
  descriptor_file ("vm.vmdk", "data.bin");
  descriptor_file ("data.bin", "vm.vmdk");
  qcow2_file ("web.qcow2", 'w');
  CLEANUP_FREE char *guest = test_path ("data.bin");
  FILE *f = fopen (guest, "a");
  fputs ("RW 1 FLAT \"web.qcow2\" 0\nRW 1 FLAT \"missing.bin\" 0\n", f);
  for (unsigned i = 0; i < 4096; i++)
    fputc ('#', f); /* long enough to be the disk */
  fclose (f);
  REQUIRE_OK (add_folder (NULL), err);
  CHECK_LOG ("skipped: data.bin: *");
  check_list ("vm.vmdk web.qcow2");
  check_export ("vm.vmdk", '#');
  check_export ("web.qcow2", 'w');
}

static void
a_flat_file_without_its_descriptor_is_not_opened (void)
{
  qcow2_file ("vm-flat.vmdk", 'f');
  descriptor_file ("vm-f001.vmdk", "secret");
  flat_file ("secret", 's');
  REQUIRE_OK (add_folder (NULL), err);
  CHECK_LOG ("skipped: vm-f001.vmdk: *descriptor is not here\n"
             "skipped: vm-flat.vmdk: *descriptor is not here\n");
  check_list ("");
}

/* Files are copied one after the other. */
static void
a_refused_image_is_tried_again_when_its_parts_come (void)
{
  descriptor_file ("vm.vmdk", "vm-flat.vmdk");
  REQUIRE_OK (add_folder (NULL), err);
  CHECK_LOG ("skipped: *vm-flat.vmdk*\n");
  check_list ("");
  test_text_file ("vm-flat.vmdk", "too short");
  check_list ("");
  CHECK_LOG ("skipped: *vm-flat.vmdk*\n");
  check_list ("");
  CHECK_LOG ("");
  flat_file ("vm-flat.vmdk", 'f');
  check_list ("vm.vmdk");
  check_export ("vm.vmdk", 'f');
  CHECK_LOG ("");
}

/*--- References ---------------------------------------------------------*/

static void
backing_files_are_followed_only_if_so_told (void)
{
  qcow2_file_with ("top.qcow2", 't', "base.qcow2");
  qcow2_file ("base.qcow2", 'b');
  REQUIRE_OK (add_folder (NULL), err);
  CHECK_LOG ("skipped: top.qcow2: *not followed in a folder*\n");
  check_list ("base.qcow2");
  REQUIRE_OK (add_folder ("references=same-directory"), err);
  check_list ("base.qcow2 top.qcow2");
  CHECK_LOG ("");
}

/* Relative to the folder, wherever the process stands. */
static void
names_in_a_folder_are_relative_to_it (void)
{
  CLEANUP_FREE char *base = test_path ("sub");
  CLEANUP_FREE char *setting = rv_text_format ("references=%s", base);

  test_folder ("sub");
  qcow2_file_with ("top.qcow2", 't', "sub/base.qcow2");
  qcow2_file ("sub/base.qcow2", 'b');
  REQUIRE_OK (add_folder (setting), err);
  CHECK_LOG ("");
  check_list ("top.qcow2");
  check_export ("top.qcow2", 't');
}

static int
find_fact (rawview_image *image, const char *key, const char **text)
{
  const rawview_fact *f;

  for (size_t i = 0; (f = rawview_get_fact (image, 1, i)); i++)
    if (strcmp (f->key, key) == 0)
      *text = f->text;
  return *text ? 0 : -1;
}

static void
files_beside_an_image_are_called_by_their_path (void)
{
  CLEANUP_FREE char *path = test_path ("base.qcow2");
  rawview_image *image;
  const char *text = NULL;

  qcow2_file_with ("top.qcow2", 't', "base.qcow2");
  qcow2_file ("base.qcow2", 'b');
  REQUIRE_OK (add_folder ("references=same-directory"), err);
  REQUIRE_OK (rawview_exports_open (exports, "top.qcow2", &image, &err), err);
  CHECK (find_fact (image, "filename", &text) == 0);
  CHECK_STR_EQ (text, path);
  rawview_close (image);
}

static void
options_for_one_image_are_not_for_a_folder (void)
{
  static const char *const settings[] = { "parent=/x", "data-file=/x", "disk=1",
                                          "snapshot=1", "fd=0" };

  for (size_t i = 0; i < 5; i++) {
    CHECK_EQ_INT (add_folder (settings[i]), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*not for a folder");
  }
}

static void
a_missing_folder_is_an_error (void)
{
  forget ();
  CHECK_EQ_INT (
      rawview_exports_add_folder (exports, "/nonexistent", NULL, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*/nonexistent*");
}

/*--- OVA ----------------------------------------------------------------*/

static const char *const one_disk[] = { "disk.vmdk", NULL };
static const char *const two_disks[] = { "x/one.vmdk", "two.vmdk", NULL };
static const char *const same_names[] = { "x/one.vmdk", "y/one.vmdk", NULL };

static void
an_ova_has_one_export_for_each_disk (void)
{
  ova_file ("single.ova", one_disk);
  ova_file ("vm.ova", two_disks);
  REQUIRE_OK (add_folder (NULL), err);
  CHECK_LOG ("");
  check_list ("single.ova vm.ova:one.vmdk vm.ova:two.vmdk");
  check_export ("single.ova", 'A');
  check_export ("vm.ova:one.vmdk", 'A');
  check_export ("vm.ova:two.vmdk", 'B');
  check_unknown ("vm.ova");
}

static void
disks_that_would_have_one_name_are_refused (void)
{
  ova_file ("vm.ova", same_names);
  REQUIRE_OK (add_folder (NULL), err);
  CHECK_LOG ("skipped: *two of its disks*\"vm.ova:one.vmdk\"*\n");
  check_list ("");
}

/*--- Sources ------------------------------------------------------------*/

static void
sources_are_listed_in_order_and_the_first_is_the_default (void)
{
  qcow2_file ("b.qcow2", 'b');
  qcow2_file ("a.qcow2", 'a');
  forget ();
  CHECK_STR_EQ (rawview_exports_default (exports), NULL);
  REQUIRE_OK (add_source (NULL, "b.qcow2", NULL), err);
  REQUIRE_OK (add_source ("mine", "a.qcow2", NULL), err);
  check_list ("b.qcow2 mine");
  CHECK_STR_EQ (rawview_exports_default (exports), "b.qcow2");
  check_export ("", 'b');
  check_export ("mine", 'a');
  check_unknown ("a.qcow2");
  CHECK_EQ_INT (add_source ("mine", "b.qcow2", NULL), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*two exports*\"mine\"*");
}

static void
one_file_under_two_names_has_one_handle (void)
{
  rawview_image *a, *b;

  qcow2_file ("a.qcow2", 'a');
  forget ();
  REQUIRE_OK (add_source ("one", "a.qcow2", NULL), err);
  REQUIRE_OK (add_source ("two", "a.qcow2", NULL), err);
  REQUIRE_OK (rawview_exports_open (exports, "one", &a, &err), err);
  REQUIRE_OK (rawview_exports_open (exports, "two", &b, &err), err);
  CHECK (a == b);
  rawview_close (a);
  rawview_close (b);
}

static void
an_ova_as_a_source_has_its_disks_or_the_one_that_is_meant (void)
{
  ova_file ("vm.ova", two_disks);
  forget ();
  REQUIRE_OK (add_source (NULL, "vm.ova", NULL), err);
  check_list ("one.vmdk two.vmdk");
  check_export ("two.vmdk", 'B');
  forget ();
  REQUIRE_OK (add_source ("d", "vm.ova", "2"), err);
  check_export ("d", 'B');
  CHECK_EQ_INT (add_source ("e", "vm.ova", NULL), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*2 disks*disk=*");
}

static void
a_source_that_cannot_be_opened_is_an_error (void)
{
  forget ();
  CHECK_EQ_INT (add_source (NULL, "missing", NULL), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*missing*");
  test_text_file ("text", "neither nor");
  CHECK_EQ_INT (add_source (NULL, "text", NULL), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "*format=raw*");
  check_list ("");
}

/*--- Many ---------------------------------------------------------------*/

/* Only the disks that somebody uses are open. */
static void
large_folders_need_few_descriptors (void)
{
  struct rlimit before, few;
  char name[32], got[8192] = "";

  for (unsigned i = 0; i < 100; i++) {
    snprintf (name, sizeof name, "%02u.qcow2", i);
    qcow2_file (name, 'a');
  }
  getrlimit (RLIMIT_NOFILE, &before);
  few = before;
  few.rlim_cur = 40;
  setrlimit (RLIMIT_NOFILE, &few);
  CHECK_OK (add_folder (NULL), err);
  CHECK_OK (rawview_exports_list (exports, list_one, got, &err), err);
  CHECK_EQ_U64 (strlen (got), 100 * 9 - 1);
  CHECK_LOG ("");
  check_export ("57.qcow2", 'a');
  setrlimit (RLIMIT_NOFILE, &before);
}

static void
run (void (*fn) (void), const char *name)
{
  test_run (name, fn);
  test_files_clear ();
}

#undef TEST
#define TEST(fn) run (fn, #fn)

int
main (void)
{
  test_files_begin ();
  TEST (every_image_of_a_folder_is_an_export);
  TEST (files_come_change_and_go);
  TEST (users_of_a_disk_share_its_handle);
  TEST (refused_files_are_reported_once);
  TEST (links_and_pipes_in_a_folder_are_not_followed);
  TEST (extents_are_not_exports);
  TEST (an_extent_that_looks_like_an_image_is_not_one);
  TEST (extents_stay_extents_when_their_descriptor_is_refused);
  TEST (an_extent_that_looks_like_a_descriptor_hides_nothing);
  TEST (a_flat_file_without_its_descriptor_is_not_opened);
  TEST (a_refused_image_is_tried_again_when_its_parts_come);
  TEST (backing_files_are_followed_only_if_so_told);
  TEST (names_in_a_folder_are_relative_to_it);
  TEST (files_beside_an_image_are_called_by_their_path);
  TEST (options_for_one_image_are_not_for_a_folder);
  TEST (a_missing_folder_is_an_error);
  TEST (an_ova_has_one_export_for_each_disk);
  TEST (disks_that_would_have_one_name_are_refused);
  TEST (sources_are_listed_in_order_and_the_first_is_the_default);
  TEST (one_file_under_two_names_has_one_handle);
  TEST (an_ova_as_a_source_has_its_disks_or_the_one_that_is_meant);
  TEST (a_source_that_cannot_be_opened_is_an_error);
  TEST (large_folders_need_few_descriptors);
  rawview_exports_free (exports);
  test_files_end ();
  return test_result ();
}
