/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: may it be written; what is said before the first change and
 * after the last.  Of the header only the autoclear bits, the corrupt bit and
 * the pointer to the refcount table are ever written, each in its place: what
 * else is there stays as it was, byte by byte.
 */

#include <config.h>

#include <errno.h>

#include "format/qcow2-write.h"
#include "util/checked.h"

#define AT_INCOMPATIBLE 72u
#define AT_AUTOCLEAR    88u

/*--- May it? ------------------------------------------------------------*/

static int
check_storage (const struct rv_qcow2 *q, rawview_error *err)
{
  const struct rv_io *io = q->base.io;

  if (!io->writable)
    return rv_io_refuse_writing (io, err);
  if (!io->can_grow)
    return rv_error_unsupported (err,
                                 "%s: QCOW2 is written only where its file can "
                                 "grow, not on a block device or inside "
                                 "another file",
                                 io->name);
  return 0;
}

static int
check_features (const struct rv_qcow2 *q, rawview_error *err)
{
  const struct rv_qcow2_header *h = &q->header;
  const char *name = q->base.io->name;

  if (q->is_snapshot)
    return rv_error_refused (err, "%s: an internal snapshot is never written",
                             name);
  if (h->incompatible & QCOW2_INCOMPAT_CORRUPT)
    return rv_error_refused (err,
                             "%s: the QCOW2 image is marked corrupt, so it is "
                             "not written; try qemu-img check -r all",
                             name);
  if (h->incompatible & QCOW2_INCOMPAT_DIRTY)
    return rv_error_refused (err,
                             "%s: the QCOW2 image was not closed cleanly "
                             "(dirty), so its refcounts may be wrong; try "
                             "qemu-img check -r all",
                             name);
  if (h->incompatible & QCOW2_INCOMPAT_DATA_FILE)
    return rv_error_unsupported (err,
                                 "%s: a QCOW2 image with an external data file "
                                 "is not written in place",
                                 name);
  if (h->refcount_order == 0 && h->nb_snapshots > 0)
    return rv_error_unsupported (err,
                                 "%s: QCOW2 refcounts of one bit cannot count "
                                 "what the %u internal snapshots share",
                                 name, h->nb_snapshots);
  return 0;
}

static int
fill (struct rv_qcow2 *q, struct rv_qcow2_writing *w, rawview_error *err)
{
  uint64_t size = rv_qcow2_cluster_size (&q->header);

  w->next = w->end = rv_align_down (q->base.io->size + size - 1, size);
  w->l2_checked = calloc (q->metadata.l2.len / 8 + 1, 1);
  if (w->l2_checked == NULL)
    return rv_error_nomem (err);
  if (rv_qcow2_reserve (q, w, err) == -1)
    return -1;
  return rv_qcow2_check_tables (q, w, err);
}

int
rv_qcow2_enable_write (struct rv_format *format, rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  struct rv_qcow2_writing *w;

  if (check_features (q, err) == -1 || check_storage (q, err) == -1)
    return -1;
  w = calloc (1, sizeof *w);
  if (w == NULL)
    return rv_error_nomem (err);
  pthread_mutex_init (&w->alloc_lock, NULL);
  pthread_mutex_init (&w->l2_lock, NULL);
  pthread_rwlock_init (&w->own_lock, NULL);
  if (fill (q, w, err) == -1) {
    rv_qcow2_writing_release (w);
    return -1;
  }
  q->writing = w;
  return 0;
}

void
rv_qcow2_writing_release (struct rv_qcow2_writing *w)
{
  if (w == NULL)
    return;
  rv_qcow2_ranges_release (&w->reserved);
  rv_offsets_release (&w->snapshot_l2);
  free ((void *) w->l2_checked);
  rv_qcow2_frees_release (&w->frees);
  rv_qcow2_quarantine_release (&w->quarantine);
  free (w->reftable);
  rv_qcow2_frees_release (&w->old_reftables);
  rv_offsets_release (&w->own);
  pthread_mutex_destroy (&w->alloc_lock);
  pthread_mutex_destroy (&w->l2_lock);
  pthread_rwlock_destroy (&w->own_lock);
  free (w);
}

/*--- Before the first change --------------------------------------------*/

static int
write_word (struct rv_qcow2 *q, uint64_t off, uint64_t word, rawview_error *err)
{
  uint8_t bytes[8];

  rv_put_be64 (bytes, word);
  if (rv_io_pwrite (q->base.io, bytes, sizeof bytes, off, err) == -1)
    return -1;
  return rv_io_sync (q->base.io, err);
}

/* Whoever set an autoclear bit must see that somebody has written who does not
 * keep up what it stands for: bitmaps, and what we do not know.
 */
int
rv_qcow2_begin_write (struct rv_format *format, rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;

  if (q->header.autoclear == 0)
    return 0;
  if (write_word (q, AT_AUTOCLEAR, 0, err) == -1)
    return -1;
  q->header.autoclear = 0;
  return 0;
}

/* Version 2 has no place for it. */
void
rv_qcow2_mark_corrupt (struct rv_format *format)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;

  if (q->header.version >= 3)
    write_word (q, AT_INCOMPATIBLE,
                q->header.incompatible | QCOW2_INCOMPAT_CORRUPT, NULL);
}

/*--- After the last change ----------------------------------------------*/

static int
write_tables (struct rv_qcow2 *q, struct rv_frozen *frozen,
              enum rv_phase *phase, rawview_error *err)
{
  for (*phase = 0; *phase < RV_NR_PHASES; (*phase)++)
    if (rv_frozen_has (frozen, *phase) &&
        (rv_frozen_write (q->base.tables, frozen, *phase, err) == -1 ||
         rv_io_sync (q->base.io, err) == -1))
      return -1;
  return 0;
}

/* What the last epoch has not written: our refcounts. */
static int
flush_tables (struct rv_qcow2 *q, rawview_error *err)
{
  struct rv_frozen *frozen;
  enum rv_phase done;
  int r;

  if (rv_tables_freeze (q->base.tables, &frozen, err) == -1)
    return -1;
  if (frozen == NULL)
    return 0;
  r = write_tables (q, frozen, &done, err);
  rv_tables_thaw (q->base.tables, frozen, done);
  return r;
}

/* Refcount tables that have become too small, which nothing names since the
 * header's pointer is durable.
 */
static int
give_back_reftables (struct rv_qcow2 *q, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  LOCKED (&w->alloc_lock);

  while (w->old_reftables.len > 0) {
    const struct rv_qcow2_free *old =
        &w->old_reftables.ptr[w->old_reftables.len - 1];

    if (rv_qcow2_refcount_add (q, old->off, old->len, -1, err) == -1)
      return -1;
    w->old_reftables.len--;
  }
  return 0;
}

int
rv_qcow2_end_write (struct rv_format *format, rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;

  if (give_back_reftables (q, err) == -1 || flush_tables (q, err) == -1)
    return -1;
  return rv_io_sync (q->base.io, err);
}
