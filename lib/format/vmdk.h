/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VMDK: what vmdk.c and its neighbours share.
 *
 *   vmdk-text.c, vmdk-probe.c, vmdk-descriptor.c, vmdk-extent-line.c
 *                                           text -> facts
 *   vmdk-sparse.c, -stream.c, -cowd.c, -sesparse.c   headers -> vmdk-layout.h
 *   vmdk-entry.c, vmdk-ranges.c             what a table entry means
 *   vmdk-grains.c                           where a grain of an extent lives
 *   vmdk-rescue.c, vmdk-found*.c            and where it lives in a damaged one
 *   vmdk-extent.c                           where a byte of an extent lives
 *   vmdk-open.c                             the container -> extents, refs
 *   vmdk.c                                  the disk: extents one after another
 *   vmdk-facts.c, vmdk-check.c, vmdk-claims.c
 *   vmdk-write.h                            and its files: writing
 */

#ifndef RV_VMDK_H
#define RV_VMDK_H

#include "format/format.h"
#include "format/vmdk-descriptor.h"
#include "format/vmdk-grains.h"

struct rv_vmdk_extent {
  enum rv_vmdk_access access;
  enum rv_vmdk_type type;
  uint64_t start; /* in the disk, bytes */
  uint64_t len;
  const char *name; /* of the file, from the descriptor; NULL: has none */

  struct rv_io *io;  /* one reference; NULL: no file or not yet attached */
  uint64_t host_off; /* flat: where in the file it begins */
  uint64_t avail;    /* flat: how much of len the file holds */
  struct rv_vmdk_grains grains; /* sparse, if gd != NULL */
};

struct rv_vmdk_writing;

struct rv_vmdk {
  struct rv_format base;
  struct rv_vmdk_descriptor descriptor;
  struct rv_vmdk_extent *extents; /* in disk order, without gaps */
  size_t nr_extents;
  size_t *ref_extents; /* which extent each of base.refs is for */
  size_t nr_missing;   /* files not attached yet */
  uint64_t gd_budget;  /* bytes of directories that may still be read */
  char **fact_keys;    /* owned, named by base.facts */
  size_t nr_fact_keys;
  struct rv_vmdk_writing *writing; /* NULL: not enabled */
};

/*--- vmdk-extent.c ------------------------------------------------------*/

/* Reads the headers of a sparse extent of this type; rescue: as far as they are
 * good, see rv_vmdk_header_rescue.
 */
int rv_vmdk_extent_read_layout (enum rv_vmdk_type type, struct rv_io *io,
                                bool rescue, struct rv_vmdk_layout *layout,
                                rawview_error *err);

/* Gives the extent its file, of which it takes a reference, and checks that
 * both fit together.  layout: for sparse types.
 */
int rv_vmdk_extent_set_io (struct rv_vmdk *vmdk, struct rv_vmdk_extent *extent,
                           struct rv_io *io,
                           const struct rv_vmdk_layout *layout,
                           const struct rv_format_params *params,
                           rawview_error *err);

bool rv_vmdk_extent_is_flat (const struct rv_vmdk_extent *extent);

/* As rv_format_ops.map, off counted from the extent's start; unit_off too. */
int rv_vmdk_extent_map (const struct rv_vmdk *vmdk,
                        const struct rv_vmdk_extent *extent, uint64_t off,
                        uint64_t len, struct rv_map *map, uint64_t *damaged,
                        rawview_error *err);

/* As rv_format_ops.tables_of, off counted from the extent's start; what cb has
 * returned last.
 */
int rv_vmdk_extent_tables_of (const struct rv_vmdk_extent *extent, uint64_t off,
                              uint64_t len,
                              int (*cb) (void *opaque, struct rv_io *io,
                                         uint64_t host_off, size_t len),
                              void *opaque);

void rv_vmdk_extent_release (struct rv_vmdk_extent *extent);

/*--- vmdk-open.c --------------------------------------------------------*/

/* Reads the container and makes the extents and refs; on failure v is to be
 * closed as it is.
 */
int rv_vmdk_open_container (struct rv_vmdk *v,
                            const struct rv_format_params *params,
                            rawview_error *err);

/*--- Others -------------------------------------------------------------*/

/* Fills base.facts; once, when all files are attached. */
int rv_vmdk_add_facts (struct rv_vmdk *vmdk, rawview_error *err);

/* Are two flat extents, the first of which is one and has its file, the same
 * bytes?
 */
bool rv_vmdk_extents_overlap (const struct rv_vmdk_extent *a,
                              const struct rv_vmdk_extent *b);

int rv_vmdk_check (struct rv_format *format,
                   void (*cb) (void *opaque, rawview_finding finding,
                               const char *msg),
                   void *opaque, rawview_check_result *result,
                   rawview_error *err);

#endif /* RV_VMDK_H */
