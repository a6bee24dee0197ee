/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who owns which part of a file: finds grains, or tables, that overlap.
 *
 * The pieces have one length and may begin at any sector.  Cut the file into
 * cells of that length: at most one piece can begin in each, so a cell only
 * remembers at which of its sectors, if at all.  That is exact, and takes one
 * byte for each grain of 64 KiB.
 */

#ifndef RV_VMDK_CLAIMS_H
#define RV_VMDK_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

#include <rawview.h>

struct rv_vmdk_claims {
  uint64_t unit; /* sectors in a piece and in a cell, a power of two */
  uint64_t nr_cells;
  unsigned bits; /* per cell: 1, 2, 4, 8 or 16 */
  uint8_t *cells;
};

/* For a file of so many bytes.  unit: at most 4096. */
int rv_vmdk_claims_init (struct rv_vmdk_claims *c, uint64_t file_size,
                         uint64_t unit, rawview_error *err);
void rv_vmdk_claims_release (struct rv_vmdk_claims *c);

/* Claims the piece that begins at this sector, inside the file.  False if it
 * overlaps one that was claimed before.
 */
bool rv_vmdk_claim (struct rv_vmdk_claims *c, uint64_t sector);

/* Claims n pieces in a row. */
bool rv_vmdk_claim_all (struct rv_vmdk_claims *c, uint64_t sector, uint64_t n);

#endif /* RV_VMDK_CLAIMS_H */
