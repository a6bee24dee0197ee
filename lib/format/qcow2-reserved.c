/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: where the tables are that nobody may touch.  No two of them
 * may overlap: whoever wrote one would change the other.
 *
 * The snapshots' own tables are found here, too, since a cluster of theirs must
 * not be taken for data, whatever its refcount.
 */

#include <config.h>

#include "format/qcow2-l2.h"
#include "format/qcow2-snapshot.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

#define MAX_SNAPSHOT_L1_BYTES (64u << 20) /* of all snapshots together */

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

/* Widened to whole clusters. */
static int
add (struct rv_qcow2 *q, struct rv_qcow2_writing *w, uint64_t off, uint64_t len,
     const char *what, rawview_error *err)
{
  uint64_t size = cluster_size (q), start = rv_align_down (off, size);
  uint64_t clusters = rv_div_up (off - start + len, size);
  struct rv_qcow2_range range = { start, clusters * size, what };

  if (len == 0)
    return 0;
  if (!rv_range_fits (off, len, q->base.io->size))
    return rv_error_corrupt (err,
                             "%s: truncated: %s (QCOW2, offset %#jx, %ju "
                             "bytes) does not fit into the file of %ju bytes",
                             q->base.io->name, what, (uintmax_t) off,
                             (uintmax_t) len, (uintmax_t) q->base.io->size);
  return rv_qcow2_ranges_append (&w->reserved, range) == -1
             ? rv_error_nomem (err)
             : 0;
}

/*--- The refcount table -------------------------------------------------*/

static int
add_reftable (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
              rawview_error *err)
{
  const struct rv_qcow2_header *h = &q->header;
  uint64_t len = (uint64_t) h->refcount_table_clusters << h->cluster_bits;

  if (len == 0)
    return rv_error_corrupt (err, "%s: the QCOW2 refcount table has no cluster",
                             q->base.io->name);
  if (len > QCOW2_MAX_REFTABLE_BYTES)
    return rv_error_limit (err,
                           "%s: a QCOW2 refcount table of %u clusters is "
                           "larger than %u bytes",
                           q->base.io->name, h->refcount_table_clusters,
                           QCOW2_MAX_REFTABLE_BYTES);
  if (h->refcount_table_off & (cluster_size (q) - 1))
    return rv_error_corrupt (err,
                             "%s: the QCOW2 refcount table offset %#jx is not "
                             "that of a cluster",
                             q->base.io->name,
                             (uintmax_t) h->refcount_table_off);
  return add (q, w, h->refcount_table_off, len, "the refcount table", err);
}

/*--- Snapshots ----------------------------------------------------------*/

static int
add_snapshot_l2 (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
                 const struct rv_qcow2_snapshot *s, const uint8_t *l1,
                 rawview_error *err)
{
  for (uint32_t i = 0; i < s->l1_size; i++) {
    uint64_t entry = rv_be64 (l1 + (uint64_t) i * 8);
    uint64_t off = entry & QCOW2_OFFSET_MASK;

    if (entry & QCOW2_L1_RESERVED || off & (cluster_size (q) - 1) ||
        !rv_range_fits (off, cluster_size (q), q->base.io->size))
      return rv_error_corrupt (err,
                               "%s: the QCOW2 L1 entry %u (%#jx) of snapshot "
                               "%s has reserved bits set, is not aligned, or "
                               "is beyond the end of the file",
                               q->base.io->name, i, (uintmax_t) entry, s->id);
    if (off != 0 && rv_offsets_append (&w->snapshot_l2, off) == -1)
      return rv_error_nomem (err);
  }
  return 0;
}

static int
add_snapshot (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
              const struct rv_qcow2_snapshot *s, uint64_t *l1_bytes,
              rawview_error *err)
{
  uint64_t len = (uint64_t) s->l1_size * 8;
  CLEANUP_FREE uint8_t *l1 = NULL;

  if (len == 0)
    return 0;
  *l1_bytes += len;
  if (len > RV_MAX_L1_BYTES || *l1_bytes > MAX_SNAPSHOT_L1_BYTES)
    return rv_error_limit (err,
                           "%s: the L1 tables of the QCOW2 snapshots are "
                           "larger than %u bytes, or that of one than %u",
                           q->base.io->name, MAX_SNAPSHOT_L1_BYTES,
                           RV_MAX_L1_BYTES);
  if (s->l1_off & (cluster_size (q) - 1))
    return rv_error_corrupt (err,
                             "%s: the L1 table offset %#jx of the QCOW2 "
                             "snapshot %s is not that of a cluster",
                             q->base.io->name, (uintmax_t) s->l1_off, s->id);
  if (add (q, w, s->l1_off, len, "the L1 table of a snapshot", err) == -1)
    return -1;
  l1 = malloc (len);
  if (l1 == NULL)
    return rv_error_nomem (err);
  if (rv_io_pread (q->base.io, l1, len, s->l1_off, err) == -1)
    return -1;
  return add_snapshot_l2 (q, w, s, l1, err);
}

static int
add_snapshots (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
               rawview_error *err)
{
  const struct rv_qcow2_header *h = &q->header;
  uint64_t off = h->snapshots_off, l1_bytes = 0;

  if (h->nb_snapshots == 0)
    return 0; /* the offset means nothing */
  for (uint32_t i = 0; i < h->nb_snapshots; i++) {
    struct rv_qcow2_snapshot s;
    int r;

    if (rv_qcow2_snapshot_read (q->base.io, h, &off, &s, err) == -1)
      return -1;
    r = add_snapshot (q, w, &s, &l1_bytes, err);
    rv_qcow2_snapshot_release (&s);
    if (r == -1)
      return -1;
  }
  rv_offsets_sort (&w->snapshot_l2, NULL);
  return add (q, w, h->snapshots_off,
              rv_min_u64 (off, q->base.io->size) - h->snapshots_off,
              "the snapshot table", err);
}

/*--- Bitmaps ------------------------------------------------------------*/

/* What the directory names keeps its refcounts and so is never given out. */
static int
add_bitmaps (struct rv_qcow2 *q, struct rv_qcow2_writing *w, rawview_error *err)
{
  const struct rv_qcow2_bitmaps *b = &q->bitmaps;

  /* Without the bit nobody vouches for the extension. */
  if (!b->present || !(q->header.autoclear & QCOW2_AUTOCLEAR_BITMAPS))
    return 0;
  return add (q, w, b->directory_off, b->directory_len, "the bitmap directory",
              err);
}

/*--- The whole ----------------------------------------------------------*/

static int
compare (const void *a, const void *b)
{
  const struct rv_qcow2_range *x = a, *y = b;

  return x->off < y->off ? -1 : x->off > y->off;
}

static int
check_overlaps (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
                rawview_error *err)
{
  const struct rv_qcow2_range *r = w->reserved.ptr;

  qsort (w->reserved.ptr, w->reserved.len, sizeof *r, compare);
  for (size_t i = 1; i < w->reserved.len; i++)
    if (rv_ranges_overlap (r[i - 1].off, r[i - 1].len, r[i].off, r[i].len))
      return rv_error_corrupt (err, "%s: QCOW2: %s and %s overlap at %#jx",
                               q->base.io->name, r[i - 1].what, r[i].what,
                               (uintmax_t) r[i].off);
  return 0;
}

/* L2 tables may be shared among snapshots and the active disk. */
static int
check_l2_tables (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
                 const struct rv_offsets *l2, rawview_error *err)
{
  for (size_t i = 0; i < l2->len; i++) {
    const char *what = NULL;

    if (rv_qcow2_metadata_is_refblock (&q->metadata, l2->ptr[i]))
      what = "a refcount block";
    rv_qcow2_reserved_clear (w, l2->ptr[i], cluster_size (q), &what);
    if (what)
      return rv_error_corrupt (err,
                               "%s: the QCOW2 L2 table at %#jx is in place of "
                               "%s",
                               q->base.io->name, (uintmax_t) l2->ptr[i], what);
  }
  return 0;
}

int
rv_qcow2_reserve (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
                  rawview_error *err)
{
  if (add (q, w, 0, QCOW2_V2_HEADER_LEN, "the header", err) == -1 ||
      add (q, w, q->l1_off, (uint64_t) q->l1_size * 8, "the L1 table", err) ==
          -1 ||
      add_reftable (q, w, err) == -1 || add_snapshots (q, w, err) == -1 ||
      add_bitmaps (q, w, err) == -1 || check_overlaps (q, w, err) == -1)
    return -1;
  return check_l2_tables (q, w, &w->snapshot_l2, err);
}

uint64_t
rv_qcow2_reserved_clear (const struct rv_qcow2_writing *w, uint64_t off,
                         uint64_t len, const char **what)
{
  const struct rv_qcow2_range *r = w->reserved.ptr;
  size_t lo = 0, hi = w->reserved.len;

  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;

    if (r[mid].off + r[mid].len <= off)
      lo = mid + 1;
    else
      hi = mid;
  }
  if (lo == w->reserved.len ||
      !rv_ranges_overlap (off, len, r[lo].off, r[lo].len))
    return len;
  *what = r[lo].what;
  return r[lo].off > off ? r[lo].off - off : 0;
}
