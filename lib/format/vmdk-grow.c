/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grain tables and directories, both copies of them.
 *
 * A new table is written in the epoch's first phase, the entries that lead to
 * it in its last.  So are all entries of existing tables; each is four bytes in
 * one sector and never seen half written.
 */

#include <config.h>

#include "format/vmdk-write.h"
#include "util/error.h"

/*--- Directories --------------------------------------------------------*/

int
rv_vmdk_set_copy_entry (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                        uint64_t i, uint32_t raw, rawview_error *err)
{
  uint8_t bytes[4];

  rv_put_le32 (bytes, raw);
  if (rv_tables_patch (g->tables, g->io, g->layout.rgd_off + 4 * i, bytes,
                       sizeof bytes, RV_PHASE_PUBLISH, err) == -1)
    return -1;
  rv_vmdk_directory_store (w->rgd, i, raw);
  return 0;
}

static int
set_entry (struct rv_vmdk_grains *g, uint64_t i, uint32_t raw,
           rawview_error *err)
{
  uint8_t bytes[4];

  rv_put_le32 (bytes, raw);
  if (rv_tables_patch (g->tables, g->io, g->layout.gd_off + 4 * i, bytes,
                       sizeof bytes, RV_PHASE_PUBLISH, err) == -1)
    return -1;
  rv_vmdk_directory_store (g->gd, i, raw);
  return 0;
}

/*--- Missing tables -----------------------------------------------------*/

static int
new_table (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
           const uint8_t *bytes, uint64_t *off, rawview_error *err)
{
  if (rv_vmdk_alloc_table (g, w, off, err) == -1)
    return -1;
  return rv_tables_create (g->tables, g->io, *off,
                           rv_vmdk_table_len (&g->layout), bytes, err);
}

int
rv_vmdk_make_copy (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                   uint64_t i, const uint8_t *bytes, rawview_error *err)
{
  uint64_t off;

  if (new_table (g, w, bytes, &off, err) == -1)
    return -1;
  return rv_vmdk_set_copy_entry (g, w, i, off / RV_VMDK_SECTOR, err);
}

/* A directory entry of 1 says what a table full of them would. */
static uint8_t *
first_contents (const struct rv_vmdk_grains *g, enum rv_vmdk_state state)
{
  uint8_t *bytes = calloc (1, rv_vmdk_table_len (&g->layout));

  if (bytes && state == RV_VMDK_ZEROED)
    for (uint32_t k = 0; k < g->layout.table_entries; k++)
      rv_put_le32 (bytes + 4 * k, 1);
  return bytes;
}

/* The last step is the one that readers see. */
static int
make_table (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w, uint64_t i,
            const struct rv_vmdk_entry *old, uint64_t *off, rawview_error *err)
{
  CLEANUP_FREE uint8_t *bytes = first_contents (g, old->state);

  if (bytes == NULL)
    return rv_error_nomem (err);
  if (new_table (g, w, bytes, off, err) == -1 ||
      (w->rgd && rv_vmdk_make_copy (g, w, i, bytes, err) == -1))
    return -1;
  atomic_store (&w->vetted[i], 1);
  if (set_entry (g, i, *off / RV_VMDK_SECTOR, err) == 0)
    return 0;
  if (w->rgd && rv_vmdk_set_copy_entry (g, w, i, old->raw, NULL) == -1)
    atomic_store (&w->uneven, true);
  return -1;
}

int
rv_vmdk_table_for_write (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                         uint64_t i, uint64_t *off, rawview_error *err)
{
  struct rv_vmdk_entry e;

  rv_vmdk_grains_table (g, i, &e);
  if (e.state != RV_VMDK_STORED) {
    LOCKED (&w->grow_lock);

    rv_vmdk_grains_table (g, i, &e);
    if (e.state != RV_VMDK_STORED)
      return make_table (g, w, i, &e, off, err);
  }
  *off = e.off;
  return 0;
}

/*--- Entries ------------------------------------------------------------*/

/* The copy was changed, the table could not be: changes the copy back. */
static void
undo_copy (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w, uint64_t off,
           uint64_t copy, size_t in, size_t n)
{
  size_t len = rv_vmdk_table_len (&g->layout);
  struct rv_table *table;
  const uint8_t *bytes;
  int r;

  r = rv_tables_pin (g->tables, g->io, off, len, &table, &bytes, NULL);
  if (r == 0) {
    r = rv_tables_edit (g->tables, g->io, copy, len, in, bytes + in, n,
                        RV_PHASE_PUBLISH, NULL);
    rv_table_unpin (g->tables, table);
  }
  if (r == -1)
    atomic_store (&w->uneven, true);
}

int
rv_vmdk_set_entries (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                     uint64_t grain, uint64_t n, const uint8_t *entries,
                     rawview_error *err)
{
  size_t len = rv_vmdk_table_len (&g->layout);
  uint64_t i = grain / g->layout.table_entries, off, copy;
  size_t in = 4 * (grain % g->layout.table_entries);

  if (rv_vmdk_table_for_write (g, w, i, &off, err) == -1)
    return -1;
  copy = rv_vmdk_copy_off (g, w, i);
  if (copy && rv_tables_edit (g->tables, g->io, copy, len, in, entries, 4 * n,
                              RV_PHASE_PUBLISH, err) == -1)
    return -1;
  if (rv_tables_edit (g->tables, g->io, off, len, in, entries, 4 * n,
                      RV_PHASE_PUBLISH, err) == 0)
    return 0;
  if (copy)
    undo_copy (g, w, off, copy, in, 4 * n);
  return -1;
}
