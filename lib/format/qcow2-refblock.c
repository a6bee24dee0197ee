/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: new refcount blocks, and a larger refcount table.
 *
 * Both are put at the end of what was given out.  No block is there yet,
 * otherwise none would be needed, so that new blocks count themselves.  They
 * are made in phase ALLOC and hooked in phase HOOK.  Until they are hooked the
 * file says that their clusters are free, which they are: nothing else that is
 * durable names them.
 */

#include <config.h>

#include <errno.h>

#include "format/qcow2-refcount.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

#define MAX_HOST_OFF     (1ull << 56)
#define AT_REFTABLE      48u /* in the header: offset and clusters, 12 bytes */
#define REFTABLE_ENTRIES (QCOW2_MAX_REFTABLE_BYTES / 8)

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

/* Clusters that one block counts, as a shift. */
static unsigned
block_bits (const struct rv_qcow2 *q)
{
  return rv_qcow2_refblock_bits (q->header.cluster_bits,
                                 q->header.refcount_order);
}

uint64_t
rv_qcow2_refblock_of (const struct rv_qcow2 *q, uint64_t off)
{
  const struct rv_qcow2_writing *w = q->writing;
  uint64_t i = off >> q->header.cluster_bits >> block_bits (q);

  return i < w->reftable_len / 8 ? rv_be64 (w->reftable + i * 8) : 0;
}

void
rv_qcow2_reftable (struct rv_qcow2 *q, uint64_t *off, uint64_t *len)
{
  struct rv_qcow2_writing *w = q->writing;

  *off = q->header.refcount_table_off;
  *len = (uint64_t) q->header.refcount_table_clusters << q->header.cluster_bits;
  if (w == NULL)
    return;
  LOCKED (&w->alloc_lock);
  *off = w->reftable_off;
  *len = w->reftable_len;
}

static int
full (const struct rv_qcow2 *q, uint64_t off, rawview_error *err)
{
  return rv_error_set (err, RAWVIEW_ERROR_LIMIT, ENOSPC,
                       "%s: QCOW2 cannot have clusters beyond %#jx here: the "
                       "refcount table would be larger than %u bytes, or the "
                       "offset too large",
                       q->base.io->name, (uintmax_t) off,
                       QCOW2_MAX_REFTABLE_BYTES);
}

/*--- Making tables ------------------------------------------------------*/

/* One cluster of a table, in the pieces in which it will be read. */
static int
create_cluster (struct rv_qcow2 *q, uint64_t off, const uint8_t *bytes,
                rawview_error *err)
{
  size_t len = rv_min_u64 (cluster_size (q), RV_TABLE_PIECE_MAX);

  for (uint64_t in = 0; in < cluster_size (q); in += len)
    if (rv_tables_create (q->base.tables, q->base.io, off + in, len, bytes + in,
                          err) == -1)
      return -1;
  return 0;
}

/* A block at off, for the clusters from block on (times what one counts), that
 * says 1 for those from first to end and 0 for all others.
 */
static int
create_block (struct rv_qcow2 *q, uint64_t off, uint64_t block, uint64_t first,
              uint64_t end, rawview_error *err)
{
  CLEANUP_FREE uint8_t *bytes = calloc (1, cluster_size (q));
  uint64_t start = block << block_bits (q);
  uint64_t from = rv_max_u64 (first, start);
  uint64_t to = rv_min_u64 (end, start + (1ull << block_bits (q)));

  if (bytes == NULL)
    return rv_error_nomem (err);
  for (uint64_t i = from; i < to; i++)
    rv_qcow2_refcount_set (bytes, i - start, q->header.refcount_order, 1);
  return create_cluster (q, off, bytes, err);
}

static int
own_clusters (struct rv_qcow2 *q, uint64_t off, uint64_t n, rawview_error *err)
{
  for (uint64_t i = 0; i < n; i++)
    if (rv_qcow2_own_add (q, off + (i << q->header.cluster_bits), err) == -1)
      return -1;
  return 0;
}

static void
disown_clusters (struct rv_qcow2 *q, uint64_t off, uint64_t n)
{
  for (uint64_t i = 0; i < n; i++)
    rv_qcow2_own_remove (q, off + (i << q->header.cluster_bits));
}

/*--- One block ----------------------------------------------------------*/

/* The entry is changed as a part of its piece rather than by a patch: a table
 * that this run has made may still have to be written itself.
 */
static int
hook_block (struct rv_qcow2 *q, uint64_t block, uint64_t off,
            rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  size_t len = rv_min_u64 (cluster_size (q), RV_TABLE_PIECE_MAX);
  uint64_t in = block * 8;
  uint8_t entry[8];

  rv_put_be64 (entry, off);
  if (rv_tables_edit (q->base.tables, q->base.io,
                      w->reftable_off + rv_align_down (in, len), len, in % len,
                      entry, sizeof entry, RV_PHASE_HOOK, err) == -1)
    return -1;
  rv_put_be64 (w->reftable + in, off);
  return 0;
}

/* At next, for the clusters around it. */
static int
make_block (struct rv_qcow2 *q, uint64_t block, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t off = w->next, first = off >> q->header.cluster_bits;

  if (own_clusters (q, off, 1, err) == -1 ||
      create_block (q, off, block, first, first + 1, err) == -1 ||
      hook_block (q, block, off, err) == -1) {
    disown_clusters (q, off, 1);
    return -1;
  }
  w->next += cluster_size (q);
  return 0;
}

/*--- A larger table -----------------------------------------------------*/

/* At next: blocks, then the table, for all of which the blocks count. */
struct area {
  uint64_t first;    /* cluster */
  uint64_t block;    /* index of the first block in the table */
  uint64_t blocks;   /* how many */
  uint64_t clusters; /* of the table */
  uint8_t *table;
};

static uint64_t
area_end (const struct area *a)
{
  return a->first + a->blocks + a->clusters;
}

/* The blocks count themselves, too. */
static void
plan_blocks (const struct rv_qcow2 *q, struct area *a)
{
  uint64_t need = 1;

  do {
    a->blocks = need;
    need = ((area_end (a) - 1) >> block_bits (q)) - a->block + 1;
  } while (need > a->blocks);
}

/* Half as large again, so that it happens seldom. */
static int
plan_area (struct rv_qcow2 *q, struct area *a, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t most = QCOW2_MAX_REFTABLE_BYTES >> q->header.cluster_bits;

  *a = (struct area){ .first = w->next >> q->header.cluster_bits,
                      .clusters = w->reftable_len >> q->header.cluster_bits };
  a->block = a->first >> block_bits (q);
  if (a->block >= REFTABLE_ENTRIES)
    return full (q, w->next, err);
  do {
    if (a->clusters == most)
      return full (q, w->next, err);
    a->clusters = rv_min_u64 (a->clusters + a->clusters / 2 + 1, most);
    plan_blocks (q, a);
  } while (a->block + a->blocks > a->clusters * cluster_size (q) / 8);
  if (area_end (a) << q->header.cluster_bits > MAX_HOST_OFF)
    return full (q, w->next, err);
  return 0;
}

static int
create_area (struct rv_qcow2 *q, struct area *a, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  unsigned bits = q->header.cluster_bits;

  a->table = calloc (a->clusters, cluster_size (q));
  if (a->table == NULL)
    return rv_error_nomem (err);
  memcpy (a->table, w->reftable, w->reftable_len);
  for (uint64_t i = 0; i < a->blocks; i++) {
    uint64_t off = (a->first + i) << bits;

    rv_put_be64 (a->table + (a->block + i) * 8, off);
    if (create_block (q, off, a->block + i, a->first, area_end (a), err) == -1)
      return -1;
  }
  for (uint64_t i = 0; i < a->clusters; i++)
    if (create_cluster (q, (a->first + a->blocks + i) << bits,
                        a->table + (i << bits), err) == -1)
      return -1;
  return 0;
}

/* The header's pointer, later, and the table in memory, which cannot fail. */
static int
hook_area (struct rv_qcow2 *q, struct area *a, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t off = (a->first + a->blocks) << q->header.cluster_bits;
  uint8_t pointer[12];

  rv_put_be64 (pointer, off);
  rv_put_be32 (pointer + 8, a->clusters);
  if (rv_qcow2_frees_append (
          &w->old_reftables,
          (struct rv_qcow2_free){ w->reftable_off, w->reftable_len }) == -1)
    return rv_error_nomem (err);
  if (rv_tables_patch (q->base.tables, q->base.io, AT_REFTABLE, pointer,
                       sizeof pointer, RV_PHASE_HOOK, err) == -1) {
    w->old_reftables.len--;
    return -1;
  }
  free (w->reftable);
  w->reftable = STEAL (a->table);
  w->reftable_off = off;
  w->reftable_len = a->clusters << q->header.cluster_bits;
  w->next = area_end (a) << q->header.cluster_bits;
  return 0;
}

static int
grow_table (struct rv_qcow2 *q, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t off = w->next;
  struct area a;
  int r;

  if (plan_area (q, &a, err) == -1)
    return -1;
  if (own_clusters (q, off, a.blocks + a.clusters, err) == -1 ||
      create_area (q, &a, err) == -1 || hook_area (q, &a, err) == -1) {
    disown_clusters (q, off, a.blocks + a.clusters);
    r = -1;
  }
  else
    r = 0;
  free (a.table);
  return r;
}

int
rv_qcow2_refblock_ready (struct rv_qcow2 *q, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;

  while (rv_qcow2_refblock_of (q, w->next) == 0) {
    uint64_t block = w->next >> q->header.cluster_bits >> block_bits (q);
    int r;

    if (w->next > MAX_HOST_OFF - cluster_size (q))
      return full (q, w->next, err);
    if (block < w->reftable_len / 8)
      r = make_block (q, block, err);
    else
      r = grow_table (q, err);
    if (r == -1)
      return -1;
  }
  return 0;
}
