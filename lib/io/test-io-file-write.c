/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing to files. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/test-io.h"
#include "util/error.h"
#include "util/test-deny.h"
#include "util/test.h"

static const struct rv_io_file_options writable = { .writable = true };
static int dir = -1; /* a folder that is empty but for what tests make in it */

static int
open_file (const char *name, struct rv_io **io, rawview_error *err)
{
  return rv_io_file_openat (dir, name, true, name, &writable, io, err);
}

/* A file of size bytes of 'x'. */
static void
make_file (const char *name, size_t size, mode_t mode)
{
  CLEANUP_CLOSE int fd =
      openat (dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

  for (size_t i = 0; i < size; i++)
    CHECK (write (fd, "x", 1) == 1);
}

static void
a_file_is_written_and_grows (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  struct stat st;
  rawview_error err;
  uint64_t run;
  bool hole;

  make_file ("w", 10, 0600);
  REQUIRE_OK (open_file ("w", &io, &err), err);
  CHECK (io->writable && io->can_grow);
  CHECK_OK (rv_io_pwrite (io, "abc", 3, 2, &err), err);
  check_bytes (io, 0, "xxabcxxxxx", 10);
  CHECK_OK (rv_io_pwrite (io, "end", 3, (1 << 20) + 5, &err), err);
  CHECK_EQ_U64 (io->size, (1 << 20) + 8);
  check_bytes (io, (1 << 20) + 4, "\0end", 4);
  CHECK_OK (rv_io_sync (io, &err), err);
  CHECK (fstatat (dir, "w", &st, 0) == 0 && st.st_size == (1 << 20) + 8);
  rv_io_hole (io, (1 << 20) + 5, 3, &hole, &run);
  CHECK (!hole && run == 3);
}

static void
holes_of_a_file_that_grew_are_found_while_they_are_there (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err;
  uint64_t run;
  bool hole;

  make_file ("grew", 0, 0600);
  REQUIRE_OK (open_file ("grew", &io, &err), err);
  CHECK_OK (rv_io_pwrite (io, "x", 1, (8 << 20) - 1, &err), err);
  rv_io_hole (io, 1 << 20, 1 << 20, &hole, &run);
  if (!hole)
    SKIP ("the filesystem knows no holes");
  CHECK_EQ_U64 (run, 1 << 20);
  CHECK_OK (rv_io_zero (io, 7 << 20, 1 << 20, RV_ZERO_PUNCH, &err), err);
  rv_io_hole (io, 7 << 20, 1 << 20, &hole, &run);
  CHECK (!hole || run <= 1 << 20);
  make_file ("grew", 100, 0600); /* by somebody else */
  rv_io_hole (io, 1 << 20, 1 << 20, &hole, &run);
  CHECK (!hole);
}

/* The kernel writes up to the limit and says so; the rest fails. */
static void
write_beyond_the_limit (void)
{
  const struct rlimit limit = { 1000, 1000 };
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err = { 0 };
  char data[600];

  memset (data, 'd', sizeof data);
  signal (SIGXFSZ, SIG_IGN);
  if (setrlimit (RLIMIT_FSIZE, &limit) == -1)
    return;
  REQUIRE_OK (open_file ("limit", &io, &err), err);
  check_fails (rv_io_pwrite (io, data, 600, 700, &err), &err, EFBIG);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO,
               "cannot write 300 bytes to limit at 1000*");
  CHECK_EQ_U64 (io->size, 1000);
  check_bytes (io, 999, "d", 1);
  CHECK_OK (rv_io_pwrite (io, data, 600, 400, &err), err);
}

static void
after_a_short_write_the_rest_is_written_or_fails (void)
{
  make_file ("limit", 10, 0600);
  test_in_child (write_beyond_the_limit);
}

static void
zero_a_file (unsigned flags)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err;

  make_file ("z", 20, 0600);
  REQUIRE_OK (open_file ("z", &io, &err), err);
  CHECK_OK (rv_io_zero (io, 5, 10, flags, &err), err);
  check_bytes (io, 0, "xxxxx\0\0\0\0\0\0\0\0\0\0xxxxx", 20);
  CHECK_EQ_U64 (io->size, 20);
}

static void
ranges_of_a_file_become_zeros (void)
{
  zero_a_file (0);
  zero_a_file (RV_ZERO_PUNCH);
}

static void
a_punched_file_takes_less_space (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  static char data[1 << 20];
  rawview_error err;
  uint64_t before;

  memset (data, 1, sizeof data);
  make_file ("p", 0, 0600);
  REQUIRE_OK (open_file ("p", &io, &err), err);
  CHECK_OK (rv_io_pwrite (io, data, sizeof data, 0, &err), err);
  CHECK_OK (rv_io_sync (io, &err), err);
  before = rv_io_allocated (io);
  if (rv_io_zero (io, 0, sizeof data / 2, RV_ZERO_PUNCH | RV_ZERO_FAST, &err) ==
      -1)
    SKIP ("this filesystem cannot punch");
  CHECK (rv_io_allocated (io) <= before - sizeof data / 4);
  check_bytes (io, sizeof data / 2 - 2, "\0\0\1\1", 4);
}

static void
zero_without_fallocate (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err = { 0 };

  if (!test_deny (SYS_fallocate, -1, 0, EOPNOTSUPP))
    return;
  zero_a_file (0);
  zero_a_file (RV_ZERO_PUNCH);
  REQUIRE_OK (open_file ("z", &io, &err), err);
  for (unsigned punch = 0; punch <= RV_ZERO_PUNCH; punch++) {
    check_fails (rv_io_zero (io, 0, 5, RV_ZERO_FAST | punch, &err), &err,
                 ENOTSUP);
    CHECK_ERROR (err, RAWVIEW_ERROR_UNSUPPORTED, "z cannot be zeroed at 0 *");
  }
  check_bytes (io, 0, "xxxxx", 5);
}

static void
where_there_is_no_fallocate_zeros_are_written_if_that_may_take_long (void)
{
  test_in_child (zero_without_fallocate);
}

static void
zero_with_errors (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err = { 0 };

  make_file ("z", 20, 0600);
  if (!test_deny (SYS_fallocate, -1, 0, ENOSPC))
    return;
  REQUIRE_OK (open_file ("z", &io, &err), err);
  check_fails (rv_io_zero (io, 0, 5, RV_ZERO_PUNCH, &err), &err, ENOSPC);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "cannot zero 5 bytes of z at 0: *");
}

static void
an_error_of_fallocate_is_told (void)
{
  test_in_child (zero_with_errors);
}

static void
sync_with_errors (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err = { 0 };

  make_file ("s", 20, 0600);
  if (!test_deny (SYS_fdatasync, -1, 0, EIO))
    return;
  REQUIRE_OK (open_file ("s", &io, &err), err);
  CHECK_OK (rv_io_pwrite (io, "a", 1, 0, &err), err);
  check_fails (rv_io_sync (io, &err), &err, EIO);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "cannot make durable *written to s;*");
}

static void
an_error_of_fdatasync_is_told (void)
{
  test_in_child (sync_with_errors);
}

static void
a_file_that_may_only_be_read_is_not_writable (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err = { 0 };

  if (geteuid () == 0 && (setegid (65534) == -1 || seteuid (65534) == -1))
    return;
  REQUIRE_OK (open_file ("ro", &io, &err), err);
  CHECK (!io->writable);
  check_bytes (io, 0, "x", 1);
  check_fails (rv_io_pwrite (io, "a", 1, 0, &err), &err, EROFS);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED,
               "ro cannot be opened for writing: Permission denied");
}

static void
without_permission_to_write_it_is_opened_for_reading (void)
{
  make_file ("ro", 5, 0444);
  test_in_child (a_file_that_may_only_be_read_is_not_writable);
}

static void
what_is_no_file_is_still_called_what_it_is (void)
{
  struct rv_io *io;
  rawview_error err;

  CHECK (mkdirat (dir, "folder", 0700) == 0);
  CHECK (mkfifoat (dir, "fifo", 0600) == 0);
  CHECK_EQ_INT (open_file ("folder", &io, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "folder is a folder*");
  CHECK_EQ_INT (open_file ("fifo", &io, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "fifo is a pipe*");
  CHECK_EQ_INT (open_file ("missing", &io, &err), -1);
  CHECK_EQ_INT (err.errnum, ENOENT);
}

static bool
is_writable_by (int flags, bool wanted)
{
  const struct rv_io_file_options opts = { .writable = wanted };
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err;

  return CHECK_OK (rv_io_file_from_fd (openat (dir, "fd", flags), "fd", &opts,
                                       &io, &err),
                   err) &&
         io->writable;
}

static void
a_descriptor_is_writable_if_it_was_opened_so (void)
{
  make_file ("fd", 10, 0600);
  CHECK (is_writable_by (O_RDWR, true));
  CHECK (!is_writable_by (O_RDWR, false));
  CHECK (!is_writable_by (O_RDONLY, true));
  CHECK (!is_writable_by (O_RDWR | O_APPEND, true));
}

int
main (void)
{
  char path[] = "/tmp/rawview-test-io-write-XXXXXX", command[100];

  alarm (60); /* nothing here may wait */
  if (mkdtemp (path) == NULL || chmod (path, 0755) == -1)
    return 99;
  dir = open (path, O_RDONLY | O_DIRECTORY);
  TEST (a_file_is_written_and_grows);
  TEST (holes_of_a_file_that_grew_are_found_while_they_are_there);
  TEST (after_a_short_write_the_rest_is_written_or_fails);
  TEST (ranges_of_a_file_become_zeros);
  TEST (a_punched_file_takes_less_space);
  TEST (where_there_is_no_fallocate_zeros_are_written_if_that_may_take_long);
  TEST (an_error_of_fallocate_is_told);
  TEST (an_error_of_fdatasync_is_told);
  TEST (without_permission_to_write_it_is_opened_for_reading);
  TEST (what_is_no_file_is_still_called_what_it_is);
  TEST (a_descriptor_is_writable_if_it_was_opened_so);
  snprintf (command, sizeof command, "rm -rf %s", path);
  return test_result () || system (command) != 0;
}
