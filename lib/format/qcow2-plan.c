/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: where may these guest bytes go?
 *
 *   subclusters that are data in a cluster which is ours   in place
 *   others of such a cluster                               claim
 *   everything else                                        a fresh cluster
 *
 * A cluster is ours if the entry has the COPIED flag, its table is not shared
 * and the refcount is really 1: the flag alone is only a hint.  A run goes on
 * over adjoining clusters of the same answer, at most to the end of the piece,
 * so that publish is one change of one piece.
 */

#include <config.h>

#include "format/qcow2-entries.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

/* So that what an allocation locks and fills at once stays small. */
#define MAX_FRESH (4u << 20)

struct question {
  struct rv_qcow2_entries e;
  uint64_t off, end; /* guest; end is at most that of the piece */
};

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

static void
widen (struct rv_format *format, uint64_t *off, uint64_t *len)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  uint64_t end = rv_div_up (*off + *len, cluster_size (q)) * cluster_size (q);

  *off = rv_align_down (*off, cluster_size (q));
  *len = end - *off;
}

static int
get (const struct question *a, uint64_t guest_off, struct rv_qcow2_entry *entry,
     rawview_error *err)
{
  uint8_t bytes[16];

  rv_qcow2_entries_copy (&a->e, guest_off, 1, bytes);
  return rv_qcow2_entry_get (a->e.q, bytes, guest_off, entry, err);
}

/*--- In place and claim -------------------------------------------------*/

/* What is left to ask is the refcount. */
static bool
may_be_ours (const struct question *a, const struct rv_qcow2_entry *entry)
{
  return a->e.l2_own && entry->copied && entry->host_off != 0 &&
         !entry->compressed;
}

static bool
is_data (const struct question *a, const struct rv_qcow2_entry *entry,
         uint64_t guest_off)
{
  uint64_t in = guest_off % cluster_size (a->e.q);

  return entry->alloc >> in / rv_qcow2_subcluster_size (a->e.q) & 1;
}

/* Where, in the cluster of guest_off, subclusters end that are alike. */
static uint64_t
end_of_like (const struct question *a, const struct rv_qcow2_entry *entry,
             uint64_t guest_off)
{
  uint64_t sub = rv_qcow2_subcluster_size (a->e.q);
  uint64_t start = rv_align_down (guest_off, cluster_size (a->e.q));
  uint64_t at = rv_align_down (guest_off, sub);
  bool data = is_data (a, entry, guest_off);

  do
    at += sub;
  while (at < start + cluster_size (a->e.q) && is_data (a, entry, at) == data);
  return at;
}

/* How far the clusters that may be ours go on, alike and in a row. */
static uint64_t
end_of_run (const struct question *a, const struct rv_qcow2_entry *first)
{
  uint64_t start = rv_align_down (a->off, cluster_size (a->e.q));
  uint64_t at = end_of_like (a, first, a->off);
  bool data = is_data (a, first, a->off);
  struct rv_qcow2_entry next;

  while (at < a->end && at % cluster_size (a->e.q) == 0 &&
         get (a, at, &next, NULL) == 0 && may_be_ours (a, &next) &&
         next.host_off == first->host_off + (at - start) &&
         is_data (a, &next, at) == data)
    at = end_of_like (a, &next, at);
  return at;
}

/* Sets plan->len to 0 if they are not ours. */
static int
plan_ours (const struct question *a, const struct rv_qcow2_entry *first,
           struct rv_plan *plan, rawview_error *err)
{
  struct rv_qcow2 *q = a->e.q;
  uint64_t sub = rv_qcow2_subcluster_size (q);
  uint64_t start = rv_align_down (a->off, cluster_size (q));
  uint64_t end = end_of_run (a, first);
  uint64_t len = rv_div_up (end - start, cluster_size (q)) * cluster_size (q);
  bool own;

  if (rv_qcow2_entries_protect (q, a->e.l2_off, first, &len, &own, err) == -1)
    return -1;
  if (!own)
    return 0;
  end = rv_min_u64 (rv_min_u64 (end, start + len), a->end);
  plan->kind = is_data (a, first, a->off) ? RV_PLAN_IN_PLACE : RV_PLAN_CLAIM;
  plan->len = end - a->off;
  plan->host_off = first->host_off + (a->off - start);
  plan->fill_off = rv_align_down (a->off, sub);
  plan->fill_len = rv_div_up (end, sub) * sub - plan->fill_off;
  return 0;
}

/*--- Fresh --------------------------------------------------------------*/

/* Is the entry's cluster to be replaced?  What it has now was found good then.
 */
static int
is_replaced (const struct question *a, const struct rv_qcow2_entry *entry,
             bool *replaced, rawview_error *err)
{
  uint64_t len = 0;
  bool own;

  *replaced = true;
  if (entry->host_off == 0 && !entry->compressed)
    return 0;
  if (rv_qcow2_entries_protect (a->e.q, a->e.l2_off, entry, &len, &own, err) ==
      -1)
    return -1;
  *replaced = !own || !may_be_ours (a, entry);
  return 0;
}

/* Which part of its new cluster must be filled so that from..to, guest offsets
 * in it, can be written?  One span that has all data of the old one.  In
 * between, what was zeros or the parent's becomes data.
 */
static void
span (const struct rv_qcow2 *q, const struct rv_qcow2_entry *entry,
      uint64_t from, uint64_t to, uint64_t *fill_off, uint64_t *fill_end)
{
  uint64_t sub = rv_qcow2_subcluster_size (q);
  uint64_t start = rv_align_down (from, cluster_size (q));
  uint32_t bits =
      entry->compressed
          ? rv_qcow2_all (q)
          : entry->alloc | rv_qcow2_subclusters (q, from - start, to - start);

  *fill_off = start + __builtin_ctz (bits) * sub;
  *fill_end = start + (32 - __builtin_clz (bits)) * sub;
}

static int
plan_fresh (const struct question *a, struct rv_plan *plan, rawview_error *err)
{
  struct rv_qcow2 *q = a->e.q;
  uint64_t start = rv_align_down (a->off, cluster_size (q));
  uint64_t limit =
      rv_min_u64 (a->end, start + rv_max_u64 (MAX_FRESH, cluster_size (q)));
  uint64_t at = a->off, fill_off, fill_end = 0;
  struct rv_qcow2_entry entry;
  rawview_error later; /* is told when its cluster is asked for */
  bool replaced;

  while (at < limit) {
    uint64_t to = rv_min_u64 (
        rv_align_down (at, cluster_size (q)) + cluster_size (q), limit);
    rawview_error *e = at == a->off ? err : &later;

    if (get (a, at, &entry, e) == -1 ||
        is_replaced (a, &entry, &replaced, e) == -1) {
      if (at == a->off)
        return -1;
      break;
    }
    if (!replaced && at != a->off)
      break;
    span (q, &entry, at, to, &fill_off, &fill_end);
    if (at == a->off)
      plan->fill_off = fill_off;
    at = to;
  }
  plan->kind = RV_PLAN_FRESH;
  plan->len = at - a->off;
  plan->fill_len = fill_end - plan->fill_off;
  return 0;
}

/*--- The answer ---------------------------------------------------------*/

static int
answer (const struct question *a, struct rv_plan *plan, rawview_error *err)
{
  struct rv_qcow2_entry first;

  if (get (a, a->off, &first, err) == -1)
    return -1;
  if (may_be_ours (a, &first)) {
    if (plan_ours (a, &first, plan, err) == -1)
      return -1;
    if (plan->len > 0)
      return 0;
  }
  return plan_fresh (a, plan, err);
}

static int
plan (struct rv_format *format, uint64_t off, uint64_t len,
      struct rv_plan *plan, rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  struct question a = { .off = off };
  int r;

  *plan = (struct rv_plan){ .off = off, .io = q->data_io };
  if (rv_qcow2_entries_pin (q, off, &a.e, err) == -1)
    return -1;
  a.end = rv_min_u64 (off + len, a.e.piece.guest_end);
  r = answer (&a, plan, err);
  rv_qcow2_entries_unpin (&a.e);
  return r;
}

/*--- Room for a fresh plan ----------------------------------------------*/

/* Guest offset of its first cluster, and how many bytes all are. */
static uint64_t
clusters_of (const struct rv_qcow2 *q, const struct rv_plan *plan,
             uint64_t *len)
{
  uint64_t off = plan->off;

  *len = plan->len;
  widen ((struct rv_format *) &q->base, &off, len);
  return off;
}

static int
allocate (struct rv_format *format, struct rv_plan *plan, rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  uint64_t len, host_off, got, end;
  uint64_t start = clusters_of (q, plan, &len);

  if (rv_qcow2_alloc (q, len >> q->header.cluster_bits, &host_off, &got, err) ==
      -1)
    return -1;
  end = start + (got << q->header.cluster_bits);
  plan->host_off = host_off + (plan->off - start);
  plan->len = rv_min_u64 (plan->len, end - plan->off);
  plan->fill_len = rv_min_u64 (plan->fill_len, end - plan->fill_off);
  return 0;
}

static void
cancel (struct rv_format *format, const struct rv_plan *plan,
        struct rv_freed_list *freed)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  uint64_t len, start = clusters_of (q, plan, &len);

  /* Without memory it leaks, which is harmless. */
  rv_qcow2_freed (q, freed, plan->host_off - (plan->off - start), len, NULL);
}

static void
files (struct rv_format *format, void (*cb) (void *opaque, struct rv_io *io),
       void *opaque)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;

  cb (opaque, q->base.io);
  if (q->data_io != q->base.io)
    cb (opaque, q->data_io);
}

const struct rv_format_write_ops rv_qcow2_write_ops = {
  .enable = rv_qcow2_enable_write,
  .begin = rv_qcow2_begin_write,
  .widen = widen,
  .plan = plan,
  .allocate = allocate,
  .publish = rv_qcow2_publish,
  .cancel = cancel,
  .drop = rv_qcow2_drop,
  .can_drop = rv_qcow2_can_drop,
  .release = rv_qcow2_release,
  .reuse = rv_qcow2_reuse,
  .files = files,
  .end = rv_qcow2_end_write,
  .mark_corrupt = rv_qcow2_mark_corrupt,
};
