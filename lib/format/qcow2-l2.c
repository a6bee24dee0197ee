/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/qcow2-l2.h"

/* bits 0..x-1 offset, x..61 number of further sectors; x = 62-(bits-8) */
static const char *
decode_compressed (uint64_t entry, const struct rv_qcow2_header *header,
                   struct rv_qcow2_cluster *c)
{
  unsigned x = 62 - (header->cluster_bits - 8);
  uint64_t off = entry & ((1ull << x) - 1);
  uint64_t sectors = (entry >> x & ((1ull << (62 - x)) - 1)) + 1;

  if (header->incompatible & QCOW2_INCOMPAT_DATA_FILE)
    return "a compressed cluster in an image with an external data file";
  if (off >> 56)
    return "an offset above 2^56";
  c->kind = QCOW2_CLUSTER_COMPRESSED;
  c->host_off = off;
  c->host_len = sectors * 512 - (off & 511);
  return NULL;
}

static const char *
decode_offset (uint64_t entry, const struct rv_qcow2_header *header,
               uint64_t guest_off, struct rv_qcow2_cluster *c, bool *allocated)
{
  bool data_file = header->incompatible & QCOW2_INCOMPAT_DATA_FILE;

  if (entry & QCOW2_L2_RESERVED)
    return "reserved bits set";
  c->host_off = entry & QCOW2_OFFSET_MASK;
  *allocated = c->host_off != 0 || (data_file && entry & QCOW2_OFLAG_COPIED);
  if (c->host_off & (rv_qcow2_cluster_size (header) - 1))
    return "an offset that is not aligned to a cluster";
  if (!*allocated && entry & QCOW2_OFLAG_COPIED)
    return "the COPIED flag without an offset";
  if (data_file && *allocated && c->host_off != guest_off)
    return "an offset in the external data file that is not the guest's";
  return NULL;
}

static const char *
decode_standard (uint64_t entry, const struct rv_qcow2_header *header,
                 bool allocated, struct rv_qcow2_cluster *c)
{
  if (entry & QCOW2_OFLAG_ZERO) {
    if (header->version < 3)
      return "the zero flag, which version 2 does not have";
    c->kind = QCOW2_CLUSTER_ZERO;
  }
  else
    c->kind = allocated ? QCOW2_CLUSTER_DATA : QCOW2_CLUSTER_UNALLOCATED;
  return NULL;
}

static const char *
decode_extended (uint64_t entry, uint64_t bitmap, bool allocated,
                 struct rv_qcow2_cluster *c)
{
  c->alloc = (uint32_t) bitmap;
  c->zero = (uint32_t) (bitmap >> 32);
  if (entry & QCOW2_OFLAG_ZERO)
    return "the zero flag, which extended L2 entries do not have";
  if (c->alloc & c->zero)
    return "a subcluster that is both allocated and zero";
  if (c->alloc && !allocated)
    return "allocated subclusters without an offset";
  if (c->alloc == UINT32_MAX)
    c->kind = QCOW2_CLUSTER_DATA;
  else if (c->zero == UINT32_MAX)
    c->kind = QCOW2_CLUSTER_ZERO;
  else if (bitmap == 0)
    c->kind = QCOW2_CLUSTER_UNALLOCATED;
  else
    c->kind = QCOW2_CLUSTER_SUBCLUSTERS;
  return NULL;
}

const char *
rv_qcow2_l2_decode (const uint8_t *p, const struct rv_qcow2_header *header,
                    uint64_t guest_off, struct rv_qcow2_cluster *c)
{
  uint64_t entry = rv_be64 (p);
  uint64_t bitmap = rv_qcow2_ext_l2 (header) ? rv_be64 (p + 8) : 0;
  bool allocated = false;
  const char *wrong;

  *c = (struct rv_qcow2_cluster){ .kind = QCOW2_CLUSTER_UNALLOCATED };
  if (entry & QCOW2_OFLAG_COMPRESSED) {
    if (bitmap != 0)
      return "a subcluster bitmap on a compressed cluster";
    return decode_compressed (entry, header, c);
  }
  wrong = decode_offset (entry, header, guest_off, c, &allocated);
  if (wrong)
    return wrong;
  if (rv_qcow2_ext_l2 (header))
    return decode_extended (entry, bitmap, allocated, c);
  return decode_standard (entry, header, allocated, c);
}
