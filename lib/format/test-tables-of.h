/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A driver must name beforehand the tables that its map will pin: once they are
 * there, map reads nothing.
 */

#ifndef RV_TEST_TABLES_OF_H
#define RV_TEST_TABLES_OF_H

#include "format/format.h"
#include "util/test.h"

/* Bytes of which each read lowers *reads_left, from READS on. */
#define READS 1000000u

static int
counted_io (const void *bytes, size_t len, atomic_uint *reads_left,
            struct rv_io **io, rawview_error *err)
{
  CLEANUP_IO struct rv_io *mem = NULL;

  atomic_init (reads_left, READS);
  if (rv_io_mem_new (bytes, len, "counted", &mem, err) == -1)
    return -1;
  return rv_io_fault_new (mem, reads_left, io, err);
}

struct named {
  struct rv_tables *tables;
  unsigned n, stop; /* so many were named; tell the driver to end then */
};

static int
pin_named (void *opaque, struct rv_io *io, uint64_t host_off, size_t len)
{
  struct named *named = opaque;
  struct rv_table *table;
  const uint8_t *bytes;
  rawview_error err;

  if (CHECK_OK (rv_tables_pin (named->tables, io, host_off, len, &table, &bytes,
                               &err),
                err))
    rv_table_unpin (named->tables, table);
  return ++named->n == named->stop;
}

/* Damage is what a map may answer, too. */
static void
map_all (struct rv_format *f, uint64_t off, uint64_t len)
{
  while (len > 0) {
    struct rv_map map;
    uint64_t n = 0;

    if (f->ops->map (f, off, len, &map, &n, NULL) == 0)
      n = map.len;
    REQUIRE (n > 0 && n <= len);
    off += n;
    len -= n;
  }
}

/* The driver names so many tables of this range, of which none has been read,
 * and map needs no other.
 */
static void
check_tables_of (struct rv_format *f, atomic_uint *reads_left, uint64_t off,
                 uint64_t len, unsigned n)
{
  struct named named = { .tables = f->tables };
  unsigned before = *reads_left;

  f->ops->tables_of (f, off, len, pin_named, &named);
  CHECK_EQ_U64 (named.n, n);
  CHECK_EQ_U64 (before - *reads_left, n);
  before = *reads_left;
  map_all (f, off, len);
  CHECK_EQ_U64 (before - *reads_left, 0);
}

/* Of more than stop tables the driver names no more when it is told so. */
static TEST_UNUSED void
check_tables_of_ends (struct rv_format *f, unsigned stop)
{
  struct named named = { .tables = f->tables, .stop = stop };

  f->ops->tables_of (f, 0, f->size, pin_named, &named);
  CHECK_EQ_U64 (named.n, stop);
}

#endif /* RV_TEST_TABLES_OF_H */
