/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Targets of rawview copy that are files, block devices or streams. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/falloc.h>

#include "copy.h"

/* What is written where the kernel has no better way to make zeros. */
static const uint8_t zeros[64 * 1024];

struct file_target {
  struct copy_target base;
  int fd;
  atomic_uint no_zeroing; /* bit per way of zero_ways that does not work */
  void **buffers;         /* one per lane */
};

static struct file_target *
of_base (struct copy_target *t)
{
  return (struct file_target *) t;
}

static void *
file_buffer (struct copy_target *t, unsigned lane, rawview_error *err)
{
  return of_base (t)->buffers[lane];
}

static int
file_write (struct copy_target *t, unsigned lane, const void *buf, size_t len,
            uint64_t off, rawview_error *err)
{
  const int fd = of_base (t)->fd;

  while (len > 0) {
    ssize_t n =
        t->ordered ? write (fd, buf, len) : pwrite (fd, buf, len, (off_t) off);

    if (n == -1 && errno == EINTR)
      continue;
    if (n == -1)
      return cli_error_errno (err, errno, "%s: cannot write at offset %llu",
                              t->name, (unsigned long long) off);
    buf = (const uint8_t *) buf + n;
    len -= (size_t) n;
    off += (uint64_t) n;
  }
  return 0;
}

static int
write_zeros (struct copy_target *t, unsigned lane, uint64_t len, uint64_t off,
             rawview_error *err)
{
  while (len > 0) {
    size_t n = len < sizeof zeros ? len : sizeof zeros;

    if (file_write (t, lane, zeros, n, off, err) == -1)
      return -1;
    off += n;
    len -= n;
  }
  return 0;
}

/* First the one that frees the space.  On a block device the kernel promises
 * zeros for both, without falling back to writing them for the first.
 */
enum { PUNCH, ZERO_RANGE };

static const int zero_ways[] = {
  [PUNCH] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
  [ZERO_RANGE] = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
};

static int
file_zero (struct copy_target *t, unsigned lane, uint64_t len, uint64_t off,
           rawview_error *err)
{
  struct file_target *f = of_base (t);

  for (unsigned i = 0; i < CLI_COUNT (zero_ways) && !t->ordered; i++) {
    if (atomic_load (&f->no_zeroing) & (1u << i))
      continue;
    if (fallocate (f->fd, zero_ways[i], (off_t) off, (off_t) len) == 0)
      return 0;
    /* EINVAL is about this range: a device with larger sectors. */
    if (errno != EINVAL)
      atomic_fetch_or (&f->no_zeroing, 1u << i);
  }
  return write_zeros (t, lane, len, off, err);
}

static int
file_drain (struct copy_target *t, unsigned lane, rawview_error *err)
{
  return 0;
}

static int
file_flush (struct copy_target *t, rawview_error *err)
{
  /* A pipe has nothing to flush. */
  if (fsync (of_base (t)->fd) == -1 && errno != EINVAL && errno != EROFS)
    return cli_error_errno (err, errno, "%s: cannot flush", t->name);
  return 0;
}

static void
file_abandon (struct copy_target *t)
{
  if (t->created)
    unlink (t->name);
}

static int
file_close (struct copy_target *t, bool ok, rawview_error *err)
{
  struct file_target *f = of_base (t);
  int r = 0;

  /* Some file systems tell only now that an earlier write failed. */
  if (f->fd >= 0 && close (f->fd) == -1 && errno != EINTR && ok)
    r = cli_error_errno (err, errno, "%s: cannot close", t->name);
  if (!ok || r == -1)
    file_abandon (t);
  for (unsigned i = 0; f->buffers != NULL && i < t->lanes; i++)
    free (f->buffers[i]);
  free (f->buffers);
  free (f);
  return r;
}

static const struct copy_ops file_ops = {
  .buffer = file_buffer,
  .write = file_write,
  .zero = file_zero,
  .drain = file_drain,
  .flush = file_flush,
  .close = file_close,
  .abandon = file_abandon,
};

/*--- Opening ------------------------------------------------------------*/

/* What is empty is left alone: ext4 takes the truncation of a file to 0 as the
 * start of its replacement, and writes all of it out when it is closed.
 */
static int
empty (int fd)
{
  struct stat st;

  if (fstat (fd, &st) == -1)
    return -1;
  return st.st_size == 0 ? 0 : ftruncate (fd, 0);
}

/* Space that zeros are not to give back. */
static int
preallocate (struct file_target *f, const struct copy_target_options *o,
             rawview_error *err)
{
  int r;

  if (o->size == 0)
    return 0;
  do
    r = posix_fallocate (f->fd, 0, (off_t) o->size);
  while (r == EINTR);
  return r == 0 ? 0
                : cli_error_errno (err, r, "%s: cannot allocate %llu bytes",
                                   f->base.name, (unsigned long long) o->size);
}

static int
prepare_regular (struct file_target *f, const struct stat *st,
                 const struct copy_target_options *o, rawview_error *err)
{
  const char *name = f->base.name;

  if (st->st_size > 0 && !o->force)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EEXIST,
                          "%s: exists and is not empty (--force overwrites it)",
                          name);
  if (copy_lock_destination (f->fd, name, o->source, err) == -1)
    return -1;
  if (empty (f->fd) == -1 || ftruncate (f->fd, (off_t) o->size) == -1)
    return cli_error_errno (err, errno, "%s: cannot make it %llu bytes long",
                            name, (unsigned long long) o->size);
  if (o->preallocated && preallocate (f, o, err) == -1)
    return -1;
  f->base.zeroed = true;
  return 0;
}

/* The old contents of a device are unknown, so zeros are written too. */
static int
prepare_device (struct file_target *f, const struct copy_target_options *o,
                rawview_error *err)
{
  off_t size = lseek (f->fd, 0, SEEK_END);

  if (size == -1)
    return cli_error_errno (err, errno, "%s: cannot find its size",
                            f->base.name);
  if ((uint64_t) size < o->size)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, ENOSPC,
                          "%s: has %llu bytes, the disk needs %llu",
                          f->base.name, (unsigned long long) size,
                          (unsigned long long) o->size);
  f->base.zeroed = o->zeroed;
  f->base.always_flush = true;
  return copy_lock_destination (f->fd, f->base.name, o->source, err);
}

/* What was opened by somebody with more privileges. */
static int
adopt (struct file_target *f, int fd, struct stat *st, rawview_error *err)
{
  f->fd = fcntl (fd, F_DUPFD_CLOEXEC, 0);
  if (f->fd == -1 || fstat (f->fd, st) == -1)
    return cli_error_errno (err, errno, "%s", f->base.name);
  return 0;
}

/* O_EXCL makes it certain that we created the file, and so may remove it; for a
 * block device it says that nobody has mounted it.
 */
static int
open_named (struct file_target *f, const struct copy_target_options *o,
            struct stat *st, rawview_error *err)
{
  const char *name = f->base.name;
  const int flags = O_RDWR | O_CLOEXEC | O_NOCTTY;

  if (o->fd != NULL)
    return adopt (f, *o->fd, st, err);
  f->fd = open (name, flags | O_CREAT | O_EXCL, 0666);
  f->base.created = f->fd >= 0;
  if (!f->base.created && errno == EEXIST) {
    if (stat (name, st) == -1)
      return cli_error_errno (err, errno, "%s", name);
    if (S_ISREG (st->st_mode))
      f->fd = open (name, flags);
    else if (S_ISBLK (st->st_mode))
      f->fd = open (name, flags | O_EXCL);
    else
      f->fd = open (name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  }
  if (f->fd == -1 && errno == EBUSY)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EBUSY,
                          "%s: is in use, perhaps mounted", name);
  if (f->fd == -1 || fstat (f->fd, st) == -1)
    return cli_error_errno (err, errno, "%s", name);
  return 0;
}

static int
open_target (struct file_target *f, const struct copy_target_options *o,
             rawview_error *err)
{
  struct stat st;

  if (strcmp (f->base.name, "-") == 0) {
    f->base.name = "standard output";
    f->base.ordered = true;
    f->fd = dup (STDOUT_FILENO);
    return f->fd == -1 ? cli_error_errno (err, errno, "standard output") : 0;
  }
  if (open_named (f, o, &st, err) == -1)
    return -1;
  if (S_ISREG (st.st_mode))
    return prepare_regular (f, &st, o, err);
  if (S_ISBLK (st.st_mode))
    return prepare_device (f, o, err);
  f->base.ordered = true;
  return 0;
}

static int
allocate_buffers (struct file_target *f, rawview_error *err)
{
  const size_t page = 4096;

  f->buffers = calloc (f->base.lanes, sizeof *f->buffers);
  for (unsigned i = 0; f->buffers != NULL && i < f->base.lanes; i++) {
    f->buffers[i] = aligned_alloc (page, COPY_PIECE);
    if (f->buffers[i] == NULL)
      return cli_error_errno (err, ENOMEM, "copy");
  }
  return f->buffers != NULL ? 0 : cli_error_errno (err, ENOMEM, "copy");
}

struct copy_target *
copy_file_open (const char *name, const struct copy_target_options *options,
                rawview_error *err)
{
  struct file_target *f = calloc (1, sizeof *f);
  rawview_error ignored;

  if (f == NULL) {
    cli_error_errno (err, ENOMEM, "copy");
    return NULL;
  }
  f->fd = -1;
  f->base.ops = &file_ops;
  f->base.name = name;
  f->base.lanes = options->lanes;
  f->base.granularity = 512;
  if (options->preallocated)
    atomic_store (&f->no_zeroing, 1u << PUNCH);
  if (allocate_buffers (f, err) == -1 || open_target (f, options, err) == -1) {
    file_close (&f->base, false, &ignored);
    return NULL;
  }
  return &f->base;
}
