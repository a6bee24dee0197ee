/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a damaged sparse extent: by either of its two tables, or, where a
 * stream has lost its directory, by the grains that were found.
 *
 * Of two tables that differ
 *   - one with an impossible entry is left alone if the other has none;
 *   - otherwise each entry counts for itself: an impossible one, or one that
 *     names no grain, gives way to the other's.  An entry that named a grain
 *     never names none again, unless it is damaged.
 */

#include <config.h>

#include <string.h>

#include "format/vmdk-found.h"
#include "format/vmdk-grains.h"
#include "util/error.h"

/*--- Two tables ---------------------------------------------------------*/

/* One of the two tables of a directory entry. */
struct copy {
  struct rv_vmdk_entry entry;
  struct rv_table *table;
  const uint8_t *bytes; /* NULL: cannot be read, or there is none */
};

/* A table that cannot be read is as one that is outside the file. */
static int
pin (const struct rv_vmdk_grains *g, const uint8_t *directory, uint64_t i,
     struct copy *c, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &g->layout;
  size_t len = rv_vmdk_table_len (l);
  rawview_error why;

  *c = (struct copy){ 0 };
  rv_vmdk_entry_of_table (l, rv_vmdk_entry_read (l, directory, i), g->io->size,
                          &c->entry);
  if (c->entry.state != RV_VMDK_STORED)
    return 0;
  c->entry.why = "points into the header, the descriptor or a grain directory";
  if (!rv_vmdk_ranges_hit_fixed (&g->metadata, c->entry.off, len)) {
    if (rv_tables_pin (g->tables, g->io, c->entry.off, len, &c->table,
                       &c->bytes, &why) == 0)
      return 0;
    c->entry.why = "points to a table that cannot be read";
    if (why.kind != RAWVIEW_ERROR_IO) {
      if (err)
        *err = why;
      return -1;
    }
  }
  c->entry.state = RV_VMDK_BAD;
  return 0;
}

static void
unpin (const struct rv_vmdk_grains *g, struct copy *c)
{
  if (c->table)
    rv_table_unpin (g->tables, c->table);
}

/* Has it an entry that is impossible? */
static bool
has_bad (const struct rv_vmdk_grains *g, const struct copy *c, uint64_t table)
{
  const struct rv_vmdk_layout *l = &g->layout;
  uint64_t grain = table * l->table_entries;
  uint64_t end =
      rv_min_u64 (grain + l->table_entries, rv_div_up (g->size, l->grain));
  struct rv_vmdk_entry e;

  if (c->bytes == NULL)
    return c->entry.state == RV_VMDK_BAD;
  for (; grain < end; grain++) {
    rv_vmdk_grains_entry (g, grain, c->bytes, &e);
    if (e.state == RV_VMDK_BAD)
      return true;
  }
  return false;
}

/* What one of them says of a grain. */
static void
entry_of (const struct rv_vmdk_grains *g, const struct copy *c, uint64_t grain,
          struct rv_vmdk_entry *e)
{
  if (c->bytes)
    rv_vmdk_grains_entry (g, grain, c->bytes, e);
  else
    *e = c->entry;
}

static void
choose (const struct rv_vmdk_grains *g, const struct copy *a,
        const struct copy *b, uint64_t grain, struct rv_vmdk_entry *e)
{
  uint64_t table = grain / g->layout.table_entries;
  bool bad_a = has_bad (g, a, table), bad_b = has_bad (g, b, table);
  struct rv_vmdk_entry second;

  if (bad_a && !bad_b) {
    entry_of (g, b, grain, e);
    return;
  }
  entry_of (g, a, grain, e);
  if (bad_b && !bad_a)
    return;
  entry_of (g, b, grain, &second);
  if ((e->state == RV_VMDK_BAD && second.state != RV_VMDK_BAD) ||
      (e->state == RV_VMDK_UNALLOCATED && second.state == RV_VMDK_STORED))
    *e = second;
}

/* There is no table at all, or only one that makes no sense: len bytes of one
 * table's span are alike.
 */
static int
map_without (const struct rv_vmdk_grains *g, const struct copy *a,
             const struct copy *b, uint64_t off, uint64_t len,
             struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  const struct rv_vmdk_entry *e =
      a->entry.state == RV_VMDK_BAD ? &b->entry : &a->entry;

  *damaged = len;
  if (e->state == RV_VMDK_BAD)
    return rv_error_corrupt (
        err,
        "%s: at byte %ju of the extent, both grain directories are damaged: "
        "the entry 0x%jx %s",
        g->io->name, (uintmax_t) off, (uintmax_t) e->raw, e->why);
  *map = (struct rv_map){ .len = len, .kind = RV_MAP_PARENT };
  if (e->state == RV_VMDK_ZEROED) {
    map->kind = RV_MAP_ZERO;
    map->hole = true;
  }
  return 0;
}

static int
map_copies (const struct rv_vmdk_grains *g, const struct copy *a,
            const struct copy *b, uint64_t off, uint64_t len,
            struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  struct rv_vmdk_entry e;

  if (a->bytes == NULL && b->bytes == NULL)
    return map_without (g, a, b, off, len, map, damaged, err);
  if (a->bytes && b->bytes &&
      memcmp (a->bytes, b->bytes, rv_vmdk_table_len (&g->layout)) == 0)
    return rv_vmdk_grains_map_table (g, a->bytes, off, len, map, damaged, err);
  choose (g, a, b, off / g->layout.grain, &e);
  return rv_vmdk_grains_map_entry (g, off, len, &e, map, damaged, err);
}

int
rv_vmdk_grains_map_twice (const struct rv_vmdk_grains *g, uint64_t off,
                          uint64_t len, struct rv_map *map, uint64_t *damaged,
                          rawview_error *err)
{
  uint64_t i = off / rv_vmdk_table_span (&g->layout);
  struct copy a, b;
  int r = pin (g, g->gd, i, &a, err);

  if (r == 0)
    r = pin (g, g->rgd, i, &b, err);
  else
    return -1;
  if (r == 0) {
    r = map_copies (g, &a, &b, off, len, map, damaged, err);
    unpin (g, &b);
  }
  unpin (g, &a);
  return r;
}

/*--- Grains that were found ---------------------------------------------*/

int
rv_vmdk_grains_map_found (const struct rv_vmdk_grains *g, uint64_t off,
                          uint64_t len, struct rv_map *map, uint64_t *damaged,
                          rawview_error *err)
{
  uint64_t grain = off / g->layout.grain, n;
  struct rv_vmdk_entry e = { .state = RV_VMDK_STORED };

  switch (rv_vmdk_found_get (g->found, grain, &n, &e.off)) {
  case RV_VMDK_FIND_GRAIN:
    return rv_vmdk_grains_map_entry (g, off, len, &e, map, damaged, err);
  case RV_VMDK_FIND_NONE:
    *map = (struct rv_map){ .kind = RV_MAP_PARENT };
    map->len = rv_min_u64 (len, (grain + n) * g->layout.grain - off);
    return 0;
  default:
    *damaged = rv_min_u64 (len, (grain + n) * g->layout.grain - off);
    return rv_error_corrupt (
        err,
        "%s: at byte %ju of the extent: no grain was found in what is left of "
        "the stream",
        g->io->name, (uintmax_t) off);
  }
}
