/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: new clusters.  A stranger's refcounts lie, so that they are
 * taken from two places only: behind everything that the file had, or from what
 * this run itself has freed.
 */

#include <config.h>

#include <errno.h>

#include "format/qcow2-write.h"
#include "util/checked.h"

#define MAX_SKIPPED  (1u << 20) /* clusters */
#define MAX_HOST_OFF (1ull << 56)

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

/*--- What may be given out again ----------------------------------------*/

static int
compare_down (const void *a, const void *b)
{
  const struct rv_qcow2_free *x = a, *y = b;

  return x->off > y->off ? -1 : x->off < y->off;
}

/* Adjoining ranges become one. */
static void
sort_frees (struct rv_qcow2_writing *w)
{
  struct rv_qcow2_free *v = w->frees.ptr;
  size_t n = 0;

  qsort (v, w->frees.len, sizeof *v, compare_down);
  for (size_t i = 0; i < w->frees.len; i++)
    if (n > 0 && v[i].off + v[i].len == v[n - 1].off) {
      v[n - 1].off = v[i].off;
      v[n - 1].len += v[i].len;
    }
    else
      v[n++] = v[i];
  w->frees.len = w->frees_sorted = n;
}

void
rv_qcow2_add_free (struct rv_qcow2_writing *w, uint64_t off, uint64_t len)
{
  if (w->frees.len > w->frees_sorted) {
    struct rv_qcow2_free *last = &w->frees.ptr[w->frees.len - 1];

    if (last->off + last->len == off) {
      last->len += len;
      return;
    }
  }
  rv_qcow2_frees_append (&w->frees, (struct rv_qcow2_free){ off, len });
}

/* Sorting waits until it pays. */
static bool
take_free (struct rv_qcow2 *q, uint64_t want, uint64_t *off, uint64_t *got)
{
  struct rv_qcow2_writing *w = q->writing;
  struct rv_qcow2_free *last;

  if (w->frees.len == 0)
    return false;
  if (w->frees.len - w->frees_sorted > w->frees.len / 2)
    sort_frees (w);
  last = &w->frees.ptr[w->frees.len - 1];
  *off = last->off;
  *got = rv_min_u64 (want, last->len >> q->header.cluster_bits);
  last->off += *got << q->header.cluster_bits;
  last->len -= *got << q->header.cluster_bits;
  if (last->len == 0)
    w->frees.len--;
  w->frees_sorted = rv_min_u64 (w->frees_sorted, w->frees.len);
  return true;
}

/*--- New clusters -------------------------------------------------------*/

/* next is at clusters that somebody else's refcounts say are in use. */
static int
skip (struct rv_qcow2 *q, uint64_t n, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;

  if (w->skipped + n > MAX_SKIPPED)
    return rv_error_set (err, RAWVIEW_ERROR_LIMIT, ENOSPC,
                         "%s: %ju clusters behind the end of the QCOW2 file "
                         "(%#jx) have refcounts and are not used; try qemu-img "
                         "check -r leaks",
                         q->base.io->name, (uintmax_t) (w->skipped + n),
                         (uintmax_t) w->end);
  w->skipped += n;
  w->next += n << q->header.cluster_bits;
  return 0;
}

static int
alloc_at_end (struct rv_qcow2 *q, uint64_t want, uint64_t *off, uint64_t *got,
              rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t count;

  for (;;) {
    if (rv_qcow2_refblock_ready (q, err) == -1)
      return -1;
    *got =
        rv_min_u64 (want, (MAX_HOST_OFF - w->next) >> q->header.cluster_bits);
    if (rv_qcow2_refcount_run_held (q, w->next, got, &count, err) == -1)
      return -1;
    if (count == 0)
      break;
    if (skip (q, *got, err) == -1)
      return -1;
  }
  *off = w->next;
  if (rv_qcow2_refcount_add (q, *off, *got << q->header.cluster_bits, 1, err) ==
      -1)
    return -1;
  w->next += *got << q->header.cluster_bits;
  return 0;
}

static int
alloc_held (struct rv_qcow2 *q, uint64_t want, uint64_t *off, uint64_t *got,
            rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t len;

  if (!take_free (q, want, off, got))
    return alloc_at_end (q, want, off, got, err);
  len = *got << q->header.cluster_bits;
  if (rv_qcow2_refcount_add (q, *off, len, 1, err) == 0)
    return 0;
  rv_qcow2_add_free (w, *off, len);
  return -1;
}

int
rv_qcow2_alloc (struct rv_qcow2 *q, uint64_t want, uint64_t *off, uint64_t *got,
                rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  LOCKED (&w->alloc_lock);

  return alloc_held (q, rv_max_u64 (want, 1), off, got, err);
}

int
rv_qcow2_alloc_table (struct rv_qcow2 *q, uint64_t *off, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t got;
  LOCKED (&w->alloc_lock);

  if (alloc_held (q, 1, off, &got, err) == -1)
    return -1;
  if (rv_qcow2_own_add (q, *off, err) == 0)
    return 0;
  /* Nobody has ever seen it. */
  if (rv_qcow2_refcount_add (q, *off, cluster_size (q), -1, NULL) == 0)
    rv_qcow2_add_free (w, *off, cluster_size (q));
  return -1;
}
