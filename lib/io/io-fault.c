/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Storage that breaks at the n-th read and stays broken, so that a test can
 * raise n until a run succeeds and has then seen every failure.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>

#include "io/io.h"
#include "util/error.h"

struct fault_io {
  struct rv_io base;
  struct rv_io *parent;
  atomic_uint *countdown; /* see rv_io_fault_new; 1 is never left */
};

static bool
breaks_now (atomic_uint *countdown)
{
  unsigned n = atomic_load (countdown);

  while (n > 1)
    if (atomic_compare_exchange_weak (countdown, &n, n - 1))
      return false;
  return n == 1;
}

static int
fault_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
             rawview_error *err)
{
  struct fault_io *f = (struct fault_io *) io;

  if (breaks_now (f->countdown))
    return rv_error_errno (err, EIO,
                           "cannot read %s at %" PRIu64 " (injected fault)",
                           io->name, off);
  return rv_io_pread (f->parent, buf, len, off, err);
}

static int
fault_hole (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
            uint64_t *run)
{
  rv_io_hole (((struct fault_io *) io)->parent, off, len, hole, run);
  return 0;
}

static void
fault_prefetch (struct rv_io *io, uint64_t off, uint64_t len)
{
  rv_io_prefetch (((struct fault_io *) io)->parent, off, len);
}

static uint64_t
fault_allocated (struct rv_io *io)
{
  return rv_io_allocated (((struct fault_io *) io)->parent);
}

static void
fault_free (struct rv_io *io)
{
  struct fault_io *f = (struct fault_io *) io;

  rv_io_unref (f->parent);
  free (f);
}

static const struct rv_io_ops fault_ops = {
  .name = "fault",
  .pread = fault_pread,
  .hole = fault_hole,
  .prefetch = fault_prefetch,
  .allocated = fault_allocated,
  .free = fault_free,
};

int
rv_io_fault_new (struct rv_io *parent, atomic_uint *countdown,
                 struct rv_io **io, rawview_error *err)
{
  CLEANUP_FREE struct fault_io *f = calloc (1, sizeof *f);

  if (f == NULL ||
      rv_io_init (&f->base, &fault_ops, parent->name, parent->size) == -1)
    return rv_error_nomem (err);
  f->base.has_id = parent->has_id;
  f->base.dev = parent->dev;
  f->base.ino = parent->ino;
  f->parent = rv_io_ref (parent);
  f->countdown = countdown;
  *io = &STEAL (f)->base;
  return 0;
}
