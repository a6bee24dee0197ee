/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Another io, with a record of all changes for those who want to know what a
 * crash could have left.
 *
 * Several threads write at once, so a write stands in the log before it begins:
 * a crash may have left any part of it from then on.  A sync stands there when
 * it has succeeded.  What it made durable is what was complete when it began,
 * which not all that stands above it need be: its off says how many of the
 * log's entries are, as far as they are of its file.
 */

#include <config.h>

#include <string.h>

#include "io/io.h"
#include "util/error.h"

/* A change that has not returned, on its thread's stack. */
struct change {
  size_t index; /* in the log */
  struct change *next;
};

struct trace_io {
  struct rv_io base;
  struct rv_io *parent;
  unsigned file;
  struct rv_trace *trace;
  struct change *under_way; /* under the log's lock */
};

void
rv_trace_init (struct rv_trace *trace)
{
  *trace = (struct rv_trace){ 0 };
  pthread_mutex_init (&trace->lock, NULL);
}

void
rv_trace_release (struct rv_trace *trace)
{
  for (size_t i = 0; i < trace->len; i++)
    free (trace->entries[i].bytes);
  free (trace->entries);
  pthread_mutex_destroy (&trace->lock);
}

/* Room for one more entry; the lock is held. */
static int
make_room (struct rv_trace *t)
{
  size_t room = t->room ? t->room * 2 : 64;
  struct rv_trace_entry *entries;

  if (t->len < t->room)
    return 0;
  entries = reallocarray (t->entries, room, sizeof *entries);
  if (entries == NULL)
    return -1;
  t->entries = entries;
  t->room = room;
  return 0;
}

/* Takes over entry.bytes, also on failure.  change: NULL for a sync. */
static int
record (struct trace_io *io, struct rv_trace_entry entry, struct change *change,
        rawview_error *err)
{
  struct rv_trace *t = io->trace;
  LOCKED (&t->lock);

  if (make_room (t) == -1) {
    free (entry.bytes);
    return rv_error_nomem (err);
  }
  entry.file = io->file;
  entry.marker = t->marker;
  if (change != NULL) {
    *change = (struct change){ t->len, io->under_way };
    io->under_way = change;
  }
  t->entries[t->len++] = entry;
  return 0;
}

static void
ended (struct trace_io *io, struct change *change)
{
  LOCKED (&io->trace->lock);
  struct change **p = &io->under_way;

  while (*p != change)
    p = &(*p)->next;
  *p = change->next;
  io->trace->entries[change->index].when = ++io->trace->clock;
}

/* How many of the log's entries are complete, as far as they are of this file?
 */
static size_t
complete (struct trace_io *io, uint64_t *when)
{
  LOCKED (&io->trace->lock);
  size_t n = io->trace->len;

  for (struct change *c = io->under_way; c != NULL; c = c->next)
    if (c->index < n)
      n = c->index;
  *when = ++io->trace->clock;
  return n;
}

/*--- The vtable ---------------------------------------------------------*/

static int
trace_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
             rawview_error *err)
{
  return rv_io_pread (((struct trace_io *) io)->parent, buf, len, off, err);
}

static int
trace_hole (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
            uint64_t *run)
{
  rv_io_hole (((struct trace_io *) io)->parent, off, len, hole, run);
  return 0;
}

static uint64_t
trace_allocated (struct rv_io *io)
{
  return rv_io_allocated (((struct trace_io *) io)->parent);
}

static int
trace_pwrite (struct rv_io *io, const void *buf, size_t len, uint64_t off,
              rawview_error *err)
{
  struct trace_io *t = (struct trace_io *) io;
  struct rv_trace_entry entry = {
    .op = RV_TRACE_WRITE, .off = off, .len = len, .bytes = malloc (len)
  };
  struct change change;
  int r;

  if (entry.bytes == NULL)
    return rv_error_nomem (err);
  memcpy (entry.bytes, buf, len);
  if (record (t, entry, &change, err) == -1)
    return -1;
  r = rv_io_pwrite (t->parent, buf, len, off, err);
  rv_io_raise_size (io, t->parent->size);
  ended (t, &change);
  return r;
}

static int
trace_zero (struct rv_io *io, uint64_t off, uint64_t len, unsigned flags,
            rawview_error *err)
{
  struct trace_io *t = (struct trace_io *) io;
  struct change change;
  int r;

  if (record (t,
              (struct rv_trace_entry){
                  .op = RV_TRACE_ZERO, .off = off, .len = len },
              &change, err) == -1)
    return -1;
  r = rv_io_zero (t->parent, off, len, flags, err);
  ended (t, &change);
  return r;
}

static int
trace_sync (struct rv_io *io, rawview_error *err)
{
  struct trace_io *t = (struct trace_io *) io;
  struct rv_trace_entry entry = { .op = RV_TRACE_SYNC };

  entry.off = complete (t, &entry.when);
  if (rv_io_sync (t->parent, err) == -1)
    return -1;
  return record (t, entry, NULL, err);
}

static int
trace_lock_for_writing (struct rv_io *io, rawview_error *err)
{
  return rv_io_lock_for_writing (((struct trace_io *) io)->parent, err);
}

static void
trace_lock_for_reading (struct rv_io *io)
{
  rv_io_lock_for_reading (((struct trace_io *) io)->parent);
}

static void
trace_free (struct rv_io *io)
{
  struct trace_io *t = (struct trace_io *) io;

  rv_io_unref (t->parent);
  free (t);
}

static const struct rv_io_ops trace_ops = {
  .name = "trace",
  .pread = trace_pread,
  .hole = trace_hole,
  .allocated = trace_allocated,
  .pwrite = trace_pwrite,
  .zero = trace_zero,
  .sync = trace_sync,
  .lock_for_writing = trace_lock_for_writing,
  .lock_for_reading = trace_lock_for_reading,
  .free = trace_free,
};

int
rv_io_trace_new (struct rv_io *parent, unsigned file, struct rv_trace *trace,
                 struct rv_io **io, rawview_error *err)
{
  CLEANUP_FREE struct trace_io *t = calloc (1, sizeof *t);

  if (t == NULL ||
      rv_io_init (&t->base, &trace_ops, parent->name, parent->size) == -1)
    return rv_error_nomem (err);
  rv_io_like (&t->base, parent);
  t->parent = rv_io_ref (parent);
  t->file = file;
  t->trace = trace;
  *io = &STEAL (t)->base;
  return 0;
}
