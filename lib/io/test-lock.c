/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks belong to an open file description, so that one process can be two
 * users of a file.  The bytes below are what QEMU locks.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/io.h"
#include "io/lock.h"
#include "util/test-deny.h"
#include "util/test.h"

static char path[] = "/tmp/rawview-test-lock-XXXXXX";

/* Another user of the file, holding read locks on these bytes until closed. */
static int
other_user (const off_t *bytes, size_t n)
{
  int fd = open (path, O_RDWR | O_CLOEXEC);

  for (size_t i = 0; i < n; i++) {
    struct flock fl = {
      .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = bytes[i], .l_len = 1
    };

    CHECK (fcntl (fd, F_OFD_SETLK, &fl) == 0);
  }
  return fd;
}

#define OTHER_USER(...) \
  other_user ((const off_t[]){ __VA_ARGS__ }, \
              sizeof (const off_t[]){ __VA_ARGS__ } / sizeof (off_t))

static int
take_as_reader (int fd, rawview_error *err)
{
  bool unsupported;
  int r = rv_lock_take (fd, "disk", RV_LOCK_READER, &unsupported, err);

  CHECK (!unsupported);
  return r;
}

/* Is byte locked by anybody but the user of fd? */
static bool
is_locked (int fd, off_t byte)
{
  struct flock fl = {
    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
  };

  CHECK (fcntl (fd, F_OFD_GETLK, &fl) == 0);
  return fl.l_type != F_UNLCK;
}

static void
a_reader_holds_what_qemu_looks_for (void)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC);
  CLEANUP_CLOSE int other = open (path, O_RDWR | O_CLOEXEC);
  rawview_error err;

  REQUIRE_OK (take_as_reader (fd, &err), err);
  for (off_t byte = 0; byte < 300; byte++)
    CHECK (is_locked (other, byte) ==
           (byte == 100 || byte == 201 || byte == 203));
}

static void
readers_bear_each_other (void)
{
  CLEANUP_CLOSE int a = open (path, O_RDONLY | O_CLOEXEC);
  CLEANUP_CLOSE int b = open (path, O_RDONLY | O_CLOEXEC);
  CLEANUP_CLOSE int qemu = OTHER_USER (100, 201, 203);
  rawview_error err;

  CHECK (qemu >= 0);
  CHECK_OK (take_as_reader (a, &err), err);
  CHECK_OK (take_as_reader (b, &err), err);
  CHECK_OK (take_as_reader (a, &err), err);
}

static void
a_reader_is_refused_while (off_t byte, const char *pattern)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC);
  CLEANUP_CLOSE int other = OTHER_USER (byte);
  rawview_error err = { 0 };

  CHECK_EQ_INT (take_as_reader (fd, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, pattern);
  CHECK_EQ_INT (err.errnum, EBUSY);
  for (off_t b = 100; b < 300; b++)
    CHECK (!is_locked (other, b));
}

static void
a_reader_is_refused_beside_a_writer (void)
{
  a_reader_is_refused_while (101, "disk is in use: *open for writing; stop it, "
                                  "or use locking=off*");
  a_reader_is_refused_while (103, "disk is in use: *open for resizing;*");
  a_reader_is_refused_while (200, "disk is in use: *shares it with nobody*");
}

static void
what_others_do_without_changing_anything_is_borne (void)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC);
  CLEANUP_CLOSE int other = OTHER_USER (100, 102, 201, 202, 203);
  rawview_error err;

  CHECK (other >= 0);
  CHECK_OK (take_as_reader (fd, &err), err);
}

static void
locks_go_with_the_descriptor (void)
{
  const struct rv_io_file_options opts = { .lock = true };
  CLEANUP_CLOSE int other = open (path, O_RDWR | O_CLOEXEC);
  struct rv_io *io;
  rawview_error err;

  REQUIRE_OK (rv_io_file_openat (AT_FDCWD, path, false, path, &opts, &io, &err),
              err);
  CHECK (is_locked (other, 100));
  rv_io_unref (io);
  CHECK (!is_locked (other, 100));
}

static void
a_file_in_use_is_opened_only_without_locking (void)
{
  struct rv_io_file_options opts = { .lock = true };
  CLEANUP_CLOSE int other = OTHER_USER (100, 101, 201);
  struct rv_io *io;
  rawview_error err;

  CHECK (other >= 0);
  CHECK_EQ_INT (
      rv_io_file_openat (AT_FDCWD, path, false, "disk", &opts, &io, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "disk is in use: *");
  opts.lock = false;
  REQUIRE_OK (
      rv_io_file_openat (AT_FDCWD, path, false, "disk", &opts, &io, &err), err);
  rv_io_unref (io);
}

static void
a_later_writer_would_exclude_readers (void)
{
  const struct rv_lock_perms writer = {
    .used = RV_LOCK_CONSISTENT_READ | RV_LOCK_WRITE | RV_LOCK_RESIZE,
    .unshared = RV_LOCK_WRITE | RV_LOCK_RESIZE,
  };
  CLEANUP_CLOSE int a = open (path, O_RDWR | O_CLOEXEC);
  CLEANUP_CLOSE int b = open (path, O_RDWR | O_CLOEXEC);
  rawview_error err;
  bool unsupported;

  REQUIRE_OK (rv_lock_take (a, "disk", writer, &unsupported, &err), err);
  CHECK_EQ_INT (take_as_reader (b, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "disk is in use: *");
  CHECK_EQ_INT (rv_lock_take (b, "disk", writer, &unsupported, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "disk is in use: *");
}

/*--- Readers that become writers ----------------------------------------*/

static int
change (int fd, bool to_writer, rawview_error *err)
{
  return rv_lock_change (fd, "disk",
                         to_writer ? RV_LOCK_READER : RV_LOCK_WRITER,
                         to_writer ? RV_LOCK_WRITER : RV_LOCK_READER, err);
}

static void
check_locked (int other, const off_t *bytes, size_t n)
{
  for (off_t byte = 0; byte < 300; byte++) {
    bool expected = false;

    for (size_t i = 0; i < n; i++)
      expected = expected || bytes[i] == byte;
    if (is_locked (other, byte) != expected)
      TEST_FAIL ("byte %d is %slocked", (int) byte, expected ? "not " : "");
  }
}

static const off_t reader_bytes[] = { 100, 201, 203 };
static const off_t writer_bytes[] = { 100, 101, 103, 201, 203 };

static void
a_reader_becomes_a_writer_and_a_reader_again (void)
{
  CLEANUP_CLOSE int fd = open (path, O_RDWR | O_CLOEXEC);
  CLEANUP_CLOSE int other = open (path, O_RDWR | O_CLOEXEC);
  rawview_error err;

  REQUIRE_OK (take_as_reader (fd, &err), err);
  REQUIRE_OK (change (fd, true, &err), err);
  check_locked (other, writer_bytes, 5);
  CHECK_EQ_INT (take_as_reader (other, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "disk is in use: *");
  REQUIRE_OK (change (fd, false, &err), err);
  check_locked (other, reader_bytes, 3);
  CHECK_OK (take_as_reader (other, &err), err);
}

static void
a_reader_stays_one_where_there_is_another (void)
{
  CLEANUP_CLOSE int fd = open (path, O_RDWR | O_CLOEXEC);
  CLEANUP_CLOSE int reader = open (path, O_RDWR | O_CLOEXEC);
  CLEANUP_CLOSE int other = open (path, O_RDWR | O_CLOEXEC);
  rawview_error err;

  REQUIRE_OK (take_as_reader (fd, &err), err);
  REQUIRE_OK (take_as_reader (reader, &err), err);
  CHECK_EQ_INT (change (fd, true, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED,
               "disk is in use: *shares it with nobody for writing*");
  CHECK_EQ_INT (err.errnum, EBUSY);
  check_locked (other, reader_bytes, 3);
  CHECK_OK (take_as_reader (other, &err), err);
  close (rv_steal_fd (&reader));
  close (rv_steal_fd (&other));
  CHECK_OK (change (fd, true, &err), err);
}

static void
of_two_readers_neither_becomes_a_writer (void)
{
  CLEANUP_CLOSE int a = open (path, O_RDWR | O_CLOEXEC);
  CLEANUP_CLOSE int b = open (path, O_RDWR | O_CLOEXEC);
  rawview_error err;

  REQUIRE_OK (take_as_reader (a, &err), err);
  REQUIRE_OK (take_as_reader (b, &err), err);
  CHECK_EQ_INT (change (a, true, &err), -1);
  CHECK_EQ_INT (change (b, true, &err), -1);
}

/* What QEMU holds while it writes a disk of a guest, and while it reads it. */
static void
qemu_keeps_out_a_later_writer (void)
{
  CLEANUP_CLOSE int fd = open (path, O_RDWR | O_CLOEXEC);
  CLEANUP_CLOSE int other = open (path, O_RDWR | O_CLOEXEC);
  rawview_error err;

  REQUIRE_OK (take_as_reader (fd, &err), err);
  for (int unshared = 0; unshared <= 3; unshared++) {
    CLEANUP_CLOSE int qemu = OTHER_USER (100, 200 + unshared);
    bool fails = unshared != 2; /* nobody writes what is there already */

    CHECK_EQ_INT (change (fd, true, &err), fails ? -1 : 0);
    CHECK_OK (fails ? 0 : change (fd, false, &err), err);
    CHECK (qemu >= 0);
  }
  check_locked (other, reader_bytes, 3);
}

static void
a_file_is_locked_for_writing_when_told (void)
{
  const struct rv_io_file_options opts = { .lock = true, .writable = true };
  CLEANUP_CLOSE int other = open (path, O_RDWR | O_CLOEXEC);
  struct rv_io *io;
  rawview_error err;

  REQUIRE_OK (rv_io_file_openat (AT_FDCWD, path, false, path, &opts, &io, &err),
              err);
  check_locked (other, reader_bytes, 3);
  for (int i = 0; i < 2; i++) {
    CHECK_OK (rv_io_lock_for_writing (io, &err), err);
    check_locked (other, writer_bytes, 5);
  }
  for (int i = 0; i < 2; i++) {
    rv_io_lock_for_reading (io);
    check_locked (other, reader_bytes, 3);
  }
  rv_io_unref (io);
}

static void
without_locking_a_writer_holds_no_locks (void)
{
  const struct rv_io_file_options opts = { .writable = true };
  CLEANUP_CLOSE int other = OTHER_USER (100, 201);
  struct rv_io *io;
  rawview_error err;

  REQUIRE_OK (rv_io_file_openat (AT_FDCWD, path, false, path, &opts, &io, &err),
              err);
  CHECK_OK (rv_io_lock_for_writing (io, &err), err);
  CHECK (!is_locked (other, 101));
  rv_io_lock_for_reading (io);
  rv_io_unref (io);
}

static void
a_failure_to_lock_is_not_taken_for_success (void)
{
  rawview_error err;

  CHECK_EQ_INT (take_as_reader (-1, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "cannot lock disk: *");
}

static void
open_where_no_locks_are (void)
{
  bool missing = false;
  struct rv_io_file_options opts = { .lock = true, .lock_missing = &missing };
  struct rv_io *io;
  rawview_error err;

  if (!test_deny (SYS_fcntl, 1, F_OFD_SETLK, EINVAL))
    return;
  CHECK_OK (rv_io_file_openat (AT_FDCWD, path, false, "disk", &opts, &io, &err),
            err);
  CHECK (missing);
  rv_io_unref (io);
  opts.lock_required = true;
  CHECK_EQ_INT (
      rv_io_file_openat (AT_FDCWD, path, false, "disk", &opts, &io, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_UNSUPPORTED,
               "disk cannot be locked: *locking=auto would go on without");
}

static void
where_there_are_no_locks_only_locking_on_fails (void)
{
  test_in_child (open_where_no_locks_are);
}

int
main (void)
{
  CLEANUP_CLOSE int fd = mkstemp (path);
  bool unsupported = true;
  rawview_error err;

  if (fd == -1 ||
      rv_lock_take (fd, path, RV_LOCK_READER, &unsupported, &err) == -1)
    return 99;
  close (fd);
  fd = -1;
  if (unsupported) {
    unlink (path);
    return 77;
  }
  TEST (a_reader_holds_what_qemu_looks_for);
  TEST (readers_bear_each_other);
  TEST (a_reader_is_refused_beside_a_writer);
  TEST (what_others_do_without_changing_anything_is_borne);
  TEST (locks_go_with_the_descriptor);
  TEST (a_file_in_use_is_opened_only_without_locking);
  TEST (a_later_writer_would_exclude_readers);
  TEST (a_reader_becomes_a_writer_and_a_reader_again);
  TEST (a_reader_stays_one_where_there_is_another);
  TEST (of_two_readers_neither_becomes_a_writer);
  TEST (qemu_keeps_out_a_later_writer);
  TEST (a_file_is_locked_for_writing_when_told);
  TEST (without_locking_a_writer_holds_no_locks);
  TEST (a_failure_to_lock_is_not_taken_for_success);
  TEST (where_there_are_no_locks_only_locking_on_fails);
  unlink (path);
  return test_result ();
}
