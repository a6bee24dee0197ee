/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A regular file or block device, read by descriptor.
 *
 * The name may come from an image, and what stands there may have been put
 * there to hang or to mislead us.  So the open never blocks (a FIFO would),
 * what was opened is judged by its descriptor and not by its name, and a name
 * from an image is resolved by the kernel below its folder without any link.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifdef HAVE_LINUX_FS_H
#include <linux/fs.h> /* BLKGETSIZE64 */
#endif
#ifdef HAVE_LINUX_OPENAT2_H
#include <linux/openat2.h>
#endif

#include "io/io-file.h"
#include "io/io.h"
#include "io/lock.h"
#include "util/checked.h"
#include "util/error.h"

#define OPEN_FLAGS (O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

static int
file_fd (struct rv_io *io)
{
  return rv_file_io (io)->fd;
}

/*--- Reading ------------------------------------------------------------*/

static int
file_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
            rawview_error *err)
{
  while (len > 0) {
    ssize_t n = pread (file_fd (io), buf, len, off);

    if (n == -1 && errno == EINTR)
      continue;
    if (n == -1)
      return rv_error_errno (err, errno, "cannot read %s at %" PRIu64, io->name,
                             off);
    if (n == 0)
      return rv_error_set (err, RAWVIEW_ERROR_IO, EIO,
                           "%s has been truncated while it was open: it had "
                           "%" PRIu64 " bytes and now ends at or before "
                           "%" PRIu64,
                           io->name, (uint64_t) io->size, off);
    buf = (char *) buf + n;
    len -= n;
    off += n;
  }
  return 0;
}

/* Is it still as long as when it was opened, or as we have made it?  If not,
 * what lies beyond its end is missing rather than zero.  The size is taken
 * first: it may grow, but never beyond what the file has by then.
 */
static bool
has_its_size (struct rv_io *io)
{
  uint64_t size = io->size;
  struct stat st;

  return fstat (file_fd (io), &st) == 0 &&
         (!S_ISREG (st.st_mode) || (uint64_t) st.st_size >= size);
}

/* The file position that lseek moves is used by nobody: all reads are preads.
 */
static int
file_hole (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
           uint64_t *run)
{
  off_t next = lseek (file_fd (io), off, SEEK_DATA);

  *run = len;
  *hole = true;
  if (next == -1)
    return errno == ENXIO && has_its_size (io) ? 0 : -1;
  if ((uint64_t) next == off) {
    *hole = false;
    next = lseek (file_fd (io), off, SEEK_HOLE);
    if (next == -1)
      return -1;
  }
  if ((uint64_t) next <= off)
    return -1;
  *run = rv_min_u64 (next - off, len);
  return 0;
}

static void
file_prefetch (struct rv_io *io, uint64_t off, uint64_t len)
{
  posix_fadvise (file_fd (io), off, len, POSIX_FADV_WILLNEED);
}

static uint64_t
file_allocated (struct rv_io *io)
{
  struct stat st;

  if (fstat (file_fd (io), &st) == -1)
    return 0;
  return (uint64_t) st.st_blocks * 512;
}

/* Without locks there is nothing to change. */
static int
file_lock_for_writing (struct rv_io *io, rawview_error *err)
{
  struct rv_file_io *f = rv_file_io (io);

  if (!f->locked || f->locked_for_writing)
    return 0;
  if (rv_lock_change (f->fd, io->name, RV_LOCK_READER, RV_LOCK_WRITER, err) ==
      -1)
    return -1;
  f->locked_for_writing = true;
  return 0;
}

static void
file_lock_for_reading (struct rv_io *io)
{
  struct rv_file_io *f = rv_file_io (io);

  if (f->locked_for_writing)
    rv_lock_change (f->fd, io->name, RV_LOCK_WRITER, RV_LOCK_READER, NULL);
  f->locked_for_writing = false;
}

static void
file_free (struct rv_io *io)
{
  close (file_fd (io));
  free (io);
}

static const struct rv_io_ops file_ops = {
  .name = "file",
  .pread = file_pread,
  .hole = file_hole,
  .prefetch = file_prefetch,
  .allocated = file_allocated,
  .pwrite = rv_file_pwrite,
  .zero = rv_file_zero,
  .sync = rv_file_sync,
  .lock_for_writing = file_lock_for_writing,
  .lock_for_reading = file_lock_for_reading,
  .free = file_free,
};

/*--- Opening ------------------------------------------------------------*/

static const char *
type_name (mode_t mode)
{
  switch (mode & S_IFMT) {
  case S_IFDIR:
    return "a folder";
  case S_IFIFO:
    return "a pipe";
  case S_IFSOCK:
    return "a socket";
  case S_IFCHR:
    return "a character device";
  default:
    return "something unknown";
  }
}

/* Finds the size, and refuses what is neither file nor permitted device. */
static int
examine (int fd, const char *show, bool allow_devices, struct stat *st,
         uint64_t *size, rawview_error *err)
{
  if (fstat (fd, st) == -1)
    return rv_error_errno (err, errno, "cannot examine %s", show);
  if (S_ISREG (st->st_mode)) {
    *size = st->st_size;
    return 0;
  }
  if (!S_ISBLK (st->st_mode))
    return rv_error_refused (err, "%s is %s, not a regular file", show,
                             type_name (st->st_mode));
  if (!allow_devices)
    return rv_error_refused (err,
                             "%s is a block device; allow-devices=yes would "
                             "permit it",
                             show);
  if (ioctl (fd, BLKGETSIZE64, size) == -1)
    return rv_error_errno (err, errno, "cannot get the size of device %s",
                           show);
  return 0;
}

static int
lock (int fd, const char *show, const struct rv_io_file_options *opts,
      bool *locked, rawview_error *err)
{
  bool unsupported;

  *locked = false;
  if (opts->lock_missing != NULL)
    *opts->lock_missing = false;
  if (!opts->lock)
    return 0;
  if (rv_lock_take (fd, show, RV_LOCK_READER, &unsupported, err) == -1)
    return -1;
  if (unsupported && opts->lock_required)
    return rv_error_unsupported (err,
                                 "%s cannot be locked: its filesystem or this "
                                 "kernel has no such locks; locking=auto would "
                                 "go on without",
                                 show);
  if (unsupported && opts->lock_missing != NULL)
    *opts->lock_missing = true;
  *locked = !unsupported;
  return 0;
}

/* Takes over fd, also on failure. */
static int
wrap (int fd_, const char *show, const struct rv_io_file_options *opts,
      bool writable, struct rv_io **io, rawview_error *err)
{
  CLEANUP_CLOSE int fd = fd_;
  CLEANUP_FREE struct rv_file_io *f = NULL;
  struct stat st;
  uint64_t size;
  bool locked;

  if (examine (fd, show, opts->allow_devices, &st, &size, err) == -1 ||
      lock (fd, show, opts, &locked, err) == -1)
    return -1;
  f = calloc (1, sizeof *f);
  if (f == NULL || rv_io_init (&f->base, &file_ops, show, size) == -1)
    return rv_error_nomem (err);
  f->base.writable = writable;
  f->base.can_grow = S_ISREG (st.st_mode);
  f->base.many_names = S_ISREG (st.st_mode) && st.st_nlink > 1;
  f->locked = locked;
  f->base.has_id = true;
  /* One device may have several names: its number is what it is. */
  f->base.dev = S_ISBLK (st.st_mode) ? st.st_rdev : st.st_dev;
  f->base.ino = S_ISBLK (st.st_mode) ? 0 : st.st_ino;
  f->fd = rv_steal_fd (&fd);
  *io = &STEAL (f)->base;
  return 0;
}

/* Where the kernel has no openat2: names without folders can be opened without
 * following a link, others cannot.
 */
static int
open_plain_name (int dirfd, const char *name, int flags)
{
  if (strchr (name, '/') != NULL) {
    errno = ENOSYS;
    return -1;
  }
  return openat (dirfd, name, flags | O_NOFOLLOW);
}

static int
open_beneath (int dirfd, const char *name, int flags)
{
#if defined HAVE_LINUX_OPENAT2_H && defined SYS_openat2
  struct open_how how = {
    .flags = flags,
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  int fd;

  /* EAGAIN: something was renamed while the kernel looked for it. */
  for (int tries = 0; tries < 100; tries++) {
    fd = syscall (SYS_openat2, dirfd, name, &how, sizeof how);
    if (fd != -1 || errno != EAGAIN)
      break;
  }
  /* Some container sandboxes say EPERM to calls that they do not know. */
  if (fd != -1 || (errno != ENOSYS && errno != EPERM))
    return fd;
#endif
  return open_plain_name (dirfd, name, flags);
}

static int
refuse_open (int errnum, bool beneath, const char *show, rawview_error *err)
{
  if (beneath && errnum == ELOOP)
    return rv_error_refused (err,
                             "%s is or passes a symbolic link; names that come "
                             "from an image may not",
                             show);
  if (beneath && errnum == EXDEV)
    return rv_error_refused (err, "%s leads out of its folder", show);
  if (beneath && errnum == ENOSYS)
    return rv_error_refused (err,
                             "%s lies in a subfolder, and this kernel cannot "
                             "open it safely (it has no openat2)",
                             show);
  if (errnum == ENXIO || errnum == ENODEV)
    return rv_error_refused (err, "%s is a socket or a device without a driver",
                             show);
  return rv_error_errno (err, errnum, "cannot open %s", show);
}

/* Does errnum leave the hope that it can be opened for reading?  EISDIR: it is
 * opened to be called what it is.  ENOSYS: a file that nobody may write in a
 * subfolder looks like a kernel without openat2.
 */
static bool
is_read_only (int errnum)
{
  return errnum == EACCES || errnum == EPERM || errnum == EROFS ||
         errnum == ETXTBSY || errnum == EISDIR || errnum == ENOSYS;
}

static int
open_as (int dirfd, const char *name, bool beneath, int mode)
{
  int flags = OPEN_FLAGS | mode;

  return beneath ? open_beneath (dirfd, name, flags)
                 : openat (dirfd, name, flags);
}

int
rv_io_file_openat (int dirfd, const char *name, bool beneath, const char *show,
                   const struct rv_io_file_options *opts, struct rv_io **io,
                   rawview_error *err)
{
  int fd = open_as (dirfd, name, beneath, opts->writable ? O_RDWR : O_RDONLY);
  int write_errnum = 0;

  if (fd == -1 && opts->writable && is_read_only (errno)) {
    write_errnum = errno == ENOSYS ? EPERM : errno;
    fd = open_as (dirfd, name, beneath, O_RDONLY);
  }
  if (fd == -1)
    return refuse_open (errno, beneath, show, err);
  if (wrap (fd, show, opts, opts->writable && write_errnum == 0, io, err) == -1)
    return -1;
  (*io)->write_errnum = write_errnum;
  return 0;
}

/* An inherited descriptor has flags that we did not choose.  With O_APPEND all
 * writes would go to the end, wherever they are meant to go.
 */
static int
check_flags (int fd, const char *show, bool *writable, rawview_error *err)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags == -1)
    return rv_error_set (err, RAWVIEW_ERROR_USAGE, errno,
                         "%s: descriptor %d is not open", show, fd);
  if ((flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH))
    return rv_error_set (err, RAWVIEW_ERROR_USAGE, EBADF,
                         "%s: descriptor %d is not open for reading", show, fd);
  if (flags & O_DIRECT)
    return rv_error_usage (err,
                           "%s: descriptor %d is open with O_DIRECT, which "
                           "cannot be used here",
                           show, fd);
  if (fcntl (fd, F_SETFD, FD_CLOEXEC) == -1)
    return rv_error_errno (err, errno, "%s: descriptor %d", show, fd);
  *writable = (flags & O_ACCMODE) == O_RDWR && (flags & O_APPEND) == 0;
  return 0;
}

int
rv_io_file_from_fd (int fd, const char *show,
                    const struct rv_io_file_options *opts, struct rv_io **io,
                    rawview_error *err)
{
  bool writable;

  if (check_flags (fd, show, &writable, err) == -1) {
    if (fd >= 0)
      close (fd);
    return -1;
  }
  return wrap (fd, show, opts, opts->writable && writable, io, err);
}
