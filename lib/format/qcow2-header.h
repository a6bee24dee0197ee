/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: the header.  (QEMU's docs/interop/qcow2, "Header") */

#ifndef RV_QCOW2_HEADER_H
#define RV_QCOW2_HEADER_H

#include "util/bytes.h"
#include "util/error.h"

#define QCOW2_V2_HEADER_LEN      72u
#define QCOW2_V3_HEADER_LEN      104u
#define QCOW2_MIN_CLUSTER_BITS   9u
#define QCOW2_MAX_CLUSTER_BITS   21u
#define QCOW2_EXT_L2_MIN_BITS    14u
#define QCOW2_MAX_SNAPSHOTS      65536u
#define QCOW2_MAX_BACKING_LEN    1023u
#define QCOW2_MAX_REFCOUNT_ORDER 6u
#define QCOW2_MAX_REFTABLE_BYTES (8u << 20)

/* Incompatible features: whoever does not know one must not open the image. */
#define QCOW2_INCOMPAT_DIRTY       (1ull << 0) /* refcounts may be wrong */
#define QCOW2_INCOMPAT_CORRUPT     (1ull << 1) /* must not be written */
#define QCOW2_INCOMPAT_DATA_FILE   (1ull << 2)
#define QCOW2_INCOMPAT_COMPRESSION (1ull << 3) /* not zlib */
#define QCOW2_INCOMPAT_EXT_L2      (1ull << 4)
#define QCOW2_INCOMPAT_KNOWN       0x1full

#define QCOW2_COMPAT_LAZY_REFCOUNTS (1ull << 0)

#define QCOW2_AUTOCLEAR_BITMAPS       (1ull << 0)
#define QCOW2_AUTOCLEAR_DATA_FILE_RAW (1ull << 1)

enum rv_qcow2_compression {
  QCOW2_COMPRESSION_ZLIB = 0, /* raw deflate, whatever the name says */
  QCOW2_COMPRESSION_ZSTD = 1,
};

struct rv_qcow2_header {
  uint32_t version; /* 2 or 3 */
  uint64_t backing_off;
  uint32_t backing_len; /* bytes, 0: no backing file */
  uint32_t cluster_bits;
  uint64_t size; /* bytes as recorded, need not be a multiple of 512 */
  uint32_t crypt_method;
  uint32_t l1_size; /* entries */
  uint64_t l1_off;
  uint64_t refcount_table_off;
  uint32_t refcount_table_clusters;
  uint32_t nb_snapshots;
  uint64_t snapshots_off;
  uint64_t incompatible, compatible, autoclear; /* 0 in version 2 */
  uint32_t refcount_order;
  uint32_t header_length; /* bytes */
  uint8_t compression_type;
};

/* Parses and checks what can be told from the header alone; what depends on the
 * file's size or the extensions is the driver's.  view: at least
 * QCOW2_V3_HEADER_LEN + 8 bytes, or the whole file.  name: for messages.
 * Unknown incompatible bits are left for the caller, who may know their names.
 */
int rv_qcow2_header_parse (struct rv_view view, const char *name,
                           struct rv_qcow2_header *header, rawview_error *err);

static inline uint64_t
rv_qcow2_cluster_size (const struct rv_qcow2_header *h)
{
  return 1ull << h->cluster_bits;
}

static inline bool
rv_qcow2_ext_l2 (const struct rv_qcow2_header *h)
{
  return h->incompatible & QCOW2_INCOMPAT_EXT_L2;
}

/* log2 of the number of entries of an L2 table: one cluster of 8-byte entries,
 * 16-byte ones with extended L2.
 */
static inline uint32_t
rv_qcow2_l2_bits (const struct rv_qcow2_header *h)
{
  return h->cluster_bits - (rv_qcow2_ext_l2 (h) ? 4 : 3);
}

#endif /* RV_QCOW2_HEADER_H */
