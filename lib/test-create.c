/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <sys/syscall.h>

#include "test-images.h"
#include "util/test-deny.h"

#define MiB (1ull << 20)

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

static int
make (const char *name, const char *format, uint64_t size, unsigned flags)
{
  CLEANUP_FREE char *path = test_path (name);

  return rawview_create (path, format, size, flags, &err);
}

static int
open_it (const char *name, const char *format, bool writable)
{
  CLEANUP_FREE char *path = test_path (name);
  rawview_options *opts = rawview_options_new ();
  int r;

  rawview_close (image);
  image = NULL;
  rawview_options_set_writable (opts, writable);
  r = rawview_options_set (opts, "format", format, &err);
  if (r == 0)
    r = rawview_open (path, opts, &image, &err);
  if (r == 0 && writable)
    r = rawview_make_writable (image, &err);
  rawview_options_free (opts);
  return r;
}

static void
no_finding (void *opaque, rawview_finding finding, const char *msg)
{
  TEST_FAIL ("%s", msg);
}

/* Has no contradiction and no leak, and so many clusters. */
static void
check_clusters (uint64_t want)
{
  rawview_check_result result;

  REQUIRE_OK (rawview_check (image, no_finding, NULL, &result, &err), err);
  CHECK_EQ_U64 (result.allocated_clusters, want);
}

static struct stat
stat_of (const char *name)
{
  CLEANUP_FREE char *path = test_path (name);
  struct stat st = { 0 };

  CHECK (lstat (path, &st) == 0);
  return st;
}

static uint64_t
allocated (const char *name)
{
  return stat_of (name).st_blocks * 512ull;
}

/*--- What is made -------------------------------------------------------*/

static void
a_new_image_is_a_disk_of_zeros_for_its_owner_alone (void)
{
  static const char *const formats[] = { "raw", "qcow2" };
  uint8_t bytes[512], zeros[512] = { 0 };

  for (int i = 0; i < 2; i++) {
    test_files_clear ();
    REQUIRE_OK (make ("new", formats[i], 3000 * MiB + 512, 0), err);
    CHECK_EQ_INT (count_files (), 1);
    CHECK_EQ_INT (stat_of ("new").st_mode, S_IFREG | 0600);
    CHECK_EQ_INT (stat_of ("new").st_nlink, 1);
    CHECK (allocated ("new") < MiB);
    REQUIRE_OK (open_it ("new", formats[i], false), err);
    CHECK_EQ_U64 (rawview_get_size (image), 3000 * MiB + 512);
    CHECK_OK (rawview_pread (image, bytes, 512, 3000 * MiB, &err), err);
    CHECK_MEM_EQ (bytes, zeros, 512);
  }
  CHECK_EQ_U64 (rawview_get_preferred_block_size (image), 64 << 10);
  CHECK_EQ_U64 (rawview_get_depth (image), 1);
  CHECK (rawview_get_warning (image, 0) == NULL);
  check_clusters (0);
}

static void
a_name_without_a_folder_is_in_the_working_directory (void)
{
  CLEANUP_FREE char *was = getcwd (NULL, 0);

  REQUIRE (chdir (test_dir) == 0);
  CHECK_OK (rawview_create ("new", "qcow2", MiB, 0, &err), err);
  CHECK (chdir (was) == 0);
  CHECK_EQ_INT (count_files (), 1);
}

static void
a_disk_without_bytes_is_made_too (void)
{
  CHECK_OK (make ("1", "raw", 0, 0), err);
  CHECK_OK (make ("2", "raw", 0, RAWVIEW_CREATE_PREALLOCATE), err);
  CHECK_OK (make ("3", "qcow2", 0, 0), err);
  CHECK_OK (make ("4", "raw", 513, 0), err);
  CHECK_EQ_U64 (stat_of ("4").st_size, 513);
}

static void
preallocation_takes_the_space_at_once (void)
{
  uint64_t end;

  REQUIRE_OK (make ("raw", "raw", 8 * MiB, RAWVIEW_CREATE_PREALLOCATE), err);
  CHECK (allocated ("raw") >= 8 * MiB);
  if (make ("qcow2", "qcow2", 8 * MiB, RAWVIEW_CREATE_PREALLOCATE) == -1) {
    CHECK_ERROR (err, RAWVIEW_ERROR_UNSUPPORTED, "*cannot reserve space*");
    return;
  }
  CHECK (allocated ("qcow2") >= 8 * MiB);
  end = stat_of ("qcow2").st_size;
  CHECK (end < MiB);
  REQUIRE_OK (open_it ("qcow2", "qcow2", true), err);
  for (uint64_t off = 0; off < 8 * MiB; off += MiB) {
    static uint8_t bytes[MiB];

    memset (bytes, 'x', sizeof bytes);
    CHECK_OK (rawview_pwrite (image, bytes, MiB, off, &err), err);
  }
  CHECK_OK (rawview_finish (image, &err), err);
  check_clusters (8 * MiB >> 16);
  /* Nothing was taken but what had been reserved. */
  CHECK (stat_of ("qcow2").st_size > (off_t) (end + 8 * MiB));
  CHECK (allocated ("qcow2") <= 8 * MiB + MiB);
}

/*--- What is written into it --------------------------------------------*/

static void
zeros_take_no_space_in_a_new_qcow2 (void)
{
  static uint8_t bytes[3 << 16], got[3 << 16];
  uint64_t before;

  memset (bytes, 'w', sizeof bytes);
  REQUIRE_OK (make ("new", "qcow2", 1024 * MiB, 0), err);
  before = stat_of ("new").st_size;
  REQUIRE_OK (open_it ("new", "qcow2", true), err);
  CHECK_OK (rawview_zero (image, 1024 * MiB, 0, 0, &err), err);
  CHECK_OK (rawview_zero (image, 1024 * MiB, 0, RAWVIEW_ZERO_MAY_TRIM, &err),
            err);
  CHECK_OK (rawview_trim (image, 512 * MiB, 0, &err), err);
  CHECK_OK (rawview_zero (image, 100, 700, 0, &err), err);
  CHECK_OK (rawview_flush (image, &err), err);
  check_clusters (0);
  CHECK_EQ_U64 (stat_of ("new").st_size, before);
  CHECK_OK (rawview_pwrite (image, bytes, sizeof bytes, 700 * MiB, &err), err);
  CHECK_OK (rawview_zero (image, 1 << 16, (700 * MiB) + (1 << 16),
                          RAWVIEW_ZERO_MAY_TRIM, &err),
            err);
  CHECK_OK (rawview_finish (image, &err), err);
  memset (bytes + (1 << 16), 0, 1 << 16);
  REQUIRE_OK (open_it ("new", "qcow2", false), err);
  CHECK_OK (rawview_pread (image, got, sizeof got, 700 * MiB, &err), err);
  CHECK_MEM_EQ (got, bytes, sizeof got);
  check_clusters (2);
}

/*--- What is there ------------------------------------------------------*/

static void
what_is_there_is_not_replaced (void)
{
  raw_file ("there", 'r', 512);
  CHECK_FAILS (make ("there", "qcow2", MiB, 0), RAWVIEW_ERROR_REFUSED,
               "*there is there already, and is not replaced");
  CHECK_EQ_INT (err.errnum, EEXIST);
  CHECK_EQ_U64 (stat_of ("there").st_size, 512);
  test_symlink ("nowhere", "link");
  CHECK_FAILS (make ("link", "raw", MiB, 0), RAWVIEW_ERROR_REFUSED,
               "*already*");
  CHECK_EQ_INT (count_files (), 2);
}

static void
a_file_is_replaced_if_the_caller_says_so (void)
{
  ino_t old;

  raw_file ("there", 'r', 512);
  old = stat_of ("there").st_ino;
  CHECK_OK (make ("there", "qcow2", MiB, RAWVIEW_CREATE_REPLACE), err);
  CHECK (stat_of ("there").st_ino != old);
  CHECK_OK (make ("new", "raw", MiB, RAWVIEW_CREATE_REPLACE), err);
  CHECK_EQ_INT (count_files (), 2);
  CHECK_OK (open_it ("there", "qcow2", false), err);
}

static void
only_a_file_that_nobody_uses_is_replaced (void)
{
  REQUIRE_OK (make ("used", "raw", MiB, 0), err);
  REQUIRE_OK (open_it ("used", "raw", false), err);
  CHECK_FAILS (make ("used", "raw", 2 * MiB, RAWVIEW_CREATE_REPLACE),
               RAWVIEW_ERROR_REFUSED, "*used is in use*");
  CHECK_EQ_U64 (stat_of ("used").st_size, MiB);
  test_symlink ("used", "link");
  test_fifo ("pipe");
  test_folder ("folder");
  CHECK_FAILS (make ("link", "raw", MiB, RAWVIEW_CREATE_REPLACE),
               RAWVIEW_ERROR_REFUSED, "*link is not a regular file*");
  CHECK_FAILS (make ("pipe", "raw", MiB, RAWVIEW_CREATE_REPLACE),
               RAWVIEW_ERROR_REFUSED, "*pipe is not a regular file*");
  CHECK_FAILS (make ("folder", "raw", MiB, RAWVIEW_CREATE_REPLACE),
               RAWVIEW_ERROR_REFUSED, "*folder is not a regular file*");
  CHECK_EQ_INT (count_files (), 4);
}

/*--- What cannot be -----------------------------------------------------*/

static void
what_cannot_be_made_is_refused (void)
{
  CHECK_FAILS (make ("new", "vmdk", MiB, 0), RAWVIEW_ERROR_USAGE,
               "*new images are qcow2 and raw, not vmdk");
  CHECK_FAILS (make ("new", "qcow2", MiB + 1, 0), RAWVIEW_ERROR_USAGE,
               "*whole sectors*");
  CHECK_FAILS (make ("new", "raw", UINT64_MAX, 0), RAWVIEW_ERROR_USAGE,
               "*too many for a file*");
  CHECK_FAILS (make ("new", "raw", MiB, 8), RAWVIEW_ERROR_USAGE,
               "*no such way*");
  CHECK_FAILS (make ("folder/", "raw", MiB, 0), RAWVIEW_ERROR_USAGE,
               "*no name for a new image");
  CHECK_FAILS (make ("none/new", "raw", MiB, 0), RAWVIEW_ERROR_IO,
               "cannot open the folder *none/ for the image: No such file*");
  CHECK_EQ_INT (count_files (), 0);
}

static void
every_failed_step_leaves_nothing_behind_child (void)
{
  static const char *const formats[] = { "raw", "qcow2" };

  raw_file ("old", 'r', 512);
  CHECK (test_deny (SYS_fallocate, -1, 0, ENOSPC));
  for (int i = 0; i < 2; i++) {
    CHECK_FAILS (make ("new", formats[i], MiB, RAWVIEW_CREATE_PREALLOCATE),
                 RAWVIEW_ERROR_IO, "cannot make the image *new: No space*");
    CHECK_EQ_INT (err.errnum, ENOSPC);
  }
  CHECK (test_deny (SYS_fsync, -1, 0, EIO));
  for (int i = 0; i < 2; i++) {
    CHECK_FAILS (make ("new", formats[i], MiB, 0), RAWVIEW_ERROR_IO,
                 "cannot make the image *new: Input/output error");
    CHECK_FAILS (make ("old", formats[i], MiB, RAWVIEW_CREATE_REPLACE),
                 RAWVIEW_ERROR_IO, "cannot make the image *old*");
  }
  CHECK_EQ_U64 (stat_of ("old").st_size, 512);
  CHECK_EQ_INT (count_files (), 1);
}

static void
every_failed_step_leaves_nothing_behind (void)
{
  test_in_child (every_failed_step_leaves_nothing_behind_child);
}

/*--- main ---------------------------------------------------------------*/

static void
run (const char *name, void (*fn) (void))
{
  test_run (name, fn);
  rawview_close (image);
  image = NULL;
  test_files_clear ();
}
#define RUN(fn) run (#fn, fn)

int
main (void)
{
  test_files_begin ();
  RUN (a_new_image_is_a_disk_of_zeros_for_its_owner_alone);
  RUN (a_name_without_a_folder_is_in_the_working_directory);
  RUN (a_disk_without_bytes_is_made_too);
  RUN (preallocation_takes_the_space_at_once);
  RUN (zeros_take_no_space_in_a_new_qcow2);
  RUN (what_is_there_is_not_replaced);
  RUN (a_file_is_replaced_if_the_caller_says_so);
  RUN (only_a_file_that_nobody_uses_is_replaced);
  RUN (what_cannot_be_made_is_refused);
  RUN (every_failed_step_leaves_nothing_behind);
  test_files_end ();
  return test_result ();
}
