/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "format/format.h"
#include "format/vmdk-descriptor.h"
#include "format/vmdk-sparse.h"
#include "util/error.h"

#define MAX_VERSION       3u
#define MIN_TABLE_ENTRIES 128u
#define MAX_TABLE_ENTRIES (RV_TABLE_PIECE_MAX / 4)
#define MAX_GRAIN         (RV_MAX_UNIT / RV_VMDK_SECTOR)
#define MAX_SECTORS       ((uint64_t) INT64_MAX / RV_VMDK_SECTOR)

/* A reader that does not know one of these must not read the extent. */
#define INCOMPATIBLE_MASK 0xffff0000u
#define KNOWN_MASK        (RV_VMDK_FLAG_DEFLATE | RV_VMDK_FLAG_MARKERS)
#define KNOWN_LOW_MASK \
  (RV_VMDK_FLAG_NEWLINE | RV_VMDK_FLAG_RGD | RV_VMDK_FLAG_ZERO)

bool
rv_vmdk_header_probe (struct rv_view head)
{
  return head.len >= 4 && memcmp (head.p, "KDMV", 4) == 0;
}

static void
read_fields (const uint8_t *p, struct rv_vmdk_header *h)
{
  h->version = rv_le32 (p + 4);
  h->flags = rv_le32 (p + 8);
  h->capacity = rv_le64 (p + 12);
  h->grain = rv_le64 (p + 20);
  h->descriptor_sector = rv_le64 (p + 28);
  h->descriptor_sectors = rv_le64 (p + 36);
  h->table_entries = rv_le32 (p + 44);
  h->rgd_sector = rv_le64 (p + 48);
  h->gd_sector = rv_le64 (p + 56);
  h->overhead = rv_le64 (p + 64);
  h->unclean = p[72] != 0;
  h->algorithm = rv_le16 (p + 77);
}

static int
check_version (const struct rv_vmdk_header *h, const char *file,
               rawview_error *err)
{
  uint32_t unknown = h->flags & INCOMPATIBLE_MASK & ~KNOWN_MASK;

  if (h->version < 1)
    return rv_error_format (err, "%s: VMDK header version 0", file);
  if (h->version > MAX_VERSION)
    return rv_error_unsupported (
        err, "%s: VMDK header version %u, rawview knows up to %u", file,
        h->version, MAX_VERSION);
  if (unknown)
    return rv_error_unsupported (
        err, "%s: the VMDK header has unknown incompatible flags 0x%08x", file,
        unknown);
  return 0;
}

/* Two records of the same thing, and markers that make sense only with it.  A
 * reader that believes one of them would show compressed bytes to the guest.
 */
static int
check_compression (const struct rv_vmdk_header *h, const char *file,
                   rawview_error *err)
{
  bool deflate = h->flags & RV_VMDK_FLAG_DEFLATE;

  if (h->algorithm > 1)
    return rv_error_unsupported (
        err, "%s: the VMDK header has unknown compression algorithm %u", file,
        h->algorithm);
  if (deflate != (h->algorithm == 1))
    return rv_error_corrupt (
        err,
        "%s: the VMDK header contradicts itself: flags 0x%08x, compression "
        "algorithm %u",
        file, h->flags, h->algorithm);
  if ((h->flags & RV_VMDK_FLAG_MARKERS) && !deflate)
    return rv_error_format (
        err, "%s: the VMDK header has markers without compression", file);
  return 0;
}

/* Bytes that a transfer as text would have changed. */
static int
check_newlines (const struct rv_vmdk_header *h, const uint8_t *p,
                const char *file, rawview_error *err)
{
  if ((h->flags & RV_VMDK_FLAG_NEWLINE) && memcmp (p + 73, "\n \r\n", 4) != 0)
    return rv_error_corrupt (
        err,
        "%s: line ends in the VMDK header were changed: the file was "
        "transferred as text; transfer it again as binary",
        file);
  return 0;
}

static int
check_geometry (const struct rv_vmdk_header *h, const char *file,
                rawview_error *err)
{
  if (h->capacity == 0 && h->descriptor_sector != 0)
    return rv_error_unsupported (
        err,
        "%s: has no grains, only a descriptor of other files; save that text "
        "as a file of its own and open it",
        file);
  if (h->capacity == 0)
    return rv_error_format (err, "%s: VMDK header with capacity 0", file);
  if (h->capacity > MAX_SECTORS)
    return rv_error_limit (err, "%s: VMDK capacity of %ju sectors, at most %ju",
                           file, (uintmax_t) h->capacity,
                           (uintmax_t) MAX_SECTORS);
  if (!rv_is_pow2 (h->grain) || h->grain > MAX_GRAIN)
    return rv_error_format (
        err, "%s: VMDK grains of %ju sectors, not a power of two from 1 to %u",
        file, (uintmax_t) h->grain, MAX_GRAIN);
  if (!rv_is_pow2 (h->table_entries) || h->table_entries < MIN_TABLE_ENTRIES ||
      h->table_entries > MAX_TABLE_ENTRIES)
    return rv_error_format (
        err,
        "%s: VMDK grain tables of %u entries, not a power of two from %u to "
        "%u",
        file, h->table_entries, MIN_TABLE_ENTRIES, MAX_TABLE_ENTRIES);
  return 0;
}

int
rv_vmdk_header_parse (struct rv_view head, const char *file,
                      struct rv_vmdk_header *header, rawview_error *err)
{
  struct rv_vmdk_header h;

  if (head.len < RV_VMDK_HEADER_LEN || !rv_vmdk_header_probe (head))
    return rv_error_format (err, "%s: no VMDK header (KDMV) at the beginning",
                            file);
  read_fields (head.p, &h);
  if (check_version (&h, file, err) == -1 ||
      check_newlines (&h, head.p, file, err) == -1 ||
      check_compression (&h, file, err) == -1 ||
      check_geometry (&h, file, err) == -1)
    return -1;
  *header = h;
  return 0;
}

/* Sectors first..first+n, as bytes inside the file. */
static int
locate (uint64_t first, uint64_t n, uint64_t file_size, const char *file,
        const char *what, uint64_t *off, rawview_error *err)
{
  uint64_t len;

  if (!rv_mul_u64 (first, RV_VMDK_SECTOR, off) ||
      !rv_mul_u64 (n, RV_VMDK_SECTOR, &len) ||
      !rv_range_fits (*off, len, file_size))
    return rv_error_corrupt (
        err,
        "%s: the %s at sector %ju, %ju long, is outside the file of %ju "
        "bytes; is it complete?",
        file, what, (uintmax_t) first, (uintmax_t) n, (uintmax_t) file_size);
  if (first == 0)
    return rv_error_corrupt (err, "%s: the %s is said to lie in the header",
                             file, what);
  return 0;
}

int
rv_vmdk_header_descriptor (const struct rv_vmdk_header *h, uint64_t file_size,
                           const char *file, uint64_t *off, uint64_t *len,
                           rawview_error *err)
{
  *off = *len = 0;
  if (h->descriptor_sector == 0 || h->descriptor_sectors == 0)
    return 0;
  if (h->descriptor_sectors > RV_MAX_DESCRIPTOR / RV_VMDK_SECTOR)
    return rv_error_limit (err, "%s: a descriptor of %ju sectors, at most %u",
                           file, (uintmax_t) h->descriptor_sectors,
                           RV_MAX_DESCRIPTOR / RV_VMDK_SECTOR);
  if (locate (h->descriptor_sector, h->descriptor_sectors, file_size, file,
              "descriptor", off, err) == -1)
    return -1;
  *len = h->descriptor_sectors * RV_VMDK_SECTOR;
  return 0;
}

static int
count_tables (struct rv_vmdk_layout *l, const char *file, rawview_error *err)
{
  l->gd_entries = rv_div_up (l->capacity, rv_vmdk_table_span (l));
  if (l->gd_entries > RV_MAX_L1_BYTES / l->entry_size)
    return rv_error_limit (
        err, "%s: a grain directory of %ju entries, at most %u", file,
        (uintmax_t) l->gd_entries, RV_MAX_L1_BYTES / l->entry_size);
  return 0;
}

static int
locate_directory (uint64_t sector, uint64_t file_size, const char *file,
                  const struct rv_vmdk_layout *l, uint64_t *off,
                  rawview_error *err)
{
  uint64_t sectors = rv_div_up (rv_vmdk_gd_len (l), RV_VMDK_SECTOR);

  if (locate (sector, sectors, file_size, file, "grain directory", off, err) ==
      -1)
    return -1;
  if (rv_ranges_overlap (*off, rv_vmdk_gd_len (l), l->descriptor_off,
                         l->descriptor_len))
    return rv_error_corrupt (
        err, "%s: the grain directory lies inside the descriptor", file);
  return 0;
}

/* A second directory is only of use to writers, rawview_check and rescue. */
static void
locate_second (const struct rv_vmdk_header *h, uint64_t file_size,
               const char *file, struct rv_vmdk_layout *l)
{
  uint64_t sectors = rv_div_up (rv_vmdk_gd_len (l), RV_VMDK_SECTOR);

  l->rgd_missing = (h->flags & RV_VMDK_FLAG_RGD) &&
                   locate (h->rgd_sector, sectors, file_size, file,
                           "second grain directory", &l->rgd_off, NULL) == -1;
  if (l->rgd_missing)
    l->rgd_off = 0;
}

struct rv_vmdk_layout
rv_vmdk_header_fields (const struct rv_vmdk_header *h)
{
  return (struct rv_vmdk_layout){
    .kind = RV_VMDK_HOSTED,
    .version = h->version,
    .capacity = h->capacity * RV_VMDK_SECTOR,
    .grain = h->grain * RV_VMDK_SECTOR,
    .table_entries = h->table_entries,
    .entry_size = 4,
    .header_len = RV_VMDK_HEADER_LEN,
    .zero_entries = h->flags & RV_VMDK_FLAG_ZERO,
    .compressed = h->flags & RV_VMDK_FLAG_DEFLATE,
    .has_lba = h->flags & RV_VMDK_FLAG_MARKERS,
    .unclean = h->unclean,
    .unknown_flags = h->flags & ~INCOMPATIBLE_MASK & ~KNOWN_LOW_MASK,
  };
}

/* All but the directories. */
static int
begin_layout (const struct rv_vmdk_header *h, uint64_t file_size,
              const char *file, struct rv_vmdk_layout *l, rawview_error *err)
{
  *l = rv_vmdk_header_fields (h);
  if (h->overhead <= file_size / RV_VMDK_SECTOR)
    l->grains_off = h->overhead * RV_VMDK_SECTOR;
  if (!l->compressed)
    l->data_off = l->grains_off;
  if (rv_vmdk_header_descriptor (h, file_size, file, &l->descriptor_off,
                                 &l->descriptor_len, err) == -1)
    return -1;
  return count_tables (l, file, err);
}

int
rv_vmdk_header_layout (const struct rv_vmdk_header *h, uint64_t file_size,
                       const char *file, struct rv_vmdk_layout *layout,
                       rawview_error *err)
{
  struct rv_vmdk_layout l;

  if (h->overhead > file_size / RV_VMDK_SECTOR)
    return rv_error_corrupt (
        err,
        "%s: the file of %ju bytes is shorter than its own tables (%ju "
        "sectors): it is cut or still being written",
        file, (uintmax_t) file_size, (uintmax_t) h->overhead);
  if (begin_layout (h, file_size, file, &l, err) == -1 ||
      locate_directory (h->gd_sector, file_size, file, &l, &l.gd_off, err) ==
          -1)
    return -1;
  locate_second (h, file_size, file, &l);
  *layout = l;
  return 0;
}

/* Markers may begin behind what else is known to be there. */
static uint64_t
first_marker (const struct rv_vmdk_layout *l)
{
  uint64_t off = rv_max_u64 (l->grains_off, l->header_len);

  return rv_max_u64 (off, l->descriptor_off + l->descriptor_len);
}

int
rv_vmdk_header_rescue (const struct rv_vmdk_header *h, uint64_t file_size,
                       const char *file, struct rv_vmdk_layout *layout,
                       rawview_error *err)
{
  struct rv_vmdk_layout l;

  if (begin_layout (h, file_size, file, &l, err) == -1)
    return -1;
  locate_second (h, file_size, file, &l);
  if (locate_directory (h->gd_sector, file_size, file, &l, &l.gd_off, err) ==
      -1) {
    if (l.rgd_off == 0 && !l.has_lba)
      return -1;
    l.gd_missing = true;
    l.gd_off = l.rgd_off;
    l.rgd_off = 0;
    l.grains_off = first_marker (&l);
  }
  *layout = l;
  return 0;
}
