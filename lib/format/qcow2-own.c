/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: clusters of tables that this run has made.  What was there
 * before is known from opening, see qcow2-metadata.h.
 */

#include <config.h>

#include "format/qcow2-write.h"
#include "util/checked.h"

static int
insert (struct rv_offsets *v, uint64_t off)
{
  size_t i = rv_offsets_lower_bound (v, off);

  if (i < v->len && v->ptr[i] == off)
    return 0;
  if (rv_offsets_append (v, off) == -1)
    return -1;
  memmove (v->ptr + i + 1, v->ptr + i, (v->len - 1 - i) * sizeof *v->ptr);
  v->ptr[i] = off;
  return 0;
}

int
rv_qcow2_own_add (struct rv_qcow2 *q, uint64_t off, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  int r;

  pthread_rwlock_wrlock (&w->own_lock);
  r = insert (&w->own, off);
  atomic_store (&w->nr_own, w->own.len);
  pthread_rwlock_unlock (&w->own_lock);
  return r == 0 ? 0 : rv_error_nomem (err);
}

void
rv_qcow2_own_remove (struct rv_qcow2 *q, uint64_t off)
{
  struct rv_qcow2_writing *w = q->writing;
  size_t i;

  pthread_rwlock_wrlock (&w->own_lock);
  i = rv_offsets_lower_bound (&w->own, off);
  if (i < w->own.len && w->own.ptr[i] == off) {
    w->own.len--;
    memmove (w->own.ptr + i, w->own.ptr + i + 1,
             (w->own.len - i) * sizeof *w->own.ptr);
  }
  atomic_store (&w->nr_own, w->own.len);
  pthread_rwlock_unlock (&w->own_lock);
}

uint64_t
rv_qcow2_own_clear (struct rv_qcow2 *q, uint64_t off, uint64_t len)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t clear = len;
  size_t i;

  if (atomic_load (&w->nr_own) == 0)
    return len;
  pthread_rwlock_rdlock (&w->own_lock);
  i = rv_offsets_overlap (&w->own, rv_qcow2_cluster_size (&q->header), off,
                          len);
  if (i < w->own.len)
    clear = w->own.ptr[i] > off ? w->own.ptr[i] - off : 0;
  pthread_rwlock_unlock (&w->own_lock);
  return clear;
}
