/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: refcounts.  They are read and changed in pieces of blocks,
 * through the table cache alone, so that what was changed and not yet written
 * is what everybody sees.
 */

#include <config.h>

#include "format/qcow2-refcount.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

/* Where the refcount of a cluster lies. */
struct place {
  uint64_t off; /* of the piece of the block; 0: there is no block */
  size_t len;   /* of the piece, bytes */
  uint64_t i;   /* entry in the piece */
  uint64_t n;   /* entries from it to the end of the piece */
};

static struct place
find (const struct rv_qcow2 *q, uint64_t block, uint64_t cluster)
{
  unsigned order = q->header.refcount_order;
  uint64_t size = rv_qcow2_cluster_size (&q->header);
  struct place p = { .len = rv_min_u64 (size, RV_TABLE_PIECE_MAX) };
  uint64_t per_piece = (uint64_t) p.len * 8 >> order;
  uint64_t in_block =
      cluster &
      ((1ull << rv_qcow2_refblock_bits (q->header.cluster_bits, order)) - 1);

  p.off = block ? block + in_block / per_piece * p.len : 0;
  p.i = in_block % per_piece;
  p.n = per_piece - p.i;
  return p;
}

/*--- Asking -------------------------------------------------------------*/

static int
run_in_piece (struct rv_qcow2 *q, const struct place *p, uint64_t *n,
              uint64_t *count, rawview_error *err)
{
  unsigned order = q->header.refcount_order;
  uint64_t most = rv_min_u64 (*n, p->n);
  struct rv_table *table;
  const uint8_t *bytes;

  *n = most;
  *count = 0;
  if (p->off == 0)
    return 0;
  if (rv_tables_pin (q->base.tables, q->base.io, p->off, p->len, &table, &bytes,
                     err) == -1)
    return -1;
  *count = rv_qcow2_refcount_get (bytes, p->i, order);
  *n = 1;
  while (*n < most && rv_qcow2_refcount_get (bytes, p->i + *n, order) == *count)
    (*n)++;
  rv_table_unpin (q->base.tables, table);
  return 0;
}

int
rv_qcow2_refcount_run_held (struct rv_qcow2 *q, uint64_t off, uint64_t *n,
                            uint64_t *count, rawview_error *err)
{
  struct place p =
      find (q, rv_qcow2_refblock_of (q, off), off >> q->header.cluster_bits);

  return run_in_piece (q, &p, n, count, err);
}

/* Blocks never move, so that the lock need not be held while one is read. */
int
rv_qcow2_refcount_run (struct rv_qcow2 *q, uint64_t off, uint64_t *n,
                       uint64_t *count, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  struct place p;

  pthread_mutex_lock (&w->alloc_lock);
  p = find (q, rv_qcow2_refblock_of (q, off), off >> q->header.cluster_bits);
  pthread_mutex_unlock (&w->alloc_lock);
  return run_in_piece (q, &p, n, count, err);
}

int
rv_qcow2_refcount (struct rv_qcow2 *q, uint64_t off, uint64_t *count,
                   rawview_error *err)
{
  uint64_t n = 1;

  return rv_qcow2_refcount_run (q, off, &n, count, err);
}

/*--- Changing -----------------------------------------------------------*/

#define EDIT_MAX 256u /* bytes of a block that are changed at a time */

static int
impossible (const struct rv_qcow2 *q, uint64_t cluster, uint64_t count,
            int delta, rawview_error *err)
{
  uint64_t off = cluster << q->header.cluster_bits;

  if (delta < 0)
    return rv_error_corrupt (err,
                             "%s: the QCOW2 refcount of the host cluster at "
                             "%#jx is 0 although a table named it; try "
                             "qemu-img check -r all",
                             q->base.io->name, (uintmax_t) off);
  return rv_error_corrupt (err,
                           "%s: the QCOW2 refcount %ju of the host cluster at "
                           "%#jx cannot be raised with %u bits",
                           q->base.io->name, (uintmax_t) count, (uintmax_t) off,
                           1u << q->header.refcount_order);
}

/* The n entries from entry i of buf on; cluster: the first one's. */
static int
add_in_buffer (const struct rv_qcow2 *q, uint8_t *buf, uint64_t i, uint64_t n,
               uint64_t cluster, int delta, rawview_error *err)
{
  unsigned order = q->header.refcount_order;

  for (uint64_t k = 0; k < n; k++) {
    uint64_t count = rv_qcow2_refcount_get (buf, i + k, order);

    if (count == (delta < 0 ? 0 : rv_qcow2_refcount_max (order)))
      return impossible (q, cluster + k, count, delta, err);
    rv_qcow2_refcount_set (buf, i + k, order, count + delta);
  }
  return 0;
}

/* Some clusters from cluster on, at most *n: *n is set to how many. */
static int
add_some (struct rv_qcow2 *q, uint64_t cluster, uint64_t *n, int delta,
          rawview_error *err)
{
  unsigned order = q->header.refcount_order;
  unsigned per_byte = order < 3 ? 8u >> order : 1;
  struct place p = find (
      q, rv_qcow2_refblock_of (q, cluster << q->header.cluster_bits), cluster);
  uint64_t skip = p.i % per_byte, in, len;
  uint8_t buf[EDIT_MAX];
  struct rv_table *table;
  const uint8_t *bytes;

  if (p.off == 0)
    return impossible (q, cluster, 0, delta, err);
  *n = rv_min_u64 (rv_min_u64 (*n, p.n), ((EDIT_MAX * 8) >> order) - skip);
  in = (p.i - skip) << order >> 3;
  len = (((skip + *n) << order) + 7) >> 3;
  if (rv_tables_pin (q->base.tables, q->base.io, p.off, p.len, &table, &bytes,
                     err) == -1)
    return -1;
  memcpy (buf, bytes + in, len);
  rv_table_unpin (q->base.tables, table);
  if (add_in_buffer (q, buf, skip, *n, cluster, delta, err) == -1)
    return -1;
  return rv_tables_edit (q->base.tables, q->base.io, p.off, p.len, in, buf, len,
                         RV_PHASE_ALLOC, err);
}

/* Clusters from first to end.  *done: up to where it was done. */
static int
add (struct rv_qcow2 *q, uint64_t first, uint64_t end, int delta,
     uint64_t *done, rawview_error *err)
{
  for (*done = first; *done < end;) {
    uint64_t n = end - *done;

    if (add_some (q, *done, &n, delta, err) == -1)
      return -1;
    *done += n;
  }
  return 0;
}

int
rv_qcow2_refcount_add (struct rv_qcow2 *q, uint64_t off, uint64_t len,
                       int delta, rawview_error *err)
{
  unsigned bits = q->header.cluster_bits;
  uint64_t end, done;

  if (len == 0)
    return 0;
  if (!rv_add_u64 (off, len - 1, &end))
    return rv_error_corrupt (err,
                             "%s: the host range at %#jx, %ju bytes, is "
                             "impossible",
                             q->base.io->name, (uintmax_t) off,
                             (uintmax_t) len);
  if (add (q, off >> bits, (end >> bits) + 1, delta, &done, err) == 0)
    return 0;
  /* What was just added can be taken back; at worst, too high remains. */
  add (q, off >> bits, done, -delta, &done, NULL);
  return -1;
}
