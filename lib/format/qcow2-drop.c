/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: zeros and trim, which change entries only.
 *
 *   what the entry says        KEEP                 ZERO and TRIM
 *   our own cluster            zero, cluster kept   zero, cluster given back
 *   compressed or shared       zero, given back     zero, given back
 *   no cluster, not zero       zero                 zero
 *   reads as zeros already     nothing              cluster given back
 *
 * Without a parent an entry that says nothing reads as zeros already.  Version
 * 2 has no zero flag: there, only such an entry can be made.  Where there is no
 * table at all, TRIM makes none.
 */

#include <config.h>

#include "format/qcow2-entries.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

/* How many clusters in a row are looked at together. */
#define MAX_RUN 64u

struct dropping {
  struct rv_qcow2 *q;
  enum rv_drop how;
  bool parent;
  struct rv_qcow2_edit edit;
  uint32_t sound; /* entries before this are known to be good to give back */
  bool own;       /* those are ours */
  uint32_t first, end; /* entries that change */
};

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

static bool
has_parent (const struct rv_qcow2 *q)
{
  for (size_t i = 0; i < q->base.refs.len; i++)
    if (q->base.refs.ptr[i].role == RV_REF_PARENT)
      return true;
  return false;
}

/* Can it be said in the tables? */
static bool
can_say (const struct rv_qcow2 *q, enum rv_drop how)
{
  return q->header.version >= 3 || (how != RV_DROP_KEEP && !has_parent (q));
}

bool
rv_qcow2_can_drop (struct rv_format *format, uint64_t off, uint64_t len,
                   enum rv_drop how)
{
  return can_say ((struct rv_qcow2 *) format, how);
}

/*--- One entry ----------------------------------------------------------*/

static int
get (const struct dropping *d, uint32_t i, struct rv_qcow2_entry *entry,
     rawview_error *err)
{
  const struct rv_qcow2_edit *edit = &d->edit;

  return rv_qcow2_entry_get (
      d->q, edit->old + (size_t) i * rv_qcow2_entry_len (d->q),
      edit->guest_off + i * cluster_size (d->q), entry, err);
}

/* Host bytes of the plain clusters that go on from entry i, which has one. */
static uint64_t
run_of (const struct dropping *d, uint32_t i,
        const struct rv_qcow2_entry *entry)
{
  uint64_t len = entry->host_len;
  struct rv_qcow2_entry next;

  while (++i < d->edit.n && len < MAX_RUN * cluster_size (d->q) &&
         get (d, i, &next, NULL) == 0 && !next.compressed &&
         next.host_off == entry->host_off + len)
    len += next.host_len;
  return len;
}

/* Looks at the host clusters that the entry has, if it was not yet done. */
static int
judge (struct dropping *d, uint32_t i, const struct rv_qcow2_entry *entry,
       rawview_error *err)
{
  uint64_t len = 0;

  if (i < d->sound)
    return 0;
  if (!entry->compressed)
    len = run_of (d, i, entry);
  if (rv_qcow2_entries_protect (d->q, d->edit.l2_off, entry, &len, &d->own,
                                err) == -1)
    return -1;
  d->sound = i + (entry->compressed ? 1 : len >> d->q->header.cluster_bits);
  return 0;
}

/* Does it read as zeros? */
static bool
is_zero (const struct dropping *d, const struct rv_qcow2_entry *entry)
{
  return !entry->compressed && entry->alloc == 0 &&
         (!d->parent || entry->zero == rv_qcow2_all (d->q));
}

static int
drop_entry (struct dropping *d, uint32_t i, rawview_error *err)
{
  bool has_host, keep = false;
  struct rv_qcow2_entry entry;

  if (get (d, i, &entry, err) == -1)
    return -1;
  has_host = entry.host_off != 0 || entry.compressed;
  if (is_zero (d, &entry) && (!has_host || d->how == RV_DROP_KEEP))
    return 0;
  if (has_host) {
    if (judge (d, i, &entry, err) == -1)
      return -1;
    keep = d->how == RV_DROP_KEEP && d->own && d->edit.l2_own && entry.copied &&
           !entry.compressed;
  }
  entry = (struct rv_qcow2_entry){
    .host_off = keep ? entry.host_off : 0,
    .copied = keep,
    .zero = d->q->header.version >= 3 ? rv_qcow2_all (d->q) : 0,
  };
  rv_qcow2_entry_put (d->q, &entry,
                      d->edit.next + (size_t) i * rv_qcow2_entry_len (d->q));
  if (d->end == 0)
    d->first = i;
  d->end = i + 1;
  return 0;
}

/*--- A piece ------------------------------------------------------------*/

/* Fills edit->next; first and end are equal if nothing is to change. */
static int
look (struct dropping *d, uint64_t off, uint32_t n, rawview_error *err)
{
  d->sound = d->first = d->end = 0;
  rv_qcow2_edit_release (&d->edit);
  if (rv_qcow2_edit_init (&d->edit, d->q, off, n, err) == -1)
    return -1;
  for (uint32_t i = 0; i < n; i++)
    if (drop_entry (d, i, err) == -1)
      return -1;
  return 0;
}

/* If the table has to be made or copied, the entries are looked at again. */
static int
drop_piece (struct dropping *d, uint64_t off, uint32_t n,
            struct rv_freed_list *freed, rawview_error *err)
{
  uint64_t l2_off;

  for (;;) {
    if (look (d, off, n, err) == -1)
      return -1;
    if (d->end == 0)
      return 0;
    if (rv_qcow2_l2_for_write (d->q, off >> rv_qcow2_l1_shift (d->q), freed,
                               &l2_off, err) == -1)
      return -1;
    if (l2_off == d->edit.l2_off)
      return rv_qcow2_edit_apply (&d->edit, d->first, d->end - d->first, freed,
                                  err);
  }
}

/* How many bytes from off on have no table, where none is needed? */
static uint64_t
nothing_there (const struct dropping *d, uint64_t off, uint64_t len)
{
  unsigned shift = rv_qcow2_l1_shift (d->q);
  uint64_t i = off >> shift;

  if (d->parent && d->how != RV_DROP_TRIM)
    return 0;
  while (i << shift < off + len && rv_qcow2_l1_load (d->q, i) == 0)
    i++;
  return i << shift <= off ? 0 : rv_min_u64 ((i << shift) - off, len);
}

/* Bytes of whole clusters from off on, in one piece.  Where the disk ends, so
 * does its last cluster.  0: there are none.
 */
static uint64_t
whole (const struct rv_qcow2 *q, uint64_t off, uint64_t len)
{
  struct rv_qcow2_piece piece;

  if (off % cluster_size (q) != 0)
    return 0;
  rv_qcow2_piece_of (q, off, &piece);
  if (off + len >= piece.guest_end)
    return piece.guest_end - off;
  return off + len == q->base.size ? len
                                   : rv_align_down (len, cluster_size (q));
}

int
rv_qcow2_drop (struct rv_format *format, uint64_t off, uint64_t len,
               enum rv_drop how, struct rv_drop_answer *answer,
               struct rv_freed_list *freed, rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  struct dropping d = { .q = q, .how = how, .parent = has_parent (q) };
  uint64_t part = whole (q, off, len);
  int r;

  *answer = (struct rv_drop_answer){ .what = RV_DROPPED };
  if (part == 0 || !can_say (q, how)) {
    answer->what = RV_DROP_WRITE;
    answer->len =
        part ? len
             : rv_min_u64 (len, cluster_size (q) - off % cluster_size (q));
    return 0;
  }
  answer->len = nothing_there (&d, off, len);
  if (answer->len > 0)
    return 0;
  answer->len = part;
  r = drop_piece (&d, off, rv_div_up (part, cluster_size (q)), freed, err);
  rv_qcow2_edit_release (&d.edit);
  return r;
}
