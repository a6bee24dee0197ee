/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small tar archives in memory, for the unit tests. */

#ifndef RV_TEST_TAR_H
#define RV_TEST_TAR_H

#include <stdlib.h>

#include "format/tar.h"
#include "util/test.h"

#define TAR_ROOM (128u << 10)

struct test_tar {
  uint8_t p[TAR_ROOM];
  size_t len;
};

/* Writes the checksum of a block whose other fields are right. */
static TEST_UNUSED void
test_tar_sum (uint8_t *block)
{
  unsigned sum = 0;

  memset (block + 148, ' ', 8);
  for (size_t i = 0; i < RV_TAR_BLOCK; i++)
    sum += block[i];
  snprintf ((char *) block + 148, 8, "%06o", sum);
}

static TEST_UNUSED void
test_tar_block (uint8_t *block, const char *name, char type, uint64_t size)
{
  memset (block, 0, RV_TAR_BLOCK);
  memcpy (block, name, strnlen (name, 100));
  memcpy (block + 100, "0000644", 7);
  snprintf ((char *) block + 124, 12, "%011jo",
            (uintmax_t) size & 077777777777);
  block[156] = type;
  memcpy (block + 257, "ustar\00000", 8);
  test_tar_sum (block);
}

/* Appends a header and returns it, for changes before test_tar_sum. */
static TEST_UNUSED uint8_t *
test_tar_header (struct test_tar *t, const char *name, char type, uint64_t size)
{
  uint8_t *block = t->p + t->len;

  test_tar_block (block, name, type, size);
  t->len += RV_TAR_BLOCK;
  return block;
}

static TEST_UNUSED void
test_tar_bytes (struct test_tar *t, const void *bytes, size_t len)
{
  memcpy (t->p + t->len, bytes, len);
  t->len += (len + RV_TAR_BLOCK - 1) / RV_TAR_BLOCK * RV_TAR_BLOCK;
}

static TEST_UNUSED void
test_tar_member (struct test_tar *t, const char *name, const char *text)
{
  test_tar_header (t, name, '0', strlen (text));
  test_tar_bytes (t, text, strlen (text));
}

/* An extended header, such as 'L' with a name. */
static TEST_UNUSED void
test_tar_extended (struct test_tar *t, char type, const void *bytes, size_t len)
{
  test_tar_header (t, "extended", type, len);
  test_tar_bytes (t, bytes, len);
}

/* Records of lines "key=value", which get their lengths here. */
static TEST_UNUSED void
test_tar_records (struct test_tar *t, char type, const char *lines)
{
  char records[4096] = "";
  size_t len = 0;

  while (*lines) {
    size_t n = strcspn (lines, "\n"), total = n + 2;
    char digits[16];

    while (total != n + 2 + snprintf (digits, sizeof digits, "%zu", total))
      total = n + 2 + strlen (digits);
    len += snprintf (records + len, sizeof records - len, "%zu %.*s\n", total,
                     (int) n, lines);
    lines += n + (lines[n] == '\n');
  }
  test_tar_extended (t, type, records, len);
}

static TEST_UNUSED void
test_tar_pax (struct test_tar *t, const char *lines)
{
  test_tar_records (t, 'x', lines);
}

static TEST_UNUSED void
test_tar_end (struct test_tar *t)
{
  t->len += 2 * RV_TAR_BLOCK;
}

#endif /* RV_TEST_TAR_H */
