/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptor of a VMDK: text that says which extents, in which order, make
 * up the disk and which disk is its parent.
 *
 * Tolerant in spelling: letter case, CRLF, tabs, blank lines, a byte order
 * mark.  Strict in meaning: a line that cannot be understood, or a key that is
 * given twice, is refused, because a line that is skipped shifts or shortens
 * the disk.
 */

#ifndef RV_VMDK_DESCRIPTOR_H
#define RV_VMDK_DESCRIPTOR_H

#include <rawview.h>

#include "format/vmdk-text.h"
#include "util/vector.h"

#define RV_VMDK_SECTOR    512u
#define RV_VMDK_NO_PARENT 0xffffffffu /* parentCID of a disk without parent */
#define RV_VMDK_NAME_MAX  4095u       /* bytes in a file name */

enum rv_vmdk_access {
  RV_VMDK_RW,
  RV_VMDK_RDONLY,
  RV_VMDK_NOACCESS, /* the guest cannot even read it */
};

enum rv_vmdk_type {
  RV_VMDK_FLAT,
  RV_VMDK_SPARSE, /* hosted sparse, see vmdk-sparse.h */
  RV_VMDK_ZERO,
  RV_VMDK_VMFS,       /* flat */
  RV_VMDK_VMFSSPARSE, /* see vmdk-cowd.h */
  RV_VMDK_SESPARSE,   /* see vmdk-sesparse.h */
};

/* One extent line.  All in bytes, below 2^63. */
struct rv_vmdk_line {
  enum rv_vmdk_access access;
  enum rv_vmdk_type type;
  uint64_t len;
  uint64_t host_off; /* FLAT: where in the file it begins */
  char *name;        /* NULL: has no file */
};

DEFINE_VECTOR (rv_vmdk_lines, struct rv_vmdk_line);

struct rv_vmdk_descriptor {
  uint32_t version;
  bool has_cid;
  uint32_t cid;
  uint32_t parent_cid; /* RV_VMDK_NO_PARENT if not given */
  char *create_type;   /* these may be NULL */
  char *parent_hint;
  char *encoding;
  char *change_track;
  struct rv_vmdk_lines extents; /* at least one */
  uint64_t size;                /* of all extents, bytes, below 2^63 */
};

/* file is what messages call the text.  On failure nothing needs to be
 * released.
 */
int rv_vmdk_descriptor_parse (struct rv_view text, const char *file,
                              struct rv_vmdk_descriptor *descriptor,
                              rawview_error *err);
void rv_vmdk_descriptor_release (struct rv_vmdk_descriptor *descriptor);

/* Do these first bytes of a file look like a descriptor? */
bool rv_vmdk_descriptor_probe (struct rv_view head);

/* "SPARSE" */
const char *rv_vmdk_type_name (enum rv_vmdk_type type);

/* For vmdk-descriptor.c, in vmdk-extent-line.c: is the trimmed line an extent
 * line; and what does it say?  The caller frees line->name.
 */
bool rv_vmdk_is_extent_line (struct rv_vmdk_span line);
int rv_vmdk_extent_line_parse (struct rv_vmdk_span text, const char *file,
                               unsigned line_no, struct rv_vmdk_line *line,
                               rawview_error *err);

#endif /* RV_VMDK_DESCRIPTOR_H */
