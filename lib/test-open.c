/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <sys/resource.h>

#include "format/test-tar.h"
#include "format/test-vmdk.h"
#include "test-images.h"

/*--- Opening ------------------------------------------------------------*/

/* settings: "key=value" with values as they are, "" ends. */
static int
open_with (const char *name, const char *const *settings)
{
  CLEANUP_FREE char *path = test_path (name);
  rawview_options *opts = rawview_options_new ();
  int r = 0;

  rawview_close (image);
  image = NULL;
  err = (rawview_error){ 0 };
  CHECK_OK (rawview_options_set (opts, "workers", "1", NULL), err);
  for (; r == 0 && settings && *settings; settings++) {
    CLEANUP_FREE char *key = strdup (*settings);
    char *value = strchr (key, '=');

    *value++ = '\0';
    r = rawview_options_set (opts, key, value, &err);
  }
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
open_it (const char *name)
{
  return open_with (name, NULL);
}

static const rawview_fact *
fact (unsigned depth, const char *key)
{
  const rawview_fact *f;

  for (size_t i = 0; (f = rawview_get_fact (image, depth, i)); i++)
    if (strcmp (f->key, key) == 0)
      return f;
  return NULL;
}

static void
check_warning (const char *pattern)
{
  CHECK_STR_MATCH (rawview_get_warning (image, 0), pattern);
  CHECK (rawview_get_warning (image, 1) == NULL);
}

/*--- Formats ------------------------------------------------------------*/

static void
an_image_is_recognised_and_read (void)
{
  qcow2_file ("a.qcow2", 2, 'a', NULL, NULL);
  REQUIRE_OK (open_it ("a.qcow2"), err);
  CHECK_EQ_U64 (rawview_get_size (image), SIZE);
  CHECK_EQ_U64 (rawview_get_preferred_block_size (image), CLUSTER);
  CHECK_EQ_U64 (rawview_get_depth (image), 1);
  check_disk ("..a.....");
  CHECK_STR_EQ (fact (0, "format")->text, "qcow2");
  CHECK_EQ_U64 (fact (0, "virtual-size")->number, SIZE);
  CHECK (rawview_get_warning (image, 0) == NULL);
  CHECK (rawview_get_fact (image, 1, 0) == NULL);
}

static void
nothing_is_guessed_to_be_raw (void)
{
  raw_file ("a.raw", 'r', SIZE);
  CHECK_FAILS (open_it ("a.raw"), RAWVIEW_ERROR_FORMAT, "*use format=raw*");
  REQUIRE_OK (open_set ("a.raw", "format=raw"), err);
  check_disk ("rrrrrrrr");
  raw_file ("empty", 'r', 0);
  CHECK_FAILS (open_it ("empty"), RAWVIEW_ERROR_FORMAT, "*use format=raw*");
  REQUIRE_OK (open_set ("empty", "format=raw"), err);
  CHECK_EQ_U64 (rawview_get_size (image), 0);
}

static void
formats_that_are_not_read_are_called_by_their_name (void)
{
  test_text_file ("a.vhdx", "vhdxfile....................................");
  CHECK_FAILS (open_it ("a.vhdx"), RAWVIEW_ERROR_UNSUPPORTED, "*VHDX*");
  CHECK_FAILS (open_set ("a.vhdx", "format=qcow2"), RAWVIEW_ERROR_FORMAT,
               "*not a QCOW2 image*");
}

/* Its sectors 0 and 1 are a partition table: whoever has it wants format=raw.
 */
static void
a_raw_disk_with_partitions_is_told_so (void)
{
  char gpt[SIZE] = { 0 };

  memcpy (gpt + 512, "EFI PART", 8);
  test_file ("disk.img", gpt, sizeof gpt);
  CHECK_FAILS (open_it ("disk.img"), RAWVIEW_ERROR_FORMAT, "*GPT*format=raw*");
  CHECK_OK (open_set ("disk.img", "format=raw"), err);
}

static void
a_file_that_is_two_things_needs_a_word (void)
{
  CLEANUP_FREE char *path = test_path ("both");
  CLEANUP_CLOSE int fd = -1;

  qcow2_file ("both", 2, 'a', NULL, NULL);
  fd = open (path, O_WRONLY);
  CHECK (pwrite (fd, "CD001", 5, 32769) == 5);
  CHECK_FAILS (open_it ("both"), RAWVIEW_ERROR_REFUSED,
               "*looks like qcow2 and like ISO 9660*format=*");
  REQUIRE_OK (open_set ("both", "format=qcow2"), err);
  check_warning ("*looks like ISO 9660 too*");
  CHECK (pwrite (fd, "\0\0\0\0\0", 5, 32769) == 5);
  CHECK (pwrite (fd, "ustar", 5, 257) == 5);
  CHECK_FAILS (open_it ("both"), RAWVIEW_ERROR_REFUSED,
               "*looks like qcow2 and like tar*");
}

static void
an_image_shown_as_raw_is_worth_a_warning (void)
{
  qcow2_file ("a.qcow2", 2, 'a', NULL, NULL);
  REQUIRE_OK (open_set ("a.qcow2", "format=raw"), err);
  check_warning ("*shown as raw although it looks like qcow2*");
  test_text_file ("a.vhd", "conectix......................................");
  REQUIRE_OK (open_set ("a.vhd", "format=raw"), err);
  check_warning ("*shown as raw although it looks like VHD*");
}

/* Whoever reads the disk and guesses its format takes it for an image. */
static void
an_image_in_the_disk_is_worth_a_warning (void)
{
  static const struct {
    size_t off;
    const char *bytes, *warning;
  } nested[] = {
    { 0, "QFI\xfb", "*begins like a qcow2 image*raw" },
    { 0, "KDMV", "*begins like a vmdk image*raw" },
    { 0, "# Disk DescriptorFile\n", "*begins like a vmdk image*raw" },
    { 0, "conectix", "*begins like a VHD image*raw" },
    { 0, "vhdxfile", "*begins like a VHDX image*raw" },
    { 0, "LUKS\xba\xbe", "*begins like a LUKS image*raw" },
    { 64, "\x7f\x10\xda\xbe", "*begins like a VDI image*raw" },
  };

  for (size_t i = 0; i < sizeof nested / sizeof nested[0]; i++) {
    struct test_qcow2 t;

    test_qcow2_init (&t, BITS, 6, SIZE);
    test_qcow2_data (&t, 0, AT_FREE);
    memcpy (test_qcow2_at (&t, AT_FREE) + nested[i].off, nested[i].bytes,
            strlen (nested[i].bytes));
    test_file ("nested", t.p, t.len);
    test_qcow2_release (&t);
    REQUIRE_OK (open_it ("nested"), err);
    check_warning (nested[i].warning);
  }
}

static void
max_size_is_a_limit_for_all_formats (void)
{
  qcow2_file ("a.qcow2", 2, 'a', NULL, NULL);
  CHECK_FAILS (open_set ("a.qcow2", "max-size=4095"), RAWVIEW_ERROR_LIMIT,
               "*4096*max-size 4095");
  CHECK_OK (open_set ("a.qcow2", "max-size=4k"), err);
  raw_file ("a.raw", 'r', SIZE);
  const char *const raw[] = { "format=raw", "max-size=4095", NULL };
  CHECK_FAILS (open_with ("a.raw", raw), RAWVIEW_ERROR_LIMIT, "*max-size*");
}

/*--- Sources ------------------------------------------------------------*/

static void
what_is_no_file_is_refused_without_waiting (void)
{
  test_fifo ("pipe");
  test_folder ("folder");
  CHECK_FAILS (open_it ("pipe"), RAWVIEW_ERROR_REFUSED, "*a pipe*");
  CHECK_FAILS (open_it ("folder"), RAWVIEW_ERROR_REFUSED, "*a folder*");
  CHECK_FAILS (open_it ("missing"), RAWVIEW_ERROR_IO, "*No such file*");
  CHECK_EQ_INT (err.errnum, ENOENT);
  CHECK_FAILS (open_it ("missing/missing"), RAWVIEW_ERROR_IO, "*No such file*");
}

static void
the_operators_own_link_is_followed (void)
{
  qcow2_file ("a.qcow2", 2, 'a', NULL, NULL);
  test_symlink ("a.qcow2", "link");
  REQUIRE_OK (open_it ("link"), err);
  check_disk ("..a.....");
}

static void
an_open_descriptor_stays_the_callers (void)
{
  CLEANUP_FREE char *path = NULL, *setting = NULL;
  CLEANUP_CLOSE int fd = -1;
  rawview_options *opts = rawview_options_new ();

  qcow2_file ("a.qcow2", 2, 'a', NULL, NULL);
  path = test_path ("a.qcow2");
  fd = open (path, O_RDONLY);
  setting = rv_text_format ("%d", fd);
  rawview_close (image);
  image = NULL;
  CHECK_OK (rawview_options_set (opts, "fd", setting, &err), err);
  CHECK_OK (rawview_open (NULL, opts, &image, &err), err);
  rawview_options_free (opts);
  REQUIRE (image != NULL);
  check_disk ("..a.....");
  rawview_close (image);
  image = NULL;
  CHECK (fcntl (fd, F_GETFD) != -1);
  CHECK_FAILS (rawview_open (NULL, NULL, &image, &err), RAWVIEW_ERROR_USAGE,
               "*no image*");
}

static void
reads_beyond_the_end_are_the_callers_mistake (void)
{
  char c;

  qcow2_file ("a.qcow2", 2, 'a', NULL, NULL);
  REQUIRE_OK (open_it ("a.qcow2"), err);
  CHECK_FAILS (rawview_pread (image, &c, 1, SIZE, &err), RAWVIEW_ERROR_USAGE,
               "*beyond the end*");
  CHECK_FAILS (rawview_pread (image, &c, 1, UINT64_MAX, &err),
               RAWVIEW_ERROR_USAGE, "*beyond the end*");
  CHECK_FAILS (rawview_prefetch (image, SIZE + 1, 0, &err), RAWVIEW_ERROR_USAGE,
               "*beyond the end*");
  CHECK_FAILS (rawview_extents (image, 2, SIZE - 1, 0, NULL, NULL, &err),
               RAWVIEW_ERROR_USAGE, "*beyond the end*");
  CHECK_OK (rawview_pread (image, &c, 0, SIZE, &err), err);
}

/*--- Chains -------------------------------------------------------------*/

static void
a_chain_is_read_through (void)
{
  qcow2_file ("top", 1, 't', "mid", "qcow2");
  qcow2_file ("mid", 2, 'm', "base", "raw");
  raw_file ("base", 'b', 5 * CLUSTER);
  REQUIRE_OK (open_it ("top"), err);
  check_disk ("btmbb...");
  CHECK_EQ_U64 (rawview_get_depth (image), 3);
  CHECK_STR_EQ (fact (0, "backing-filename")->text, "mid");
  CHECK_STR_EQ (fact (2, "format")->text, "raw");
  CHECK_OK (rawview_start (image, &err), err);
  check_disk ("btmbb...");
}

static void
a_backing_format_is_recorded_or_named_but_never_guessed (void)
{
  const char *const both[] = { "parent-format=raw", "references=none", NULL };

  qcow2_file ("top", 1, 't', "base", NULL);
  qcow2_file ("base", 0, 'b', NULL, NULL);
  CHECK_FAILS (open_it ("top"), RAWVIEW_ERROR_REFUSED,
               "*\"base\" is not recorded and not guessed*parent-format=");
  REQUIRE_OK (open_set ("top", "parent-format=qcow2"), err);
  check_disk ("bt......");
  CHECK_FAILS (open_with ("top", both), RAWVIEW_ERROR_REFUSED,
               "*references=none");
  qcow2_file ("top", 1, 't', "base", "vhdx");
  CHECK_FAILS (open_it ("top"), RAWVIEW_ERROR_UNSUPPORTED, "*\"vhdx\"*");
}

static void
a_backing_file_recorded_as_raw_is_raw (void)
{
  qcow2_file ("top", 1, 't', "base", "raw");
  qcow2_file ("base", 0, 'b', NULL, NULL);
  REQUIRE_OK (open_it ("top"), err);
  char head[4];
  CHECK_OK (rawview_pread (image, head, 4, 0, &err), err);
  CHECK_MEM_EQ (head, "QFI\xfb", 4);
  check_warning ("*begins like a qcow2 image*");
}

static void
a_backing_file_of_the_wrong_format_is_an_error (void)
{
  qcow2_file ("top", 1, 't', "base", "qcow2");
  raw_file ("base", 'b', SIZE);
  CHECK_FAILS (open_it ("top"), RAWVIEW_ERROR_FORMAT, "*base: not a QCOW2*");
}

static void
chains_that_come_back_are_refused (void)
{
  qcow2_file ("self", 1, 's', "self", "qcow2");
  CHECK_FAILS (open_it ("self"), RAWVIEW_ERROR_REFUSED, "*comes back to it");
  qcow2_file ("a", 1, 'a', "b", "qcow2");
  qcow2_file ("b", 1, 'b', "a", "qcow2");
  CHECK_FAILS (open_it ("a"), RAWVIEW_ERROR_REFUSED, "*comes back to it");
}

/* Its number says what it is, and not its name. */
static void
a_chain_that_comes_back_by_another_name_is_refused (void)
{
  CLEANUP_FREE char *path = test_path ("a");
  CLEANUP_FREE char *other = test_path ("b");

  qcow2_file ("a", 1, 'a', "b", "qcow2");
  CHECK (link (path, other) == 0);
  CHECK_FAILS (open_it ("a"), RAWVIEW_ERROR_REFUSED, "*comes back*");
  CHECK (unlink (other) == 0);
  test_symlink ("a", "c");
  qcow2_file ("a", 1, 'a', "a", "qcow2");
  CHECK_FAILS (open_it ("c"), RAWVIEW_ERROR_REFUSED, "*comes back*");
}

static void
chains_have_at_most_64_images (void)
{
  char name[16], next[16];

  for (unsigned i = 0; i < 65; i++) {
    snprintf (name, sizeof name, "%u", i);
    snprintf (next, sizeof next, "%u", i + 1);
    qcow2_file (name, 1, 'a', i < 64 ? next : NULL, i < 64 ? "qcow2" : NULL);
  }
  CHECK_FAILS (open_it ("0"), RAWVIEW_ERROR_LIMIT, "*more than 64 images*");
  REQUIRE_OK (open_it ("1"), err);
  CHECK_EQ_U64 (rawview_get_depth (image), 64);
  check_disk (".a......");
}

static void
the_images_word_opens_nothing_outside (void)
{
  static const char *const names[] = {
    "/etc/passwd",       "../x",      "json:{\"driver\":\"null-co\"}",
    "nbd://127.0.0.1/x", "/dev/zero", "/proc/self/mem"
  };

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    qcow2_file ("top", 1, 't', names[i], "raw");
    CHECK_FAILS (open_it ("top"), RAWVIEW_ERROR_REFUSED, "*is not opened*");
  }
  qcow2_file ("top", 1, 't', "link", "raw");
  test_symlink ("/etc/passwd", "link");
  CHECK_FAILS (open_it ("top"), RAWVIEW_ERROR_REFUSED, "*symbolic link*");
  qcow2_file ("top", 1, 't', "pipe", "raw");
  test_fifo ("pipe");
  CHECK_FAILS (open_it ("top"), RAWVIEW_ERROR_REFUSED, "*a pipe*");
  qcow2_file ("top", 1, 't', "gone", "raw");
  CHECK_FAILS (open_it ("top"), RAWVIEW_ERROR_IO, "*gone*No such file*");
}

/* It may be a file of another folder: that cannot be told, so it is said. */
static void
hard_links_are_followed_with_a_warning (void)
{
  CLEANUP_FREE char *base = test_path ("base");
  CLEANUP_FREE char *link_path = test_path ("link");
  CLEANUP_FREE char *setting = rv_text_format ("parent=%s", link_path);

  raw_file ("base", 'b', SIZE);
  qcow2_file ("vm", 2, 'a', "link", "raw");
  CHECK (link (base, link_path) == 0);
  REQUIRE_OK (open_it ("vm"), err);
  check_disk ("bbabbbbb");
  check_warning ("*/link: the image names this file*hard links*");
  REQUIRE_OK (open_set ("vm", setting), err);
  CHECK (rawview_get_warning (image, 0) == NULL);
  CHECK (unlink (base) == 0);
  REQUIRE_OK (open_it ("vm"), err);
  CHECK (rawview_get_warning (image, 0) == NULL);
}

/* A copy of a folder made of links would fill the log. */
static void
of_many_hard_links_one_is_a_warning (void)
{
  CLEANUP_FREE char *one = test_path ("1.flat");
  CLEANUP_FREE char *two = test_path ("2.flat");
  CLEANUP_FREE char *one_too = test_path ("1.too");
  CLEANUP_FREE char *two_too = test_path ("2.too");

  raw_file ("1.flat", '1', CLUSTER);
  raw_file ("2.flat", '2', CLUSTER);
  test_text_file ("split.vmdk", "# Disk DescriptorFile\nCID=1\n"
                                "parentCID=ffffffff\n"
                                "createType=\"twoGbMaxExtentFlat\"\n"
                                "RW 1 FLAT \"1.flat\" 0\n"
                                "RW 1 FLAT \"2.flat\" 0\n");
  CHECK (link (one, one_too) == 0 && link (two, two_too) == 0);
  REQUIRE_OK (open_it ("split.vmdk"), err);
  check_warning ("*/1.flat: the image names this file*");
}

static void
the_operators_word_counts_for_the_parent (void)
{
  CLEANUP_FREE char *path = test_path ("elsewhere/base");
  CLEANUP_FREE char *setting = rv_text_format ("parent=%s", path);

  test_folder ("elsewhere");
  raw_file ("elsewhere/base", 'e', SIZE);
  qcow2_file ("top", 1, 't', "/etc/passwd", "raw");
  REQUIRE_OK (open_set ("top", setting), err);
  check_disk ("eteeeeee");
  qcow2_file ("alone", 1, 't', NULL, NULL);
  CHECK_FAILS (open_set ("alone", setting), RAWVIEW_ERROR_USAGE,
               "*parent= was given*");
}

/* Names in a backing file are relative to where that file is. */
static void
each_layer_looks_beside_itself (void)
{
  CLEANUP_FREE char *refs = rv_text_format ("references=%s", test_dir);
  CLEANUP_FREE char *sub = rv_text_format ("references=%s/sub", test_dir);

  test_folder ("sub");
  qcow2_file ("top", 1, 't', "sub/mid", "qcow2");
  qcow2_file ("sub/mid", 2, 'm', "base", "raw");
  raw_file ("sub/base", 's', SIZE);
  raw_file ("base", 'w', SIZE); /* the wrong one */
  REQUIRE_OK (open_set ("top", refs), err);
  check_disk ("stmsssss");
  REQUIRE_OK (open_set ("top", sub), err);
  check_disk ("stmsssss");
  CHECK_FAILS (open_it ("top"), RAWVIEW_ERROR_REFUSED, "*outside*");
}

static void
a_data_file_is_used_if_the_operator_names_it (void)
{
  CLEANUP_FREE char *path = test_path ("data");
  CLEANUP_FREE char *setting = rv_text_format ("data-file=%s", path);
  struct test_qcow2 t;

  raw_file ("data", 'd', SIZE);
  test_qcow2_init (&t, BITS, 6, SIZE);
  put_be64 (t.p + 72, QCOW2_INCOMPAT_DATA_FILE);
  test_qcow2_entry (&t, 1, QCOW2_OFLAG_COPIED | 1 << BITS);
  put_be32 (t.p + 112, 0x44415441);
  put_be32 (t.p + 116, 4);
  memcpy (t.p + 120, "data", 4);
  test_file ("top", t.p, t.len);
  test_qcow2_release (&t);
  CHECK_FAILS (open_it ("top"), RAWVIEW_ERROR_REFUSED, "*data-file=*");
  REQUIRE_OK (open_set ("top", setting), err);
  check_disk (".d......");
  qcow2_file ("a", 1, 'a', NULL, NULL);
  CHECK_FAILS (open_set ("a", setting), RAWVIEW_ERROR_USAGE, "*data-file*");
}

/*--- OVA ----------------------------------------------------------------*/

static struct test_tar tar;
static struct image vmdk;

static void
ova_file (const char *name, unsigned disks)
{
  memset (&tar, 0, sizeof tar);
  test_tar_member (&tar, "vm.ovf", "<Envelope/>");
  make_sparse (&vmdk);
  for (unsigned i = 0; i < disks; i++) {
    char member[] = "disk0.vmdk";

    member[4] += i;
    put_gte (&vmdk, 0, AT_DATA);
    memset (vmdk.b + AT_DATA * SECTOR, 'A' + i, GRAIN);
    test_tar_header (&tar, member, '0', vmdk.len);
    test_tar_bytes (&tar, vmdk.b, vmdk.len);
  }
  test_tar_end (&tar);
  test_file (name, tar.p, tar.len);
}

static void
check_first_byte (char want)
{
  char c = 0;

  CHECK_OK (rawview_pread (image, &c, 1, 0, &err), err);
  CHECK_EQ_INT (c, want);
}

static void
the_disk_of_an_ova_is_read_in_place (void)
{
  ova_file ("vm.ova", 1);
  REQUIRE_OK (open_it ("vm.ova"), err);
  check_first_byte ('A');
  CHECK_EQ_U64 (rawview_get_size (image), CAPACITY * SECTOR);
  CHECK_STR_MATCH (fact (0, "filename")->text, "*/vm.ova:disk0.vmdk");
  CHECK_STR_EQ (fact (0, "format")->text, "vmdk");
}

static void
of_several_disks_one_is_named (void)
{
  ova_file ("vm.ova", 1);
  REQUIRE_OK (open_set ("vm.ova", "disk=1"), err);
  CHECK_FAILS (open_set ("vm.ova", "disk=2"), RAWVIEW_ERROR_USAGE,
               "*no disk \"2\"*");
  qcow2_file ("a", 1, 'a', NULL, NULL);
  CHECK_FAILS (open_set ("a", "disk=1"), RAWVIEW_ERROR_USAGE, "*OVA*");
}

/*--- Failing storage ----------------------------------------------------*/

/* Opens and reads with the n-th read failing, until nothing fails. */
static void
every_failed_read_is_an_error_and_nothing_leaks (void)
{
  unsigned failures = 0;
  struct test_qcow2 t;

  test_qcow2_init (&t, BITS, 8, SIZE);
  test_qcow2_data (&t, 1, AT_FREE);
  test_qcow2_data (&t, 3, AT_FREE + 2);
  memset (test_qcow2_at (&t, AT_FREE), 'x', CLUSTER);
  memset (test_qcow2_at (&t, AT_FREE + 2), 'y', CLUSTER);
  for (unsigned n = 1; failures == n - 1 && n < 100; n++) {
    CLEANUP_IO struct rv_io *mem = NULL;
    CLEANUP_IO struct rv_io *io = NULL;
    struct rv_source source = { 0 };
    rawview_options *opts = rawview_options_new ();
    atomic_uint countdown = n;
    char buf[SIZE];

    rawview_close (image);
    image = NULL;
    CHECK_OK (rv_io_mem_new (t.p, t.len, "disk", &mem, &err), err);
    CHECK_OK (rv_io_fault_new (mem, &countdown, &io, &err), err);
    if (rv_image_open (io, &source, opts, &image, &err) == -1 ||
        rawview_pread (image, buf, SIZE, 0, &err) == -1) {
      CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
      CHECK_EQ_INT (err.errnum, EIO);
      failures++;
    }
    else
      CHECK (buf[0] == 0 && buf[CLUSTER] == 'x' && buf[3 * CLUSTER] == 'y');
    rawview_options_free (opts);
    rawview_close (image);
    image = NULL;
  }
  CHECK (failures > 6 && failures < 99);
  test_qcow2_release (&t);
}

static void
run (void (*fn) (void), const char *name)
{
  test_run (name, fn);
  rawview_close (image);
  image = NULL;
  test_files_clear ();
}

#undef TEST
#define TEST(fn) run (fn, #fn)

/* Otherwise descriptors, and the kernel's time for locks, grow with the text.
 */
static void
a_file_with_many_extents_is_opened_once (void)
{
  char text[16384] = "# Disk DescriptorFile\nCID=1\nparentCID=ffffffff\n"
                     "createType=\"monolithicFlat\"\n";
  struct rlimit before, few;
  size_t len = strlen (text);

  raw_file ("flat.raw", 'f', CLUSTER);
  for (unsigned i = 0; i < 500; i++)
    len +=
        sprintf (text + len, "RW 1 FLAT \"%sflat.raw\" 0\n", i % 2 ? "./" : "");
  test_file ("many.vmdk", text, len);
  REQUIRE (getrlimit (RLIMIT_NOFILE, &before) == 0);
  few = before;
  few.rlim_cur = 100;
  setrlimit (RLIMIT_NOFILE, &few);
  CHECK_OK (open_it ("many.vmdk"), err);
  setrlimit (RLIMIT_NOFILE, &before);
}

int
main (void)
{
  test_files_begin ();
  TEST (an_image_is_recognised_and_read);
  TEST (nothing_is_guessed_to_be_raw);
  TEST (formats_that_are_not_read_are_called_by_their_name);
  TEST (a_raw_disk_with_partitions_is_told_so);
  TEST (a_file_that_is_two_things_needs_a_word);
  TEST (an_image_shown_as_raw_is_worth_a_warning);
  TEST (an_image_in_the_disk_is_worth_a_warning);
  TEST (max_size_is_a_limit_for_all_formats);
  TEST (what_is_no_file_is_refused_without_waiting);
  TEST (the_operators_own_link_is_followed);
  TEST (an_open_descriptor_stays_the_callers);
  TEST (reads_beyond_the_end_are_the_callers_mistake);
  TEST (a_chain_is_read_through);
  TEST (a_backing_format_is_recorded_or_named_but_never_guessed);
  TEST (a_backing_file_recorded_as_raw_is_raw);
  TEST (a_backing_file_of_the_wrong_format_is_an_error);
  TEST (chains_that_come_back_are_refused);
  TEST (a_chain_that_comes_back_by_another_name_is_refused);
  TEST (chains_have_at_most_64_images);
  TEST (the_images_word_opens_nothing_outside);
  TEST (hard_links_are_followed_with_a_warning);
  TEST (of_many_hard_links_one_is_a_warning);
  TEST (the_operators_word_counts_for_the_parent);
  TEST (each_layer_looks_beside_itself);
  TEST (a_data_file_is_used_if_the_operator_names_it);
  TEST (the_disk_of_an_ova_is_read_in_place);
  TEST (of_several_disks_one_is_named);
  TEST (every_failed_read_is_an_error_and_nothing_leaks);
  TEST (a_file_with_many_extents_is_opened_once);
  test_files_end ();
  return test_result ();
}
