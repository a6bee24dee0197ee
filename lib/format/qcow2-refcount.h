/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: entries of refcount blocks.  (QEMU's docs/interop/qcow2, "Host cluster
 * management")
 */

#ifndef RV_QCOW2_REFCOUNT_H
#define RV_QCOW2_REFCOUNT_H

#include "util/bytes.h"

/* Entry i of a block of 2^order-bit entries, order 0 to 6.  Entries narrower
 * than a byte lie lowest bits first, wider ones are big-endian.
 */
static inline uint64_t
rv_qcow2_refcount_get (const uint8_t *block, uint64_t i, unsigned order)
{
  switch (order) {
  case 3:
    return block[i];
  case 4:
    return rv_be16 (block + i * 2);
  case 5:
    return rv_be32 (block + i * 4);
  case 6:
    return rv_be64 (block + i * 8);
  default: {
    unsigned bits = 1u << order, per_byte = 8 / bits;

    return block[i / per_byte] >> (i % per_byte * bits) & ((1u << bits) - 1);
  }
  }
}

static inline void
rv_qcow2_refcount_set (uint8_t *block, uint64_t i, unsigned order, uint64_t n)
{
  switch (order) {
  case 3:
    block[i] = n;
    break;
  case 4:
    rv_put_be16 (block + i * 2, n);
    break;
  case 5:
    rv_put_be32 (block + i * 4, n);
    break;
  case 6:
    rv_put_be64 (block + i * 8, n);
    break;
  default: {
    unsigned bits = 1u << order, per_byte = 8 / bits;
    unsigned shift = i % per_byte * bits, mask = ((1u << bits) - 1) << shift;
    uint8_t *p = block + i / per_byte;

    *p = (*p & ~mask) | (n << shift & mask);
  }
  }
}

/* The largest that an entry can hold. */
static inline uint64_t
rv_qcow2_refcount_max (unsigned order)
{
  return order == 6 ? UINT64_MAX : (1ull << (1u << order)) - 1;
}

/* How many entries a block of one cluster has, as a shift. */
static inline unsigned
rv_qcow2_refblock_bits (unsigned cluster_bits, unsigned order)
{
  return cluster_bits + 3 - order;
}

#endif /* RV_QCOW2_REFCOUNT_H */
