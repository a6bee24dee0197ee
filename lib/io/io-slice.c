/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A window of another io.  The common part checks every range against the
 * window before it comes here, so that adding the start cannot overflow.
 */

#include <config.h>

#include <inttypes.h>

#include "io/io.h"
#include "util/checked.h"
#include "util/error.h"

struct slice_io {
  struct rv_io base;
  struct rv_io *parent;
  uint64_t start; /* in parent, bytes */
};

static int
slice_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
             rawview_error *err)
{
  struct slice_io *s = (struct slice_io *) io;

  return rv_io_pread (s->parent, buf, len, s->start + off, err);
}

static int
slice_hole (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
            uint64_t *run)
{
  struct slice_io *s = (struct slice_io *) io;

  rv_io_hole (s->parent, s->start + off, len, hole, run);
  return 0;
}

static void
slice_prefetch (struct rv_io *io, uint64_t off, uint64_t len)
{
  struct slice_io *s = (struct slice_io *) io;

  rv_io_prefetch (s->parent, s->start + off, len);
}

/* No less than what its data take: who sees less looks for holes. */
static uint64_t
slice_allocated (struct rv_io *io)
{
  return io->size;
}

static void
slice_free (struct rv_io *io)
{
  struct slice_io *s = (struct slice_io *) io;

  rv_io_unref (s->parent);
  free (s);
}

static const struct rv_io_ops slice_ops = {
  .name = "slice",
  .pread = slice_pread,
  .hole = slice_hole,
  .prefetch = slice_prefetch,
  .allocated = slice_allocated,
  .free = slice_free,
};

int
rv_io_slice_new (struct rv_io *parent, uint64_t off, uint64_t len,
                 const char *name, struct rv_io **io, rawview_error *err)
{
  CLEANUP_FREE struct slice_io *s = NULL;

  if (!rv_range_fits (off, len, parent->size))
    return rv_error_corrupt (err,
                             "%s is cut short: %s takes %" PRIu64
                             " bytes at %" PRIu64 ", but it ends at %" PRIu64,
                             parent->name, name, len, off, parent->size);
  s = calloc (1, sizeof *s);
  if (s == NULL || rv_io_init (&s->base, &slice_ops, name, len) == -1)
    return rv_error_nomem (err);
  s->base.slow = parent->slow;
  s->parent = rv_io_ref (parent);
  s->start = off;
  *io = &STEAL (s)->base;
  return 0;
}
