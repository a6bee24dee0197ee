/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: L2 entries change, in memory.  What each change is, the
 * caller says; here, it is made at once or not at all, and what is no longer
 * named is handed over.
 */

#include <config.h>

#include "format/qcow2-entries.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

/*--- A change -----------------------------------------------------------*/

int
rv_qcow2_edit_init (struct rv_qcow2_edit *edit, struct rv_qcow2 *q,
                    uint64_t guest_off, uint32_t n, rawview_error *err)
{
  size_t len = (size_t) n * rv_qcow2_entry_len (q);
  struct rv_qcow2_entries e;

  *edit = (struct rv_qcow2_edit){ .q = q,
                                  .guest_off = guest_off,
                                  .n = n,
                                  .old = malloc (len),
                                  .next = malloc (len) };
  if (edit->old == NULL || edit->next == NULL)
    return rv_error_nomem (err);
  if (rv_qcow2_entries_pin (q, guest_off, &e, err) == -1)
    return -1;
  edit->l2_off = e.l2_off;
  edit->l2_own = e.l2_own;
  rv_qcow2_entries_copy (&e, guest_off, n, edit->old);
  memcpy (edit->next, edit->old, len);
  /* Nobody holds the piece when it changes, so that it need not be copied. */
  rv_qcow2_entries_unpin (&e);
  return 0;
}

void
rv_qcow2_edit_release (struct rv_qcow2_edit *edit)
{
  free (edit->old);
  free (edit->next);
}

/* The host range that old names and next does not; false: none. */
static bool
given_up (const struct rv_qcow2_edit *edit, uint32_t i, uint64_t *off,
          uint64_t *len, bool *whole)
{
  size_t in = (size_t) i * rv_qcow2_entry_len (edit->q);
  uint64_t guest =
      edit->guest_off + ((uint64_t) i << edit->q->header.cluster_bits);
  struct rv_qcow2_entry old, next;

  if (rv_qcow2_entry_get (edit->q, edit->old + in, guest, &old, NULL) == -1 ||
      rv_qcow2_entry_get (edit->q, edit->next + in, guest, &next, NULL) == -1 ||
      old.host_off == 0 ||
      (old.host_off == next.host_off && old.compressed == next.compressed))
    return false;
  *off = old.host_off;
  *len = old.host_len;
  *whole = !old.compressed;
  return true;
}

/* Without memory for the list they leak, which is harmless. */
static void
hand_over (const struct rv_qcow2_edit *edit, uint32_t first, uint32_t n,
           struct rv_freed_list *freed)
{
  uint64_t off, len, run_off = 0, run_len = 0;
  bool whole;

  for (uint32_t i = first; i < first + n; i++) {
    if (!given_up (edit, i, &off, &len, &whole))
      continue;
    if (whole && run_len > 0 && off == run_off + run_len) {
      run_len += len;
      continue;
    }
    if (run_len > 0)
      rv_qcow2_freed (edit->q, freed, run_off, run_len, NULL);
    run_len = 0;
    if (whole) {
      run_off = off;
      run_len = len;
    }
    else
      rv_qcow2_freed (edit->q, freed, off, len, NULL);
  }
  if (run_len > 0)
    rv_qcow2_freed (edit->q, freed, run_off, run_len, NULL);
}

int
rv_qcow2_edit_apply (const struct rv_qcow2_edit *edit, uint32_t first,
                     uint32_t n, struct rv_freed_list *freed,
                     rawview_error *err)
{
  struct rv_qcow2 *q = edit->q;
  unsigned entry_len = rv_qcow2_entry_len (q);
  uint64_t guest =
      edit->guest_off + ((uint64_t) first << q->header.cluster_bits);
  struct rv_qcow2_piece piece;

  rv_qcow2_piece_of (q, guest, &piece);
  if (rv_tables_edit (
          q->base.tables, q->base.io, edit->l2_off + piece.in, piece.len,
          ((guest - piece.guest) >> q->header.cluster_bits) * entry_len,
          edit->next + (size_t) first * entry_len, (size_t) n * entry_len,
          RV_PHASE_PUBLISH, err) == -1)
    return -1;
  hand_over (edit, first, n, freed);
  return 0;
}

/*--- Publishing a plan --------------------------------------------------*/

/* The subclusters of the cluster at guest that the plan has filled. */
static uint32_t
filled (const struct rv_qcow2 *q, const struct rv_plan *plan, uint64_t guest)
{
  uint64_t from = rv_max_u64 (plan->fill_off, guest);
  uint64_t to =
      rv_min_u64 (plan->fill_off + plan->fill_len, guest + cluster_size (q));

  return rv_qcow2_subclusters (q, from - guest, to - guest);
}

static int
publish_entry (const struct rv_qcow2_edit *edit, uint32_t i,
               const struct rv_plan *plan, rawview_error *err)
{
  struct rv_qcow2 *q = edit->q;
  size_t in = (size_t) i * rv_qcow2_entry_len (q);
  uint64_t guest = edit->guest_off + i * cluster_size (q);
  uint32_t bits = filled (q, plan, guest);
  struct rv_qcow2_entry entry;

  if (rv_qcow2_entry_get (q, edit->old + in, guest, &entry, err) == -1)
    return -1;
  if (plan->kind == RV_PLAN_FRESH) {
    entry.alloc = 0;
    entry.compressed = false;
    entry.copied = true;
    /* Wraps where guest is below plan->off. */
    entry.host_off = plan->host_off + (guest - plan->off);
  }
  entry.alloc |= bits;
  entry.zero &= ~bits;
  rv_qcow2_entry_put (q, &entry, edit->next + in);
  return 0;
}

int
rv_qcow2_publish (struct rv_format *format, const struct rv_plan *plan,
                  struct rv_freed_list *freed, rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  uint64_t first = rv_align_down (plan->off, cluster_size (q));
  uint32_t n = rv_div_up (plan->off + plan->len - first, cluster_size (q));
  CLEANUP_QCOW2_EDIT struct rv_qcow2_edit edit = { 0 };
  uint64_t l2_off;

  if (rv_qcow2_l2_for_write (q, plan->off >> rv_qcow2_l1_shift (q), freed,
                             &l2_off, err) == -1 ||
      rv_qcow2_edit_init (&edit, q, first, n, err) == -1)
    return -1;
  for (uint32_t i = 0; i < n; i++)
    if (publish_entry (&edit, i, plan, err) == -1)
      return -1;
  return rv_qcow2_edit_apply (&edit, 0, n, freed, err);
}
