/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside rawview_check for VMDK.
 *
 *   vmdk-check.c         extent by extent, and what is made of findings
 *   vmdk-check-tables.c  directories, tables, their copies; lost space
 *   vmdk-check-grains.c  what entries and markers refer to
 *
 * One thread walks through the image, which nobody writes to meanwhile.
 * Offsets and lengths are bytes, of the extent's file unless said otherwise.
 */

#ifndef RV_VMDK_CHECK_H
#define RV_VMDK_CHECK_H

#include "format/vmdk-claims.h"
#include "format/vmdk-ranges.h"
#include "format/vmdk.h"
#include "util/error.h"

struct rv_vmdk_check {
  void (*cb) (void *opaque, rawview_finding finding, const char *msg);
  void *opaque;
  rawview_check_result *result;
  unsigned told;
  uint64_t repairable; /* see struct rv_format */

  /* The extent at hand. */
  const struct rv_vmdk_grains *g;
  struct rv_vmdk_claims tables, grains;
  struct rv_vmdk_ranges copies; /* redundant tables */
  uint8_t *table, *second;      /* one table each */
  uint64_t stored;              /* uncompressed grains */
  uint64_t first_grain;         /* lowest byte of a grain */
};

/*--- vmdk-check.c -------------------------------------------------------*/

/* Counts a finding, n of its kind, and tells the caller, unless it has been
 * told enough.
 */
void rv_vmdk_check_tell (struct rv_vmdk_check *w, rawview_finding finding,
                         uint64_t n, const char *fmt, ...) RV_PRINTF (4, 5);

#define CORRUPTION(w, ...) \
  rv_vmdk_check_tell ((w), RAWVIEW_FINDING_CORRUPTION, 1, __VA_ARGS__)

/* Something that is used ends here. */
void rv_vmdk_check_note_end (struct rv_vmdk_check *w, uint64_t end);

/* A read of the extent's file.  One that fails is told, and false: it leaves a
 * part unchecked; the rest goes on.
 */
bool rv_vmdk_check_read (struct rv_vmdk_check *w, void *buf, size_t len,
                         uint64_t off);

/*--- vmdk-check-tables.c ------------------------------------------------*/

/* Fills copies: where the redundant tables are, as far as their directory
 * makes sense.  Returns -1 only for want of memory; copies is to be released
 * in any case.
 */
int rv_vmdk_check_find_copies (struct rv_vmdk_check *w, rawview_error *err);

/* Every entry of the directory, every table and their grains.  claims, table,
 * second and copies are ready.
 */
void rv_vmdk_check_directory (struct rv_vmdk_check *w);

/* Grains are written at the end of the file before a table points to them; a
 * writer that dies between the two leaves space that nobody uses.  After
 * rv_vmdk_check_directory.
 */
void rv_vmdk_check_count_leaks (struct rv_vmdk_check *w);

/*--- vmdk-check-grains.c ------------------------------------------------*/

/* The grains of the extent's table number i, whose entries are in w->table. */
void rv_vmdk_check_table (struct rv_vmdk_check *w, uint64_t i);

/* A stream's directory is lost: its grains were found by their markers. */
void rv_vmdk_check_found (struct rv_vmdk_check *w);

#endif /* RV_VMDK_CHECK_H */
