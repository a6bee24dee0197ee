/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "format/vmdk-descriptor.h"
#include "format/vmdk-found.h"
#include "format/vmdk-grains.h"
#include "format/vmdk-stream.h"
#include "format/vmdk-write.h"
#include "util/error.h"

/* Directory entries that one answer may look at. */
#define RUN_MAX 65536u

/*--- Opening ------------------------------------------------------------*/

static int
read_directory (struct rv_vmdk_grains *g, uint64_t off, uint8_t **directory,
                uint64_t *budget, rawview_error *err)
{
  uint64_t len = rv_vmdk_gd_len (&g->layout);

  if (len > *budget)
    return rv_error_limit (
        err, "%s: the grain directories of the disk together pass %u bytes",
        g->io->name, RV_MAX_L1_BYTES);
  *budget -= len;
  *directory = malloc (len);
  if (*directory == NULL)
    return rv_error_nomem (err);
  return rv_io_pread (g->io, *directory, len, off, err);
}

/* What the storage cannot read of a directory is made of entries that make no
 * sense.
 */
static int
rescue_directory (struct rv_vmdk_grains *g, uint64_t off, uint8_t **directory,
                  uint64_t *budget, rawview_error *err)
{
  rawview_error why;

  if (read_directory (g, off, directory, budget, &why) == 0)
    return 0;
  if (*directory == NULL || why.kind != RAWVIEW_ERROR_IO) {
    if (err)
      *err = why;
    return -1;
  }
  memset (*directory, 0xff, rv_vmdk_gd_len (&g->layout));
  return 0;
}

/* The directory, both if there are two, or what stands for it. */
static int
rescue_directories (struct rv_vmdk_grains *g, uint64_t *budget,
                    rawview_error *err)
{
  struct rv_vmdk_layout *l = &g->layout;

  if (l->gd_off == 0 &&
      rv_vmdk_found_new (g->io, l, &l->gd_off, &g->found, err) == -1)
    return -1;
  if (g->found)
    return 0;
  if (rescue_directory (g, l->gd_off, &g->gd, budget, err) == -1)
    return -1;
  return l->rgd_off && l->kind == RV_VMDK_HOSTED
             ? rescue_directory (g, l->rgd_off, &g->rgd, budget, err)
             : 0;
}

/* Remembers the tables that the directory points to. */
static void
add_tables (struct rv_vmdk_grains *g)
{
  struct rv_vmdk_entry e;

  for (uint64_t i = 0; i < g->layout.gd_entries; i++) {
    rv_vmdk_grains_table (g, i, &e);
    if (e.state == RV_VMDK_STORED)
      g->metadata.tables[g->metadata.nr_tables++] = e.raw;
  }
}

/* seSparse needs none of this: its tables are one area before the grains.  The
 * tables of the second directory are left out: a reader does not use them, so
 * damage there must not make good grains unreadable.
 */
static int
find_metadata (struct rv_vmdk_grains *g, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &g->layout;
  struct rv_vmdk_ranges *m = &g->metadata;

  if (l->kind == RV_VMDK_SE || g->found)
    return 0;
  rv_vmdk_ranges_add_fixed (m, 0, l->header_len);
  rv_vmdk_ranges_add_fixed (m, l->descriptor_off, l->descriptor_len);
  rv_vmdk_ranges_add_fixed (m, l->gd_off, rv_vmdk_gd_len (l));
  if (l->rgd_off)
    rv_vmdk_ranges_add_fixed (m, l->rgd_off, rv_vmdk_gd_len (l));
  m->table_len = rv_vmdk_table_len (l);
  /* Rescue: wrong entries must not make good grains unreadable. */
  if (g->rgd)
    return 0;
  m->tables = reallocarray (NULL, l->gd_entries, sizeof *m->tables);
  if (m->tables == NULL)
    return rv_error_nomem (err);
  add_tables (g);
  rv_vmdk_ranges_sort (m);
  return 0;
}

int
rv_vmdk_grains_open (struct rv_vmdk_grains *g, struct rv_io *io,
                     const struct rv_vmdk_layout *layout, uint64_t size,
                     const struct rv_format_params *params, uint64_t *budget,
                     rawview_error *err)
{
  int r;

  memset (g, 0, sizeof *g);
  g->layout = *layout;
  g->io = io;
  g->tables = params->tables;
  g->size = size;
  r = params->rescue ? rescue_directories (g, budget, err)
                     : read_directory (g, layout->gd_off, &g->gd, budget, err);
  if (r == 0)
    r = find_metadata (g, err);
  if (r == -1)
    rv_vmdk_grains_release (g);
  return r;
}

void
rv_vmdk_grains_release (struct rv_vmdk_grains *g)
{
  rv_vmdk_growth_free (g->growth);
  rv_vmdk_ranges_release (&g->metadata);
  rv_vmdk_found_free (g->found);
  free (g->rgd);
  free (g->gd);
  memset (g, 0, sizeof *g);
}

/*--- Entries ------------------------------------------------------------*/

void
rv_vmdk_grains_table (const struct rv_vmdk_grains *g, uint64_t i,
                      struct rv_vmdk_entry *e)
{
  const struct rv_vmdk_layout *l = &g->layout;
  uint64_t raw = l->entry_size == 4 ? rv_vmdk_directory_load (g->gd, i)
                                    : rv_vmdk_entry_read (l, g->gd, i);

  rv_vmdk_entry_of_table (l, raw, g->io->size, e);
  if (e->state == RV_VMDK_STORED &&
      rv_vmdk_ranges_hit_fixed (&g->metadata, e->off, rv_vmdk_table_len (l))) {
    e->state = RV_VMDK_BAD;
    e->why = "points into the header, the descriptor or a grain directory";
  }
}

/* Bytes of the grain that the guest sees: only the last one can be short. */
static uint64_t
needed_bytes (const struct rv_vmdk_grains *g, uint64_t grain)
{
  return rv_min_u64 (g->layout.grain, g->size - grain * g->layout.grain);
}

/* Behind the end that the file had before it was written there are only grains
 * of tables that were found good then.
 */
static uint64_t
end_of_grains (const struct rv_vmdk_grains *g, uint64_t table)
{
  struct rv_vmdk_growth *w = g->growth;

  return w == NULL || atomic_load (&w->vetted[table]) ? g->io->size : w->first;
}

void
rv_vmdk_grains_entry (const struct rv_vmdk_grains *g, uint64_t grain,
                      const uint8_t *table, struct rv_vmdk_entry *e)
{
  uint64_t end = end_of_grains (g, grain / g->layout.table_entries);

  rv_vmdk_grains_judge (g, grain, table, end, &g->metadata, e);
}

void
rv_vmdk_grains_judge (const struct rv_vmdk_grains *g, uint64_t grain,
                      const uint8_t *table, uint64_t end,
                      const struct rv_vmdk_ranges *metadata,
                      struct rv_vmdk_entry *e)
{
  const struct rv_vmdk_layout *l = &g->layout;
  uint64_t i = grain % l->table_entries, needed = needed_bytes (g, grain);

  rv_vmdk_entry_of_grain (l, rv_vmdk_entry_read (l, table, i), needed, end, e);
  if (e->state != RV_VMDK_STORED)
    return;
  e->free = rv_vmdk_ranges_next (metadata, e->off);
  if (e->free - e->off < (l->compressed ? RV_VMDK_MARKER_LEN : needed)) {
    e->state = RV_VMDK_BAD;
    e->why = "points into the header, the descriptor or a grain table";
  }
}

/*--- Map ----------------------------------------------------------------*/

static void
set_absent (struct rv_map *map, enum rv_vmdk_state state)
{
  map->kind = state == RV_VMDK_ZEROED ? RV_MAP_ZERO : RV_MAP_PARENT;
  map->hole = state == RV_VMDK_ZEROED;
}

/* Tables that do not exist, as far as they go on in the same way. */
static void
map_absent_tables (const struct rv_vmdk_grains *g, uint64_t off, uint64_t len,
                   enum rv_vmdk_state state, struct rv_map *map)
{
  uint64_t span = rv_vmdk_table_span (&g->layout), table = off / span;
  uint64_t end = table * span + span;
  struct rv_vmdk_entry e;

  for (unsigned n = 1; n < RUN_MAX && end - off < len; n++, end += span) {
    rv_vmdk_grains_table (g, ++table, &e);
    if (e.state != state)
      break;
  }
  set_absent (map, state);
  map->len = rv_min_u64 (len, end - off);
}

/* How many bytes from off on go on like the first entry? */
static uint64_t
measure_run (const struct rv_vmdk_grains *g, const uint8_t *table, uint64_t off,
             uint64_t len, const struct rv_vmdk_entry *first)
{
  uint64_t size = g->layout.grain, grain = off / size;
  uint64_t last = grain | (g->layout.table_entries - 1);
  uint64_t host = first->off, end = grain * size + size;
  struct rv_vmdk_entry e;

  for (; grain < last && end - off < len; end += size) {
    rv_vmdk_grains_entry (g, ++grain, table, &e);
    host += size;
    if (e.state != first->state || (e.state == RV_VMDK_STORED && e.off != host))
      break;
  }
  return rv_min_u64 (len, end - off);
}

void
rv_vmdk_grains_map_compressed (const struct rv_vmdk_grains *g, uint64_t off,
                               uint64_t len, const struct rv_vmdk_entry *e,
                               struct rv_map *map)
{
  const struct rv_vmdk_layout *l = &g->layout;
  uint64_t start = rv_align_down (off, l->grain);

  *map = (struct rv_map){ .io = g->io };
  map->kind = RV_MAP_COMPRESSED;
  map->len = rv_min_u64 (len, start + l->grain - off);
  map->host_off = e->off;
  map->codec = RV_CODEC_ZLIB;
  map->host_len =
      rv_min_u64 (rv_vmdk_unit_max (l->grain), g->io->size - e->off);
  map->unit_len = l->grain;
  map->unit_min = rv_min_u64 (l->grain, l->capacity - start);
  map->unit_off = start;
  map->unit_tag = start / RV_VMDK_SECTOR;
  map->payload = l->has_lba ? rv_vmdk_payload_lba : rv_vmdk_payload_size;
}

static int
report_bad (const struct rv_vmdk_grains *g, uint64_t off, const char *what,
            const struct rv_vmdk_entry *e, rawview_error *err)
{
  return rv_error_corrupt (
      err, "%s: at byte %ju of the extent, the %s entry 0x%jx %s", g->io->name,
      (uintmax_t) off, what, (uintmax_t) e->raw, e->why);
}

int
rv_vmdk_grains_map_entry (const struct rv_vmdk_grains *g, uint64_t off,
                          uint64_t len, const struct rv_vmdk_entry *e,
                          struct rv_map *map, uint64_t *damaged,
                          rawview_error *err)
{
  uint64_t within = off % g->layout.grain;

  len = rv_min_u64 (len, g->layout.grain - within);
  *damaged = len;
  if (e->state == RV_VMDK_BAD)
    return report_bad (g, off, "grain table", e, err);
  if (e->state == RV_VMDK_STORED && g->layout.compressed) {
    rv_vmdk_grains_map_compressed (g, off, len, e, map);
    return 0;
  }
  *map = (struct rv_map){ .io = g->io, .len = len };
  if (e->state == RV_VMDK_STORED) {
    map->kind = RV_MAP_DATA;
    map->host_off = e->off + within;
  }
  else
    set_absent (map, e->state);
  return 0;
}

int
rv_vmdk_grains_map_table (const struct rv_vmdk_grains *g, const uint8_t *table,
                          uint64_t off, uint64_t len, struct rv_map *map,
                          uint64_t *damaged, rawview_error *err)
{
  struct rv_vmdk_entry e;

  rv_vmdk_grains_entry (g, off / g->layout.grain, table, &e);
  if (rv_vmdk_grains_map_entry (g, off, len, &e, map, damaged, err) == -1)
    return -1;
  if (map->kind != RV_MAP_COMPRESSED)
    map->len = measure_run (g, table, off, len, &e);
  return 0;
}

int
rv_vmdk_grains_map (const struct rv_vmdk_grains *g, uint64_t off, uint64_t len,
                    struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  uint64_t span = rv_vmdk_table_span (&g->layout);
  struct rv_table *table;
  const uint8_t *bytes;
  struct rv_vmdk_entry e;
  int r;

  *map = (struct rv_map){ .io = g->io };
  *damaged = rv_min_u64 (len, span - off % span);
  if (g->found)
    return rv_vmdk_grains_map_found (g, off, len, map, damaged, err);
  if (g->rgd)
    return rv_vmdk_grains_map_twice (g, off, *damaged, map, damaged, err);
  rv_vmdk_grains_table (g, off / span, &e);
  if (e.state == RV_VMDK_BAD)
    return report_bad (g, off, "grain directory", &e, err);
  if (e.state != RV_VMDK_STORED) {
    map_absent_tables (g, off, len, e.state, map);
    return 0;
  }
  if (rv_tables_pin (g->tables, g->io, e.off, rv_vmdk_table_len (&g->layout),
                     &table, &bytes, err) == -1)
    return -1;
  r = rv_vmdk_grains_map_table (g, bytes, off, len, map, damaged, err);
  rv_table_unpin (g->tables, table);
  return r;
}

int
rv_vmdk_grains_tables_of (const struct rv_vmdk_grains *g, uint64_t off,
                          uint64_t len,
                          int (*cb) (void *opaque, struct rv_io *io,
                                     uint64_t host_off, size_t len),
                          void *opaque)
{
  uint64_t span = rv_vmdk_table_span (&g->layout);
  struct rv_vmdk_entry e;
  int r = 0;

  for (uint64_t i = off / span; r == 0 && i * span < off + len; i++) {
    rv_vmdk_grains_table (g, i, &e);
    if (e.state == RV_VMDK_STORED)
      r = cb (opaque, g->io, e.off, rv_vmdk_table_len (&g->layout));
  }
  return r;
}
