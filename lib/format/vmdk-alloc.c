/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* New grains and tables: at the end of the file, and nowhere else.  There is no
 * record of free grains, and one that is not named by any table may still be
 * the parent's, or another program's, business.
 */

#include <config.h>

#include <errno.h>

#include "format/vmdk-write.h"
#include "util/error.h"

/* Entries are sectors of 32 bits. */
#define MAX_FILE ((uint64_t) RV_VMDK_SECTOR << 32)

/* So many failed requests are remembered. */
#define MAX_CANCELLED 64u

static uint64_t
align_up (uint64_t n, uint64_t unit)
{
  return rv_align_down (n + unit - 1, unit);
}

/* How many units fit behind what was given out, and where?  alloc_lock is
 * held.
 */
static int
find_room (const struct rv_vmdk_grains *g, const struct rv_vmdk_growth *w,
           uint64_t unit, uint64_t *off, uint64_t *units, rawview_error *err)
{
  if (w->next <= MAX_FILE - unit) {
    *off = align_up (w->next, g->layout.grain);
    *units = *off < MAX_FILE ? (MAX_FILE - *off) / unit : 0;
    if (*units > 0)
      return 0;
  }
  return rv_error_set (err, RAWVIEW_ERROR_LIMIT, ENOSPC,
                       "%s: the file has reached %ju bytes, and a sparse "
                       "extent cannot use more than %ju: convert the disk to "
                       "a format without this limit",
                       g->io->name, (uintmax_t) w->next, (uintmax_t) MAX_FILE);
}

int
rv_vmdk_alloc_grains (const struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                      uint64_t want, uint64_t *off, uint64_t *got,
                      rawview_error *err)
{
  LOCKED (&w->alloc_lock);

  if (find_room (g, w, g->layout.grain, off, got, err) == -1)
    return -1;
  *got = rv_min_u64 (*got, want);
  w->next = *off + *got * g->layout.grain;
  return 0;
}

/* Tables share room of the size of a grain, so that grains stay aligned. */
static int
get_room_for_tables (const struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                     rawview_error *err)
{
  uint64_t len = rv_max_u64 (g->layout.grain, rv_vmdk_table_len (&g->layout));
  uint64_t off, n;
  LOCKED (&w->alloc_lock);

  if (find_room (g, w, len, &off, &n, err) == -1)
    return -1;
  w->next = off + len;
  w->tables_next = off;
  w->tables_end = off + len;
  return 0;
}

/* The zeros are not needed on disk: the table is written with its epoch.  But
 * readers may follow an entry only to what is inside the file.
 */
int
rv_vmdk_alloc_table (const struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                     uint64_t *off, rawview_error *err)
{
  size_t len = rv_vmdk_table_len (&g->layout);
  CLEANUP_FREE uint8_t *zeros = calloc (1, len);

  if (zeros == NULL)
    return rv_error_nomem (err);
  if (w->tables_end - w->tables_next < len &&
      get_room_for_tables (g, w, err) == -1)
    return -1;
  if (rv_io_pwrite (g->io, zeros, len, w->tables_next, err) == -1)
    return -1;
  *off = w->tables_next;
  w->tables_next += len;
  return 0;
}

/* Lowers next as far as what lies before it was taken back. */
static void
lower_next (struct rv_vmdk_growth *w)
{
  struct rv_vmdk_places *c = &w->cancelled;

  for (size_t i = 0; i < c->len;)
    if (c->ptr[i].off + c->ptr[i].len == w->next) {
      w->next = c->ptr[i].off;
      c->ptr[i] = c->ptr[--c->len];
      i = 0;
    }
    else
      i++;
}

bool
rv_vmdk_unalloc (struct rv_vmdk_growth *w, uint64_t off, uint64_t len)
{
  struct rv_vmdk_place place = { off, len };
  LOCKED (&w->alloc_lock);

  if (off + len != w->next && w->cancelled.len >= MAX_CANCELLED)
    return false;
  if (rv_vmdk_places_append (&w->cancelled, place) == -1)
    return false;
  lower_next (w);
  return true;
}
