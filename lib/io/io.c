/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "io/io.h"
#include "util/checked.h"
#include "util/error.h"

static atomic_uintptr_t last_serial;

int
rv_io_init (struct rv_io *io, const struct rv_io_ops *ops, const char *name,
            uint64_t size)
{
  io->name = strdup (name);
  if (io->name == NULL)
    return -1;
  io->ops = ops;
  atomic_init (&io->refs, 1);
  io->size = size;
  io->serial = atomic_fetch_add (&last_serial, 1) + 1;
  io->has_id = false;
  io->writable = false;
  io->write_errnum = 0;
  io->can_grow = false;
  io->slow = false;
  atomic_init (&io->unsynced, false);
  atomic_init (&io->sync_failed, false);
  pthread_mutex_init (&io->sync_lock, NULL);
  return 0;
}

void
rv_io_raise_size (struct rv_io *io, uint64_t size)
{
  uint64_t old = io->size;

  while (old < size && !atomic_compare_exchange_weak (&io->size, &old, size))
    ;
}

void
rv_io_like (struct rv_io *io, const struct rv_io *parent)
{
  io->writable = parent->writable;
  io->write_errnum = parent->write_errnum;
  io->can_grow = parent->can_grow;
  io->slow = parent->slow;
  io->has_id = parent->has_id;
  io->dev = parent->dev;
  io->ino = parent->ino;
}

struct rv_io *
rv_io_ref (struct rv_io *io)
{
  if (io != NULL)
    atomic_fetch_add_explicit (&io->refs, 1, memory_order_relaxed);
  return io;
}

void
rv_io_unref (struct rv_io *io)
{
  char *name;

  if (io == NULL ||
      atomic_fetch_sub_explicit (&io->refs, 1, memory_order_acq_rel) != 1)
    return;
  name = io->name;
  pthread_mutex_destroy (&io->sync_lock);
  io->ops->free (io);
  free (name);
}

int
rv_io_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
             rawview_error *err)
{
  uint64_t size = io->size;

  if (!rv_range_fits (off, len, size))
    return rv_error_corrupt (err,
                             "%s is cut short: %zu bytes are needed at %" PRIu64
                             ", but it ends at %" PRIu64,
                             io->name, len, off, size);
  return len == 0 ? 0 : io->ops->pread (io, buf, len, off, err);
}

void
rv_io_hole (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
            uint64_t *run)
{
  uint64_t size = io->size;
  uint64_t inside = off < size ? rv_min_u64 (len, size - off) : 0;
  bool h;
  uint64_t r;

  *hole = false;
  *run = len;
  if (inside == 0 || io->ops->hole == NULL ||
      io->ops->hole (io, off, inside, &h, &r) == -1)
    return;
  if (r == 0 || r > inside)
    return;
  *hole = h;
  *run = r;
}

void
rv_io_prefetch (struct rv_io *io, uint64_t off, uint64_t len)
{
  uint64_t size = io->size;

  if (io->ops->prefetch == NULL || off >= size || len == 0)
    return;
  io->ops->prefetch (io, off, rv_min_u64 (len, size - off));
}

uint64_t
rv_io_allocated (struct rv_io *io)
{
  return io->ops->allocated ? io->ops->allocated (io) : 0;
}

/*--- Writing ------------------------------------------------------------*/

/* What no file can hold has no offset that off_t could say. */
static int
check_end (struct rv_io *io, size_t len, uint64_t off, rawview_error *err)
{
  uint64_t end, size = io->size;

  if (!rv_add_u64 (off, len, &end) || end > INT64_MAX)
    return rv_error_set (err, RAWVIEW_ERROR_IO, EFBIG,
                         "cannot write %zu bytes to %s at %" PRIu64
                         ": no file is that long",
                         len, io->name, off);
  if (!io->can_grow && end > size)
    return rv_error_set (err, RAWVIEW_ERROR_IO, ENOSPC,
                         "cannot write %zu bytes to %s at %" PRIu64
                         ": it ends at %" PRIu64 " and cannot grow",
                         len, io->name, off, size);
  return 0;
}

int
rv_io_refuse_writing (const struct rv_io *io, rawview_error *err)
{
  if (io->write_errnum != 0)
    return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EROFS,
                         "%s cannot be opened for writing: %s", io->name,
                         strerror (io->write_errnum));
  if (io->ops->pwrite == NULL)
    return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EROFS,
                         "%s cannot be written where it is, inside another "
                         "file or on an NBD server",
                         io->name);
  return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EROFS,
                       "%s was opened for reading only", io->name);
}

/* unsynced is set when the bytes are there, and not before: a sync that came
 * between would clear it without having seen them.  A write that fails may have
 * written something.
 */
int
rv_io_pwrite (struct rv_io *io, const void *buf, size_t len, uint64_t off,
              rawview_error *err)
{
  int r;

  if (!io->writable || io->ops->pwrite == NULL)
    return rv_io_refuse_writing (io, err);
  if (check_end (io, len, off, err) == -1)
    return -1;
  if (len == 0)
    return 0;
  r = io->ops->pwrite (io, buf, len, off, err);
  atomic_store (&io->unsynced, true);
  return r;
}

int
rv_io_zero (struct rv_io *io, uint64_t off, uint64_t len, unsigned flags,
            rawview_error *err)
{
  uint64_t size = io->size;
  int r;

  if (!io->writable || io->ops->zero == NULL)
    return rv_io_refuse_writing (io, err);
  if (!rv_range_fits (off, len, size))
    return rv_error_set (err, RAWVIEW_ERROR_IO, EINVAL,
                         "cannot zero %" PRIu64 " bytes of %s at %" PRIu64
                         ": it ends at %" PRIu64,
                         len, io->name, off, size);
  if (len == 0)
    return 0;
  r = io->ops->zero (io, off, len, flags, err);
  atomic_store (&io->unsynced, true);
  return r;
}

/* The lock is held while the storage syncs, so that who comes meanwhile waits
 * for that, and for one of his own if more was written: he never returns
 * because another has merely begun.
 */
int
rv_io_sync (struct rv_io *io, rawview_error *err)
{
  rawview_error e;
  LOCKED (&io->sync_lock);

  if (!atomic_load (&io->sync_failed)) {
    if (!atomic_exchange (&io->unsynced, false) || io->ops->sync == NULL ||
        io->ops->sync (io, &e) == 0)
      return 0;
    io->sync_error = e;
    atomic_store (&io->sync_failed, true);
  }
  if (err != NULL)
    *err = io->sync_error;
  return -1;
}

int
rv_io_lock_for_writing (struct rv_io *io, rawview_error *err)
{
  if (!io->writable)
    return rv_io_refuse_writing (io, err);
  return io->ops->lock_for_writing ? io->ops->lock_for_writing (io, err) : 0;
}

void
rv_io_lock_for_reading (struct rv_io *io)
{
  if (io->ops->lock_for_reading != NULL)
    io->ops->lock_for_reading (io);
}

bool
rv_io_same (const struct rv_io *a, const struct rv_io *b)
{
  if (a == b)
    return true;
  return a->has_id && b->has_id && a->dev == b->dev && a->ino == b->ino;
}
