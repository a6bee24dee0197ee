/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/format.h"
#include "format/vmdk-descriptor.h"
#include "format/vmdk-sesparse.h"
#include "util/error.h"

#define MAGIC          0xcafebabeu
#define VOLATILE_MAGIC 0xcafecafeu
#define HEADER_VERSION 0x0000000200000001u
#define GRAIN_SECTORS  8u
#define TABLE_SECTORS  64u
#define ENTRY_SIZE     8u
#define MAX_SECTORS    ((uint64_t) INT64_MAX / RV_VMDK_SECTOR)

/* Index of each u64 in the first header. */
enum {
  FIELD_MAGIC,
  FIELD_VERSION,
  FIELD_CAPACITY,
  FIELD_GRAIN,
  FIELD_TABLE,
  FIELD_FLAGS,
  FIELD_RESERVED1,
  FIELD_RESERVED4 = FIELD_RESERVED1 + 3,
  FIELD_VOLATILE, /* from here on pairs of offset and size */
  FIELD_DIRECTORY = FIELD_VOLATILE + 6,
  FIELD_TABLES = FIELD_DIRECTORY + 2,
  FIELD_GRAINS = FIELD_TABLES + 6,
  NR_FIELDS = FIELD_GRAINS + 2,
};

static uint64_t
field (struct rv_view head, unsigned i)
{
  return rv_le64 (head.p + 8 * i);
}

bool
rv_vmdk_sesparse_probe (struct rv_view head)
{
  return head.len >= 8 && rv_le64 (head.p) == MAGIC;
}

static bool
is_zero_from (struct rv_view head, size_t at)
{
  for (; at < head.len; at++)
    if (head.p[at] != 0)
      return false;
  return true;
}

static int
check_constants (struct rv_view head, const char *file, rawview_error *err)
{
  static const struct {
    unsigned index;
    const char *name;
    uint64_t value;
  } constants[] = {
    { FIELD_VERSION, "version", HEADER_VERSION },
    { FIELD_GRAIN, "grain size", GRAIN_SECTORS },
    { FIELD_TABLE, "grain table size", TABLE_SECTORS },
    { FIELD_FLAGS, "flags", 0 },
    { FIELD_RESERVED1, "reserved field 1", 0 },
    { FIELD_RESERVED1 + 1, "reserved field 2", 0 },
    { FIELD_RESERVED1 + 2, "reserved field 3", 0 },
    { FIELD_RESERVED4, "reserved field 4", 0 },
  };

  for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
    uint64_t value = field (head, constants[i].index);

    if (value != constants[i].value)
      return rv_error_unsupported (
          err, "%s: seSparse header: %s is 0x%jx, rawview knows only 0x%jx",
          file, constants[i].name, (uintmax_t) value,
          (uintmax_t) constants[i].value);
  }
  if (!is_zero_from (head, 8 * NR_FIELDS))
    return rv_error_unsupported (
        err, "%s: seSparse header: unknown bytes after the last field", file);
  return 0;
}

/* The area whose offset is field i, as bytes inside the file. */
static int
locate (struct rv_view head, unsigned i, uint64_t len, uint64_t file_size,
        const char *file, const char *what, uint64_t *off, rawview_error *err)
{
  uint64_t sector = field (head, i);

  if (!rv_mul_u64 (sector, RV_VMDK_SECTOR, off) ||
      *off < RV_VMDK_SESPARSE_LEN || !rv_range_fits (*off, len, file_size))
    return rv_error_corrupt (
        err,
        "%s: seSparse header: the %s at sector %ju is outside the file of "
        "%ju bytes or inside the header",
        file, what, (uintmax_t) sector, (uintmax_t) file_size);
  return 0;
}

static int
check_directory (struct rv_view head, struct rv_vmdk_layout *l,
                 const char *file, rawview_error *err)
{
  uint64_t sectors = field (head, FIELD_DIRECTORY + 1);

  l->gd_entries = rv_div_up (l->capacity, rv_vmdk_table_span (l));
  if (l->gd_entries > RV_MAX_L1_BYTES / ENTRY_SIZE)
    return rv_error_limit (
        err, "%s: a seSparse grain directory of %ju entries, at most %u", file,
        (uintmax_t) l->gd_entries, RV_MAX_L1_BYTES / ENTRY_SIZE);
  if (sectors < rv_div_up (rv_vmdk_gd_len (l), RV_VMDK_SECTOR))
    return rv_error_corrupt (
        err,
        "%s: the seSparse grain directory has %ju sectors, too few for %ju "
        "entries",
        file, (uintmax_t) sectors, (uintmax_t) l->gd_entries);
  return 0;
}

/* The size that stands behind the offset of field i. */
static uint64_t
area_len (struct rv_view head, unsigned i)
{
  uint64_t len;

  return rv_mul_u64 (field (head, i + 1), RV_VMDK_SECTOR, &len) ? len
                                                                : UINT64_MAX;
}

/* Tables stand in one area before the grains, so that a grain, which is counted
 * from there, never lies in a table.
 */
static int
locate_areas (struct rv_view head, uint64_t file_size, struct rv_vmdk_layout *l,
              const char *file, rawview_error *err)
{
  uint64_t gd_len = area_len (head, FIELD_DIRECTORY);

  l->tables_len = area_len (head, FIELD_TABLES);
  if (locate (head, FIELD_DIRECTORY, gd_len, file_size, file, "grain directory",
              &l->gd_off, err) == -1 ||
      locate (head, FIELD_TABLES, l->tables_len, file_size, file,
              "grain table area", &l->tables_off, err) == -1 ||
      locate (head, FIELD_GRAINS, 0, file_size, file, "grain area",
              &l->data_off, err) == -1)
    return -1;
  if (l->gd_off + gd_len > l->data_off ||
      l->tables_off + l->tables_len > l->data_off ||
      rv_ranges_overlap (l->gd_off, gd_len, l->tables_off, l->tables_len))
    return rv_error_corrupt (
        err, "%s: seSparse header: directory, tables and grains overlap", file);
  return 0;
}

int
rv_vmdk_sesparse_parse (struct rv_view head, uint64_t file_size,
                        const char *file, struct rv_vmdk_layout *layout,
                        uint64_t *volatile_off, rawview_error *err)
{
  struct rv_vmdk_layout l = {
    .kind = RV_VMDK_SE,
    .version = 2,
    .grain = GRAIN_SECTORS * RV_VMDK_SECTOR,
    .table_entries = TABLE_SECTORS * RV_VMDK_SECTOR / ENTRY_SIZE,
    .entry_size = ENTRY_SIZE,
    .header_len = RV_VMDK_SESPARSE_LEN,
  };
  uint64_t capacity;

  if (head.len < RV_VMDK_SESPARSE_LEN || !rv_vmdk_sesparse_probe (head))
    return rv_error_format (err, "%s: no seSparse header", file);
  if (check_constants (head, file, err) == -1)
    return -1;
  capacity = field (head, FIELD_CAPACITY);
  if (capacity == 0 || capacity > MAX_SECTORS)
    return rv_error_limit (err,
                           "%s: seSparse capacity of %ju sectors, not 1 to %ju",
                           file, (uintmax_t) capacity, (uintmax_t) MAX_SECTORS);
  l.capacity = capacity * RV_VMDK_SECTOR;
  if (check_directory (head, &l, file, err) == -1 ||
      locate_areas (head, file_size, &l, file, err) == -1 ||
      locate (head, FIELD_VOLATILE, RV_VMDK_SESPARSE_LEN, file_size, file,
              "volatile header", volatile_off, err) == -1)
    return -1;
  *layout = l;
  return 0;
}

int
rv_vmdk_sesparse_parse_volatile (struct rv_view head, const char *file,
                                 rawview_error *err)
{
  if (head.len < RV_VMDK_SESPARSE_LEN || field (head, 0) != VOLATILE_MAGIC)
    return rv_error_format (err, "%s: no seSparse volatile header", file);
  if (field (head, 3) != 0)
    return rv_error_unsupported (
        err,
        "%s: the seSparse journal has changes that are not in the tables yet; "
        "let ESX open and close the disk once",
        file);
  if (!is_zero_from (head, 32))
    return rv_error_unsupported (
        err, "%s: seSparse volatile header: unknown bytes", file);
  return 0;
}
