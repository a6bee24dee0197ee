/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose grain is where: is that possible, and is it nobody else's? */

#include <config.h>

#include "format/vmdk-check.h"
#include "format/vmdk-found.h"
#include "format/vmdk-stream.h"

/* The marker says whose grain it is and how long. */
static void
check_compressed (struct rv_vmdk_check *w, uint64_t grain,
                  const struct rv_vmdk_entry *e)
{
  uint8_t marker[RV_VMDK_MARKER_LEN];
  uint64_t off = grain * w->g->layout.grain;
  struct rv_view payload;
  struct rv_map map;
  rawview_error err;
  size_t len;

  w->result->compressed_clusters++;
  if (!rv_vmdk_check_read (w, marker, sizeof marker, e->off))
    return;
  rv_vmdk_grains_map_compressed (w->g, off, 1, e, &map);
  if (map.payload (&map, (struct rv_view){ marker, sizeof marker }, &payload,
                   &len, &err) == -1) {
    CORRUPTION (w, "%s", err.msg);
    return;
  }
  rv_vmdk_check_note_end (w, e->off + len);
  if (e->free - e->off < len)
    CORRUPTION (w, "%s: the compressed grain at byte %ju runs into a table",
                w->g->io->name, (uintmax_t) e->off);
  if (!rv_vmdk_claim_all (&w->grains, e->off / RV_VMDK_SECTOR,
                          rv_div_up (len, RV_VMDK_SECTOR)))
    CORRUPTION (w, "%s: the compressed grain at byte %ju overlaps another",
                w->g->io->name, (uintmax_t) e->off);
}

/* Reading does not look at the redundant tables; writing one, or the grain,
 * would spoil the other.
 */
static void
check_copies (struct rv_vmdk_check *w, uint64_t grain,
              const struct rv_vmdk_entry *e)
{
  uint64_t next;

  if (w->copies.nr_tables == 0)
    return;
  next = rv_vmdk_ranges_next (&w->copies, e->off);
  if (next < e->off + w->g->layout.grain)
    CORRUPTION (w,
                "%s: grain %ju, at byte %ju of the file, overlaps the "
                "redundant grain table at byte %ju",
                w->g->io->name, (uintmax_t) grain, (uintmax_t) e->off,
                (uintmax_t) next);
}

static void
check_stored (struct rv_vmdk_check *w, uint64_t grain,
              const struct rv_vmdk_entry *e)
{
  w->result->allocated_clusters++;
  if (w->g->layout.compressed) {
    check_compressed (w, grain, e);
    return;
  }
  check_copies (w, grain, e);
  w->stored++;
  w->first_grain = rv_min_u64 (w->first_grain, e->off);
  rv_vmdk_check_note_end (
      w, rv_min_u64 (e->off + w->g->layout.grain, w->g->io->size));
  if (!rv_vmdk_claim (&w->grains, e->off / RV_VMDK_SECTOR))
    CORRUPTION (w, "%s: grain %ju, at byte %ju of the file, overlaps another",
                w->g->io->name, (uintmax_t) grain, (uintmax_t) e->off);
}

void
rv_vmdk_check_table (struct rv_vmdk_check *w, uint64_t table)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  uint64_t grain = table * l->table_entries;
  uint64_t end =
      rv_min_u64 (grain + l->table_entries, rv_div_up (w->g->size, l->grain));
  struct rv_vmdk_entry e;

  for (; grain < end; grain++) {
    rv_vmdk_grains_entry (w->g, grain, w->table, &e);
    if (e.state == RV_VMDK_BAD)
      CORRUPTION (w, "%s: grain %ju: the grain table entry 0x%jx %s",
                  w->g->io->name, (uintmax_t) grain, (uintmax_t) e.raw, e.why);
    else if (e.state == RV_VMDK_STORED)
      check_stored (w, grain, &e);
  }
}

void
rv_vmdk_check_found (struct rv_vmdk_check *w)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  uint64_t grains = rv_div_up (w->g->size, l->grain), n, lost = 0, first = 0;
  struct rv_vmdk_entry e = { .state = RV_VMDK_STORED, .free = UINT64_MAX };

  for (uint64_t grain = 0; grain < grains; grain += n)
    switch (rv_vmdk_found_get (w->g->found, grain, &n, &e.off)) {
    case RV_VMDK_FIND_GRAIN:
      check_stored (w, grain, &e);
      break;
    case RV_VMDK_FIND_LOST:
      first = lost ? first : grain;
      lost += rv_min_u64 (n, grains - grain);
      break;
    default:
      break;
    }
  CORRUPTION (w,
              "%s: no footer leads to the grain directory: the stream is cut; "
              "%ju grains are there",
              w->g->io->name, (uintmax_t) w->result->allocated_clusters);
  if (lost)
    CORRUPTION (w,
                "%s: %ju of %ju grains are missing or were zeros, the first at "
                "byte %ju of the extent",
                w->g->io->name, (uintmax_t) lost, (uintmax_t) grains,
                (uintmax_t) (first * l->grain));
}
