/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/qcow2-extension.h"
#include "util/checked.h"

#define EXT_END            0u
#define EXT_BACKING_FORMAT 0xe2792acau
#define EXT_FEATURE_NAMES  0x6803f857u
#define EXT_BITMAPS        0x23852875u
#define EXT_LUKS_HEADER    0x0537be77u
#define EXT_DATA_FILE      0x44415441u

#define FEATURE_ENTRY_LEN 48u
#define MAX_FEATURE_NAMES 256u /* so many are looked at */

static int
take_backing_format (struct rv_view data, const char *name,
                     struct rv_qcow2_extensions *ext, rawview_error *err)
{
  if (data.len > QCOW2_MAX_BACKING_FORMAT)
    return rv_error_format (err,
                            "%s: QCOW2 backing format name of %zu bytes is "
                            "longer than %u",
                            name, data.len, QCOW2_MAX_BACKING_FORMAT);
  memcpy (ext->backing_format, data.p, data.len);
  ext->backing_format[data.len] = '\0';
  return 0;
}

static int
take (uint32_t type, struct rv_view data, const char *name,
      const struct rv_qcow2_header *header, struct rv_qcow2_extensions *ext,
      rawview_error *err)
{
  switch (type) {
  case EXT_BACKING_FORMAT:
    return take_backing_format (data, name, ext, err);
  case EXT_FEATURE_NAMES:
    ext->feature_names = data;
    return 0;
  case EXT_BITMAPS:
    ext->bitmaps = data;
    return 0;
  case EXT_LUKS_HEADER:
    return rv_error_format (err,
                            "%s: QCOW2 has a LUKS header extension but "
                            "crypt_method %u",
                            name, header->crypt_method);
  case EXT_DATA_FILE:
    ext->data_file = data;
    return 0;
  default:
    return 0;
  }
}

/* Known extensions may stand only once: which of two would count? */
static bool
seen_before (uint32_t type, unsigned *seen)
{
  static const uint32_t known[] = { EXT_BACKING_FORMAT, EXT_FEATURE_NAMES,
                                    EXT_BITMAPS, EXT_LUKS_HEADER,
                                    EXT_DATA_FILE };

  for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++)
    if (type == known[i]) {
      if (*seen & 1u << i)
        return true;
      *seen |= 1u << i;
    }
  return false;
}

int
rv_qcow2_extensions_parse (struct rv_view cluster, const char *name,
                           const struct rv_qcow2_header *header,
                           struct rv_qcow2_extensions *ext, rawview_error *err)
{
  uint64_t limit = header->backing_off ? header->backing_off
                                       : rv_qcow2_cluster_size (header);
  uint64_t off = header->header_length;
  unsigned seen = 0;

  *ext = (struct rv_qcow2_extensions){ 0 };
  limit = rv_min_u64 (limit, cluster.len);
  while (off <= limit && limit - off >= 8) {
    uint32_t type = rv_be32 (cluster.p + off);
    uint32_t len = rv_be32 (cluster.p + off + 4);
    struct rv_view data = { cluster.p + off + 8, len };

    if (type == EXT_END)
      break;
    if (len > limit - off - 8)
      return rv_error_format (err,
                              "%s: QCOW2 header extension %#x at %ju with %u "
                              "bytes runs past its area, which ends at %ju",
                              name, type, (uintmax_t) off, len,
                              (uintmax_t) limit);
    if (seen_before (type, &seen))
      return rv_error_format (
          err, "%s: QCOW2 header extension %#x stands twice", name, type);
    if (take (type, data, name, header, ext, err) == -1)
      return -1;
    off += 8 + ((uint64_t) len + 7) / 8 * 8;
  }
  return 0;
}

void
rv_qcow2_feature_name (struct rv_view names, unsigned bit,
                       char buf[QCOW2_FEATURE_NAME_LEN + 1])
{
  strcpy (buf, "unknown");
  for (size_t i = 0; i < MAX_FEATURE_NAMES; i++) {
    const uint8_t *p;

    if (names.len < (i + 1) * FEATURE_ENTRY_LEN)
      break;
    p = names.p + i * FEATURE_ENTRY_LEN;
    if (p[0] == 0 && p[1] == bit) { /* type 0: incompatible */
      memcpy (buf, p + 2, QCOW2_FEATURE_NAME_LEN);
      buf[QCOW2_FEATURE_NAME_LEN] = '\0';
      break;
    }
  }
}
