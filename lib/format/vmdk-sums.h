/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Do the grain tables of a VMDK that is read in one pass agree with the grains
 * that came?  Neither can be kept: so each table is reduced to a sum of its
 * entries' hashes, and so are the grains under each directory entry.  Both are
 * equal if and only if the table names exactly the grains that came, each once,
 * at its place.  The hash has a secret key, so that nobody can make an image
 * that says one thing here and another to those who read it by its tables.
 */

#ifndef RV_VMDK_SUMS_H
#define RV_VMDK_SUMS_H

#include <rawview.h>

#include "format/vmdk-layout.h"
#include "util/vector.h"

/* Directory entries; bounds memory to 28 bytes each. */
#define RV_VMDK_MAX_PASS_TABLES (4u << 20)

struct rv_vmdk_seen_table {
  uint64_t sector;
  uint64_t sum;
  bool bad; /* has an entry that means nothing */
};

DEFINE_VECTOR (rv_vmdk_seen_tables, struct rv_vmdk_seen_table);

struct rv_vmdk_sums {
  uint64_t key[2];
  uint64_t gd_entries;
  uint32_t table_entries;
  bool zero_entries;
  uint64_t *grains; /* the sum of those that came, per directory entry */
  uint32_t *gd;     /* NULL: has not come yet */
  uint64_t gd_sector;
  struct rv_vmdk_seen_tables tables;
};

/* layout: what the header says; gd_entries is checked against the limit. */
int rv_vmdk_sums_init (struct rv_vmdk_sums *s,
                       const struct rv_vmdk_layout *layout, const char *file,
                       rawview_error *err);
void rv_vmdk_sums_release (struct rv_vmdk_sums *s);

/* The n-th grain of the disk has come and lies at this sector. */
void rv_vmdk_sums_grain (struct rv_vmdk_sums *s, uint64_t n, uint64_t sector);

/* A table has come.  bytes: as many as it has. */
int rv_vmdk_sums_table (struct rv_vmdk_sums *s, uint64_t sector,
                        const uint8_t *bytes, const char *file,
                        rawview_error *err);

/* The directory has come; one that came before is forgotten. */
int rv_vmdk_sums_directory (struct rv_vmdk_sums *s, uint64_t sector,
                            const uint8_t *bytes, rawview_error *err);

/* At the end: does all agree? */
int rv_vmdk_sums_verify (struct rv_vmdk_sums *s, const char *file,
                         rawview_error *err);

#endif /* RV_VMDK_SUMS_H */
