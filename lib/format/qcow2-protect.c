/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: is this host cluster ours alone to overwrite?  Whatever an
 * entry says, a table is not, nor is what has another refcount than 1.
 */

#include <config.h>

#include "format/qcow2-write.h"
#include "util/checked.h"

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

uint64_t
rv_qcow2_clear_of_tables (struct rv_qcow2 *q, uint64_t off, uint64_t len,
                          const char **what)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t clear = rv_qcow2_metadata_clear (&q->metadata, off, len, what);
  uint64_t own;
  size_t i;

  clear = rv_qcow2_reserved_clear (w, off, clear, what);
  i = rv_offsets_overlap (&w->snapshot_l2, cluster_size (q), off, clear);
  if (i < w->snapshot_l2.len) {
    *what = "an L2 table of a snapshot";
    clear = rv_max_u64 (w->snapshot_l2.ptr[i], off) - off;
  }
  own = rv_qcow2_own_clear (q, off, clear);
  if (own < clear)
    *what = "a new table";
  return own;
}

static int
refuse (struct rv_qcow2 *q, uint64_t off, const char *wrong, rawview_error *err)
{
  return rv_error_corrupt (err,
                           "%s: the QCOW2 host cluster at %#jx cannot be "
                           "written: it %s",
                           q->base.io->name, (uintmax_t) off, wrong);
}

/* *own by the refcount, *len by how far it is the same. */
static int
by_refcount (struct rv_qcow2 *q, uint64_t off, uint64_t *len, bool *own,
             rawview_error *err)
{
  uint64_t n = *len >> q->header.cluster_bits, count;

  if (rv_qcow2_refcount_run (q, off, &n, &count, err) == -1)
    return -1;
  if (count == 0)
    return refuse (q, off, "has refcount 0", err);
  *len = n << q->header.cluster_bits;
  *own = count == 1;
  return 0;
}

int
rv_qcow2_protect (struct rv_qcow2 *q, uint64_t off, uint64_t *len, bool *own,
                  rawview_error *err)
{
  uint64_t size = cluster_size (q), file = q->base.io->size;
  uint64_t end = rv_align_down (file + size - 1, size);
  const char *what = NULL;

  if (off & (size - 1))
    return refuse (q, off, "is not aligned", err);
  if (off >= file)
    return refuse (q, off, "is beyond the end of the file", err);
  *len = rv_min_u64 (*len, end - off);
  *len = rv_align_down (rv_qcow2_clear_of_tables (q, off, *len, &what), size);
  if (*len == 0)
    return rv_error_corrupt (err,
                             "%s: the QCOW2 host cluster at %#jx cannot be "
                             "written: %s is there",
                             q->base.io->name, (uintmax_t) off,
                             what ? what : "a table");
  return by_refcount (q, off, len, own, err);
}

/*--- L2 tables ----------------------------------------------------------*/

/* A table of this run need not be in the file yet. */
static const char *
l2_place_wrong (struct rv_qcow2 *q, uint64_t off)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t size = cluster_size (q);
  const char *what = NULL;

  if (off & (size - 1))
    return "is not aligned";
  if (rv_qcow2_own_clear (q, off, 1) == 0)
    return NULL;
  if (!rv_range_fits (off, size, q->base.io->size))
    return "is an L2 table beyond the end of the file";
  if (rv_qcow2_reserved_clear (w, off, size, &what) < size)
    return "is an L2 table in place of another table";
  if (rv_qcow2_metadata_is_refblock (&q->metadata, off))
    return "is an L2 table in a refcount block";
  if (rv_qcow2_metadata_l2_shared (&q->metadata, off))
    return "is an L2 table that two L1 entries have";
  return NULL;
}

int
rv_qcow2_protect_l2 (struct rv_qcow2 *q, uint64_t off, bool *own,
                     rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t len = cluster_size (q);
  const char *wrong = l2_place_wrong (q, off);

  if (wrong)
    return refuse (q, off, wrong, err);
  if (by_refcount (q, off, &len, own, err) == -1)
    return -1;
  if (*own && rv_offsets_contain (&w->snapshot_l2, off))
    return refuse (q, off,
                   "is an L2 table that a snapshot has too, although its "
                   "refcount is 1",
                   err);
  return rv_qcow2_check_l2 (q, off, err);
}
