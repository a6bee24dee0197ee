/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An opened sparse extent: its directory in memory, its tables through the
 * cache.  Any number of threads may ask.  Only writing changes it (see
 * vmdk-write.h): tables, and entries of the directory that lead to new ones.
 *
 * Every entry is judged each time it is used, by the same code for reading and
 * for rawview_check: inside the file, behind the tables' area, not inside any
 * metadata.  Nothing of that needs a walk at open.
 */

#ifndef RV_VMDK_GRAINS_H
#define RV_VMDK_GRAINS_H

#include "format/format.h"
#include "format/vmdk-layout.h"
#include "format/vmdk-ranges.h"

struct rv_vmdk_found;
struct rv_vmdk_growth;

struct rv_vmdk_grains {
  struct rv_vmdk_layout layout;
  struct rv_io *io; /* borrowed */
  struct rv_tables *tables;
  uint64_t size; /* guest bytes in use, at most layout.capacity */
  uint8_t *gd;   /* as it lies in the file */
  uint8_t *rgd;  /* rescue: the second directory, NULL if there is none */
  struct rv_vmdk_found *found; /* rescue: in place of a directory */
  struct rv_vmdk_ranges metadata;
  _Atomic (struct rv_vmdk_growth *) growth; /* NULL: is not written */
};

enum rv_vmdk_state {
  RV_VMDK_UNALLOCATED, /* the parent's bytes */
  RV_VMDK_ZEROED,
  RV_VMDK_STORED,
  RV_VMDK_BAD,
};

/* What a directory or table entry means. */
struct rv_vmdk_entry {
  enum rv_vmdk_state state;
  uint64_t raw;    /* as it stands in the table */
  uint64_t off;    /* STORED: byte in the file */
  uint64_t free;   /* STORED grain: no metadata from off until here */
  const char *why; /* BAD: completes "the entry ..." */
};

/* Reads the directory of an extent of which size bytes are used.  *budget is
 * what all directories of an image may take together and is lowered.
 * On failure nothing needs to be released.
 */
int rv_vmdk_grains_open (struct rv_vmdk_grains *g, struct rv_io *io,
                         const struct rv_vmdk_layout *layout, uint64_t size,
                         const struct rv_format_params *params,
                         uint64_t *budget, rawview_error *err);
void rv_vmdk_grains_release (struct rv_vmdk_grains *g);

/* The directory entry of table i. */
void rv_vmdk_grains_table (const struct rv_vmdk_grains *g, uint64_t i,
                           struct rv_vmdk_entry *entry);

/* The entry of a grain, by its number in the extent; table: the bytes of its
 * table.
 */
void rv_vmdk_grains_entry (const struct rv_vmdk_grains *g, uint64_t grain,
                           const uint8_t *table, struct rv_vmdk_entry *entry);

/* The same with other limits: nothing of the grain may lie at or beyond end,
 * nor in this metadata.
 */
void rv_vmdk_grains_judge (const struct rv_vmdk_grains *g, uint64_t grain,
                           const uint8_t *table, uint64_t end,
                           const struct rv_vmdk_ranges *metadata,
                           struct rv_vmdk_entry *entry);

/* Like rv_format_ops.map, with offsets in the extent: off < g->size and
 * off+len <= g->size.
 */
int rv_vmdk_grains_map (const struct rv_vmdk_grains *g, uint64_t off,
                        uint64_t len, struct rv_map *map, uint64_t *damaged,
                        rawview_error *err);

/* Like rv_vmdk_grains_map, with the table that has off at hand. */
int rv_vmdk_grains_map_table (const struct rv_vmdk_grains *g,
                              const uint8_t *table, uint64_t off, uint64_t len,
                              struct rv_map *map, uint64_t *damaged,
                              rawview_error *err);

/* The answer for a grain whose entry is known, as far as that grain goes. */
int rv_vmdk_grains_map_entry (const struct rv_vmdk_grains *g, uint64_t off,
                              uint64_t len, const struct rv_vmdk_entry *entry,
                              struct rv_map *map, uint64_t *damaged,
                              rawview_error *err);

/* For vmdk-grains.c, in vmdk-rescue.c: by whichever of both tables makes sense;
 * and by what was found.
 */
int rv_vmdk_grains_map_twice (const struct rv_vmdk_grains *g, uint64_t off,
                              uint64_t len, struct rv_map *map,
                              uint64_t *damaged, rawview_error *err);
int rv_vmdk_grains_map_found (const struct rv_vmdk_grains *g, uint64_t off,
                              uint64_t len, struct rv_map *map,
                              uint64_t *damaged, rawview_error *err);

/* Like rv_format_ops.tables_of, with offsets in the extent; what cb has
 * returned last.
 */
int rv_vmdk_grains_tables_of (const struct rv_vmdk_grains *g, uint64_t off,
                              uint64_t len,
                              int (*cb) (void *opaque, struct rv_io *io,
                                         uint64_t host_off, size_t len),
                              void *opaque);

/* The answer for a compressed grain whose entry is known. */
void rv_vmdk_grains_map_compressed (const struct rv_vmdk_grains *g,
                                    uint64_t off, uint64_t len,
                                    const struct rv_vmdk_entry *entry,
                                    struct rv_map *map);

/* For vmdk-grains.c, in vmdk-entry.c: what an entry means by itself, without
 * looking at metadata.
 */
void rv_vmdk_entry_of_table (const struct rv_vmdk_layout *l, uint64_t raw,
                             uint64_t file_size, struct rv_vmdk_entry *entry);
void rv_vmdk_entry_of_grain (const struct rv_vmdk_layout *l, uint64_t raw,
                             uint64_t needed, uint64_t file_size,
                             struct rv_vmdk_entry *entry);
uint64_t rv_vmdk_entry_read (const struct rv_vmdk_layout *l,
                             const uint8_t *entries, uint64_t i);

/* For entries of 4 bytes: a directory is read while it is written, so each is
 * loaded and stored as a whole.
 */
uint32_t rv_vmdk_directory_load (const uint8_t *directory, uint64_t i);
void rv_vmdk_directory_store (uint8_t *directory, uint64_t i, uint32_t raw);

#endif /* RV_VMDK_GRAINS_H */
