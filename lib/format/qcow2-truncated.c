/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: does the file hold what its tables say?
 *
 * What is missing would come to life as the file grows, with bytes that belong
 * to somebody else.  The refcount table and the L1 table are looked at when
 * writing is enabled; an L2 table before it is changed for the first time.
 */

#include <config.h>

#include "format/qcow2-l2.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

#define REFTABLE_RESERVED 0x1ffull

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

/* What is wrong with a table of one cluster at off?  NULL: nothing. */
static const char *
place_wrong (const struct rv_qcow2 *q, const struct rv_qcow2_writing *w,
             uint64_t off)
{
  const char *what = NULL;

  if (off & (cluster_size (q) - 1))
    return "not aligned to a cluster";
  if (!rv_range_fits (off, cluster_size (q), q->base.io->size))
    return "beyond the end of the file, which is truncated";
  rv_qcow2_reserved_clear (w, off, cluster_size (q), &what);
  return what;
}

/*--- The refcount table -------------------------------------------------*/

static const char *
refblock_wrong (const struct rv_qcow2 *q, const struct rv_qcow2_writing *w,
                uint64_t entry)
{
  if (entry & REFTABLE_RESERVED)
    return "one with reserved bits set";
  if (rv_offsets_contain (&q->metadata.l2, entry) ||
      rv_offsets_contain (&w->snapshot_l2, entry))
    return "an L2 table";
  return place_wrong (q, w, entry);
}

static int
check_refblocks (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
                 rawview_error *err)
{
  size_t blocks = 0;

  for (uint64_t i = 0; i < w->reftable_len / 8; i++) {
    uint64_t entry = rv_be64 (w->reftable + i * 8);
    const char *wrong = entry ? refblock_wrong (q, w, entry) : NULL;

    if (wrong)
      return rv_error_corrupt (err,
                               "%s: the QCOW2 refcount table entry %ju (%#jx) "
                               "cannot be right: it is %s",
                               q->base.io->name, (uintmax_t) i,
                               (uintmax_t) entry, wrong);
    blocks += entry != 0;
  }
  /* Opening has collected them, each once. */
  if (blocks != q->metadata.refblocks.len)
    return rv_error_corrupt (err,
                             "%s: two entries of the QCOW2 refcount table name "
                             "the same block, or it has changed since the "
                             "image was opened",
                             q->base.io->name);
  return 0;
}

static int
load_reftable (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
               rawview_error *err)
{
  const struct rv_qcow2_header *h = &q->header;

  w->reftable_off = h->refcount_table_off;
  w->reftable_len = (uint64_t) h->refcount_table_clusters << h->cluster_bits;
  w->reftable = malloc (w->reftable_len);
  if (w->reftable == NULL)
    return rv_error_nomem (err);
  return rv_io_pread (q->base.io, w->reftable, w->reftable_len, w->reftable_off,
                      err);
}

/*--- The L1 table -------------------------------------------------------*/

static const char *
l1_entry_wrong (const struct rv_qcow2 *q, const struct rv_qcow2_writing *w,
                uint64_t entry)
{
  uint64_t off = entry & QCOW2_OFFSET_MASK;

  if (entry & QCOW2_L1_RESERVED)
    return "one with reserved bits set";
  if (off == 0)
    return entry ? "the COPIED flag without an offset" : NULL;
  if (rv_qcow2_metadata_is_refblock (&q->metadata, off))
    return "a refcount block";
  if (rv_qcow2_metadata_l2_shared (&q->metadata, off))
    return "the table of another entry, too";
  return place_wrong (q, w, off);
}

static int
check_l1 (struct rv_qcow2 *q, struct rv_qcow2_writing *w, rawview_error *err)
{
  for (uint32_t i = 0; i < q->l1_size; i++) {
    uint64_t entry = rv_be64 (q->l1 + (uint64_t) i * 8);
    const char *wrong = l1_entry_wrong (q, w, entry);

    if (wrong)
      return rv_error_corrupt (err,
                               "%s: the QCOW2 L1 entry %u (%#jx) cannot be "
                               "right: it is %s",
                               q->base.io->name, i, (uintmax_t) entry, wrong);
  }
  return 0;
}

int
rv_qcow2_check_tables (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
                       rawview_error *err)
{
  if (check_l1 (q, w, err) == -1 || load_reftable (q, w, err) == -1)
    return -1;
  return check_refblocks (q, w, err);
}

/*--- L2 tables ----------------------------------------------------------*/

static bool
is_checked (const struct rv_qcow2_writing *w, size_t i)
{
  return atomic_load (&w->l2_checked[i / 8]) >> i % 8 & 1;
}

/* Does a cluster begin or end where nothing was? */
static bool
is_missing (const struct rv_qcow2 *q, uint64_t end, const uint8_t *p)
{
  struct rv_qcow2_cluster c;

  /* An entry that says nothing is told of when it is used. */
  if (rv_qcow2_l2_decode (p, &q->header, 0, &c) != NULL || c.host_off == 0)
    return false;
  return !rv_range_fits (
      c.host_off, c.kind == QCOW2_CLUSTER_COMPRESSED ? c.host_len : 1, end);
}

static bool
piece_names_missing (const struct rv_qcow2 *q, const uint8_t *bytes, size_t len,
                     uint64_t *entry)
{
  const struct rv_qcow2_writing *w = q->writing;
  unsigned entry_len = rv_qcow2_ext_l2 (&q->header) ? 16 : 8;

  for (size_t in = 0; in < len; in += entry_len)
    if (is_missing (q, w->end, bytes + in)) {
      *entry = rv_be64 (bytes + in);
      return true;
    }
  return false;
}

/* *entry: the first that names what is missing; 0: none. */
static int
find_missing (struct rv_qcow2 *q, uint64_t off, uint64_t *entry,
              rawview_error *err)
{
  size_t len = rv_min_u64 (cluster_size (q), RV_TABLE_PIECE_MAX);

  *entry = 0;
  for (uint64_t in = 0; in < cluster_size (q); in += len) {
    struct rv_table *table;
    const uint8_t *bytes;
    bool missing;

    if (rv_tables_pin (q->base.tables, q->base.io, off + in, len, &table,
                       &bytes, err) == -1)
      return -1;
    missing = piece_names_missing (q, bytes, len, entry);
    rv_table_unpin (q->base.tables, table);
    if (missing)
      return 0;
  }
  return 0;
}

int
rv_qcow2_check_l2 (struct rv_qcow2 *q, uint64_t off, rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  size_t i = rv_offsets_lower_bound (&q->metadata.l2, off);
  uint64_t entry;

  if (i == q->metadata.l2.len || q->metadata.l2.ptr[i] != off ||
      is_checked (w, i))
    return 0;
  if (find_missing (q, off, &entry, err) == -1)
    return -1;
  /* If another thread was faster, this may be what it has published since. */
  if (entry != 0 && !is_checked (w, i))
    return rv_error_corrupt (err,
                             "%s: truncated: the entry %#jx of the QCOW2 L2 "
                             "table at %#jx is beyond the end that the file "
                             "had, %#jx",
                             q->base.io->name, (uintmax_t) entry,
                             (uintmax_t) off, (uintmax_t) w->end);
  atomic_fetch_or (&w->l2_checked[i / 8], 1u << i % 8);
  return 0;
}

/* Old tables may only name what was there, until they have been looked at.  Who
 * asks has their bytes already: if they name what is new, the bit was set
 * first.
 */
uint64_t
rv_qcow2_l2_end (struct rv_qcow2 *q, uint64_t off)
{
  struct rv_qcow2_writing *w = q->writing;
  size_t i;

  if (w == NULL)
    return UINT64_MAX;
  i = rv_offsets_lower_bound (&q->metadata.l2, off);
  if (i == q->metadata.l2.len || q->metadata.l2.ptr[i] != off ||
      is_checked (w, i))
    return UINT64_MAX;
  return w->end;
}
