/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/qcow2-entries.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

unsigned
rv_qcow2_entry_len (const struct rv_qcow2 *q)
{
  return rv_qcow2_ext_l2 (&q->header) ? 16 : 8;
}

uint32_t
rv_qcow2_all (const struct rv_qcow2 *q)
{
  return rv_qcow2_ext_l2 (&q->header) ? UINT32_MAX : 1;
}

uint64_t
rv_qcow2_subcluster_size (const struct rv_qcow2 *q)
{
  return cluster_size (q) /
         (rv_qcow2_ext_l2 (&q->header) ? QCOW2_SUBCLUSTERS : 1);
}

uint32_t
rv_qcow2_subclusters (const struct rv_qcow2 *q, uint64_t from, uint64_t to)
{
  uint64_t size = rv_qcow2_subcluster_size (q);
  uint64_t first = from / size, end = rv_div_up (to, size);

  return (1ull << end) - (1ull << first);
}

/*--- One entry ----------------------------------------------------------*/

int
rv_qcow2_entry_get (const struct rv_qcow2 *q, const uint8_t *p,
                    uint64_t guest_off, struct rv_qcow2_entry *entry,
                    rawview_error *err)
{
  uint64_t start = rv_align_down (guest_off, cluster_size (q));
  struct rv_qcow2_cluster c;
  const char *wrong = rv_qcow2_l2_decode (p, &q->header, start, &c);

  if (wrong)
    return rv_qcow2_bad_l2_entry (q, start, rv_be64 (p), wrong, err);
  *entry = (struct rv_qcow2_entry){
    .compressed = c.kind == QCOW2_CLUSTER_COMPRESSED,
    .copied = rv_be64 (p) & QCOW2_OFLAG_COPIED,
    .host_off = c.host_off,
    .host_len = cluster_size (q),
    .alloc = c.alloc,
    .zero = c.zero,
  };
  if (entry->compressed)
    entry->host_len = c.host_len;
  else if (!rv_qcow2_ext_l2 (&q->header)) {
    entry->alloc = c.kind == QCOW2_CLUSTER_DATA;
    entry->zero = c.kind == QCOW2_CLUSTER_ZERO;
  }
  return 0;
}

void
rv_qcow2_entry_put (const struct rv_qcow2 *q,
                    const struct rv_qcow2_entry *entry, uint8_t *p)
{
  uint64_t first = entry->host_off | (entry->copied ? QCOW2_OFLAG_COPIED : 0);

  if (!rv_qcow2_ext_l2 (&q->header)) {
    rv_put_be64 (p, first | (entry->zero ? QCOW2_OFLAG_ZERO : 0));
    return;
  }
  rv_put_be64 (p, first);
  rv_put_be64 (p + 8, (uint64_t) entry->zero << 32 | entry->alloc);
}

/*--- Pieces of tables ---------------------------------------------------*/

void
rv_qcow2_piece_of (const struct rv_qcow2 *q, uint64_t guest_off,
                   struct rv_qcow2_piece *piece)
{
  size_t len = rv_min_u64 (cluster_size (q), RV_TABLE_PIECE_MAX);
  uint32_t entries = len / rv_qcow2_entry_len (q);
  uint64_t cluster = guest_off >> q->header.cluster_bits;
  uint64_t index = cluster & ((1u << rv_qcow2_l2_bits (&q->header)) - 1);
  uint64_t guest = (cluster - index % entries) << q->header.cluster_bits;

  *piece = (struct rv_qcow2_piece){
    .in = index / entries * len,
    .len = len,
    .guest = guest,
    .entries = entries,
    .guest_end = guest + ((uint64_t) entries << q->header.cluster_bits),
  };
}

int
rv_qcow2_entries_pin (struct rv_qcow2 *q, uint64_t guest_off,
                      struct rv_qcow2_entries *e, rawview_error *err)
{
  *e = (struct rv_qcow2_entries){ .q = q, .l2_own = true };
  rv_qcow2_piece_of (q, guest_off, &e->piece);
  if (rv_qcow2_l2_find (q, guest_off >> rv_qcow2_l1_shift (q), &e->l2_off,
                        &e->l2_own, err) == -1)
    return -1;
  if (e->l2_off == 0)
    return 0;
  return rv_tables_pin (q->base.tables, q->base.io, e->l2_off + e->piece.in,
                        e->piece.len, &e->table, &e->bytes, err);
}

void
rv_qcow2_entries_unpin (struct rv_qcow2_entries *e)
{
  if (e->table)
    rv_table_unpin (e->q->base.tables, e->table);
  e->table = NULL;
  e->bytes = NULL;
}

void
rv_qcow2_entries_copy (const struct rv_qcow2_entries *e, uint64_t guest_off,
                       uint32_t n, uint8_t *p)
{
  unsigned entry_len = rv_qcow2_entry_len (e->q);
  uint64_t i = (guest_off - e->piece.guest) >> e->q->header.cluster_bits;

  if (e->bytes)
    memcpy (p, e->bytes + i * entry_len, (size_t) n * entry_len);
  else
    memset (p, 0, (size_t) n * entry_len);
}

/*--- Host clusters ------------------------------------------------------*/

/* Compressed bytes lie anywhere in one or more clusters, all of which they use.
 */
static int
protect_compressed (struct rv_qcow2 *q, const struct rv_qcow2_entry *entry,
                    bool *own, rawview_error *err)
{
  uint64_t at = rv_align_down (entry->host_off, cluster_size (q));
  uint64_t end = entry->host_off + entry->host_len;
  bool part;

  *own = false;
  while (at < end) {
    uint64_t len = cluster_size (q);

    if (rv_qcow2_protect (q, at, &len, &part, err) == -1)
      return -1;
    *own |= part;
    at += cluster_size (q);
  }
  return 0;
}

int
rv_qcow2_entries_protect (struct rv_qcow2 *q, uint64_t l2_off,
                          const struct rv_qcow2_entry *entry, uint64_t *len,
                          bool *own, rawview_error *err)
{
  if (entry->compressed) {
    if (protect_compressed (q, entry, own, err) == -1)
      return -1;
  }
  else {
    *len = rv_max_u64 (*len, cluster_size (q));
    if (rv_qcow2_protect (q, entry->host_off, len, own, err) == -1)
      return -1;
  }
  if (*own && rv_offsets_contain (&q->writing->snapshot_l2, l2_off))
    return rv_error_corrupt (err,
                             "%s: a QCOW2 L2 table is shared, by snapshots, "
                             "but the cluster at host offset %#jx that it "
                             "names has the refcount 1; try qemu-img check",
                             q->base.io->name, (uintmax_t) entry->host_off);
  return 0;
}
