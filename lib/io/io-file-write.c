/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing to a regular file or block device.
 *
 * Zeros are made by the filesystem or the device where it can: by
 *
 *   FALLOC_FL_PUNCH_HOLE  which gives the space back; of a device it is only
 *                         done where the device promises zeros, and never by
 *                         writing
 *   FALLOC_FL_ZERO_RANGE  which keeps it; for a device the kernel may write
 *
 * and by writing zeros where neither is known.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "io/io-file.h"
#include "util/checked.h"
#include "util/error.h"

/* The size grows with each part: what was written before a failure is there. */
int
rv_file_pwrite (struct rv_io *io, const void *buf, size_t len, uint64_t off,
                rawview_error *err)
{
  while (len > 0) {
    ssize_t n = pwrite (rv_file_io (io)->fd, buf, len, off);

    if (n == -1 && errno == EINTR)
      continue;
    if (n <= 0)
      return rv_error_errno (err, n == 0 ? ENOSPC : errno,
                             "cannot write %zu bytes to %s at %" PRIu64, len,
                             io->name, off);
    buf = (const char *) buf + n;
    len -= n;
    off += n;
    rv_io_raise_size (io, off);
  }
  return 0;
}

/*--- Zeros --------------------------------------------------------------*/

/* 0, or errno. */
static int
try_fallocate (struct rv_io *io, int mode, uint64_t off, uint64_t len)
{
  int r;

  do
    r = fallocate (rv_file_io (io)->fd, mode | FALLOC_FL_KEEP_SIZE, off, len);
  while (r == -1 && errno == EINTR);
  return r == 0 ? 0 : errno;
}

/* Does it say that it has no such call, or not for such a range?  Devices want
 * whole sectors.
 */
static bool
is_unsupported (int errnum)
{
  return errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == EINVAL ||
         errnum == ENODEV || errnum == EPERM;
}

/* Without writing zeros; 0, or errno. */
static int
zero_at_once (struct rv_io *io, uint64_t off, uint64_t len, unsigned flags)
{
  bool is_device = !io->can_grow;
  int r = EOPNOTSUPP;

  if (flags & RV_ZERO_PUNCH)
    r = try_fallocate (io, FALLOC_FL_PUNCH_HOLE, off, len);
  if (is_unsupported (r) && !(is_device && (flags & RV_ZERO_FAST)))
    r = try_fallocate (io, FALLOC_FL_ZERO_RANGE, off, len);
  return r;
}

static int
write_zeros (struct rv_io *io, uint64_t off, uint64_t len, rawview_error *err)
{
  static const uint8_t zeros[64 << 10];

  while (len > 0) {
    size_t n = rv_min_u64 (len, sizeof zeros);

    if (rv_file_pwrite (io, zeros, n, off, err) == -1)
      return -1;
    off += n;
    len -= n;
  }
  return 0;
}

int
rv_file_zero (struct rv_io *io, uint64_t off, uint64_t len, unsigned flags,
              rawview_error *err)
{
  int r = zero_at_once (io, off, len, flags);

  if (r == 0)
    return 0;
  if (!is_unsupported (r))
    return rv_error_errno (err, r,
                           "cannot zero %" PRIu64 " bytes of %s at %" PRIu64,
                           len, io->name, off);
  if (flags & RV_ZERO_FAST)
    return rv_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOTSUP,
                         "%s cannot be zeroed at %" PRIu64
                         " without writing zeros",
                         io->name, off);
  return write_zeros (io, off, len, err);
}

/*--- Durability ---------------------------------------------------------*/

/* fdatasync makes a file's size durable, too, which nothing could be read
 * without.
 */
int
rv_file_sync (struct rv_io *io, rawview_error *err)
{
  int r;

  do
    r = fdatasync (rv_file_io (io)->fd);
  while (r == -1 && errno == EINTR);
  if (r == 0)
    return 0;
  return rv_error_errno (err, errno,
                         "cannot make durable what was written to %s; all that "
                         "was written since the last flush may be lost, and "
                         "nothing more can be flushed until it is opened again",
                         io->name);
}
