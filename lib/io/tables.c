/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cache of blocks, filled by reading.  A piece is known by its source's
 * serial number rather than its address, which another source may get later,
 * and by its length, so that nobody is ever handed fewer bytes than he asked
 * for, whatever an image says about where its tables are.
 */

#include <config.h>

#include "io/tables.h"
#include "util/cache.h"
#include "util/error.h"

struct rv_tables {
  struct rv_cache *cache;
};

struct rv_table; /* is a struct rv_cache_block */

int
rv_tables_new (size_t budget, struct rv_tables **tables, rawview_error *err)
{
  CLEANUP_FREE struct rv_tables *t = calloc (1, sizeof *t);

  if (t == NULL)
    return rv_error_nomem (err);
  if (rv_cache_new (budget, &t->cache, err) == -1)
    return -1;
  *tables = STEAL (t);
  return 0;
}

void
rv_tables_free (struct rv_tables *tables)
{
  if (tables == NULL)
    return;
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

int
rv_tables_pin (struct rv_tables *tables, struct rv_io *io, uint64_t off,
               size_t len, struct rv_table **table, const uint8_t **bytes,
               rawview_error *err)
{
  struct place place = { .io = io, .off = off };
  struct rv_cache_key key = { .owner = (const void *) (uintptr_t) io->serial,
                              .a = off,
                              .b = len };
  struct rv_cache_block *block;

  if (rv_cache_pin (tables->cache, &key, len, load, &place, &block, bytes,
                    err) == -1)
    return -1;
  *table = (struct rv_table *) block;
  return 0;
}

void
rv_table_unpin (struct rv_tables *tables, struct rv_table *table)
{
  rv_cache_unpin (tables->cache, (struct rv_cache_block *) table);
}
