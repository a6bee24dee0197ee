/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/qcow2-header.h"
#include "util/checked.h"

static void
decode (const uint8_t *p, struct rv_qcow2_header *h)
{
  h->version = rv_be32 (p + 4);
  h->backing_off = rv_be64 (p + 8);
  h->backing_len = rv_be32 (p + 16);
  h->cluster_bits = rv_be32 (p + 20);
  h->size = rv_be64 (p + 24);
  h->crypt_method = rv_be32 (p + 32);
  h->l1_size = rv_be32 (p + 36);
  h->l1_off = rv_be64 (p + 40);
  h->refcount_table_off = rv_be64 (p + 48);
  h->refcount_table_clusters = rv_be32 (p + 56);
  h->nb_snapshots = rv_be32 (p + 60);
  h->snapshots_off = rv_be64 (p + 64);
  h->refcount_order = 4;
  h->header_length = QCOW2_V2_HEADER_LEN;
}

/* Version 3 begins where version 2 ends. */
static int
decode_v3 (struct rv_view v, const char *name, struct rv_qcow2_header *h,
           rawview_error *err)
{
  if (v.len < QCOW2_V3_HEADER_LEN)
    return rv_error_corrupt (err,
                             "%s: truncated: the QCOW2 header needs %u bytes, "
                             "the file has %zu",
                             name, QCOW2_V3_HEADER_LEN, v.len);
  h->incompatible = rv_be64 (v.p + 72);
  h->compatible = rv_be64 (v.p + 80);
  h->autoclear = rv_be64 (v.p + 88);
  h->refcount_order = rv_be32 (v.p + 96);
  h->header_length = rv_be32 (v.p + 100);
  if (h->header_length < QCOW2_V3_HEADER_LEN || h->header_length % 8 != 0)
    return rv_error_format (err,
                            "%s: QCOW2 header_length %u is not a multiple of "
                            "8 from %u on",
                            name, h->header_length, QCOW2_V3_HEADER_LEN);
  if (h->header_length > QCOW2_V3_HEADER_LEN) {
    if (v.len < QCOW2_V3_HEADER_LEN + 1)
      return rv_error_corrupt (err, "%s: truncated inside the QCOW2 header",
                               name);
    h->compression_type = v.p[QCOW2_V3_HEADER_LEN];
  }
  return 0;
}

static int
check_compression (const char *name, const struct rv_qcow2_header *h,
                   rawview_error *err)
{
  bool bit = h->incompatible & QCOW2_INCOMPAT_COMPRESSION;

  if (bit != (h->compression_type != QCOW2_COMPRESSION_ZLIB))
    return rv_error_corrupt (err,
                             "%s: QCOW2 compression_type %u contradicts "
                             "incompatible feature bit 3, which is %s",
                             name, h->compression_type, bit ? "set" : "clear");
  if (h->compression_type > QCOW2_COMPRESSION_ZSTD)
    return rv_error_unsupported (err,
                                 "%s: QCOW2 compression_type %u is not known "
                                 "(0 zlib, 1 zstd)",
                                 name, h->compression_type);
  return 0;
}

static int
check_geometry (const char *name, const struct rv_qcow2_header *h,
                rawview_error *err)
{
  if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS ||
      h->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
    return rv_error_format (
        err, "%s: QCOW2 cluster_bits %u is outside %u to %u", name,
        h->cluster_bits, QCOW2_MIN_CLUSTER_BITS, QCOW2_MAX_CLUSTER_BITS);
  if (h->header_length > rv_qcow2_cluster_size (h))
    return rv_error_format (err,
                            "%s: QCOW2 header_length %u is larger than a "
                            "cluster",
                            name, h->header_length);
  if (rv_qcow2_ext_l2 (h) && h->cluster_bits < QCOW2_EXT_L2_MIN_BITS)
    return rv_error_format (err,
                            "%s: QCOW2 extended L2 entries need cluster_bits "
                            "of at least %u, not %u",
                            name, QCOW2_EXT_L2_MIN_BITS, h->cluster_bits);
  if (h->refcount_order > QCOW2_MAX_REFCOUNT_ORDER)
    return rv_error_format (err, "%s: QCOW2 refcount_order %u is above %u",
                            name, h->refcount_order, QCOW2_MAX_REFCOUNT_ORDER);
  return 0;
}

static int
check_encryption (const char *name, const struct rv_qcow2_header *h,
                  rawview_error *err)
{
  if (h->crypt_method == 0)
    return 0;
  if (h->crypt_method > 2)
    return rv_error_format (err, "%s: QCOW2 crypt_method %u is not known", name,
                            h->crypt_method);
  return rv_error_unsupported (err,
                               "%s: the image is encrypted (%s), which is not "
                               "supported; decrypt it with qemu-img convert "
                               "first",
                               name, h->crypt_method == 1 ? "AES" : "LUKS");
}

static int
check_backing (const char *name, const struct rv_qcow2_header *h,
               rawview_error *err)
{
  uint64_t cluster_size = rv_qcow2_cluster_size (h);

  if (h->backing_off == 0) {
    if (h->backing_len != 0)
      return rv_error_format (err,
                              "%s: QCOW2 backing_file_size is %u although "
                              "there is no backing file",
                              name, h->backing_len);
    return 0;
  }
  if (h->backing_off < h->header_length ||
      !rv_range_fits (h->backing_off, h->backing_len, cluster_size))
    return rv_error_format (err,
                            "%s: QCOW2 backing file name (offset %ju, %u "
                            "bytes) is not between header and end of the "
                            "first cluster",
                            name, (uintmax_t) h->backing_off, h->backing_len);
  if (h->backing_len > QCOW2_MAX_BACKING_LEN)
    return rv_error_limit (err,
                           "%s: QCOW2 backing file name of %u bytes is longer "
                           "than %u",
                           name, h->backing_len, QCOW2_MAX_BACKING_LEN);
  return 0;
}

static int
check_snapshots (const char *name, const struct rv_qcow2_header *h,
                 rawview_error *err)
{
  if (h->nb_snapshots > QCOW2_MAX_SNAPSHOTS)
    return rv_error_limit (err, "%s: %u QCOW2 snapshots are more than %u", name,
                           h->nb_snapshots, QCOW2_MAX_SNAPSHOTS);
  if (h->nb_snapshots > 0 &&
      (h->snapshots_off == 0 ||
       h->snapshots_off % rv_qcow2_cluster_size (h) != 0))
    return rv_error_format (err,
                            "%s: QCOW2 snapshot table offset %#jx is not that "
                            "of a cluster behind the header",
                            name, (uintmax_t) h->snapshots_off);
  return 0;
}

int
rv_qcow2_header_parse (struct rv_view view, const char *name,
                       struct rv_qcow2_header *h, rawview_error *err)
{
  *h = (struct rv_qcow2_header){ 0 };
  if (view.len < 4 || memcmp (view.p, "QFI\xfb", 4) != 0)
    return rv_error_format (err, "%s: not a QCOW2 image: no QFI signature",
                            name);
  if (view.len < 8)
    return rv_error_corrupt (err, "%s: truncated inside the QCOW2 header",
                             name);
  h->version = rv_be32 (view.p + 4);
  if (h->version == 1)
    return rv_error_unsupported (err,
                                 "%s: this is QCOW version 1, the old format, "
                                 "which is not supported; convert it with "
                                 "qemu-img convert -f qcow -O qcow2",
                                 name);
  if (h->version != 2 && h->version != 3)
    return rv_error_unsupported (err, "%s: QCOW version %u is not known", name,
                                 h->version);
  if (view.len < QCOW2_V2_HEADER_LEN)
    return rv_error_corrupt (err,
                             "%s: truncated: the QCOW2 header needs %u bytes, "
                             "the file has %zu",
                             name, QCOW2_V2_HEADER_LEN, view.len);
  decode (view.p, h);
  if (h->version == 3 && decode_v3 (view, name, h, err) == -1)
    return -1;
  if (check_geometry (name, h, err) == -1 ||
      check_compression (name, h, err) == -1 ||
      check_encryption (name, h, err) == -1 ||
      check_backing (name, h, err) == -1 ||
      check_snapshots (name, h, err) == -1)
    return -1;
  return 0;
}
