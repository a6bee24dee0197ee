/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <sys/syscall.h>

#include "format/test-qcow2.h"
#include "format/test-tar.h"
#include "format/test-vmdk.h"
#include "image.h"
#include "test-files.h"
#include "util/test-deny.h"

#define SIZE (64u << 10)

static rawview_error err;
static rawview_image *a, *b;

/*--- Files --------------------------------------------------------------*/

static void
raw_file (const char *name, char c)
{
  char bytes[SIZE];

  memset (bytes, c, sizeof bytes);
  test_file (name, bytes, sizeof bytes);
}

static void
check_byte (const char *name, uint64_t off, char want)
{
  CLEANUP_FREE char *path = test_path (name);
  CLEANUP_CLOSE int fd = open (path, O_RDONLY);
  char c = 0;

  CHECK (pread (fd, &c, 1, off) == 1);
  CHECK_EQ_INT (c, want);
}

static struct image vmdk;

static void
vmdk_file (const char *name, const char *more)
{
  make_sparse (&vmdk);
  put_descriptor (&vmdk, "monolithicSparse", more);
  test_file (name, vmdk.b, vmdk.len);
}

static struct test_tar tar;

/*--- Opening ------------------------------------------------------------*/

/* NULL ends. */
static int
open_with (rawview_image **image, const char *name, bool writable,
           const char *const *settings)
{
  CLEANUP_FREE char *path = test_path (name);
  rawview_options *opts = rawview_options_new ();
  int r = 0;

  rawview_close (*image);
  *image = NULL;
  err = (rawview_error){ 0 };
  rawview_options_set_writable (opts, writable);
  for (; r == 0 && settings && *settings; settings++) {
    CLEANUP_FREE char *key = strdup (*settings);
    char *value = strchr (key, '=');

    *value++ = '\0';
    r = rawview_options_set (opts, key, value, &err);
  }
  if (r == 0)
    r = rawview_open (path, opts, image, &err);
  rawview_options_free (opts);
  return r;
}

static const char *const raw[] = { "format=raw", NULL };
static const char *const raw_unlocked[] = { "format=raw", "locking=off", NULL };

static int
open_it (rawview_image **image, const char *name)
{
  return open_with (image, name, true, NULL);
}

static int
open_raw (rawview_image **image, const char *name)
{
  return open_with (image, name, true, raw);
}

#define CHECK_FAILS(call, kind, pattern) \
  do { \
    CHECK_EQ_INT ((call), -1); \
    CHECK_ERROR (err, (kind), (pattern)); \
  } while (0)

static char
byte_at (rawview_image *image, uint64_t off)
{
  char c = '?';

  CHECK_OK (rawview_pread (image, &c, 1, off, &err), err);
  return c;
}

static void
check_file_is (const char *name, const void *bytes, size_t len)
{
  CLEANUP_FREE char *path = test_path (name), *got = malloc (len);
  CLEANUP_CLOSE int fd = open (path, O_RDONLY);

  CHECK (pread (fd, got, len, 0) == (ssize_t) len);
  CHECK_MEM_EQ (got, bytes, len);
}

static void
found (void *opaque, rawview_finding finding, const char *msg)
{
  TEST_FAIL ("found: %s", msg);
}

static void
check_finds_nothing (rawview_image *image)
{
  rawview_check_result result;

  CHECK_OK (rawview_check (image, found, NULL, &result, &err), err);
  CHECK_EQ_U64 (result.corruptions + result.check_errors + result.leaks, 0);
}

/*--- A writer -----------------------------------------------------------*/

static void
what_is_written_is_read_and_in_the_file (void)
{
  CLEANUP_FREE char *path = test_path ("disk");
  struct stat st;

  raw_file ("disk", 'r');
  REQUIRE_OK (open_raw (&a, "disk"), err);
  CHECK (!rawview_is_writable (a));
  REQUIRE_OK (rawview_make_writable (a, &err), err);
  CHECK (rawview_is_writable (a));
  CHECK_OK (rawview_make_writable (a, &err), err);
  CHECK_OK (rawview_pwrite (a, "wxyz", 4, 4095, &err), err);
  CHECK_EQ_INT (byte_at (a, 4095), 'w');
  CHECK_OK (rawview_zero (a, 4096, 8192, 0, &err), err);
  CHECK_OK (rawview_zero (a, 4096, 16384, RAWVIEW_ZERO_MAY_TRIM, &err), err);
  CHECK_EQ_INT (byte_at (a, 8192), 0);
  CHECK_EQ_INT (byte_at (a, 20479), 0);
  CHECK_EQ_INT (byte_at (a, 20480), 'r');
  CHECK_OK (rawview_trim (a, 4096, 32768, &err), err);
  CHECK_OK (rawview_flush (a, &err), err);
  check_byte ("disk", 4098, 'z');
  CHECK_OK (rawview_pwrite (a, "l", 1, SIZE - 1, &err), err);
  CHECK_OK (rawview_finish (a, &err), err);
  CHECK_OK (rawview_finish (a, &err), err);
  check_byte ("disk", SIZE - 1, 'l');
  CHECK (stat (path, &st) == 0 && st.st_size == SIZE);
}

static void
requests_outside_of_the_disk_are_the_callers_mistake (void)
{
  raw_file ("disk", 'r');
  REQUIRE_OK (open_raw (&a, "disk"), err);
  REQUIRE_OK (rawview_make_writable (a, &err), err);
  CHECK_FAILS (rawview_pwrite (a, "x", 1, SIZE, &err), RAWVIEW_ERROR_USAGE,
               "*beyond the end*");
  CHECK_FAILS (rawview_zero (a, 2, SIZE - 1, 0, &err), RAWVIEW_ERROR_USAGE,
               "*beyond the end*");
  CHECK_FAILS (rawview_trim (a, UINT64_MAX, 1, &err), RAWVIEW_ERROR_USAGE,
               "*beyond the end*");
  CHECK_OK (rawview_pwrite (a, "", 0, SIZE, &err), err);
  CHECK_OK (rawview_zero (a, 0, SIZE, 0, &err), err);
  CHECK_OK (rawview_trim (a, 0, SIZE, &err), err);
}

static void
readers_write_nothing (void)
{
  raw_file ("disk", 'r');
  REQUIRE_OK (open_raw (&a, "disk"), err);
  CHECK_FAILS (rawview_pwrite (a, "x", 1, 0, &err), RAWVIEW_ERROR_REFUSED,
               "*disk is open for reading only");
  CHECK_EQ_INT (err.errnum, EROFS);
  CHECK_FAILS (rawview_zero (a, 1, 0, 0, &err), RAWVIEW_ERROR_REFUSED, "*");
  CHECK_FAILS (rawview_trim (a, 1, 0, &err), RAWVIEW_ERROR_REFUSED, "*");
  CHECK_OK (rawview_flush (a, &err), err);
  CHECK_OK (rawview_finish (a, &err), err);
  REQUIRE_OK (open_with (&a, "disk", false, raw), err);
  CHECK_FAILS (rawview_make_writable (a, &err), RAWVIEW_ERROR_USAGE,
               "*disk was opened for reading only; overlay=FILE would keep *");
}

static void
what_is_rescued_is_never_written (void)
{
  static const char *const settings[] = { "format=raw", "rescue=yes", NULL };
  static const char *const overlay[] = { "format=raw", "rescue=yes",
                                         "overlay=over.qcow2", NULL };

  raw_file ("disk", 'r');
  REQUIRE_OK (open_with (&a, "disk", true, settings), err);
  CHECK_EQ_INT (byte_at (a, 0), 'r');
  CHECK_FAILS (rawview_make_writable (a, &err), RAWVIEW_ERROR_REFUSED,
               "*rescue= is never written");
  CHECK_FAILS (rawview_pwrite (a, "x", 1, 0, &err), RAWVIEW_ERROR_REFUSED, "*");
  CHECK_FAILS (open_with (&a, "disk", true, overlay), RAWVIEW_ERROR_USAGE,
               "*rescue= or overlay=*");
}

static void
after_the_end_it_is_read_only (void)
{
  raw_file ("disk", 'r');
  REQUIRE_OK (open_raw (&a, "disk"), err);
  REQUIRE_OK (rawview_make_writable (a, &err), err);
  CHECK_OK (rawview_finish (a, &err), err);
  CHECK (!rawview_is_writable (a));
  CHECK_FAILS (rawview_pwrite (a, "x", 1, 0, &err), RAWVIEW_ERROR_REFUSED,
               "*reading only");
  CHECK_FAILS (rawview_make_writable (a, &err), RAWVIEW_ERROR_USAGE,
               "*has been finished*");
  CHECK_EQ_INT (byte_at (a, 0), 'r');
}

/* Grain 0 and a grain whose table, too, holds nothing yet. */
static void
a_sparse_vmdk_is_written_in_place (void)
{
  char want[GRAIN] = "first", got[GRAIN];

  vmdk_file ("disk.vmdk", "parentCID=ffffffff\n");
  test_file ("disk.vmdk", vmdk.b, AT_DATA * SECTOR);
  REQUIRE_OK (open_it (&a, "disk.vmdk"), err);
  REQUIRE_OK (rawview_make_writable (a, &err), err);
  check_file_is ("disk.vmdk", vmdk.b, AT_DATA * SECTOR);
  CHECK_OK (rawview_pwrite (a, want, sizeof want, 0, &err), err);
  CHECK_OK (rawview_pwrite (a, "x", 1, 200 * GRAIN + 77, &err), err);
  CHECK_OK (rawview_flush (a, &err), err);
  CHECK_OK (rawview_finish (a, &err), err);
  REQUIRE_OK (open_it (&a, "disk.vmdk"), err);
  CHECK_OK (rawview_pread (a, got, sizeof got, 0, &err), err);
  CHECK_MEM_EQ (got, want, sizeof got);
  CHECK_EQ_INT (byte_at (a, 200 * GRAIN + 77), 'x');
  CHECK_EQ_INT (byte_at (a, 200 * GRAIN + 78), 0);
  check_finds_nothing (a);
}

/* The check sees what was written a moment ago. */
static void
a_qcow2_is_written_and_checked_meanwhile (void)
{
  struct test_qcow2 t;

  test_qcow2_init (&t, 16, AT_FREE, 8 * SIZE);
  for (unsigned i = 0; i < AT_FREE; i++)
    put_be16 (test_qcow2_at (&t, AT_REFBLOCK) + 2 * i, 1);
  test_file ("disk", t.p, t.len);
  REQUIRE_OK (open_it (&a, "disk"), err);
  CHECK_OK (rawview_make_writable (a, &err), err);
  check_file_is ("disk", t.p, t.len);
  test_qcow2_release (&t);
  for (uint64_t i = 0; i < 8; i++) {
    CHECK_OK (rawview_pwrite (a, "abc", 3, i * SIZE + 100, &err), err);
    CHECK_OK (rawview_trim (a, SIZE, i / 2 * SIZE, &err), err);
    check_finds_nothing (a);
  }
  CHECK_EQ_INT (byte_at (a, 7 * SIZE + 102), 'c');
  CHECK_OK (rawview_finish (a, &err), err);
  check_finds_nothing (a);
}

/*--- One at a time ------------------------------------------------------*/

static void
a_writer_keeps_others_out_until_it_ends (void)
{
  raw_file ("disk", 'r');
  REQUIRE_OK (open_raw (&a, "disk"), err);
  REQUIRE_OK (open_raw (&b, "disk"), err);
  CHECK_FAILS (rawview_make_writable (a, &err), RAWVIEW_ERROR_REFUSED,
               "*disk is in use*overlay=FILE*");
  CHECK_EQ_INT (err.errnum, EBUSY);
  CHECK_EQ_INT (byte_at (a, 0), 'r');
  rawview_close (b);
  b = NULL;
  REQUIRE_OK (rawview_make_writable (a, &err), err);
  CHECK_FAILS (open_raw (&b, "disk"), RAWVIEW_ERROR_REFUSED,
               "*disk is in use*");
  CHECK_OK (rawview_finish (a, &err), err);
  REQUIRE_OK (open_raw (&b, "disk"), err);
  rawview_close (a);
  a = NULL;
  CHECK_OK (rawview_make_writable (b, &err), err);
}

static void
without_locks_too_a_process_has_one_writer (void)
{
  CLEANUP_FREE char *path = test_path ("disk"), *other = test_path ("other");

  raw_file ("disk", 'r');
  CHECK (link (path, other) == 0);
  REQUIRE_OK (open_with (&a, "disk", true, raw_unlocked), err);
  REQUIRE_OK (open_with (&b, "other", true, raw_unlocked), err);
  REQUIRE_OK (rawview_make_writable (a, &err), err);
  CHECK_FAILS (rawview_make_writable (b, &err), RAWVIEW_ERROR_REFUSED,
               "*other is in use: this process writes it already*overlay=*");
  CHECK_EQ_INT (err.errnum, EBUSY);
  rawview_close (a);
  a = NULL;
  CHECK_OK (rawview_make_writable (b, &err), err);
}

/* Two extents, of which the second cannot be had. */
static void
all_files_are_taken_or_none (void)
{
  raw_file ("1.raw", '1');
  raw_file ("2.raw", '2');
  test_text_file ("split.vmdk", "# Disk DescriptorFile\nversion=1\n"
                                "CID=00000011\nparentCID=ffffffff\n"
                                "createType=\"twoGbMaxExtentFlat\"\n"
                                "RW 128 FLAT \"1.raw\" 0\n"
                                "RW 128 FLAT \"2.raw\" 0\n");
  REQUIRE_OK (open_it (&a, "split.vmdk"), err);
  REQUIRE_OK (open_raw (&b, "2.raw"), err);
  CHECK_FAILS (rawview_make_writable (a, &err), RAWVIEW_ERROR_REFUSED,
               "*2.raw is in use*");
  REQUIRE_OK (open_raw (&b, "1.raw"), err);
  rawview_close (a);
  a = NULL;
  CHECK_OK (rawview_make_writable (b, &err), err);
}

/*--- What forbids it ----------------------------------------------------*/

static void
open_without_permission (void)
{
  /* Whatever else is set, that is what the flags of a writer are. */
  CHECK (test_deny (SYS_openat, 2, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
                    EACCES));
  REQUIRE_OK (open_raw (&a, "disk"), err);
  CHECK_EQ_INT (byte_at (a, 0), 'r');
  CHECK_FAILS (
      rawview_make_writable (a, &err), RAWVIEW_ERROR_REFUSED,
      "*disk cannot be opened for writing: Permission denied; overlay=*");
  CHECK_EQ_INT (err.errnum, EROFS);
}

static void
a_file_without_permission_is_read (void)
{
  raw_file ("disk", 'r');
  test_in_child (open_without_permission);
}

static void
the_locks_of_vmware_are_respected (void)
{
  CLEANUP_FREE char *lock = test_path ("disk.lck");

  raw_file ("disk", 'r');
  test_folder ("disk.lck");
  REQUIRE_OK (open_raw (&a, "disk"), err);
  CHECK_FAILS (rawview_make_writable (a, &err), RAWVIEW_ERROR_REFUSED,
               "*disk is in use: VMware's lock disk.lck*overlay=FILE*");
  CHECK_EQ_INT (err.errnum, EBUSY);
  rmdir (lock);
  CHECK_OK (rawview_make_writable (a, &err), err);
}

static void
a_disk_inside_an_archive_is_not_written (void)
{
  make_sparse (&vmdk);
  tar = (struct test_tar){ 0 };
  test_tar_member (&tar, "vm.ovf", "<Envelope/>");
  test_tar_header (&tar, "a.vmdk", '0', vmdk.len);
  test_tar_bytes (&tar, vmdk.b, vmdk.len);
  test_tar_end (&tar);
  test_file ("vm.ova", tar.p, tar.len);
  REQUIRE_OK (open_it (&a, "vm.ova"), err);
  CHECK_FAILS (rawview_make_writable (a, &err), RAWVIEW_ERROR_REFUSED,
               "*a disk inside an OVA cannot be written; overlay=FILE*");
}

static void
a_parent_is_not_written_while_it_has_children (void)
{
  CLEANUP_FREE char *path = test_path ("child.vmdk");
  struct rv_base base = { .dirfd = -1 };
  struct rv_file_id nothing = { 0 };

  vmdk_file ("parent.vmdk", "");
  vmdk_file ("child.vmdk", "parentCID=00000011\n"
                           "parentFileNameHint=\"C:\\vm\\PARENT.vmdk\"\n");
  /* These are not its children. */
  vmdk_file ("a.vmdk", "parentCID=00000011\nparentFileNameHint=\"x.vmdk\"\n");
  vmdk_file ("b.vmdk",
             "parentCID=00000012\nparentFileNameHint=\"parent.vmdk\"\n");
  test_fifo ("c.vmdk");
  test_text_file ("d.vmdk", "KDMV");
  test_symlink ("parent.vmdk", "e.vmdk");
  CLEANUP_FREE char *parent = test_path ("parent.vmdk");
  REQUIRE_OK (open_it (&a, "parent.vmdk"), err);
  CHECK_FAILS (rawview_make_writable (a, &err), RAWVIEW_ERROR_REFUSED,
               "*parent.vmdk is the parent or backing file of child.vmdk*; "
               "overlay=FILE*");
  CHECK_OK (rv_base_of (AT_FDCWD, parent, &base, &err), err);
  CHECK_FAILS (rv_beside_children (&base, a->chain.ptr[0], &nothing, &err),
               RAWVIEW_ERROR_REFUSED,
               "*parent.vmdk is the parent or backing file of child.vmdk*");
  unlink (path);
  CHECK_OK (rv_beside_children (&base, a->chain.ptr[0], &nothing, &err), err);
  test_text_file ("child.vmdk",
                  "# Disk DescriptorFile\nversion=1\nCID=00000013\n"
                  "parentCID=00000011\ncreateType=\"vmfsSparse\"\n"
                  "parentFileNameHint=\"parent.vmdk\"\n"
                  "RW 2053 VMFSSPARSE \"child-delta.vmdk\"\n");
  CHECK_FAILS (rv_beside_children (&base, a->chain.ptr[0], &nothing, &err),
               RAWVIEW_ERROR_REFUSED,
               "*is the parent or backing file of child.vmdk*");
  rv_base_release (&base);
}

static void
write_child (const char *name, uint64_t off, const char *backing)
{
  struct test_qcow2 t;

  test_qcow2_init (&t, 9, AT_FREE, SIZE);
  put_be64 (t.p + 8, off);
  put_be32 (t.p + 16, strlen (backing));
  memcpy (t.p + 150, backing, strlen (backing));
  test_file (name, t.p, t.len);
  test_qcow2_release (&t);
}

/* Such as an overlay, when overlay= is forgotten. */
static void
a_backing_file_is_not_written_while_it_has_overlays (void)
{
  CLEANUP_FREE char *path = test_path ("over.qcow2"),
                    *disk = test_path ("disk");

  raw_file ("disk", 'r');
  write_child ("over.qcow2", 150, disk);
  REQUIRE_OK (open_raw (&a, "disk"), err);
  CHECK_FAILS (rawview_make_writable (a, &err), RAWVIEW_ERROR_REFUSED,
               "*disk is the parent or backing file of over.qcow2*");
  unlink (path);
  write_child ("1.qcow2", 150, "other");
  write_child ("2.qcow2", 0, "disk");
  write_child ("3.qcow2", UINT64_MAX - 1, "disk");
  write_child ("4.qcow2", AT_FREE * 512 - 1, "disk");
  CHECK_OK (rawview_make_writable (a, &err), err);
}

/* For who puts its changes into the image, and for nobody else's. */
static void
one_overlay_may_be_no_reason_not_to_write (void)
{
  CLEANUP_FREE char *disk = test_path ("disk"),
                    *over = test_path ("over.qcow2");
  rawview_options *opts = rawview_options_new ();

  raw_file ("disk", 'r');
  rawview_options_set_writable (opts, true);
  CHECK_OK (rawview_options_set (opts, "format", "raw", &err), err);
  CHECK_FAILS (rawview_options_ignore_child (opts, over, &err),
               RAWVIEW_ERROR_IO, "*over.qcow2: No such file*");
  write_child ("over.qcow2", 150, disk);
  REQUIRE_OK (rawview_options_ignore_child (opts, over, &err), err);
  REQUIRE_OK (rawview_open (disk, opts, &a, &err), err);
  rawview_options_free (opts);
  write_child ("two.qcow2", 150, disk);
  CHECK_FAILS (rawview_make_writable (a, &err), RAWVIEW_ERROR_REFUSED,
               "*disk is the parent or backing file of two.qcow2*");
  write_child ("two.qcow2", 150, "other");
  CHECK_OK (rawview_make_writable (a, &err), err);
}

/* L2 entries that name a table. */
static void
a_full_check_refuses_what_contradicts_itself (void)
{
  const char *const full[] = { "check=full", NULL };
  struct test_qcow2 t;

  test_qcow2_init (&t, 16, 6, SIZE);
  test_qcow2_data (&t, 0, AT_L1);
  test_file ("bad.qcow2", t.p, t.len);
  test_qcow2_release (&t);
  REQUIRE_OK (open_with (&a, "bad.qcow2", true, full), err);
  CHECK_FAILS (rawview_make_writable (a, &err), RAWVIEW_ERROR_CORRUPT,
               "*bad.qcow2: check=full found * contradictions*overlay=FILE*");
}

/* What a crash leaves needs no repair by hand, however much is checked. */
static void
a_full_check_lets_unclean_ends_be_repaired (void)
{
  const char *const full[] = { "check=full", NULL };

  vmdk_file ("crashed.vmdk", "parentCID=ffffffff\n");
  vmdk.b[72] = 1;
  put32 (vmdk.b, AT_GT * SECTOR + 4, AT_DATA);
  test_file ("crashed.vmdk", vmdk.b, vmdk.len);
  REQUIRE_OK (open_with (&a, "crashed.vmdk", true, full), err);
  REQUIRE_OK (rawview_make_writable (a, &err), err);
  CHECK_OK (rawview_pwrite (a, "x", 1, 0, &err), err);
  CHECK_OK (rawview_finish (a, &err), err);
  vmdk.b[72] = 0;
  test_file ("differs.vmdk", vmdk.b, vmdk.len);
  REQUIRE_OK (open_with (&b, "differs.vmdk", true, full), err);
  CHECK_FAILS (rawview_make_writable (b, &err), RAWVIEW_ERROR_CORRUPT,
               "*differs.vmdk: check=full found 1 contradiction*");
}

/*--- Sets ---------------------------------------------------------------*/

static char log_text[8192];

static void
log_line (void *opaque, const char *msg)
{
  strncat (log_text, msg, sizeof log_text - strlen (log_text) - 1);
}

static rawview_exports *
folder_of_raw (void)
{
  CLEANUP_FREE char *path = test_path ("folder");
  rawview_options *opts = rawview_options_new ();
  rawview_exports *x = rawview_exports_new ();

  log_text[0] = '\0';
  rawview_exports_set_log (x, log_line, NULL);
  rawview_options_set_writable (opts, true);
  CHECK_OK (rawview_options_set (opts, "format", "raw", &err), err);
  CHECK_OK (rawview_exports_add_folder (x, path, opts, &err), err);
  rawview_options_free (opts);
  return x;
}

static int
count_export (void *opaque, const rawview_export *e)
{
  ++*(int *) opaque;
  return 0;
}

/* Writing changes the file's times, which is no reason to open it anew. */
static void
a_folder_is_listed_while_its_disks_are_written (void)
{
  rawview_exports *x;
  int n = 0;

  test_folder ("folder");
  raw_file ("folder/disk", 'r');
  x = folder_of_raw ();
  REQUIRE_OK (rawview_exports_open (x, "disk", &a, &err), err);
  REQUIRE_OK (rawview_make_writable (a, &err), err);
  CHECK_OK (rawview_pwrite (a, "w", 1, 0, &err), err);
  REQUIRE_OK (rawview_exports_list (x, count_export, &n, &err), err);
  CHECK_EQ_INT (n, 1);
  CHECK_STR_EQ (log_text, "");
  REQUIRE_OK (rawview_exports_open (x, "disk", &b, &err), err);
  CHECK (a == b);
  CHECK (rawview_is_writable (b));
  rawview_close (b);
  b = NULL;
  CHECK_OK (rawview_finish (a, &err), err);
  rawview_close (a);
  a = NULL;
  REQUIRE_OK (rawview_exports_open (x, "disk", &a, &err), err);
  CHECK_OK (rawview_make_writable (a, &err), err);
  CHECK_EQ_INT (byte_at (a, 0), 'w');
  CHECK_STR_EQ (log_text, "");
  rawview_close (a);
  a = NULL;
  rawview_exports_free (x);
}

/*--- Side by side -------------------------------------------------------*/

static void *
write_some (void *opaque)
{
  unsigned n = *(unsigned *) opaque;
  rawview_error e;
  char bytes[600];

  memset (bytes, 'a' + n, sizeof bytes);
  for (uint64_t i = 0; i < 40; i++) {
    uint64_t off = (i * 7919 + n * 1000) % (8 * SIZE - sizeof bytes);

    CHECK_OK (rawview_pwrite (a, bytes, sizeof bytes, off, &e), e);
    if (i % 8 == n)
      CHECK_OK (rawview_flush (a, &e), e);
    if (i % 8 == n + 4)
      CHECK_OK (rawview_trim (a, SIZE, off / SIZE * SIZE, &e), e);
  }
  return NULL;
}

static void *
check_some (void *opaque)
{
  for (int i = 0; i < 5; i++)
    check_finds_nothing (a);
  return NULL;
}

static void
checks_wait_for_writers_and_writers_for_checks (void)
{
  unsigned n[] = { 0, 1, 2 };
  pthread_t threads[4];
  struct test_qcow2 t;

  test_qcow2_init (&t, 12, AT_FREE, 8 * SIZE);
  for (unsigned i = 0; i < AT_FREE; i++)
    put_be16 (test_qcow2_at (&t, AT_REFBLOCK) + 2 * i, 1);
  test_file ("disk", t.p, t.len);
  test_qcow2_release (&t);
  REQUIRE_OK (open_it (&a, "disk"), err);
  REQUIRE_OK (rawview_start (a, &err), err);
  REQUIRE_OK (rawview_make_writable (a, &err), err);
  for (int i = 0; i < 3; i++)
    pthread_create (&threads[i], NULL, write_some, &n[i]);
  pthread_create (&threads[3], NULL, check_some, NULL);
  for (int i = 0; i < 4; i++)
    pthread_join (threads[i], NULL);
  CHECK_OK (rawview_finish (a, &err), err);
  check_finds_nothing (a);
}

/*--- main ---------------------------------------------------------------*/

static void
run (const char *name, void (*fn) (void))
{
  test_run (name, fn);
  rawview_close (a);
  rawview_close (b);
  a = b = NULL;
  test_files_clear ();
}
#define RUN(fn) run (#fn, fn)

int
main (void)
{
  test_files_begin ();
  RUN (what_is_written_is_read_and_in_the_file);
  RUN (requests_outside_of_the_disk_are_the_callers_mistake);
  RUN (readers_write_nothing);
  RUN (what_is_rescued_is_never_written);
  RUN (after_the_end_it_is_read_only);
  RUN (a_sparse_vmdk_is_written_in_place);
  RUN (a_qcow2_is_written_and_checked_meanwhile);
  RUN (a_writer_keeps_others_out_until_it_ends);
  RUN (without_locks_too_a_process_has_one_writer);
  RUN (all_files_are_taken_or_none);
  RUN (a_file_without_permission_is_read);
  RUN (the_locks_of_vmware_are_respected);
  RUN (a_disk_inside_an_archive_is_not_written);
  RUN (a_parent_is_not_written_while_it_has_children);
  RUN (a_backing_file_is_not_written_while_it_has_overlays);
  RUN (one_overlay_may_be_no_reason_not_to_write);
  RUN (a_full_check_refuses_what_contradicts_itself);
  RUN (a_full_check_lets_unclean_ends_be_repaired);
  RUN (checks_wait_for_writers_and_writers_for_checks);
  RUN (a_folder_is_listed_while_its_disks_are_written);
  test_files_end ();
  return test_result ();
}
