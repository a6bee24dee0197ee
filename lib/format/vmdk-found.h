/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The grains of a stream whose directory is lost, found by their markers.
 *
 * From the first grain on, each marker says where the next one is.  Where that
 * leads nowhere the search goes on sector by sector, with what looks like
 * nothing but a grain behind the last one.
 *
 * A stream has its grains in the order of the disk, and none for zeros.  So
 * what lies between two grains that follow each other directly was zeros; what
 * lies between two with damage in the middle, or behind the last one, is not
 * known.  The mark of a grain table says that all grains of the table have
 * come.  If the order is another one, nothing is known but the grains.
 */

#ifndef RV_VMDK_FOUND_H
#define RV_VMDK_FOUND_H

#include "format/format.h"
#include "format/vmdk-layout.h"

/* What it may take for all the tables that it puts together. */
#define RV_VMDK_FOUND_MAX (256u << 20)

struct rv_vmdk_found {
  uint64_t nr_grains, nr_tables;
  uint32_t table_entries;
  uint8_t *whole;    /* what holds for all of a table, see vmdk-found.c */
  uint32_t **tables; /* NULL where something does */
  uint64_t bytes;
  bool unordered; /* what was concluded from the order is void */
};

/* layout: of a stream with markers, but for gd_off.  Either finds the directory
 * (*gd_off, and *found NULL), or the grains (*found, to be freed, and *gd_off
 * 0).  Reads all markers of the file, and where they do not lead on, the file.
 */
int rv_vmdk_found_new (struct rv_io *io, const struct rv_vmdk_layout *layout,
                       uint64_t *gd_off, struct rv_vmdk_found **found,
                       rawview_error *err);
void rv_vmdk_found_free (struct rv_vmdk_found *found);

enum rv_vmdk_find {
  RV_VMDK_FIND_LOST,  /* nobody knows */
  RV_VMDK_FIND_NONE,  /* there was no such grain */
  RV_VMDK_FIND_GRAIN, /* at *off of the file */
};

/* What about this grain?  Sets *n to for how many grains from this one on the
 * answer is the same, but 1 for GRAIN; they are in one table, or are all those
 * of whole tables.
 */
enum rv_vmdk_find rv_vmdk_found_get (const struct rv_vmdk_found *found,
                                     uint64_t grain, uint64_t *n,
                                     uint64_t *off);

/*--- For vmdk-found-scan.c ----------------------------------------------*/

struct rv_vmdk_found *rv_vmdk_found_alloc (const struct rv_vmdk_layout *layout);

/* There are no grains from first on, before last.  file: for messages. */
int rv_vmdk_found_set_none (struct rv_vmdk_found *found, uint64_t first,
                            uint64_t last, const char *file,
                            rawview_error *err);

/* The grain is at this sector, at most SECTOR_MAX.  A second one for the same
 * place makes both unknown.
 */
#define RV_VMDK_FOUND_SECTOR_MAX (UINT32_MAX - 2)
int rv_vmdk_found_set_grain (struct rv_vmdk_found *found, uint64_t grain,
                             uint32_t sector, const char *file,
                             rawview_error *err);

#endif /* RV_VMDK_FOUND_H */
