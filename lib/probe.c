/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "probe.h"
#include "util/checked.h"
#include "util/error.h"

/* Signatures of formats that we do not read: to call them by their name, and to
 * notice files that are two things at once.
 */
static const struct {
  uint32_t off;
  const char *bytes;
  uint8_t len;
  const char *name;
  bool raw_disk; /* found in raw disks */
} signatures[] = {
  { 0, "vhdxfile", 8, "VHDX", false },
  { 0, "conectix", 8, "VHD", false },
  { 0, "QED", 4, "QED", false },
  { 0, "LUKS\xba\xbe", 6, "LUKS", false },
  { 0, "\x1f\x8b\x08", 3, "gzip", false },
  { 0,
    "\xfd"
    "7zXZ",
    6, "xz", false },
  { 0, "\x28\xb5\x2f\xfd", 4, "zstd", false },
  { 0, "PK\x03\x04", 4, "zip", false },
  { 64, "\x7f\x10\xda\xbe", 4, "VDI", false },
  { 0, "WithoutFreeSpace", 16, "Parallels", false },
  { 0, "WithouFreSpacExt", 16, "Parallels", false },
  { 0, "Bochs Virtual HD Image", 22, "Bochs", false },
  { 0, "#!/bin/sh\n#V2.0 Format", 22, "cloop", false },
  { 512, "EFI PART", 8, "GPT", true },
  { 32769, "CD001", 5, "ISO 9660", true },
  { 32769, "BEA01", 5, "UDF", true },
};

#define NR_SIGNATURES (sizeof signatures / sizeof signatures[0])
#define LONG_HEAD     RV_PROBE_HEAD

#define SECTOR    512u
#define USTAR_OFF 257u

static bool
has (struct rv_view head, uint32_t off, const char *bytes, size_t len)
{
  return rv_range_fits (off, len, head.len) &&
         memcmp (head.p + off, bytes, len) == 0;
}

/*--- What a file looks like ---------------------------------------------*/

static void
note_format (struct rv_probe_result *r, const struct rv_format_ops *format)
{
  if (r->format)
    r->second = format->name;
  else
    r->format = format;
}

/* What raw disks have in them goes together: a disk to boot from anything may
 * have an MBR, a GPT and a file system of a CD.
 */
static void
note_foreign (struct rv_probe_result *r, const char *name, bool raw_disk)
{
  if (r->format || r->ova || (r->foreign && !(raw_disk && r->raw_disk)))
    r->second = name;
  else if (r->foreign == NULL) {
    r->foreign = name;
    r->raw_disk = raw_disk;
  }
}

/* Boot sectors of file systems end in the same two bytes, and have code where
 * the partitions would be.
 */
static bool
is_mbr (struct rv_view head)
{
  unsigned used = 0;

  if (!has (head, 510, "\x55\xaa", 2))
    return false;
  for (const uint8_t *p = head.p + 446; p < head.p + 510; p += 16) {
    if (p[0] != 0 && p[0] != 0x80)
      return false;
    used += p[4] != 0 && (p[12] | p[13] | p[14] | p[15]) != 0;
  }
  return used > 0;
}

/* A descriptor where a VMDK that is one file has it. */
static bool
has_embedded_descriptor (struct rv_view head)
{
  static const char text[] = "# Disk DescriptorFile";

  return has (head, SECTOR, text, sizeof text - 1);
}

void
rv_probe_head (struct rv_view head, struct rv_probe_result *r)
{
  struct rv_view first = { head.p, rv_min_u64 (head.len, RV_PROBE_LEN) };

  *r = (struct rv_probe_result){ 0 };
  for (size_t i = 0; rv_formats[i]; i++)
    if (rv_formats[i]->probe && rv_formats[i]->probe (first))
      note_format (r, rv_formats[i]);
  if (r->format && r->format != &rv_format_vmdk &&
      has_embedded_descriptor (head))
    note_format (r, &rv_format_vmdk);
  if (head.len >= SECTOR && has (head, USTAR_OFF, "ustar", 5)) {
    r->ova = r->format == NULL;
    if (!r->ova)
      r->second = "tar";
  }
  for (size_t i = 0; i < NR_SIGNATURES; i++)
    if (has (head, signatures[i].off, signatures[i].bytes, signatures[i].len))
      note_foreign (r, signatures[i].name, signatures[i].raw_disk);
  if (is_mbr (head))
    note_foreign (r, "MBR", true);
}

const char *
rv_probe_image_name (const struct rv_probe_result *r)
{
  if (r->format)
    return r->format->name;
  if (r->ova)
    return "tar";
  return r->raw_disk ? NULL : r->foreign;
}

/*--- Reading ------------------------------------------------------------*/

int
rv_probe (struct rv_io *io, struct rv_probe_result *result, rawview_error *err)
{
  struct rv_view head = { NULL, rv_min_u64 (LONG_HEAD, io->size) };
  CLEANUP_FREE uint8_t *bytes = malloc (LONG_HEAD);

  if (bytes == NULL)
    return rv_error_nomem (err);
  if (head.len > 0 && rv_io_pread (io, bytes, head.len, 0, err) == -1)
    return -1;
  head.p = bytes;
  rv_probe_head (head, result);
  return 0;
}
