/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* New images, empty ones: for what is copied or converted. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "format/qcow2-write.h"
#include "io/io.h"
#include "new-file.h"
#include "util/checked.h"
#include "util/error.h"
#include "util/text.h"

#define CLUSTER_BITS 16u
#define ALL_FLAGS    (RAWVIEW_CREATE_REPLACE | RAWVIEW_CREATE_PREALLOCATE)

struct wanted {
  const char *name;
  uint64_t size;
  bool preallocate;
};

static int
failed (const struct wanted *w, int errnum, rawview_error *err)
{
  return rv_error_errno (err, errnum, "cannot make the image %s", w->name);
}

/*--- raw ----------------------------------------------------------------*/

static int
fill_raw (void *opaque, int fd, rawview_error *err)
{
  const struct wanted *w = opaque;
  int r;

  if (ftruncate (fd, w->size) == -1)
    return failed (w, errno, err);
  if (!w->preallocate || w->size == 0)
    return 0;
  do
    r = posix_fallocate (fd, 0, w->size);
  while (r == EINTR);
  return r == 0 ? 0 : failed (w, r, err);
}

/*--- QCOW2 --------------------------------------------------------------*/

/* Bytes of the file when all of the disk has a place: also the tables that are
 * made as it is written.
 */
static uint64_t
full_size (uint64_t empty, uint64_t size)
{
  uint64_t cluster = 1ull << CLUSTER_BITS;
  uint64_t data = rv_div_up (size, cluster);
  uint64_t l2 = rv_div_up (data, cluster / 8);
  uint64_t refblocks = rv_div_up (data + l2, cluster / 2) + 1;

  return empty + (data + l2 + refblocks) * cluster;
}

/* The file's end stays where it is: clusters are taken from there as ever, but
 * their space is there.
 */
static int
reserve (const struct wanted *w, int fd, rawview_error *err)
{
  struct stat st;
  int r;

  if (fstat (fd, &st) == -1)
    return failed (w, errno, err);
  do
    r = fallocate (fd, FALLOC_FL_KEEP_SIZE, 0, full_size (st.st_size, w->size));
  while (r == -1 && errno == EINTR);
  if (r == 0)
    return 0;
  if (errno == EOPNOTSUPP || errno == ENOSYS)
    return rv_error_unsupported (err,
                                 "cannot make the image %s: its filesystem "
                                 "cannot reserve space for it",
                                 w->name);
  return failed (w, errno, err);
}

static int
fill_qcow2 (void *opaque, int fd, rawview_error *err)
{
  static const struct rv_io_file_options fo = { .writable = true };
  const struct wanted *w = opaque;
  struct rv_qcow2_create how = { .size = w->size,
                                 .cluster_bits = CLUSTER_BITS };
  CLEANUP_IO struct rv_io *io = NULL;
  int copy = fcntl (fd, F_DUPFD_CLOEXEC, 0);

  if (copy == -1)
    return failed (w, errno, err);
  if (rv_io_file_from_fd (copy, w->name, &fo, &io, err) == -1 ||
      rv_qcow2_create (io, &how, err) == -1)
    return -1;
  return w->preallocate ? reserve (w, fd, err) : 0;
}

/*--- What is there ------------------------------------------------------*/

static int
refuse_existing (const char *name, rawview_error *err)
{
  return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EEXIST,
                       "%s is there already, and is not replaced", name);
}

/* *old, which may be replaced, is kept from being written meanwhile; NULL if
 * there is none.
 */
static int
look_at_old (const char *name, bool replace, struct rv_io **old,
             rawview_error *err)
{
  static const struct rv_io_file_options fo = { .writable = true,
                                                .lock = true };
  struct stat st;

  if (lstat (name, &st) == -1)
    return 0;
  if (!replace)
    return refuse_existing (name, err);
  if (!S_ISREG (st.st_mode))
    return rv_error_refused (
        err, "%s is not a regular file, so it is not replaced", name);
  if (rv_io_file_openat (AT_FDCWD, name, false, name, &fo, old, err) == -1)
    return -1;
  return rv_io_lock_for_writing (*old, err);
}

/*--- The interface ------------------------------------------------------*/

static int
check (const char *name, uint64_t size, unsigned flags, rawview_error *err)
{
  if (rv_text_basename (name)[0] == '\0' || rv_text_is_nbd_uri (name))
    return rv_error_usage (err, "\"%s\" is no name for a new image", name);
  if (flags & ~ALL_FLAGS)
    return rv_error_usage (err, "%s: there is no such way to make an image",
                           name);
  if (size > INT64_MAX)
    return rv_error_usage (err, "%s: %ju bytes are too many for a file", name,
                           (uintmax_t) size);
  return 0;
}

/* Returns NULL if no image of the format is made. */
static int (*filler (const char *format)) (void *, int, rawview_error *)
{
  if (strcmp (format, "raw") == 0)
    return fill_raw;
  if (strcmp (format, "qcow2") == 0)
    return fill_qcow2;
  return NULL;
}

int
rawview_create (const char *name, const char *format, uint64_t size,
                unsigned flags, rawview_error *err)
{
  struct wanted w = { name, size, flags & RAWVIEW_CREATE_PREALLOCATE };
  struct rv_new_file how = { .path = name,
                             .what = "the image",
                             .replace = flags & RAWVIEW_CREATE_REPLACE,
                             .fill = filler (format),
                             .opaque = &w };
  CLEANUP_IO struct rv_io *old = NULL;
  bool exists;
  int r;

  if (how.fill == NULL)
    return rv_error_usage (err,
                           "%s: the formats of new images are qcow2 and raw, "
                           "not %s",
                           name, format);
  if (check (name, size, flags, err) == -1 ||
      look_at_old (name, how.replace, &old, err) == -1)
    return -1;
  r = rv_new_file (&how, &exists, err);
  return exists ? refuse_existing (name, err) : r;
}
