/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/io.h"
#include "util/test-deny.h"
#include "util/test.h"

static const struct rv_io_file_options plain = { 0 };
static int dir = -1; /* a folder that is empty but for what tests make in it */

/* Makes a file of the test folder: text at its start, size in all. */
static void
make_file (const char *name, const char *text, off_t size)
{
  CLEANUP_CLOSE int fd =
      openat (dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  CHECK (write (fd, text, strlen (text)) == (ssize_t) strlen (text));
  CHECK (ftruncate (fd, size) == 0);
}

static int
open_file (const char *name, bool beneath, struct rv_io **io,
           rawview_error *err)
{
  return rv_io_file_openat (dir, name, beneath, name, &plain, io, err);
}

/* Opening name must be refused, in a sentence like this. */
static void
check_refused (const char *name, bool beneath, const char *pattern)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err = { 0 };

  CHECK_EQ_INT (open_file (name, beneath, &io, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, pattern);
}

/*--- The common part ----------------------------------------------------*/

static void
bytes_are_read_from_where_they_are (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err;
  char buf[4];

  REQUIRE_OK (rv_io_mem_new ("0123456789", 10, "m", &io, &err), err);
  CHECK_OK (rv_io_pread (io, buf, 4, 6, &err), err);
  CHECK_MEM_EQ (buf, "6789", 4);
  CHECK_OK (rv_io_pread (io, buf, 0, 10, &err), err);
}

static void
reading_beyond_the_end_is_corruption (void)
{
  static const uint64_t offs[] = { 7, 10, 11, UINT64_MAX, UINT64_MAX - 3 };
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err;
  char buf[4];

  REQUIRE_OK (rv_io_mem_new ("0123456789", 10, "m", &io, &err), err);
  for (size_t i = 0; i < sizeof offs / sizeof offs[0]; i++) {
    CHECK_EQ_INT (rv_io_pread (io, buf, 4, offs[i], &err), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT,
                 "m is cut short: 4 bytes are needed at *, but it ends at 10");
  }
}

static void
without_knowledge_everything_is_data (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err;
  uint64_t run;
  bool hole;

  REQUIRE_OK (rv_io_mem_new ("0123456789", 10, "m", &io, &err), err);
  rv_io_hole (io, 2, 5, &hole, &run);
  CHECK (!hole && run == 5);
  rv_io_hole (io, 10, 5, &hole, &run);
  CHECK (!hole && run == 5);
  CHECK_EQ_U64 (rv_io_allocated (io), 0);
  rv_io_prefetch (io, 0, 10);
}

/*--- Slices and faults --------------------------------------------------*/

static void
a_slice_shows_its_window_only (void)
{
  CLEANUP_IO struct rv_io *io = NULL, *slice = NULL, *inner = NULL;
  rawview_error err;
  char buf[4];

  REQUIRE_OK (rv_io_mem_new ("0123456789", 10, "m", &io, &err), err);
  REQUIRE_OK (rv_io_slice_new (io, 2, 6, "s", &slice, &err), err);
  REQUIRE_OK (rv_io_slice_new (slice, 1, 3, "t", &inner, &err), err);
  CHECK_OK (rv_io_pread (slice, buf, 4, 2, &err), err);
  CHECK_MEM_EQ (buf, "4567", 4);
  CHECK_OK (rv_io_pread (inner, buf, 3, 0, &err), err);
  CHECK_MEM_EQ (buf, "345", 3);
  CHECK_EQ_INT (rv_io_pread (slice, buf, 4, 3, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "s is cut short*");
  CHECK (!rv_io_same (slice, io));
  CHECK (rv_io_same (slice, slice));
}

static void
a_slice_must_lie_inside_its_parent (void)
{
  CLEANUP_IO struct rv_io *io = NULL, *slice = NULL;
  rawview_error err;

  REQUIRE_OK (rv_io_mem_new ("0123456789", 10, "m", &io, &err), err);
  CHECK_EQ_INT (rv_io_slice_new (io, 5, 6, "s", &slice, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "m is cut short: s takes 6 bytes *");
  CHECK_EQ_INT (rv_io_slice_new (io, UINT64_MAX, 6, "s", &slice, &err), -1);
  CHECK_EQ_INT (rv_io_slice_new (io, 6, UINT64_MAX, "s", &slice, &err), -1);
}

static void
a_slice_of_a_file_knows_its_holes (void)
{
  CLEANUP_IO struct rv_io *io = NULL, *slice = NULL;
  rawview_error err;
  uint64_t run;
  bool hole;

  make_file ("holes", "x", 8 << 20);
  REQUIRE_OK (open_file ("holes", false, &io, &err), err);
  REQUIRE_OK (rv_io_slice_new (io, 1 << 20, 1 << 20, "s", &slice, &err), err);
  rv_io_hole (slice, 0, 1 << 20, &hole, &run);
  CHECK_EQ_U64 (run, 1 << 20);
  CHECK (hole);
}

static void
from_the_nth_on_reads_fail (void)
{
  CLEANUP_IO struct rv_io *io = NULL, *fault = NULL;
  atomic_uint countdown = 3;
  rawview_error err;
  char c;

  REQUIRE_OK (rv_io_mem_new ("0123456789", 10, "m", &io, &err), err);
  REQUIRE_OK (rv_io_fault_new (io, &countdown, &fault, &err), err);
  CHECK_OK (rv_io_pread (fault, &c, 1, 0, &err), err);
  CHECK_OK (rv_io_pread (fault, &c, 1, 0, &err), err);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ_INT (rv_io_pread (fault, &c, 1, 7, &err), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_IO, "cannot read m at 7*");
  }
  atomic_store (&countdown, 0);
  for (int i = 0; i < 10; i++)
    CHECK_OK (rv_io_pread (fault, &c, 1, 0, &err), err);
}

/*--- Files --------------------------------------------------------------*/

static void
a_file_is_read_and_known_again (void)
{
  CLEANUP_IO struct rv_io *a = NULL, *b = NULL, *c = NULL;
  rawview_error err;
  char buf[5];

  make_file ("a", "hello", 100);
  make_file ("c", "hello", 100);
  REQUIRE_OK (open_file ("a", false, &a, &err), err);
  REQUIRE_OK (open_file ("a", true, &b, &err), err);
  REQUIRE_OK (open_file ("c", true, &c, &err), err);
  CHECK_EQ_U64 (a->size, 100);
  CHECK_STR_EQ (a->name, "a");
  CHECK_OK (rv_io_pread (a, buf, 5, 0, &err), err);
  CHECK_MEM_EQ (buf, "hello", 5);
  CHECK (rv_io_same (a, b));
  CHECK (!rv_io_same (a, c));
  rv_io_prefetch (a, 0, 1000);
}

static void
holes_of_a_file_are_found (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err;
  uint64_t run;
  bool hole;

  make_file ("holes", "x", 8 << 20);
  REQUIRE_OK (open_file ("holes", false, &io, &err), err);
  rv_io_hole (io, 0, 8 << 20, &hole, &run);
  CHECK (!hole);
  if (run == 8 << 20)
    SKIP ("the filesystem knows no holes");
  CHECK (run <= 1 << 20);
  rv_io_hole (io, run, (8 << 20) - run, &hole, &run);
  CHECK (hole);
  rv_io_hole (io, (8 << 20) - 1, 100, &hole, &run);
  CHECK (hole && run == 1);
  CHECK (rv_io_allocated (io) <= 1 << 20);
}

static void
a_file_that_gets_shorter_has_no_hole_but_an_error (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err;
  uint64_t run;
  bool hole;
  char buf[100];

  make_file ("short", "hello", 100);
  REQUIRE_OK (open_file ("short", false, &io, &err), err);
  make_file ("short", "he", 50);
  CHECK_EQ_INT (rv_io_pread (io, buf, 100, 0, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO,
               "short has been truncated *at or before 50");
  CHECK_EQ_INT (err.errnum, EIO);
  rv_io_hole (io, 60, 40, &hole, &run);
  CHECK (!hole && run == 40);
}

static void
what_is_no_file_is_refused_without_waiting (void)
{
  CLEANUP_CLOSE int s = socket (AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "sock" };

  CHECK (mkdirat (dir, "folder", 0700) == 0);
  CHECK (mkfifoat (dir, "fifo", 0600) == 0);
  CHECK (fchdir (dir) == 0);
  CHECK (bind (s, (struct sockaddr *) &addr, sizeof addr) == 0);
  for (int beneath = 0; beneath <= 1; beneath++) {
    check_refused ("folder", beneath, "folder is a folder, not a regular file");
    check_refused (".", beneath, ". is a folder*");
    check_refused ("fifo", beneath, "fifo is a pipe, not a regular file");
    check_refused ("sock", beneath, "sock is a socket*");
  }
  check_refused ("/dev/null", false, "/dev/null is a character device*");
  check_refused ("/dev/tty", false, "/dev/tty is a*");
}

static void
a_missing_file_is_an_io_error (void)
{
  struct rv_io *io;
  rawview_error err;

  for (int beneath = 0; beneath <= 1; beneath++) {
    CHECK_EQ_INT (open_file ("missing", beneath, &io, &err), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_IO, "cannot open missing: No such file*");
    CHECK_EQ_INT (err.errnum, ENOENT);
    CHECK_EQ_INT (open_file ("", beneath, &io, &err), -1);
  }
}

static void
names_from_images_cannot_leave_their_folder (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err;

  CHECK (mkdirat (dir, "sub", 0700) == 0 || errno == EEXIST);
  make_file ("sub/x", "x", 1);
  CHECK (symlinkat ("/etc/passwd", dir, "link") == 0);
  CHECK (symlinkat ("sub", dir, "dirlink") == 0);
  check_refused ("link", true, "link is or passes a symbolic link*");
  check_refused ("dirlink/x", true, "dirlink/x *");
  check_refused ("../x", true, "../x *");
  check_refused ("/etc/passwd", true, "/etc/passwd *");
  check_refused ("sub/../../x", true, "sub/../../x *");
  CHECK_OK (open_file ("dirlink/x", false, &io, &err), err);
}

static void
names_from_images_may_go_down (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err;

  CHECK (mkdirat (dir, "sub", 0700) == 0 || errno == EEXIST);
  make_file ("sub/x", "x", 1);
  if (open_file ("sub/x", true, &io, &err) == -1) {
    CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*no openat2*");
    SKIP ("this kernel has no openat2");
  }
}

static void
open_names_without_openat2 (void)
{
#ifdef SYS_openat2
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err;

  if (!test_deny (SYS_openat2, -1, 0, ENOSYS))
    return;
  check_refused ("link2", true, "link2 is or passes a symbolic link*");
  check_refused ("..", true, ".. is a folder*");
  check_refused ("sub/x", true, "sub/x lies in a subfolder*");
  check_refused ("/etc/passwd", true, "/etc/passwd *");
  CHECK_OK (open_file ("x", true, &io, &err), err);
#endif
}

static void
an_old_kernel_opens_plain_names_only (void)
{
  make_file ("x", "x", 1);
  CHECK (symlinkat ("x", dir, "link2") == 0);
  test_in_child (open_names_without_openat2);
}

/*--- Descriptors --------------------------------------------------------*/

static int
open_fd (const char *name, int flags, rawview_error *err)
{
  struct rv_io *io = NULL;
  int fd = openat (dir, name, flags, 0600);

  if (rv_io_file_from_fd (fd, "fd", &plain, &io, err) == -1) {
    CHECK (fcntl (fd, F_GETFD) == -1); /* closed, too */
    return -1;
  }
  CHECK_EQ_INT (fcntl (fd, F_GETFD), FD_CLOEXEC);
  rv_io_unref (io);
  return 0;
}

static void
a_descriptor_must_be_of_a_readable_file (void)
{
  rawview_error err;
  struct rv_io *io;

  make_file ("f", "x", 10);
  CHECK_OK (open_fd ("f", O_RDONLY, &err), err);
  CHECK_OK (open_fd ("f", O_RDWR, &err), err);
  CHECK_EQ_INT (open_fd ("f", O_WRONLY, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "fd: * not open for reading");
  CHECK_EQ_INT (open_fd ("f", O_PATH, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "fd: * not open for reading");
  CHECK_EQ_INT (open_fd (".", O_RDONLY, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "fd is a folder*");
  CHECK_EQ_INT (rv_io_file_from_fd (-1, "fd", &plain, &io, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*is not open");
}

int
main (void)
{
  char path[] = "/tmp/rawview-test-io-XXXXXX", command[100];

  alarm (60); /* nothing here may wait */
  if (mkdtemp (path) == NULL)
    return 99;
  dir = open (path, O_RDONLY | O_DIRECTORY);
  TEST (bytes_are_read_from_where_they_are);
  TEST (reading_beyond_the_end_is_corruption);
  TEST (without_knowledge_everything_is_data);
  TEST (a_slice_shows_its_window_only);
  TEST (a_slice_must_lie_inside_its_parent);
  TEST (a_slice_of_a_file_knows_its_holes);
  TEST (from_the_nth_on_reads_fail);
  TEST (a_file_is_read_and_known_again);
  TEST (holes_of_a_file_are_found);
  TEST (a_file_that_gets_shorter_has_no_hole_but_an_error);
  TEST (what_is_no_file_is_refused_without_waiting);
  TEST (a_missing_file_is_an_io_error);
  TEST (names_from_images_cannot_leave_their_folder);
  TEST (names_from_images_may_go_down);
  TEST (an_old_kernel_opens_plain_names_only);
  TEST (a_descriptor_must_be_of_a_readable_file);
  snprintf (command, sizeof command, "rm -rf %s", path);
  return test_result () || system (command) != 0;
}
