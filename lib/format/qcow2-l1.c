/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: the entries of the L1 table, and L2 tables that are made or copied for
 * writing.
 *
 * A new table is filled before an L1 entry names it: in memory, since it is
 * stored last and as a whole, and on disk, since tables are made in phase ALLOC
 * and the entry is written in phase PUBLISH.  Who has found the old table goes
 * on reading it: it stays as it was.
 */

#include <config.h>

#include "format/qcow2-entries.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

unsigned
rv_qcow2_l1_shift (const struct rv_qcow2 *q)
{
  return q->header.cluster_bits + rv_qcow2_l2_bits (&q->header);
}

uint64_t
rv_qcow2_l1_load (const struct rv_qcow2 *q, uint64_t i)
{
  const uint64_t *entry = (const uint64_t *) q->l1 + i;

  return be64toh (__atomic_load_n (entry, __ATOMIC_ACQUIRE));
}

void
rv_qcow2_l1_store (struct rv_qcow2 *q, uint64_t i, uint64_t entry)
{
  __atomic_store_n ((uint64_t *) q->l1 + i, htobe64 (entry), __ATOMIC_RELEASE);
}

/*--- What is wrong with an entry? ---------------------------------------*/

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

static bool
made_by_us (struct rv_qcow2 *q, uint64_t off)
{
  return q->writing != NULL && rv_qcow2_own_clear (q, off, 1) == 0;
}

const char *
rv_qcow2_l1_entry_wrong (struct rv_qcow2 *q, uint64_t entry)
{
  uint64_t off = entry & QCOW2_OFFSET_MASK;

  if (entry & QCOW2_L1_RESERVED)
    return "reserved bits set";
  if (off & (cluster_size (q) - 1))
    return "an offset that is not aligned to a cluster";
  /* A table of this run is not in the file before the first flush. */
  if (!rv_range_fits (off, cluster_size (q), q->base.io->size) &&
      !made_by_us (q, off))
    return "an L2 table that does not fit into the file";
  if (off < cluster_size (q))
    return "an L2 table in the header";
  if (rv_ranges_overlap (off, cluster_size (q), q->metadata.l1_off,
                         q->metadata.l1_len))
    return "an L2 table in the L1 table";
  if (rv_ranges_overlap (off, cluster_size (q), q->metadata.reftable_off,
                         q->metadata.reftable_len))
    return "an L2 table in the refcount table";
  if (rv_qcow2_metadata_is_refblock (&q->metadata, off))
    return "an L2 table in a refcount block";
  if (rv_qcow2_metadata_l2_shared (&q->metadata, off))
    return "an L2 table that another entry has too";
  return NULL;
}

int
rv_qcow2_bad_l1_entry (const struct rv_qcow2 *q, uint64_t i, uint64_t entry,
                       const char *wrong, rawview_error *err)
{
  return rv_error_corrupt (err, "%s: the QCOW2 L1 entry %ju (%#jx) has %s",
                           q->base.io->name, (uintmax_t) i, (uintmax_t) entry,
                           wrong);
}

/*--- Finding ------------------------------------------------------------*/

static int
find (struct rv_qcow2 *q, uint64_t i, uint64_t entry, uint64_t *l2_off,
      bool *own, rawview_error *err)
{
  const char *wrong;

  *own = true;
  *l2_off = 0;
  if (entry == 0)
    return 0;
  wrong = rv_qcow2_l1_entry_wrong (q, entry);
  if (wrong)
    return rv_qcow2_bad_l1_entry (q, i, entry, wrong, err);
  *l2_off = entry & QCOW2_OFFSET_MASK;
  if (made_by_us (q, *l2_off))
    return 0;
  return rv_qcow2_protect_l2 (q, *l2_off, own, err);
}

/* If the table has been copied meanwhile, its refcount may have been lowered,
 * too: then the snapshots' table looked like one that is ours alone.
 */
int
rv_qcow2_l2_find (struct rv_qcow2 *q, uint64_t i, uint64_t *l2_off, bool *own,
                  rawview_error *err)
{
  uint64_t entry;
  int r;

  do {
    entry = rv_qcow2_l1_load (q, i);
    r = find (q, i, entry, l2_off, own, err);
  } while (rv_qcow2_l1_load (q, i) != entry);
  return r;
}

/*--- Making -------------------------------------------------------------*/

/* In a copy no cluster is the active disk's alone: the old table names it, too.
 */
static void
clear_copied (const struct rv_qcow2 *q, uint8_t *entries, size_t len)
{
  for (size_t i = 0; i < len; i += rv_qcow2_entry_len (q)) {
    uint64_t entry = rv_be64 (entries + i);

    if (!(entry & QCOW2_OFLAG_COMPRESSED))
      rv_put_be64 (entries + i, entry & ~QCOW2_OFLAG_COPIED);
  }
}

static int
copy_piece (struct rv_qcow2 *q, uint64_t from, uint64_t to, size_t len,
            uint8_t *buf, rawview_error *err)
{
  struct rv_table *table;
  const uint8_t *bytes;

  if (from == 0)
    return rv_tables_create (q->base.tables, q->base.io, to, len, NULL, err);
  if (rv_tables_pin (q->base.tables, q->base.io, from, len, &table, &bytes,
                     err) == -1)
    return -1;
  memcpy (buf, bytes, len);
  rv_table_unpin (q->base.tables, table);
  clear_copied (q, buf, len);
  return rv_tables_create (q->base.tables, q->base.io, to, len, buf, err);
}

/* from 0: zeros */
static int
fill_table (struct rv_qcow2 *q, uint64_t from, uint64_t to, rawview_error *err)
{
  uint64_t size = cluster_size (q);
  size_t len = rv_min_u64 (size, RV_TABLE_PIECE_MAX);
  CLEANUP_FREE uint8_t *buf = malloc (len);

  if (buf == NULL)
    return rv_error_nomem (err);
  for (uint64_t in = 0; in < size; in += len)
    if (copy_piece (q, from ? from + in : 0, to + in, len, buf, err) == -1)
      return -1;
  return 0;
}

/* The entry on disk, later, and then in memory, which cannot fail. */
static int
name_table (struct rv_qcow2 *q, uint64_t i, uint64_t l2_off, rawview_error *err)
{
  uint64_t entry = l2_off | QCOW2_OFLAG_COPIED;
  uint8_t bytes[8];

  rv_put_be64 (bytes, entry);
  if (rv_tables_patch (q->base.tables, q->base.io, q->l1_off + i * 8, bytes,
                       sizeof bytes, RV_PHASE_PUBLISH, err) == -1)
    return -1;
  rv_qcow2_l1_store (q, i, entry);
  return 0;
}

/* Makes the table of entry i, a copy of the one at from or empty. */
static int
make_table (struct rv_qcow2 *q, uint64_t i, uint64_t from,
            struct rv_freed_list *freed, uint64_t *l2_off, rawview_error *err)
{
  uint64_t size = cluster_size (q);

  if (rv_qcow2_alloc_table (q, l2_off, err) == -1)
    return -1;
  if (fill_table (q, from, *l2_off, err) == -1 ||
      name_table (q, i, *l2_off, err) == -1) {
    rv_qcow2_own_remove (q, *l2_off);
    rv_qcow2_freed (q, freed, *l2_off, size, NULL);
    return -1;
  }
  /* Without memory the old one leaks: its refcount stays too high. */
  if (from)
    rv_qcow2_freed (q, freed, from, size, NULL);
  return 0;
}

int
rv_qcow2_l2_for_write (struct rv_qcow2 *q, uint64_t i,
                       struct rv_freed_list *freed, uint64_t *l2_off,
                       rawview_error *err)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t old;
  bool own;

  if (rv_qcow2_l2_find (q, i, l2_off, &own, err) == -1)
    return -1;
  if (*l2_off != 0 && own)
    return 0;
  LOCKED (&w->l2_lock);
  /* Somebody else may have made it meanwhile. */
  if (rv_qcow2_l2_find (q, i, &old, &own, err) == -1)
    return -1;
  if (old != 0 && own) {
    *l2_off = old;
    return 0;
  }
  return make_table (q, i, old, freed, l2_off, err);
}
