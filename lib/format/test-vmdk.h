/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small VMDKs in memory, for the unit tests.
 *
 * The hosted sparse one: grains of 4 KiB, tables of 128 entries, so that a
 * table covers 512 KiB, and a disk of 1 MiB and 5 sectors, so that there are
 * three tables and a last grain of 5 sectors.
 *
 *   sector 0        header
 *          1-4      descriptor
 *          5, 6-8   directory and tables
 *          9, 10-12 redundant ones
 *          16       first grain
 */

#ifndef RV_TEST_VMDK_H
#define RV_TEST_VMDK_H

#include <stdlib.h>

#include "format/format.h"
#include "format/vmdk-sparse.h"
#include "io/io.h"
#include "util/test.h"

#define SECTOR        512u
#define GRAIN         4096u
#define CAPACITY      (2048u + 5)
#define GRAINS        257u
#define TABLE_ENTRIES 128u
#define AT_DESCRIPTOR 1u
#define AT_GD         5u
#define AT_GT         6u
#define AT_RGD        9u
#define AT_RGT        10u
#define AT_DATA       16u
#define SECTORS       64u

struct image {
  uint8_t b[SECTORS * SECTOR];
  size_t len;
};

static inline void
put16 (void *p, size_t off, uint16_t v)
{
  v = htole16 (v);
  memcpy ((uint8_t *) p + off, &v, sizeof v);
}

static inline void
put32 (void *p, size_t off, uint32_t v)
{
  v = htole32 (v);
  memcpy ((uint8_t *) p + off, &v, sizeof v);
}

static inline void
put64 (void *p, size_t off, uint64_t v)
{
  v = htole64 (v);
  memcpy ((uint8_t *) p + off, &v, sizeof v);
}

static inline void
put_header (uint8_t *p)
{
  memset (p, 0, SECTOR);
  memcpy (p, "KDMV", 4);
  put32 (p, 4, 1);
  put32 (p, 8, RV_VMDK_FLAG_NEWLINE | RV_VMDK_FLAG_RGD);
  put64 (p, 12, CAPACITY);
  put64 (p, 20, GRAIN / SECTOR);
  put64 (p, 28, AT_DESCRIPTOR);
  put64 (p, 36, 4);
  put32 (p, 44, TABLE_ENTRIES);
  put64 (p, 48, AT_RGD);
  put64 (p, 56, AT_GD);
  put64 (p, 64, AT_DATA);
  memcpy (p + 73, "\n \r\n", 4);
}

static inline void
put_descriptor (struct image *m, const char *type, const char *more)
{
  char *text = (char *) m->b + AT_DESCRIPTOR * SECTOR;

  memset (text, 0, 4 * SECTOR);
  sprintf (text,
           "# Disk DescriptorFile\nversion=1\nCID=00000011\n%s"
           "createType=\"%s\"\nRW %u SPARSE \"whatever.vmdk\"\n",
           more, type, CAPACITY);
}

/* A grain table entry, in both copies. */
static inline void
put_gte (struct image *m, unsigned grain, uint32_t value)
{
  put32 (m->b, AT_GT * SECTOR + 4 * grain, value);
  put32 (m->b, AT_RGT * SECTOR + 4 * grain, value);
}

/* No grain is allocated. */
static inline void
make_sparse (struct image *m)
{
  memset (m->b, 0, sizeof m->b);
  m->len = sizeof m->b;
  put_header (m->b);
  put_descriptor (m, "monolithicSparse", "");
  for (unsigned i = 0; i < 3; i++) {
    put32 (m->b, AT_GD * SECTOR + 4 * i, AT_GT + i);
    put32 (m->b, AT_RGD * SECTOR + 4 * i, AT_RGT + i);
  }
}

/*--- Opening ------------------------------------------------------------*/

/* What is open in a test. */
struct disk {
  struct rv_io *io;
  struct rv_tables *tables;
  struct rv_warnings warnings;
  struct rv_format_params params;
  struct rv_format *format;
};

static inline void
disk_init (struct disk *d)
{
  rawview_error err;

  *d = (struct disk){ 0 };
  CHECK_OK (rv_tables_new (1 << 20, &d->tables, &err), err);
  d->params = (struct rv_format_params){ .tables = d->tables,
                                         .warnings = &d->warnings,
                                         .max_size = RV_DEFAULT_MAX_SIZE };
}

/* Opens bytes that the test keeps. */
static inline int
disk_open (struct disk *d, const void *bytes, size_t len, rawview_error *err)
{
  disk_init (d);
  if (rv_io_mem_new (bytes, len, "t.vmdk", &d->io, err) == -1)
    return -1;
  return rv_format_vmdk.open (d->io, &d->params, &d->format, err);
}

static inline void
disk_close (struct disk *d)
{
  if (d->format)
    d->format->ops->close (d->format);
  rv_io_unref (d->io);
  rv_tables_free (d->tables);
  rv_warnings_free (&d->warnings);
  *d = (struct disk){ 0 };
}

/* Attaches bytes as the file of a ref. */
static inline int
disk_attach (struct disk *d, size_t ref, const void *bytes, size_t len,
             const char *name, rawview_error *err)
{
  CLEANUP_IO struct rv_io *io = NULL;

  if (rv_io_mem_new (bytes, len, name, &io, err) == -1)
    return -1;
  return d->format->ops->attach (d->format, ref, io, &d->params, err);
}

static inline int
disk_map (struct disk *d, uint64_t off, struct rv_map *map, uint64_t *damaged,
          rawview_error *err)
{
  *damaged = 0;
  return d->format->ops->map (d->format, off, d->format->size - off, map,
                              damaged, err);
}

#endif /* RV_TEST_VMDK_H */
