/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "format/vmdk-descriptor.h"
#include "format/vmdk-stream.h"
#include "util/error.h"

/*--- Footer -------------------------------------------------------------*/

static bool
is_zero (const uint8_t *p, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (p[i] != 0)
      return false;
  return true;
}

/* The header's copy is the last sector that is not empty. */
static int
find_last_sector (struct rv_view tail, const char *file, size_t *at,
                  rawview_error *err)
{
  size_t len = tail.len;

  while (len > 0 && tail.p[len - 1] == 0)
    len--;
  if (len == 0)
    return rv_error_corrupt (
        err,
        "%s: no VMDK footer: the file ends in more than %u zero bytes; it was "
        "not written completely",
        file, RV_VMDK_PADDING_MAX);
  *at = rv_align_down (len - 1, RV_VMDK_SECTOR);
  if (*at < RV_VMDK_SECTOR || tail.len - *at < 2 * RV_VMDK_SECTOR)
    return rv_error_corrupt (
        err,
        "%s: no VMDK footer with an end-of-stream marker at the end: the file "
        "is cut or something was appended",
        file);
  return 0;
}

static int
check_marker (const uint8_t *p, const char *file, rawview_error *err)
{
  if (rv_le32 (p + 8) != 0 || rv_le32 (p + 12) != RV_VMDK_MARKER_FOOTER ||
      !is_zero (p + 16, RV_VMDK_SECTOR - 16))
    return rv_error_corrupt (
        err,
        "%s: the VMDK footer has no footer marker before it (size %u, type "
        "%u): the file is cut or damaged",
        file, rv_le32 (p + 8), rv_le32 (p + 12));
  return 0;
}

/* Everything but the place of the tables was known from the beginning. */
static int
compare (const struct rv_vmdk_header *h, const struct rv_vmdk_header *f,
         const char *file, rawview_error *err)
{
  const struct {
    const char *name;
    uint64_t header, footer;
  } fields[] = {
    { "version", h->version, f->version },
    { "flags", h->flags, f->flags },
    { "capacity", h->capacity, f->capacity },
    { "grain size", h->grain, f->grain },
    { "descriptor offset", h->descriptor_sector, f->descriptor_sector },
    { "descriptor size", h->descriptor_sectors, f->descriptor_sectors },
    { "table size", h->table_entries, f->table_entries },
  };

  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    if (fields[i].header != fields[i].footer)
      return rv_error_corrupt (
          err, "%s: VMDK header and footer differ in their %s: %ju and %ju",
          file, fields[i].name, (uintmax_t) fields[i].header,
          (uintmax_t) fields[i].footer);
  if (f->gd_sector == RV_VMDK_GD_AT_END)
    return rv_error_corrupt (
        err, "%s: the VMDK footer does not say where the directory is", file);
  return 0;
}

int
rv_vmdk_footer_parse (struct rv_view tail, const struct rv_vmdk_header *header,
                      const char *file, struct rv_vmdk_header *footer,
                      rawview_error *err)
{
  struct rv_vmdk_header f;
  struct rv_view copy;
  size_t at;

  if (find_last_sector (tail, file, &at, err) == -1)
    return -1;
  copy = (struct rv_view){ tail.p + at, RV_VMDK_HEADER_LEN };
  if (!rv_vmdk_header_probe (copy))
    return rv_error_corrupt (
        err,
        "%s: no VMDK footer at the end: the file is cut, still being written, "
        "or something was appended",
        file);
  if (rv_vmdk_header_parse (copy, file, &f, err) == -1 ||
      check_marker (tail.p + at - RV_VMDK_SECTOR, file, err) == -1 ||
      compare (header, &f, file, err) == -1)
    return -1;
  *footer = f;
  return 0;
}

/*--- Grains -------------------------------------------------------------*/

static int
find_payload (const struct rv_map *map, struct rv_view unit, uint32_t before,
              uint32_t size, struct rv_view *payload, size_t *need,
              rawview_error *err)
{
  if (size == 0)
    return rv_error_corrupt (
        err, "%s: no compressed grain but another marker at byte %ju",
        map->io->name, (uintmax_t) map->host_off);
  if (size > map->host_len - before)
    return rv_error_corrupt (
        err,
        "%s: the compressed grain at byte %ju says %u bytes, but the limit or "
        "the file ends after %u",
        map->io->name, (uintmax_t) map->host_off, size, map->host_len - before);
  *need = before + size;
  *payload = unit.len < *need ? (struct rv_view){ NULL, 0 }
                              : (struct rv_view){ unit.p + before, size };
  return 0;
}

static int
check_len (const struct rv_map *map, struct rv_view unit, uint32_t before,
           rawview_error *err)
{
  if (unit.len < before || map->host_len < before)
    return rv_error_corrupt (
        err, "%s: the file ends inside the grain marker at byte %ju",
        map->io->name, (uintmax_t) map->host_off);
  return 0;
}

int
rv_vmdk_payload_lba (const struct rv_map *map, struct rv_view unit,
                     struct rv_view *payload, size_t *need, rawview_error *err)
{
  uint64_t lba;

  if (check_len (map, unit, RV_VMDK_MARKER_LEN, err) == -1)
    return -1;
  lba = rv_le64 (unit.p);
  if (rv_le32 (unit.p + 8) != 0 && lba != map->unit_tag)
    return rv_error_corrupt (
        err,
        "%s: the compressed grain at byte %ju is that of sector %ju, not of "
        "sector %ju",
        map->io->name, (uintmax_t) map->host_off, (uintmax_t) lba,
        (uintmax_t) map->unit_tag);
  return find_payload (map, unit, RV_VMDK_MARKER_LEN, rv_le32 (unit.p + 8),
                       payload, need, err);
}

int
rv_vmdk_payload_size (const struct rv_map *map, struct rv_view unit,
                      struct rv_view *payload, size_t *need, rawview_error *err)
{
  if (check_len (map, unit, 4, err) == -1)
    return -1;
  return find_payload (map, unit, 4, rv_le32 (unit.p), payload, need, err);
}
