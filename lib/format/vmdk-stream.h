/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* streamOptimized extents: compressed grains behind markers, and a footer for
 * what was not known when the header was written.
 *
 *   header  descriptor  {grain}...  tables  directory  [footer]  end of stream
 */

#ifndef RV_VMDK_STREAM_H
#define RV_VMDK_STREAM_H

#include "format/format.h"
#include "format/vmdk-sparse.h"

/* The type of a marker, at byte 12 of its sector, where the size is 0.  The
 * first eight bytes are how many sectors follow.
 */
enum {
  RV_VMDK_MARKER_EOS,
  RV_VMDK_MARKER_GT,
  RV_VMDK_MARKER_GD,
  RV_VMDK_MARKER_FOOTER,
  RV_VMDK_MARKER_PROGRESS,
};

/* The footer is the last three sectors: its marker, a copy of the header, and
 * an empty sector as end-of-stream marker.  Some programs pad the file.
 */
#define RV_VMDK_FOOTER_LEN  1536u
#define RV_VMDK_PADDING_MAX (64u << 10)
#define RV_VMDK_TAIL_MAX    (RV_VMDK_FOOTER_LEN + RV_VMDK_PADDING_MAX)

/* Finds the footer in the last bytes of the file.  tail begins at a multiple of
 * a sector and holds as much of the file's end as there is, up to
 * RV_VMDK_TAIL_MAX and a sector.  The footer must agree with the header; what
 * it returns is the header to be believed.
 */
int rv_vmdk_footer_parse (struct rv_view tail,
                          const struct rv_vmdk_header *header, const char *file,
                          struct rv_vmdk_header *footer, rawview_error *err);

/* A compressed grain is
 *   with markers     u64 lba, u32 size, zlib stream
 *   without          u32 size, zlib stream
 * and unit_tag is the lba to be found: the grain's sector in its extent.
 */
#define RV_VMDK_MARKER_LEN 12u

/* No stream is longer: deflate adds less than a sector to what it cannot
 * compress.  The factor 2 is QEMU's generosity.
 */
static inline uint32_t
rv_vmdk_unit_max (uint32_t grain)
{
  return 2 * grain + RV_VMDK_HEADER_LEN;
}

int rv_vmdk_payload_lba (const struct rv_map *map, struct rv_view unit,
                         struct rv_view *payload, size_t *need,
                         rawview_error *err);
int rv_vmdk_payload_size (const struct rv_map *map, struct rv_view unit,
                          struct rv_view *payload, size_t *need,
                          rawview_error *err);

#endif /* RV_VMDK_STREAM_H */
