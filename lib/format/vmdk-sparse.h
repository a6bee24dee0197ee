/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header of a hosted sparse extent ("KDMV"), which also stands in the
 * footer of a streamOptimized one.
 */

#ifndef RV_VMDK_SPARSE_H
#define RV_VMDK_SPARSE_H

#include <rawview.h>

#include "format/vmdk-layout.h"
#include "util/bytes.h"

#define RV_VMDK_HEADER_LEN   512u
#define RV_VMDK_GD_AT_END    UINT64_MAX /* gd_sector: see the footer */
#define RV_VMDK_FLAG_NEWLINE 0x1u
#define RV_VMDK_FLAG_RGD     0x2u
#define RV_VMDK_FLAG_ZERO    0x4u
#define RV_VMDK_FLAG_DEFLATE 0x10000u
#define RV_VMDK_FLAG_MARKERS 0x20000u

/* The fields as they are, in sectors. */
struct rv_vmdk_header {
  uint32_t version;
  uint32_t flags;
  uint64_t capacity;
  uint64_t grain;
  uint64_t descriptor_sector;
  uint64_t descriptor_sectors;
  uint32_t table_entries;
  uint64_t rgd_sector;
  uint64_t gd_sector;
  uint64_t overhead;
  bool unclean;
  uint16_t algorithm;
};

bool rv_vmdk_header_probe (struct rv_view head);

/* Reads the fields and checks each in itself.  file: for messages. */
int rv_vmdk_header_parse (struct rv_view head, const char *file,
                          struct rv_vmdk_header *header, rawview_error *err);

/* What they say without a look at the file: all but where directories,
 * descriptor and grains lie.
 */
struct rv_vmdk_layout
rv_vmdk_header_fields (const struct rv_vmdk_header *header);

/* Checks them against the size of the file.  header->gd_sector must be the one
 * of the footer, if the header says so.
 */
int rv_vmdk_header_layout (const struct rv_vmdk_header *header,
                           uint64_t file_size, const char *file,
                           struct rv_vmdk_layout *layout, rawview_error *err);

/* The same for a file that is damaged: it may end before its tables do, and if
 * the directory is outside the file it is the second one, or, for a stream with
 * markers, none: see layout->gd_missing.
 */
int rv_vmdk_header_rescue (const struct rv_vmdk_header *header,
                           uint64_t file_size, const char *file,
                           struct rv_vmdk_layout *layout, rawview_error *err);

/* Only where the embedded text lies; *len 0 if there is none. */
int rv_vmdk_header_descriptor (const struct rv_vmdk_header *header,
                               uint64_t file_size, const char *file,
                               uint64_t *off, uint64_t *len,
                               rawview_error *err);

#endif /* RV_VMDK_SPARSE_H */
