/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: what one L2 entry says.  (QEMU's docs/interop/qcow2, "Cluster
 * mapping", "Extended L2 Entries")
 */

#ifndef RV_QCOW2_L2_H
#define RV_QCOW2_L2_H

#include "format/qcow2-header.h"

#define QCOW2_OFLAG_COPIED     (1ull << 63)
#define QCOW2_OFLAG_COMPRESSED (1ull << 62)
#define QCOW2_OFLAG_ZERO       1ull
#define QCOW2_OFFSET_MASK      0x00fffffffffffe00ull
#define QCOW2_L1_RESERVED      0x7f000000000001ffull
#define QCOW2_L2_RESERVED      0x3f000000000001feull
#define QCOW2_SUBCLUSTERS      32u

enum rv_qcow2_cluster_kind {
  QCOW2_CLUSTER_UNALLOCATED,
  QCOW2_CLUSTER_ZERO,
  QCOW2_CLUSTER_DATA,
  QCOW2_CLUSTER_COMPRESSED,
  QCOW2_CLUSTER_SUBCLUSTERS, /* look at each: extended L2 only */
};

struct rv_qcow2_cluster {
  enum rv_qcow2_cluster_kind kind;
  uint64_t host_off; /* of the cluster or the compressed bytes; 0: none */
  uint32_t host_len; /* COMPRESSED: bytes up to the end of the last sector */
  uint32_t alloc;    /* SUBCLUSTERS: bit n set: subcluster n is data */
  uint32_t zero;     /* SUBCLUSTERS: bit n set: subcluster n is zeros */
};

/* Decodes the entry at p (8 bytes, 16 with extended L2).  guest_off: of the
 * cluster, what an external data file's offsets must be equal to.  Returns NULL
 * or, for a corrupt entry, what is wrong with it.  Does not know the file's
 * size or where the metadata lies.
 */
const char *rv_qcow2_l2_decode (const uint8_t *p,
                                const struct rv_qcow2_header *header,
                                uint64_t guest_off,
                                struct rv_qcow2_cluster *cluster);

#endif /* RV_QCOW2_L2_H */
