/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the numbers of a hosted sparse VMDK lie, alone or in an archive; and
 * those of the ESX formats.
 */

#include "fuzz.h"

#define AT_GRAIN      20u
#define AT_TEXT       28u
#define AT_TEXT_LEN   36u
#define AT_GTES       44u
#define AT_RGD        48u
#define AT_GD         56u
#define HEADER_LEN    512u
#define SESPARSE_GTES 4096u

static const struct {
  uint8_t off, width;
} header[] = {
  { 4, 4 },  { 8, 4 },  { 8, 4 },  { 12, 8 }, { 20, 8 }, { 28, 8 }, { 36, 8 },
  { 44, 4 }, { 48, 8 }, { 56, 8 }, { 64, 8 }, { 72, 1 }, { 73, 4 }, { 77, 2 },
};

/* A used one of n 4-byte entries. */
static uint64_t
choose_entry (const struct fuzz_file *f, struct fuzz_rng *rng, uint64_t off,
              uint64_t n, unsigned width)
{
  uint64_t i = 0;

  for (unsigned tries = 0; tries < 16; tries++) {
    i = fuzz_random (rng, n ? rv_min_u64 (n, 4ull << 2 * (tries % 4)) : 1);
    if (fuzz_get (f, off + i * width, width, false) != 0)
      break;
  }
  return off + i * width;
}

/* The first VMDK of an archive begins at a block. */
static bool
find_vmdk (const struct fuzz_file *f, uint64_t *start)
{
  for (*start = 0; *start < rv_min_u64 (f->len, 16u << 10); *start += SECTOR)
    if (fuzz_get (f, *start, 4, false) == 0x564d444b)
      return true;
  return false;
}

/* The end-of-stream marker, the footer, its marker; seen from the file's end.
 */
static bool
footer_field (const struct fuzz_file *f, struct fuzz_rng *rng,
              struct fuzz_field *field)
{
  unsigned i = fuzz_random (rng, sizeof header / sizeof header[0]);
  uint64_t at = f->len;

  for (unsigned back = 1; back < 64 && at >= SECTOR; back++) {
    at -= SECTOR;
    if (fuzz_get (f, at, 4, false) == 0x564d444b)
      break;
  }
  if (at < SECTOR)
    return false;
  if (fuzz_random (rng, 3))
    return fuzz_field_set (field, at + header[i].off, header[i].width);
  at += fuzz_random (rng, 2) ? SECTOR : -SECTOR;
  i = fuzz_random (rng, 3);
  return fuzz_field_set (field, at + (i ? 4 + 4 * i : 0), i ? 4 : 8);
}

bool
fuzz_vmdk_text (const struct fuzz_file *f, uint64_t *off, size_t *len)
{
  uint64_t start;

  if (f->len >= 16 && f->len < 64 << 10 &&
      memcmp (f->bytes, "# Disk Descript", 15) == 0) {
    *off = 0;
    *len = f->len;
    return true;
  }
  if (!find_vmdk (f, &start))
    return false;
  *off = start + fuzz_get (f, start + AT_TEXT, 4, false) * SECTOR;
  *len = rv_min_u64 (fuzz_get (f, start + AT_TEXT_LEN, 2, false), 20) * SECTOR;
  return *off > start && *len > 0 && rv_range_fits (*off, *len, f->len);
}

bool
fuzz_vmdk_field (const struct fuzz_file *f, struct fuzz_rng *rng,
                 struct fuzz_field *field)
{
  unsigned what = fuzz_random (rng, 16), i;
  uint64_t start, gd, table;

  if (!find_vmdk (f, &start))
    return false;
  *field = (struct fuzz_field){
    .unit = rv_max_u64 (fuzz_get (f, start + AT_GRAIN, 2, false), 1) * SECTOR,
    .per = SECTOR
  };
  gd = fuzz_get (f, start + (fuzz_random (rng, 4) ? AT_GD : AT_RGD), 8, false);
  if (gd == UINT64_MAX)
    gd = fuzz_get (f, f->len - rv_min_u64 (f->len, 1024) + AT_GD, 8, false);
  gd = choose_entry (f, rng, start + (gd & UINT32_MAX) * SECTOR, 16, 4);
  table = start + fuzz_get (f, gd, 4, false) * SECTOR;
  table =
      choose_entry (f, rng, table, fuzz_get (f, start + AT_GTES, 2, false), 4);
  i = fuzz_random (rng, sizeof header / sizeof header[0]);
  if (what < 4)
    return fuzz_field_set (field, start + header[i].off, header[i].width);
  if (what < 6)
    return fuzz_field_set (field, gd, 4);
  if (what < 11)
    return fuzz_field_set (field, table, 4);
  if (what < 13)
    return footer_field (f, rng, field);
  /* Marker: the number of the sector, the length, the first data. */
  table = start + fuzz_get (f, table, 4, false) * SECTOR;
  i = fuzz_random (rng, 3);
  return fuzz_field_set (field, table + (i ? 4 + 4 * i : 0), i ? 4 : 8);
}

/*--- ESX ----------------------------------------------------------------*/

static bool
cowd_field (const struct fuzz_file *f, struct fuzz_rng *rng,
            struct fuzz_field *field)
{
  uint64_t gd = choose_entry (f, rng, fuzz_get (f, 20, 4, false) * SECTOR,
                              fuzz_get (f, 24, 2, false), 4);
  uint64_t table = fuzz_get (f, gd, 4, false) * SECTOR;

  if (fuzz_random (rng, 3) == 0)
    return fuzz_field_set (field, 4 + 4 * fuzz_random (rng, 8), 4);
  if (fuzz_random (rng, 3) == 0)
    return fuzz_field_set (field, gd, 4);
  return fuzz_field_set (field, choose_entry (f, rng, table, 4096, 4), 4);
}

/* Entries of directory and tables are 64 bits, with a type in the top ones. */
static bool
sesparse_field (const struct fuzz_file *f, struct fuzz_rng *rng,
                struct fuzz_field *field)
{
  uint64_t gd = fuzz_get (f, 8 * 16, 4, false) * SECTOR;
  uint64_t tables = fuzz_get (f, 8 * 18, 4, false) * SECTOR, table;

  gd = choose_entry (f, rng, gd, 64, 8);
  table = tables + (fuzz_get (f, gd, 4, false) & 0xffff) * SESPARSE_GTES * 8;
  switch (fuzz_random (rng, 8)) {
  case 0:
  case 1:
    return fuzz_field_set (field, 8 * fuzz_random (rng, 26), 8);
  case 2:
    return fuzz_field_set (field, gd, 8);
  case 3:
    return fuzz_field_set (field, fuzz_get (f, 8 * 10, 4, false) * SECTOR, 8);
  default:
    return fuzz_field_set (field,
                           choose_entry (f, rng, table, SESPARSE_GTES, 8), 8);
  }
}

bool
fuzz_esx_field (const struct fuzz_file *f, struct fuzz_rng *rng,
                struct fuzz_field *field)
{
  *field = (struct fuzz_field){ .unit = 8 * SECTOR, .per = SECTOR };
  if (fuzz_get (f, 0, 4, true) == 0x434f5744)
    return cowd_field (f, rng, field);
  if (fuzz_get (f, 0, 8, false) == 0xcafebabe)
    return sesparse_field (f, rng, field);
  return false;
}
