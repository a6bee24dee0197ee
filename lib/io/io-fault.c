/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Storage that breaks at the n-th operation, once or for good, so that a test
 * can raise n until a run succeeds and has then seen every failure.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>

#include "io/io.h"
#include "util/error.h"

#define TORN_UNIT 512u

struct fault_io {
  struct rv_io base;
  struct rv_io *parent;
  atomic_uint *countdown; /* of faults, or the caller's */
  const struct rv_io_faults *faults;
};

/* Of rv_io_fault_new. */
static const struct rv_io_faults all_reads = { .kinds = RV_FAULT_READ,
                                               .errnum = EIO };

/* Is this operation of kind the one that fails?  Counts it.  A countdown that
 * is not to end at 0 is never below 1.
 */
static bool
breaks_now (struct fault_io *f, unsigned kind)
{
  unsigned n = atomic_load (f->countdown), next;

  if (!(f->faults->kinds & kind))
    return false;
  do {
    if (n == 0)
      return false;
    next = n > 1 || f->faults->once ? n - 1 : 1;
  } while (!atomic_compare_exchange_weak (f->countdown, &n, next));
  return n == 1;
}

static int
fail (struct fault_io *f, const char *what, uint64_t off, rawview_error *err)
{
  return rv_error_errno (err, f->faults->errnum,
                         "cannot %s %s at %" PRIu64 " (injected fault)", what,
                         f->base.name, off);
}

static int
fault_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
             rawview_error *err)
{
  struct fault_io *f = (struct fault_io *) io;

  if (breaks_now (f, RV_FAULT_READ))
    return fail (f, "read", off, err);
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

/*--- Changes ------------------------------------------------------------*/

/* How much of a write that fails arrives?  Storage does not tear sectors. */
static size_t
torn_len (const struct rv_io_faults *faults, size_t len, uint64_t off)
{
  uint64_t end = (off + len / 2) / TORN_UNIT * TORN_UNIT;

  return faults->torn && end > off ? end - off : 0;
}

static int
fault_pwrite (struct rv_io *io, const void *buf, size_t len, uint64_t off,
              rawview_error *err)
{
  struct fault_io *f = (struct fault_io *) io;
  bool broken = breaks_now (f, RV_FAULT_WRITE);
  size_t n = broken ? torn_len (f->faults, len, off) : len;
  int r = rv_io_pwrite (f->parent, buf, n, off, err);

  rv_io_raise_size (io, f->parent->size);
  return broken ? fail (f, "write", off, err) : r;
}

static int
fault_zero (struct rv_io *io, uint64_t off, uint64_t len, unsigned flags,
            rawview_error *err)
{
  struct fault_io *f = (struct fault_io *) io;

  if (breaks_now (f, RV_FAULT_ZERO))
    return fail (f, "zero", off, err);
  return rv_io_zero (f->parent, off, len, flags, err);
}

static int
fault_sync (struct rv_io *io, rawview_error *err)
{
  struct fault_io *f = (struct fault_io *) io;

  if (breaks_now (f, RV_FAULT_SYNC))
    return rv_error_errno (err, f->faults->errnum,
                           "cannot make durable what was written to %s "
                           "(injected fault)",
                           io->name);
  return rv_io_sync (f->parent, err);
}

static int
fault_lock_for_writing (struct rv_io *io, rawview_error *err)
{
  return rv_io_lock_for_writing (((struct fault_io *) io)->parent, err);
}

static void
fault_lock_for_reading (struct rv_io *io)
{
  rv_io_lock_for_reading (((struct fault_io *) io)->parent);
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
  .pwrite = fault_pwrite,
  .zero = fault_zero,
  .sync = fault_sync,
  .lock_for_writing = fault_lock_for_writing,
  .lock_for_reading = fault_lock_for_reading,
  .free = fault_free,
};

static int
make (struct rv_io *parent, const struct rv_io_faults *faults,
      atomic_uint *countdown, struct rv_io **io, rawview_error *err)
{
  CLEANUP_FREE struct fault_io *f = calloc (1, sizeof *f);

  if (f == NULL ||
      rv_io_init (&f->base, &fault_ops, parent->name, parent->size) == -1)
    return rv_error_nomem (err);
  rv_io_like (&f->base, parent);
  f->parent = rv_io_ref (parent);
  f->faults = faults;
  f->countdown = countdown;
  *io = &STEAL (f)->base;
  return 0;
}

int
rv_io_fault_new (struct rv_io *parent, atomic_uint *countdown,
                 struct rv_io **io, rawview_error *err)
{
  return make (parent, &all_reads, countdown, io, err);
}

int
rv_io_faults_new (struct rv_io *parent, struct rv_io_faults *faults,
                  struct rv_io **io, rawview_error *err)
{
  return make (parent, faults, &faults->countdown, io, err);
}
