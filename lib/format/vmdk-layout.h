/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the header of a sparse extent says, whichever of the three kinds it is.
 *
 * All three are a directory of tables of grains.  Directory and tables are
 * arrays of little-endian entries; how an entry is read is the kind's business
 * (vmdk-grains.c).  Everything here is in bytes and has been checked: products
 * do not overflow, the directory is inside the file and within its limit.
 */

#ifndef RV_VMDK_LAYOUT_H
#define RV_VMDK_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/checked.h"

enum rv_vmdk_kind {
  RV_VMDK_HOSTED, /* KDMV: Workstation, Fusion, OVA, qemu-img */
  RV_VMDK_COWD,   /* ESX snapshots up to 2 TB */
  RV_VMDK_SE,     /* ESX snapshots on VMFS 6 */
};

struct rv_vmdk_layout {
  enum rv_vmdk_kind kind;
  uint32_t version;
  uint64_t capacity;      /* guest bytes, > 0, whole sectors */
  uint32_t grain;         /* a power of two, at most RV_MAX_UNIT */
  uint32_t table_entries; /* a power of two */
  uint32_t entry_size;    /* 4 or 8, in directory and tables */
  uint64_t gd_off;
  uint64_t gd_entries;     /* as many as capacity needs */
  uint64_t rgd_off;        /* second directory, 0 if there is none */
  bool rgd_missing;        /* there should be one, but not inside the file */
  bool gd_missing;         /* rescue: gd_off is that of the second, or 0: look
                              for the grains from grains_off on */
  uint64_t grains_off;     /* HOSTED: where the header has them begin */
  uint64_t header_len;     /* at the beginning of the file */
  uint64_t descriptor_off; /* embedded text, with descriptor_len 0: none */
  uint64_t descriptor_len;
  uint64_t data_off; /* grains do not begin before */
  bool zero_entries; /* HOSTED: an entry of 1 means zeros */
  bool compressed;
  bool has_lba;       /* compressed grains say where they belong */
  bool unclean;       /* was not closed by its writer */
  bool unknown_flags; /* HOSTED: that a reader may ignore */

  /* SE: tables and grains are counted from these on. */
  uint64_t tables_off;
  uint64_t tables_len;
};

/* Bytes of one grain table, at most RV_TABLE_PIECE_MAX. */
static inline uint32_t
rv_vmdk_table_len (const struct rv_vmdk_layout *l)
{
  return l->table_entries * l->entry_size;
}

/* Guest bytes under one directory entry. */
static inline uint64_t
rv_vmdk_table_span (const struct rv_vmdk_layout *l)
{
  return (uint64_t) l->table_entries * l->grain;
}

static inline uint64_t
rv_vmdk_gd_len (const struct rv_vmdk_layout *l)
{
  return l->gd_entries * l->entry_size;
}

#endif /* RV_VMDK_LAYOUT_H */
