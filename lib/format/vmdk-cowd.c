/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "format/format.h"
#include "format/vmdk-cowd.h"
#include "format/vmdk-descriptor.h"
#include "util/error.h"

#define TABLE_ENTRIES 4096u
#define KNOWN_FLAGS   3u
#define UNCLEAN_AT    1648u
#define MAX_GRAIN     (RV_MAX_UNIT / RV_VMDK_SECTOR)

bool
rv_vmdk_cowd_probe (struct rv_view head)
{
  return head.len >= 4 && memcmp (head.p, "COWD", 4) == 0;
}

static int
check_version (const uint8_t *p, const char *file, rawview_error *err)
{
  uint32_t version = rv_le32 (p + 4), flags = rv_le32 (p + 8);

  if (version != 1)
    return rv_error_unsupported (
        err, "%s: COWD header version %u, rawview knows 1", file, version);
  if (flags & ~KNOWN_FLAGS)
    return rv_error_unsupported (
        err, "%s: the COWD header has unknown flags 0x%08x", file, flags);
  return 0;
}

static int
check_geometry (const uint8_t *p, const char *file, rawview_error *err)
{
  uint32_t capacity = rv_le32 (p + 12), grain = rv_le32 (p + 16);

  if (capacity == 0)
    return rv_error_format (err, "%s: COWD header with capacity 0", file);
  if (!rv_is_pow2 (grain) || grain > MAX_GRAIN)
    return rv_error_format (
        err, "%s: COWD grains of %u sectors, not a power of two from 1 to %u",
        file, grain, MAX_GRAIN);
  return 0;
}

/* The directory must cover the capacity; more entries are never used. */
static int
locate_directory (const uint8_t *p, uint64_t file_size, const char *file,
                  struct rv_vmdk_layout *l, rawview_error *err)
{
  uint32_t entries = rv_le32 (p + 24);

  l->gd_off = (uint64_t) rv_le32 (p + 20) * RV_VMDK_SECTOR;
  l->gd_entries = rv_div_up (l->capacity, rv_vmdk_table_span (l));
  if (entries < l->gd_entries)
    return rv_error_corrupt (
        err, "%s: the COWD grain directory has %u entries, needed are %ju",
        file, entries, (uintmax_t) l->gd_entries);
  if (entries > RV_MAX_L1_BYTES / l->entry_size)
    return rv_error_limit (err,
                           "%s: a COWD grain directory of %u entries, at most "
                           "%u",
                           file, entries, RV_MAX_L1_BYTES / l->entry_size);
  if (l->gd_off < l->header_len ||
      !rv_range_fits (l->gd_off, rv_vmdk_gd_len (l), file_size))
    return rv_error_corrupt (
        err,
        "%s: the COWD grain directory at byte %ju is inside the header or "
        "outside the file of %ju bytes",
        file, (uintmax_t) l->gd_off, (uintmax_t) file_size);
  return 0;
}

int
rv_vmdk_cowd_parse (struct rv_view head, uint64_t file_size, const char *file,
                    struct rv_vmdk_layout *layout, rawview_error *err)
{
  struct rv_vmdk_layout l = {
    .kind = RV_VMDK_COWD,
    .version = 1,
    .table_entries = TABLE_ENTRIES,
    .entry_size = 4,
    .header_len = RV_VMDK_COWD_LEN,
    .data_off = RV_VMDK_COWD_LEN,
  };

  if (head.len < RV_VMDK_COWD_LEN || !rv_vmdk_cowd_probe (head))
    return rv_error_format (err, "%s: no COWD header of %u bytes", file,
                            RV_VMDK_COWD_LEN);
  if (check_version (head.p, file, err) == -1 ||
      check_geometry (head.p, file, err) == -1)
    return -1;
  l.capacity = (uint64_t) rv_le32 (head.p + 12) * RV_VMDK_SECTOR;
  l.grain = rv_le32 (head.p + 16) * RV_VMDK_SECTOR;
  l.unclean = head.p[UNCLEAN_AT] != 0;
  if (locate_directory (head.p, file_size, file, &l, err) == -1)
    return -1;
  *layout = l;
  return 0;
}
