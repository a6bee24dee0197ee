/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cache of blocks, filled by reading.  A piece is known by its source's
 * serial number rather than its address, which another source may get later,
 * and by its length, so that nobody is ever handed fewer bytes than he asked
 * for, whatever an image says about where its tables are.  Before it comes the
 * set of changed pieces, see tables-edit.h.
 */

#include <config.h>

#include "io/tables-edit.h"
#include "util/error.h"

/* Is a struct rv_cache_block, or a struct rv_version: then with its lowest bit
 * set.
 */
struct rv_table;

int
rv_tables_new (size_t budget, struct rv_tables **tables, rawview_error *err)
{
  CLEANUP_FREE struct rv_tables *t = calloc (1, sizeof *t);

  if (t == NULL)
    return rv_error_nomem (err);
  if (rv_cache_new (budget, &t->cache, err) == -1)
    return -1;
  if (rv_edits_init (t) == -1) {
    rv_cache_free (t->cache);
    return rv_error_nomem (err);
  }
  *tables = STEAL (t);
  return 0;
}

void
rv_tables_free (struct rv_tables *tables)
{
  if (tables == NULL)
    return;
  rv_edits_release (tables);
  rv_cache_free (tables->cache);
  free (tables);
}

struct place {
  struct rv_io *io;
  uint64_t off;
};

static int
load (void *opaque, void *buf, size_t len, rawview_error *err)
{
  const struct place *place = opaque;

  return rv_io_pread (place->io, buf, len, place->off, err);
}

static int
pin_clean (struct rv_tables *t, struct rv_io *io, uint64_t off, size_t len,
           struct rv_table **table, const uint8_t **bytes, rawview_error *err)
{
  struct place place = { .io = io, .off = off };
  struct rv_cache_key key = rv_tables_key (io, off, len);
  struct rv_cache_block *block;

  if (rv_cache_pin (t->cache, &key, len, RV_CACHE_AGAIN, load, &place, &block,
                    bytes, err) == -1)
    return -1;
  *table = (struct rv_table *) block;
  return 0;
}

/* Rule 4 of tables-edit.h. */
int
rv_tables_pin (struct rv_tables *t, struct rv_io *io, uint64_t off, size_t len,
               struct rv_table **table, const uint8_t **bytes,
               rawview_error *err)
{
  struct rv_table *clean;

  for (;;) {
    unsigned came = t->came, left = t->left;

    if (rv_edited_pin (t, io, off, len, table, bytes))
      return 0;
    if (pin_clean (t, io, off, len, &clean, bytes, err) == -1)
      return -1;
    if (t->came != came && rv_edited_pin (t, io, off, len, table, bytes)) {
      rv_table_unpin (t, clean);
      return 0;
    }
    if (t->left == left)
      break;
    rv_table_unpin (t, clean);
  }
  *table = clean;
  return 0;
}

void
rv_table_unpin (struct rv_tables *tables, struct rv_table *table)
{
  if (rv_table_is_version (table))
    rv_version_unref ((struct rv_version *) ((uintptr_t) table - 1));
  else
    rv_cache_unpin (tables->cache, (struct rv_cache_block *) table);
}

bool
rv_tables_holds (struct rv_tables *t, const struct rv_io *io, uint64_t off,
                 size_t len)
{
  struct rv_cache_key key = rv_tables_key (io, off, len);

  return rv_cache_holds (t->cache, &key);
}
