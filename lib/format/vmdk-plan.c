/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where may guest bytes go?  In place where a grain is allocated, else to new
 * grains, of which as many adjoin as the table and the request allow.
 */

#include <config.h>

#include <errno.h>

#include "format/vmdk-write.h"
#include "util/error.h"

/* What the driver remembers in a plan. */
enum { OWN_EXTENT, OWN_GRAIN, OWN_NR_GRAINS };

/*--- Widen --------------------------------------------------------------*/

/* The grain around off, as bytes of the disk; a byte where there are none. */
static void
unit_around (const struct rv_vmdk *v, uint64_t off, uint64_t *start,
             uint64_t *end)
{
  const struct rv_vmdk_extent *e = rv_vmdk_find_extent (v, off);
  uint64_t grain = e->grains.layout.grain;

  *start = off;
  *end = off + 1;
  if (grain == 0)
    return;
  *start = e->start + rv_align_down (off - e->start, grain);
  *end = rv_min_u64 (*start + grain, e->start + e->len);
}

static void
vmdk_widen (struct rv_format *format, uint64_t *off, uint64_t *len)
{
  const struct rv_vmdk *v = rv_vmdk_of (format);
  uint64_t first, last, unused;

  unit_around (v, *off, &first, &unused);
  unit_around (v, *off + *len - 1, &unused, &last);
  *off = first;
  *len = last - first;
}

/*--- Plan ---------------------------------------------------------------*/

static int
check_access (const struct rv_vmdk_extent *e, rawview_error *err)
{
  if (e->access != RV_VMDK_RW)
    return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EPERM,
                         "the descriptor does not allow writing to the extent "
                         "from byte %ju on",
                         (uintmax_t) e->start);
  if (e->type == RV_VMDK_ZERO)
    return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EPERM,
                         "the extent from byte %ju on is of type ZERO and "
                         "holds nothing but zeros",
                         (uintmax_t) e->start);
  return 0;
}

/* off: in the extent; plan->len is what can be answered alike. */
static void
plan_fresh (const struct rv_vmdk *v, const struct rv_vmdk_extent *e,
            uint64_t off, struct rv_plan *plan)
{
  const struct rv_vmdk_layout *l = &e->grains.layout;
  uint64_t span = rv_vmdk_table_span (l), first, end;

  plan->kind = RV_PLAN_FRESH;
  plan->len = rv_min_u64 (plan->len, span - off % span);
  first = rv_align_down (off, l->grain);
  end = rv_align_down (off + plan->len + l->grain - 1, l->grain);
  plan->own[OWN_EXTENT] = e - v->extents;
  plan->own[OWN_GRAIN] = first / l->grain;
  plan->own[OWN_NR_GRAINS] = (end - first) / l->grain;
  plan->fill_off = e->start + first;
  plan->fill_len = rv_min_u64 (end, e->len) - first;
}

static int
plan_sparse (struct rv_vmdk *v, struct rv_vmdk_extent *e, uint64_t off,
             uint64_t len, struct rv_plan *plan, rawview_error *err)
{
  struct rv_vmdk_grains *g = &e->grains;
  uint64_t damaged, i = off / rv_vmdk_table_span (&g->layout);
  struct rv_vmdk_growth *w = g->growth;
  struct rv_vmdk_entry table;
  struct rv_map map;

  rv_vmdk_grains_table (g, i, &table);
  if (table.state == RV_VMDK_STORED && rv_vmdk_vet (g, w, i, err) == -1)
    return -1;
  if (rv_vmdk_grains_map (g, off, len, &map, &damaged, err) == -1)
    return -1;
  plan->len = map.len;
  plan->host_off = map.host_off;
  if (map.kind != RV_MAP_DATA)
    plan_fresh (v, e, off, plan);
  return 0;
}

static int
vmdk_plan (struct rv_format *format, uint64_t off, uint64_t len,
           struct rv_plan *plan, rawview_error *err)
{
  struct rv_vmdk *v = rv_vmdk_of (format);
  struct rv_vmdk_extent *e = rv_vmdk_find_extent (v, off);
  uint64_t within = off - e->start;

  if (check_access (e, err) == -1)
    return -1;
  len = rv_min_u64 (len, e->len - within);
  *plan = (struct rv_plan){
    .kind = RV_PLAN_IN_PLACE, .off = off, .len = len, .io = e->io
  };
  if (!rv_vmdk_extent_is_flat (e))
    return plan_sparse (v, e, within, len, plan, err);
  plan->host_off = e->host_off + within;
  return 0;
}

/*--- Allocate -----------------------------------------------------------*/

static struct rv_vmdk_extent *
extent_of (struct rv_format *format, const struct rv_plan *plan)
{
  return &rv_vmdk_of (format)->extents[plan->own[OWN_EXTENT]];
}

/* Where the grains of the plan lie. */
static uint64_t
grains_off (const struct rv_plan *plan)
{
  return plan->host_off - (plan->off - plan->fill_off);
}

/* The disk's last grain is short, but other programs read whole ones. */
static int
write_slack (const struct rv_vmdk_grains *g, const struct rv_plan *plan,
             rawview_error *err)
{
  size_t len = plan->own[OWN_NR_GRAINS] * g->layout.grain - plan->fill_len;
  CLEANUP_FREE uint8_t *zeros = NULL;

  if (len == 0)
    return 0;
  zeros = calloc (1, len);
  if (zeros == NULL)
    return rv_error_nomem (err);
  return rv_io_pwrite (g->io, zeros, len, grains_off (plan) + plan->fill_len,
                       err);
}

static int
vmdk_allocate (struct rv_format *format, struct rv_plan *plan,
               rawview_error *err)
{
  struct rv_vmdk_grains *g = &extent_of (format, plan)->grains;
  uint64_t want = plan->own[OWN_NR_GRAINS], off, got;

  if (rv_vmdk_alloc_grains (g, g->growth, want, &off, &got, err) == -1)
    return -1;
  if (got < want) {
    plan->own[OWN_NR_GRAINS] = got;
    plan->fill_len = got * g->layout.grain;
    plan->len =
        rv_min_u64 (plan->len, plan->fill_off + plan->fill_len - plan->off);
  }
  plan->host_off = off + (plan->off - plan->fill_off);
  if (write_slack (g, plan, err) == 0)
    return 0;
  rv_vmdk_unalloc (g->growth, off, got * g->layout.grain);
  return -1;
}

static void
vmdk_cancel (struct rv_format *format, const struct rv_plan *plan,
             struct rv_freed_list *freed)
{
  struct rv_vmdk_grains *g = &extent_of (format, plan)->grains;
  struct rv_freed f = { .io = g->io,
                        .off = grains_off (plan),
                        .len = plan->own[OWN_NR_GRAINS] * g->layout.grain };

  /* Nobody has ever seen it, so it may be given out again at once. */
  if (!rv_vmdk_unalloc (g->growth, f.off, f.len))
    (void) rv_freed_list_append (freed, f);
}

/*--- Publish ------------------------------------------------------------*/

static int
vmdk_publish (struct rv_format *format, const struct rv_plan *plan,
              struct rv_freed_list *freed, rawview_error *err)
{
  struct rv_vmdk_grains *g = &extent_of (format, plan)->grains;
  uint64_t n = plan->own[OWN_NR_GRAINS];
  uint64_t sector = grains_off (plan) / RV_VMDK_SECTOR;
  CLEANUP_FREE uint8_t *entries = reallocarray (NULL, n, 4);

  if (entries == NULL)
    return rv_error_nomem (err);
  for (uint64_t k = 0; k < n; k++)
    rv_put_le32 (entries + 4 * k,
                 sector + k * (g->layout.grain / RV_VMDK_SECTOR));
  return rv_vmdk_set_entries (g, g->growth, plan->own[OWN_GRAIN], n, entries,
                              err);
}

/*--- Others -------------------------------------------------------------*/

static void
vmdk_files (struct rv_format *format,
            void (*cb) (void *opaque, struct rv_io *io), void *opaque)
{
  struct rv_vmdk *v = rv_vmdk_of (format);

  cb (opaque, format->io);
  for (size_t i = 0; i < v->nr_extents; i++)
    if (rv_vmdk_is_written (&v->extents[i]) && v->extents[i].io != format->io)
      cb (opaque, v->extents[i].io);
}

/* There is no place for it in the file but the unclean flag, which stays set.
 */
static void
vmdk_mark_corrupt (struct rv_format *format)
{
  atomic_store (&rv_vmdk_of (format)->writing->stopped, true);
}

const struct rv_format_write_ops rv_vmdk_write_ops = {
  .enable = rv_vmdk_enable_write,
  .begin = rv_vmdk_begin_write,
  .widen = vmdk_widen,
  .plan = vmdk_plan,
  .allocate = vmdk_allocate,
  .publish = vmdk_publish,
  .cancel = vmdk_cancel,
  .drop = rv_vmdk_drop,
  .can_drop = rv_vmdk_can_drop,
  .reuse = rv_vmdk_reuse,
  .files = vmdk_files,
  .end = rv_vmdk_end_write,
  .mark_corrupt = vmdk_mark_corrupt,
};
