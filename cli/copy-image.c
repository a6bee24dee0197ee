/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target of a copy that is a QCOW2 file, written by the library. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"

#define SECTOR 512

struct image_target {
  struct copy_target base;
  rawview_image *image;
  unsigned zero_flags;
  void **buffers; /* one per lane */
};

static struct image_target *
of_base (struct copy_target *t)
{
  return (struct image_target *) t;
}

/*--- Writing ------------------------------------------------------------*/

/* What it changes has to reach the disk now and then. */
static int
image_start (struct copy_target *t, rawview_error *err)
{
  return rawview_start (of_base (t)->image, err);
}

static void *
image_buffer (struct copy_target *t, unsigned lane, rawview_error *err)
{
  return of_base (t)->buffers[lane];
}

static int
image_write (struct copy_target *t, unsigned lane, const void *buf, size_t len,
             uint64_t off, rawview_error *err)
{
  return rawview_pwrite (of_base (t)->image, buf, len, off, err);
}

static int
image_zero (struct copy_target *t, unsigned lane, uint64_t len, uint64_t off,
            rawview_error *err)
{
  struct image_target *m = of_base (t);

  return rawview_zero (m->image, len, off, m->zero_flags, err);
}

static int
image_drain (struct copy_target *t, unsigned lane, rawview_error *err)
{
  return 0;
}

static int
image_flush (struct copy_target *t, rawview_error *err)
{
  return rawview_flush (of_base (t)->image, err);
}

/*--- Closing ------------------------------------------------------------*/

static void
image_abandon (struct copy_target *t)
{
  if (t->created)
    unlink (t->name);
}

static int
image_close (struct copy_target *t, bool ok, rawview_error *err)
{
  struct image_target *m = of_base (t);
  int r = 0;

  if (ok)
    r = rawview_finish (m->image, err);
  rawview_close (m->image);
  if (!ok || r == -1)
    image_abandon (t);
  for (unsigned i = 0; m->buffers != NULL && i < t->lanes; i++)
    free (m->buffers[i]);
  free (m->buffers);
  free (m);
  return r;
}

static const struct copy_ops image_ops = {
  .start = image_start,
  .buffer = image_buffer,
  .write = image_write,
  .zero = image_zero,
  .drain = image_drain,
  .flush = image_flush,
  .close = image_close,
  .abandon = image_abandon,
};

/*--- Opening ------------------------------------------------------------*/

/* Whether what is there may be replaced; 1 if nothing is. */
static int
check_existing (const char *name, const struct copy_target_options *o,
                rawview_error *err)
{
  int fd = open (name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r = 0;
  struct stat st;

  if (fd == -1 && errno == ENOENT)
    return 1;
  if (fd == -1 || fstat (fd, &st) == -1)
    r = cli_error_errno (err, errno, "%s", name);
  else if (!S_ISREG (st.st_mode))
    r = cli_error_set (err, RAWVIEW_ERROR_USAGE, EINVAL,
                       "%s: qcow2 is written to files, which this is not",
                       name);
  else if (st.st_size > 0 && !o->force)
    r = cli_error_set (err, RAWVIEW_ERROR_REFUSED, EEXIST,
                       "%s: exists and is not empty (--force overwrites it)",
                       name);
  else
    r = copy_lock_destination (fd, name, o->source, err);
  if (fd >= 0)
    close (fd);
  return r;
}

static int
create (struct image_target *m, const struct copy_target_options *o,
        rawview_error *err)
{
  const uint64_t size = (o->size + SECTOR - 1) / SECTOR * SECTOR;
  unsigned flags = o->preallocated ? RAWVIEW_CREATE_PREALLOCATE : 0;
  int r = check_existing (m->base.name, o, err);

  if (r == -1)
    return -1;
  if (r == 0)
    flags |= RAWVIEW_CREATE_REPLACE;
  if (rawview_create (m->base.name, "qcow2", size, flags, err) == -1)
    return -1;
  /* Also what has replaced another is nothing to keep if the copy fails. */
  m->base.created = true;
  return 0;
}

static int
open_created (struct image_target *m, rawview_error *err)
{
  rawview_options *o = rawview_options_new ();
  int r = -1;

  if (o == NULL)
    return cli_error_errno (err, ENOMEM, "copy");
  rawview_options_set_writable (o, true);
  if (rawview_options_set (o, "format", "qcow2", err) == 0 &&
      rawview_open (m->base.name, o, &m->image, err) == 0)
    r = rawview_make_writable (m->image, err);
  rawview_options_free (o);
  return r;
}

static int
allocate_buffers (struct image_target *m, rawview_error *err)
{
  const size_t page = 4096;

  m->buffers = calloc (m->base.lanes, sizeof *m->buffers);
  for (unsigned i = 0; m->buffers != NULL && i < m->base.lanes; i++) {
    m->buffers[i] = aligned_alloc (page, COPY_PIECE);
    if (m->buffers[i] == NULL)
      return cli_error_errno (err, ENOMEM, "copy");
  }
  return m->buffers != NULL ? 0 : cli_error_errno (err, ENOMEM, "copy");
}

struct copy_target *
copy_image_open (const char *name, const struct copy_target_options *options,
                 rawview_error *err)
{
  struct image_target *m = calloc (1, sizeof *m);
  rawview_error ignored;

  if (m == NULL) {
    cli_error_errno (err, ENOMEM, "copy");
    return NULL;
  }
  m->base.ops = &image_ops;
  m->base.name = name;
  m->base.lanes = options->lanes;
  m->base.zeroed = true;
  m->base.always_flush = true;
  m->zero_flags = options->preallocated ? 0 : RAWVIEW_ZERO_MAY_TRIM;
  if (allocate_buffers (m, err) == -1 || create (m, options, err) == -1 ||
      open_created (m, err) == -1) {
    image_close (&m->base, false, &ignored);
    return NULL;
  }
  /* Whole clusters, so that nothing is filled up.  A stream's grains may be
   * smaller.
   */
  m->base.granularity =
      options->source ? rawview_get_preferred_block_size (m->image) : SECTOR;
  return &m->base;
}
