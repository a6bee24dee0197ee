/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: what the tables no longer name comes back.
 *
 * It does so in two steps, see format.h.  Several ranges may have had the same
 * cluster (compressed ones): the one whose release makes its refcount 0 is the
 * one whose reuse frees it, for only then has everybody stopped reading there.
 * So what is released waits in a queue until the same range is reused.
 */

#include <config.h>

#include "format/qcow2-write.h"
#include "util/checked.h"

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

/* Ranges of whole clusters that adjoin become one.  Those of compressed
 * clusters do not: each holds a reference of its own on what they share.
 */
int
rv_qcow2_freed (struct rv_qcow2 *q, struct rv_freed_list *freed, uint64_t off,
                uint64_t len, rawview_error *err)
{
  uint64_t mask = cluster_size (q) - 1;
  struct rv_freed *last = freed->len ? &freed->ptr[freed->len - 1] : NULL;

  if (last && last->io == q->base.io && last->off + last->len == off &&
      ((last->off | last->len | off | len) & mask) == 0) {
    last->len += len;
    return 0;
  }
  if (rv_freed_list_append (freed, (struct rv_freed){ q->base.io, off, len }) ==
      -1)
    return rv_error_nomem (err);
  return 0;
}

/*--- Release ------------------------------------------------------------*/

/* What no entry may ever have named.  Where two of them named one cluster, it
 * may have been given out as a table after the first.
 */
static const char *
never_freed (struct rv_qcow2 *q, const struct rv_freed *freed)
{
  const struct rv_offsets *blocks = &q->metadata.refblocks;
  const char *what = NULL;

  rv_qcow2_reserved_clear (q->writing, freed->off, freed->len, &what);
  if (rv_offsets_overlap (blocks, cluster_size (q), freed->off, freed->len) <
      blocks->len)
    what = "a refcount block";
  if (rv_qcow2_own_clear (q, freed->off, freed->len) < freed->len)
    what = "a new table";
  return what;
}

/* Remembers which clusters of the range have refcount 0 now.  Without memory
 * they are not given out again in this run.
 */
static void
quarantine (struct rv_qcow2 *q, const struct rv_freed *freed)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t size = cluster_size (q);
  uint64_t off = rv_align_down (freed->off, size);
  uint64_t end = rv_align_down (freed->off + freed->len - 1, size) + size;
  struct rv_qcow2_quarantined part = { freed->off, freed->len, 0, 0, false };

  while (off < end) {
    uint64_t n = (end - off) >> q->header.cluster_bits, count;

    if (rv_qcow2_refcount_run_held (q, off, &n, &count, NULL) == -1)
      count = 1;
    if (count == 0 && part.off + part.len == off)
      part.len += n * size;
    else if (count == 0) {
      if (part.len > 0)
        rv_qcow2_quarantine_append (&w->quarantine, part);
      part.off = off;
      part.len = n * size;
    }
    off += n * size;
  }
  part.last = true;
  rv_qcow2_quarantine_append (&w->quarantine, part);
}

int
rv_qcow2_release (struct rv_format *format, const struct rv_freed *freed,
                  rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  struct rv_qcow2_writing *w = q->writing;
  const char *what;
  LOCKED (&w->alloc_lock);

  if (freed->len == 0)
    return 0;
  what = never_freed (q, freed);
  if (what)
    return rv_error_corrupt (err,
                             "%s: the QCOW2 host range at %#jx, %ju bytes, "
                             "cannot be given back: %s is there",
                             q->base.io->name, (uintmax_t) freed->off,
                             (uintmax_t) freed->len, what);
  if (rv_qcow2_refcount_add (q, freed->off, freed->len, -1, err) == -1)
    return -1;
  quarantine (q, freed);
  return 0;
}

/*--- Reuse --------------------------------------------------------------*/

/* Removes the i-th.  The first is the usual one. */
static void
leave_quarantine (struct rv_qcow2_writing *w, size_t i)
{
  struct rv_qcow2_quarantine *v = &w->quarantine;
  size_t head = w->quarantine_head;

  memmove (v->ptr + head + 1, v->ptr + head, (i - head) * sizeof *v->ptr);
  w->quarantine_head = ++head;
  if (head <= v->len / 2)
    return;
  memmove (v->ptr, v->ptr + head, (v->len - head) * sizeof *v->ptr);
  v->len -= head;
  w->quarantine_head = 0;
}

/* The next part of freed that may be given out again. */
static bool
next_part (struct rv_qcow2_writing *w, const struct rv_freed *freed,
           struct rv_qcow2_quarantined *part)
{
  LOCKED (&w->alloc_lock);

  for (size_t i = w->quarantine_head; i < w->quarantine.len; i++) {
    *part = w->quarantine.ptr[i];
    if (part->freed_off != freed->off || part->freed_len != freed->len)
      continue;
    leave_quarantine (w, i);
    return true;
  }
  return false;
}

/* Whole clusters that nobody names or reads.  Where readers still have an old
 * table in mind, nothing is ever put.
 */
static void
give_out_again (struct rv_qcow2 *q, uint64_t off, uint64_t len)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t size = q->base.io->size;

  if (off < size)
    rv_io_zero (q->base.io, off, rv_min_u64 (len, size - off),
                RV_ZERO_PUNCH | RV_ZERO_FAST, NULL);
  pthread_mutex_lock (&w->alloc_lock);
  rv_qcow2_add_free (w, off, len);
  pthread_mutex_unlock (&w->alloc_lock);
}

static void
reuse_part (struct rv_qcow2 *q, uint64_t off, uint64_t len)
{
  uint64_t size = cluster_size (q);
  const char *what;

  while (len > 0) {
    uint64_t clear =
        rv_align_down (rv_qcow2_clear_of_tables (q, off, len, &what), size);

    if (clear > 0)
      give_out_again (q, off, clear);
    clear = rv_min_u64 (clear + size, len);
    off += clear;
    len -= clear;
  }
}

void
rv_qcow2_reuse (struct rv_format *format, const struct rv_freed *freed)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  struct rv_qcow2_writing *w = q->writing;
  struct rv_qcow2_quarantined part;

  while (next_part (w, freed, &part)) {
    if (part.len > 0)
      reuse_part (q, part.off, part.len);
    if (part.last)
      return;
  }
}
