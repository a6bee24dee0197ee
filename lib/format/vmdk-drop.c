/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Zeros and trim.  An entry of 1 says zeros where the header allows it; the
 * flag is never added to a header without it, since the programs that made such
 * an image may not know it.  An entry is never set back to 0, which would let
 * the parent show through.
 */

#include <config.h>

#include <errno.h>

#include "format/vmdk-write.h"
#include "util/error.h"

/* A request for one extent; off is counted in it. */
struct drop {
  struct rv_vmdk *v;
  struct rv_vmdk_extent *e;
  uint64_t off, len;
  enum rv_drop how;
  struct rv_drop_answer *answer;
  struct rv_freed_list *freed;
};

static int
answer (struct drop *d, enum rv_dropped what, uint64_t len)
{
  *d->answer = (struct rv_drop_answer){ .what = what, .len = len };
  return 0;
}

static int
answer_in_place (struct drop *d, uint64_t len, uint64_t host_off, bool punch)
{
  *d->answer = (struct rv_drop_answer){ .what = RV_DROP_IN_PLACE,
                                        .len = len,
                                        .io = d->e->io,
                                        .host_off = host_off,
                                        .punch = punch };
  return 0;
}

/* A thick disk of ESX keeps the space that it was given. */
static bool
may_punch_flat (const struct rv_vmdk_extent *e)
{
  return e->type == RV_VMDK_FLAT && e->io->can_grow;
}

static int
drop_flat (struct drop *d)
{
  bool punch = d->how != RV_DROP_KEEP && may_punch_flat (d->e);

  if (d->how == RV_DROP_TRIM && !punch)
    return answer (d, RV_DROP_WRITE, d->len);
  return answer_in_place (d, d->len, d->e->host_off + d->off, punch);
}

/*--- Sparse -------------------------------------------------------------*/

/* Bytes of the part of d that is whole grains, from its start on. */
static uint64_t
whole_grains (const struct drop *d)
{
  uint64_t grain = d->e->grains.layout.grain, end = d->off + d->len;

  if (d->off % grain != 0)
    return 0;
  return (end == d->e->len ? end : rv_align_down (end, grain)) - d->off;
}

static int
set_zero_entries (struct drop *d, uint64_t len, rawview_error *err)
{
  struct rv_vmdk_grains *g = &d->e->grains;
  uint64_t n = rv_div_up (len, g->layout.grain);
  CLEANUP_FREE uint8_t *entries = reallocarray (NULL, n, 4);

  if (entries == NULL)
    return rv_error_nomem (err);
  for (uint64_t k = 0; k < n; k++)
    rv_put_le32 (entries + 4 * k, 1);
  return rv_vmdk_set_entries (g, g->growth, d->off / g->layout.grain, n,
                              entries, err);
}

static int
drop_unallocated (struct drop *d, uint64_t len, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &d->e->grains.layout;
  uint64_t span = rv_vmdk_table_span (l);

  if (d->how == RV_DROP_TRIM || !d->v->writing->has_parent)
    return answer (d, RV_DROPPED, len);
  if (!l->zero_entries)
    return answer (d, RV_DROP_WRITE, len);
  len = rv_min_u64 (len, span - d->off % span);
  if (set_zero_entries (d, len, err) == -1)
    return -1;
  return answer (d, RV_DROPPED, len);
}

/* The grains are lost to other uses, but their space can be given back, unless
 * an entry that nobody has looked at might name them too.
 */
static int
drop_stored (struct drop *d, const struct rv_map *map, rawview_error *err)
{
  struct rv_vmdk_grains *g = &d->e->grains;
  struct rv_freed f = { .io = g->io, .off = map->host_off, .len = map->len };

  if (d->how == RV_DROP_KEEP || !g->layout.zero_entries) {
    if (d->how == RV_DROP_TRIM)
      return answer (d, RV_DROP_WRITE, map->len);
    return answer_in_place (d, map->len, map->host_off, d->how == RV_DROP_ZERO);
  }
  if (set_zero_entries (d, map->len, err) == -1)
    return -1;
  if (g->growth->exclusive)
    (void) rv_freed_list_append (d->freed, f);
  return answer (d, RV_DROPPED, map->len);
}

static int
drop_sparse (struct drop *d, rawview_error *err)
{
  struct rv_vmdk_grains *g = &d->e->grains;
  uint64_t damaged, len = whole_grains (d);
  uint64_t i = d->off / rv_vmdk_table_span (&g->layout);
  struct rv_vmdk_entry table;
  struct rv_map map;

  if (len == 0)
    return answer (
        d, RV_DROP_WRITE,
        rv_min_u64 (d->len, g->layout.grain - d->off % g->layout.grain));
  rv_vmdk_grains_table (g, i, &table);
  if (table.state == RV_VMDK_STORED && rv_vmdk_vet (g, g->growth, i, err) == -1)
    return -1;
  if (rv_vmdk_grains_map (g, d->off, len, &map, &damaged, err) == -1)
    return -1;
  switch (map.kind) {
  case RV_MAP_DATA:
    return drop_stored (d, &map, err);
  case RV_MAP_ZERO:
    return answer (d, RV_DROPPED, map.len);
  default:
    return drop_unallocated (d, map.len, err);
  }
}

int
rv_vmdk_drop (struct rv_format *format, uint64_t off, uint64_t len,
              enum rv_drop how, struct rv_drop_answer *ans,
              struct rv_freed_list *freed, rawview_error *err)
{
  struct rv_vmdk *v = rv_vmdk_of (format);
  struct rv_vmdk_extent *e = rv_vmdk_find_extent (v, off);
  struct drop d = { .v = v,
                    .e = e,
                    .off = off - e->start,
                    .how = how,
                    .answer = ans,
                    .freed = freed };

  d.len = rv_min_u64 (len, e->len - d.off);
  if (how == RV_DROP_TRIM && !rv_vmdk_is_written (e))
    return answer (&d, RV_DROP_WRITE, d.len);
  if (e->access != RV_VMDK_RW)
    return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EPERM,
                         "the descriptor does not allow writing to the extent "
                         "from byte %ju on",
                         (uintmax_t) e->start);
  if (e->type == RV_VMDK_ZERO)
    return answer (&d, RV_DROPPED, d.len);
  return rv_vmdk_extent_is_flat (e) ? drop_flat (&d) : drop_sparse (&d, err);
}

/*--- Can it be said? ----------------------------------------------------*/

static bool
can_drop_extent (const struct rv_vmdk *v, const struct rv_vmdk_extent *e,
                 enum rv_drop how)
{
  if (!rv_vmdk_is_written (e))
    return how != RV_DROP_TRIM;
  if (rv_vmdk_extent_is_flat (e))
    return how != RV_DROP_TRIM || may_punch_flat (e);
  return e->grains.layout.zero_entries ||
         (how != RV_DROP_TRIM && !v->writing->has_parent);
}

bool
rv_vmdk_can_drop (struct rv_format *format, uint64_t off, uint64_t len,
                  enum rv_drop how)
{
  const struct rv_vmdk *v = rv_vmdk_of (format);
  const struct rv_vmdk_extent *e = rv_vmdk_find_extent (v, off);

  for (; e < v->extents + v->nr_extents && e->start < off + len; e++)
    if (!can_drop_extent (v, e, how))
      return false;
  return true;
}

/* Grains are not given out again (W3): only their space is. */
void
rv_vmdk_reuse (struct rv_format *format, const struct rv_freed *f)
{
  uint64_t end = f->io->size;

  (void) format;
  if (f->off < end)
    (void) rv_io_zero (f->io, f->off, rv_min_u64 (f->len, end - f->off),
                       RV_ZERO_PUNCH | RV_ZERO_FAST, NULL);
}
