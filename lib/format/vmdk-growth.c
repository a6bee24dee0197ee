/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A sparse extent that is about to be written: can its directories and tables
 * be believed?
 */

#include <config.h>

#include "format/vmdk-write.h"
#include "util/error.h"

/* All tables of an extent are looked at if they take no more than this. */
#define MAX_VETTED (32u << 20)
/* More cannot be repaired before the first write. */
#define MAX_REPAIRED (1u << 30)
/* Memory for finding grains that are named twice: grains in the file. */
#define MAX_CLAIMED (64u << 20)

/*--- Directories --------------------------------------------------------*/

/* Readers do not use it, so it may lie anywhere until now. */
static int
check_second_directory (const struct rv_vmdk_grains *g, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &g->layout;
  uint64_t off = l->rgd_off, len = rv_vmdk_gd_len (l);

  if (rv_ranges_overlap (off, len, 0, l->header_len) ||
      rv_ranges_overlap (off, len, l->descriptor_off, l->descriptor_len) ||
      rv_ranges_overlap (off, len, l->gd_off, len))
    return rv_error_corrupt (
        err,
        "%s: the redundant grain directory overlaps the header, the "
        "descriptor or the grain directory",
        g->io->name);
  return 0;
}

static int
read_second_directory (const struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                       rawview_error *err)
{
  uint64_t len = rv_vmdk_gd_len (&g->layout);

  if (g->layout.rgd_off == 0)
    return 0;
  if (check_second_directory (g, err) == -1)
    return -1;
  w->rgd = malloc (len);
  if (w->rgd == NULL)
    return rv_error_nomem (err);
  return rv_io_pread (g->io, w->rgd, len, g->layout.rgd_off, err);
}

/* Both must lead to a table, or neither.  After an unclean end they may differ
 * and are repaired, if the first makes sense.
 */
static int
check_directory_entry (const struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                       uint64_t i, rawview_error *err)
{
  struct rv_vmdk_ranges *m = &w->metadata;
  uint64_t copy = rv_vmdk_copy_off (g, w, i);
  struct rv_vmdk_entry e;

  rv_vmdk_grains_table (g, i, &e);
  if (e.state == RV_VMDK_BAD)
    return rv_error_corrupt (err, "%s: grain directory entry %ju, 0x%jx, %s",
                             g->io->name, (uintmax_t) i, (uintmax_t) e.raw,
                             e.why);
  if (w->rgd && !w->unclean &&
      (e.state == RV_VMDK_STORED ? copy == 0
                                 : rv_vmdk_directory_load (w->rgd, i) != e.raw))
    return rv_error_corrupt (
        err,
        "%s: entry %ju of the grain directory and of its redundant copy "
        "contradict each other",
        g->io->name, (uintmax_t) i);
  if (e.state == RV_VMDK_STORED)
    m->tables[m->nr_tables++] = e.raw;
  if (copy)
    m->tables[m->nr_tables++] = copy / RV_VMDK_SECTOR;
  else if (w->rgd && rv_vmdk_directory_load (w->rgd, i) != e.raw)
    rv_vmdk_directory_store (w->rgd, i, RV_VMDK_NO_COPY);
  return 0;
}

/* Two tables in one place would change together. */
static int
check_tables_apart (const struct rv_vmdk_grains *g,
                    const struct rv_vmdk_ranges *m, rawview_error *err)
{
  for (size_t i = 1; i < m->nr_tables; i++)
    if ((uint64_t) (m->tables[i] - m->tables[i - 1]) * RV_VMDK_SECTOR <
        m->table_len)
      return rv_error_corrupt (
          err, "%s: two grain tables overlap at byte %ju of the file",
          g->io->name, (uintmax_t) m->tables[i] * RV_VMDK_SECTOR);
  return 0;
}

static int
check_directories (const struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                   rawview_error *err)
{
  struct rv_vmdk_ranges *m = &w->metadata;

  if (read_second_directory (g, w, err) == -1)
    return -1;
  for (size_t i = 0; i < g->metadata.nr_fixed; i++)
    rv_vmdk_ranges_add_fixed (m, g->metadata.fixed[i].off,
                              g->metadata.fixed[i].len);
  m->table_len = g->metadata.table_len;
  m->tables = reallocarray (NULL, g->layout.gd_entries, 2 * sizeof *m->tables);
  if (m->tables == NULL)
    return rv_error_nomem (err);
  for (uint64_t i = 0; i < g->layout.gd_entries; i++)
    if (check_directory_entry (g, w, i, err) == -1)
      return -1;
  rv_vmdk_ranges_sort (m);
  return check_tables_apart (g, m, err);
}

/*--- Making it ----------------------------------------------------------*/

void
rv_vmdk_growth_free (struct rv_vmdk_growth *w)
{
  if (w == NULL)
    return;
  pthread_mutex_destroy (&w->grow_lock);
  pthread_mutex_destroy (&w->alloc_lock);
  rv_vmdk_ranges_release (&w->metadata);
  rv_vmdk_places_release (&w->cancelled);
  free (w->vetted);
  free (w->rgd);
  free (w);
}

/* The disk's last grain may be short, and the file end within it.  A whole one
 * belongs to it all the same: nothing else may begin there.
 */
static uint64_t
end_of_last_grain (const struct rv_vmdk_grains *g)
{
  uint64_t last = g->size - 1, damaged;
  struct rv_map map;

  if (rv_vmdk_grains_map (g, last, 1, &map, &damaged, NULL) == -1 ||
      map.kind != RV_MAP_DATA)
    return 0;
  return map.host_off - last % g->layout.grain + g->layout.grain;
}

static struct rv_vmdk_growth *
alloc_growth (const struct rv_vmdk_grains *g)
{
  struct rv_vmdk_growth *w = calloc (1, sizeof *w);

  if (w == NULL)
    return NULL;
  pthread_mutex_init (&w->grow_lock, NULL);
  pthread_mutex_init (&w->alloc_lock, NULL);
  w->first = g->io->size;
  w->next = rv_max_u64 (w->first, end_of_last_grain (g));
  w->unclean = g->layout.unclean;
  w->vetted = calloc (g->layout.gd_entries, sizeof *w->vetted);
  if (w->vetted)
    return w;
  rv_vmdk_growth_free (w);
  return NULL;
}

static int
vet_if_small (const struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
              rawview_error *err)
{
  uint64_t bytes = rv_vmdk_tables_bytes (g);

  if (w->unclean && bytes > MAX_REPAIRED)
    return rv_error_limit (
        err,
        "%s: was not closed cleanly, and its grain tables of %ju bytes, more "
        "than %u, are not repaired by rawview",
        g->io->name, (uintmax_t) bytes, MAX_REPAIRED);
  if (bytes > MAX_VETTED || w->first / g->layout.grain > MAX_CLAIMED)
    return 0;
  return rv_vmdk_vet_all (g, w, err);
}

int
rv_vmdk_growth_new (const struct rv_vmdk_grains *g,
                    struct rv_vmdk_growth **growth, rawview_error *err)
{
  struct rv_vmdk_growth *w = alloc_growth (g);

  if (w == NULL)
    return rv_error_nomem (err);
  if (check_directories (g, w, err) == -1 || vet_if_small (g, w, err) == -1) {
    rv_vmdk_growth_free (w);
    return -1;
  }
  *growth = w;
  return 0;
}
