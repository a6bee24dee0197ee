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
  { 512, "EFI PART", 8, "GPT", true },
  { 32769, "CD001", 5, "ISO 9660", true },
};

#define NR_SIGNATURES (sizeof signatures / sizeof signatures[0])
#define LONG_HEAD     RV_PROBE_HEAD

#define USTAR_OFF 257u

static void
note (struct rv_probe_result *r, const char *name)
{
  if (r->format || r->ova || r->foreign)
    r->second = name;
}

static bool
matches (struct rv_view head, size_t i)
{
  return rv_range_fits (signatures[i].off, signatures[i].len, head.len) &&
         memcmp (head.p + signatures[i].off, signatures[i].bytes,
                 signatures[i].len) == 0;
}

void
rv_probe_head (struct rv_view head, struct rv_probe_result *r)
{
  struct rv_view first = { head.p, rv_min_u64 (head.len, RV_PROBE_LEN) };

  *r = (struct rv_probe_result){ 0 };
  for (size_t i = 0; rv_formats[i]; i++)
    if (rv_formats[i]->probe && rv_formats[i]->probe (first)) {
      note (r, rv_formats[i]->name);
      if (r->format == NULL)
        r->format = rv_formats[i];
    }
  if (head.len >= 512 && memcmp (head.p + USTAR_OFF, "ustar", 5) == 0) {
    note (r, "tar");
    r->ova = r->format == NULL;
  }
  for (size_t i = 0; i < NR_SIGNATURES; i++)
    if (matches (head, i)) {
      note (r, signatures[i].name);
      if (r->format == NULL && !r->ova && r->foreign == NULL) {
        r->foreign = signatures[i].name;
        r->raw_disk = signatures[i].raw_disk;
      }
    }
}

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
