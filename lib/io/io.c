/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

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
  io->can_grow = false;
  atomic_init (&io->unsynced, false);
  atomic_init (&io->sync_failed, false);
  pthread_mutex_init (&io->sync_lock, NULL);
  return 0;
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
  if (!rv_range_fits (off, len, io->size))
    return rv_error_corrupt (err,
                             "%s is cut short: %zu bytes are needed at %" PRIu64
                             ", but it ends at %" PRIu64,
                             io->name, len, off, (uint64_t) io->size);
  return len == 0 ? 0 : io->ops->pread (io, buf, len, off, err);
}

void
rv_io_hole (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
            uint64_t *run)
{
  uint64_t inside = off < io->size ? rv_min_u64 (len, io->size - off) : 0;
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
  if (io->ops->prefetch == NULL || off >= io->size || len == 0)
    return;
  io->ops->prefetch (io, off, rv_min_u64 (len, io->size - off));
}

uint64_t
rv_io_allocated (struct rv_io *io)
{
  return io->ops->allocated ? io->ops->allocated (io) : 0;
}

bool
rv_io_same (const struct rv_io *a, const struct rv_io *b)
{
  if (a == b)
    return true;
  return a->has_id && b->has_id && a->dev == b->dev && a->ino == b->ino;
}
