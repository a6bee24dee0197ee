/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one entry of a grain directory or grain table means.
 *
 * KDMV and COWD entries are sectors; 0 means unallocated, and 1 means zeros in
 * a KDMV whose header says so.  seSparse entries have their meaning in the top
 * four bits; a directory entry counts tables, and a table entry counts grains
 * with the index's low 12 bits above its high 36 bits.
 */

#include <config.h>

#include "format/vmdk-descriptor.h"
#include "format/vmdk-grains.h"
#include "format/vmdk-stream.h"

#define SE_TABLE_MASK  UINT64_C (0xffffffff00000000)
#define SE_TABLE       UINT64_C (0x1000000000000000)
#define SE_INDEX_LOW   UINT64_C (0x0fff000000000000)
#define SE_INDEX_HIGH  UINT64_C (0x0000ffffffffffff)
#define SE_UNALLOCATED 0u
#define SE_UNMAPPED    1u
#define SE_ZERO        2u
#define SE_ALLOCATED   3u

uint64_t
rv_vmdk_entry_read (const struct rv_vmdk_layout *l, const uint8_t *entries,
                    uint64_t i)
{
  return l->entry_size == 8 ? rv_le64 (entries + 8 * i)
                            : rv_le32 (entries + 4 * i);
}

/* What a table holds is there before its entry is. */
uint32_t
rv_vmdk_directory_load (const uint8_t *directory, uint64_t i)
{
  return le32toh (
      __atomic_load_n ((const uint32_t *) directory + i, __ATOMIC_ACQUIRE));
}

void
rv_vmdk_directory_store (uint8_t *directory, uint64_t i, uint32_t raw)
{
  __atomic_store_n ((uint32_t *) directory + i, htole32 (raw),
                    __ATOMIC_RELEASE);
}

static void
set_bad (struct rv_vmdk_entry *e, const char *why)
{
  e->state = RV_VMDK_BAD;
  e->why = why;
}

/* len bytes at e->off must exist. */
static void
check_inside (struct rv_vmdk_entry *e, uint64_t len, uint64_t file_size)
{
  if (!rv_range_fits (e->off, len, file_size))
    set_bad (e, e->off < file_size
                    ? "points to data that the end of the file cuts off"
                    : "points past the end of the file");
}

/* KDMV and COWD, tables and grains alike. */
static void
read_sector_entry (const struct rv_vmdk_layout *l, struct rv_vmdk_entry *e)
{
  if (e->raw == 0)
    e->state = RV_VMDK_UNALLOCATED;
  else if (e->raw == 1 && l->zero_entries)
    e->state = RV_VMDK_ZEROED;
  else if (e->raw * RV_VMDK_SECTOR < l->header_len)
    set_bad (e, "points into the header");
  else if (e->raw == 1 && l->kind == RV_VMDK_HOSTED)
    set_bad (e, "means zeros, which the header's flags do not allow");
  else {
    e->state = RV_VMDK_STORED;
    e->off = e->raw * RV_VMDK_SECTOR;
  }
}

static void
read_se_table (const struct rv_vmdk_layout *l, struct rv_vmdk_entry *e)
{
  uint64_t at = (e->raw & ~SE_TABLE_MASK) * rv_vmdk_table_len (l);

  if (e->raw == 0)
    e->state = RV_VMDK_UNALLOCATED;
  else if ((e->raw & SE_TABLE_MASK) != SE_TABLE)
    set_bad (e, "has unknown bits");
  else if (!rv_range_fits (at, rv_vmdk_table_len (l), l->tables_len))
    set_bad (e, "points behind the area of grain tables");
  else {
    e->state = RV_VMDK_STORED;
    e->off = l->tables_off + at;
  }
}

static void
locate_se_grain (const struct rv_vmdk_layout *l, struct rv_vmdk_entry *e)
{
  uint64_t index = (e->raw & SE_INDEX_LOW) >> 48 | (e->raw & SE_INDEX_HIGH)
                                                       << 12;

  e->state = RV_VMDK_STORED;
  if (!rv_mul_u64 (index, l->grain, &e->off) ||
      !rv_add_u64 (e->off, l->data_off, &e->off))
    set_bad (e, "points past the end of any file");
}

static void
read_se_grain (const struct rv_vmdk_layout *l, struct rv_vmdk_entry *e)
{
  switch (e->raw >> 60) {
  case SE_UNALLOCATED:
    e->state = RV_VMDK_UNALLOCATED;
    if (e->raw != 0)
      set_bad (e, "has unknown bits");
    break;
  case SE_UNMAPPED:
  case SE_ZERO:
    e->state = RV_VMDK_ZEROED;
    break;
  case SE_ALLOCATED:
    locate_se_grain (l, e);
    break;
  default:
    set_bad (e, "is of an unknown type");
    break;
  }
}

void
rv_vmdk_entry_of_table (const struct rv_vmdk_layout *l, uint64_t raw,
                        uint64_t file_size, struct rv_vmdk_entry *e)
{
  *e = (struct rv_vmdk_entry){ .raw = raw };
  if (l->kind == RV_VMDK_SE)
    read_se_table (l, e);
  else
    read_sector_entry (l, e);
  if (e->state == RV_VMDK_STORED)
    check_inside (e, rv_vmdk_table_len (l), file_size);
}

/* Of a compressed grain only the marker must be inside the file here; its size
 * stands in the marker and is judged with it.
 */
void
rv_vmdk_entry_of_grain (const struct rv_vmdk_layout *l, uint64_t raw,
                        uint64_t needed, uint64_t file_size,
                        struct rv_vmdk_entry *e)
{
  *e = (struct rv_vmdk_entry){ .raw = raw };
  if (l->kind == RV_VMDK_SE)
    read_se_grain (l, e);
  else
    read_sector_entry (l, e);
  if (e->state != RV_VMDK_STORED)
    return;
  if (e->off < l->data_off)
    set_bad (e, "points before the area of grains");
  else
    check_inside (e, l->compressed ? RV_VMDK_MARKER_LEN : needed, file_size);
}
