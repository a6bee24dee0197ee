/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small streamOptimized VMDKs in memory, written from the front to the end. */

#ifndef RV_TEST_VMDK_STREAM_H
#define RV_TEST_VMDK_STREAM_H

#include <stdlib.h>

#include "format/vmdk-sparse.h"
#include "util/test.h"

#define TEST_GRAIN         65536u
#define TEST_CAPACITY      (599 * 128 + 1) /* sectors: 600 grains, 2 tables */
#define TEST_TABLE_ENTRIES 512u
#define TEST_TABLES        2u
#define TEST_OVERHEAD      128u
#define TEST_GD_SECTOR     21u
#define TEST_STREAM_ROOM   (512u << 10)

struct test_stream {
  uint8_t p[TEST_STREAM_ROOM];
  size_t len;
  uint64_t gd_sector; /* as the header has it */
  uint32_t tables[TEST_TABLES][TEST_TABLE_ENTRIES];
  /* Where things are, in bytes. */
  size_t grain_at; /* the last one */
  size_t bare;     /* the end of its payload */
  size_t table_at[TEST_TABLES], gd_at, footer_at;
};

static TEST_UNUSED void
test_stream_header (struct test_stream *t, size_t at, uint64_t gd_sector)
{
  uint8_t *p = t->p + at;

  memcpy (p, "KDMV", 4);
  rv_put_le32 (p + 4, 3);
  rv_put_le32 (p + 8, RV_VMDK_FLAG_NEWLINE | RV_VMDK_FLAG_DEFLATE |
                          RV_VMDK_FLAG_MARKERS);
  rv_put_le64 (p + 12, TEST_CAPACITY);
  rv_put_le64 (p + 20, TEST_GRAIN / 512);
  rv_put_le64 (p + 28, 1);
  rv_put_le64 (p + 36, 20);
  rv_put_le32 (p + 44, TEST_TABLE_ENTRIES);
  rv_put_le64 (p + 56, gd_sector);
  rv_put_le64 (p + 64, TEST_OVERHEAD);
  memcpy (p + 73, "\n \r\n", 4);
  p[77] = 1;
}

/* gd_sector: RV_VMDK_GD_AT_END or TEST_GD_SECTOR. */
static TEST_UNUSED void
test_stream_begin (struct test_stream *t, uint64_t gd_sector)
{
  memset (t, 0, sizeof *t);
  t->gd_sector = gd_sector;
  test_stream_header (t, 0, gd_sector);
  snprintf ((char *) t->p + 512, 10240,
            "# Disk DescriptorFile\nversion=1\nCID=1234abcd\n"
            "parentCID=ffffffff\ncreateType=\"streamOptimized\"\n"
            "RW %u SPARSE \"x.vmdk\"\n",
            TEST_CAPACITY);
  t->len = TEST_OVERHEAD * 512;
}

static TEST_UNUSED void
test_stream_zeros (struct test_stream *t, size_t sectors)
{
  memset (t->p + t->len, 0, sectors * 512);
  t->len += sectors * 512;
}

static TEST_UNUSED void
test_stream_marker (struct test_stream *t, uint64_t count, uint32_t type)
{
  rv_put_le64 (t->p + t->len, count);
  rv_put_le32 (t->p + t->len + 12, type);
  t->len += 512;
}

/* A grain with these bytes for its payload. */
static TEST_UNUSED void
test_stream_payload (struct test_stream *t, unsigned n, const void *bytes,
                     size_t len)
{
  t->tables[n / TEST_TABLE_ENTRIES][n % TEST_TABLE_ENTRIES] = t->len / 512;
  t->grain_at = t->len;
  rv_put_le64 (t->p + t->len, (uint64_t) n * (TEST_GRAIN / 512));
  rv_put_le32 (t->p + t->len + 8, len);
  memcpy (t->p + t->len + 12, bytes, len);
  t->bare = t->len + 12 + len;
  t->len = (t->bare + 511) / 512 * 512;
}

/* The n-th grain of the disk, with n at the beginning of its payload. */
static TEST_UNUSED void
test_stream_grain (struct test_stream *t, unsigned n)
{
  uint8_t bytes[600];

  memset (bytes, 0xab, sizeof bytes);
  bytes[0] = n;
  test_stream_payload (t, n, bytes, sizeof bytes);
}

static TEST_UNUSED void
test_stream_put_table (struct test_stream *t, unsigned n, size_t at)
{
  t->table_at[n] = at;
  for (unsigned i = 0; i < TEST_TABLE_ENTRIES; i++)
    rv_put_le32 (t->p + at + 4 * i, t->tables[n][i]);
}

static TEST_UNUSED void
test_stream_put_directory (struct test_stream *t, size_t at)
{
  t->gd_at = at;
  for (unsigned i = 0; i < TEST_TABLES; i++)
    rv_put_le32 (t->p + at + 4 * i, t->table_at[i] / 512);
}

static TEST_UNUSED void
test_stream_table (struct test_stream *t, unsigned n)
{
  test_stream_marker (t, TEST_TABLE_ENTRIES * 4 / 512, 1);
  test_stream_put_table (t, n, t->len);
  t->len += TEST_TABLE_ENTRIES * 4;
}

/* Directory, footer, end of stream. */
static TEST_UNUSED void
test_stream_end (struct test_stream *t)
{
  test_stream_marker (t, 1, 2);
  test_stream_put_directory (t, t->len);
  t->len += 512;
  test_stream_marker (t, 1, 3);
  t->footer_at = t->len;
  test_stream_header (t, t->len, t->gd_at / 512);
  t->len += 512;
  test_stream_zeros (t, 1);
}

/* As QEMU writes them: the directory, then all tables, without markers. */
static TEST_UNUSED void
test_stream_tables_in_front (struct test_stream *t)
{
  for (unsigned i = 0; i < TEST_TABLES; i++)
    test_stream_put_table (
        t, i, (TEST_GD_SECTOR + 1) * 512 + i * TEST_TABLE_ENTRIES * 4);
  test_stream_put_directory (t, TEST_GD_SECTOR * 512);
}

#endif /* RV_TEST_VMDK_STREAM_H */
