/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: a new, empty image.  In clusters:
 *
 *   0 header   1 refcount table   2... refcount blocks   then the L1 table
 *
 * The L1 table is as large as the disk needs, so it never has to grow.
 */

#include <config.h>

#include <string.h>

#include "format/qcow2-extension.h"
#include "format/qcow2-refcount.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

#define REFCOUNT_ORDER     4u /* 16 bits */
#define EXT_BACKING_FORMAT 0xe2792acau
#define EXT_FEATURE_NAMES  0x6803f857u
#define FEATURE_LEN        48u /* bytes of one name with its type and bit */

struct layout {
  const struct rv_qcow2_create *how;
  uint64_t cluster_size;
  uint64_t l1_entries;
  uint64_t l1_clusters;
  uint64_t refblocks;
};

static uint64_t
clusters (const struct layout *l)
{
  return 2 + l->refblocks + l->l1_clusters;
}

static uint64_t
l1_off (const struct layout *l)
{
  return (2 + l->refblocks) * l->cluster_size;
}

/*--- Sizes --------------------------------------------------------------*/

static int
check_how (const struct rv_qcow2_create *how, const char *name,
           rawview_error *err)
{
  if (how->cluster_bits <
          (how->ext_l2 ? QCOW2_EXT_L2_MIN_BITS : QCOW2_MIN_CLUSTER_BITS) ||
      how->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
    return rv_error_usage (err, "%s: QCOW2 cannot have cluster_bits %u here",
                           name, how->cluster_bits);
  if (how->size % 512 != 0 || how->size > INT64_MAX)
    return rv_error_usage (err,
                           "%s: a QCOW2 disk of %ju bytes is too large or not "
                           "of whole sectors",
                           name, (uintmax_t) how->size);
  if (how->backing && strlen (how->backing) > QCOW2_MAX_BACKING_LEN)
    return rv_error_limit (err,
                           "%s: a name of %zu bytes is too long for a QCOW2 "
                           "backing file, the limit is %u",
                           name, strlen (how->backing), QCOW2_MAX_BACKING_LEN);
  if (how->backing_format &&
      strlen (how->backing_format) > QCOW2_MAX_BACKING_FORMAT)
    return rv_error_usage (err, "%s: \"%s\" is not a format that QCOW2 knows",
                           name, how->backing_format);
  return 0;
}

static int
plan (const struct rv_qcow2_create *how, const char *name, struct layout *l,
      rawview_error *err)
{
  unsigned l2_bits = how->cluster_bits - (how->ext_l2 ? 4 : 3);
  unsigned block_bits =
      rv_qcow2_refblock_bits (how->cluster_bits, REFCOUNT_ORDER);

  *l = (struct layout){ .how = how, .cluster_size = 1ull << how->cluster_bits };
  /* One entry at least, for tools that expect a table. */
  l->l1_entries = rv_max_u64 (
      rv_div_up (how->size, 1ull << (how->cluster_bits + l2_bits)), 1);
  if (l->l1_entries > RV_MAX_L1_BYTES / 8)
    return rv_error_limit (err,
                           "%s: a disk of %ju bytes is too large for QCOW2 "
                           "with clusters of %ju bytes",
                           name, (uintmax_t) how->size,
                           (uintmax_t) l->cluster_size);
  l->l1_clusters = rv_div_up (l->l1_entries * 8, l->cluster_size);
  do
    l->refblocks++;
  while (clusters (l) > l->refblocks << block_bits);
  if (l->refblocks > l->cluster_size / 8)
    return rv_error_limit (err,
                           "%s: a disk of %ju bytes needs larger QCOW2 "
                           "clusters than %ju bytes",
                           name, (uintmax_t) how->size,
                           (uintmax_t) l->cluster_size);
  return 0;
}

/*--- The header ---------------------------------------------------------*/

/* Writes the extension at *p, if there is room up to end, and moves *p behind
 * it.  All bytes are zero so far.
 */
static bool
put_extension (uint8_t **p, const uint8_t *end, uint32_t type,
               const void *bytes, size_t len)
{
  size_t padded = (len + 7) / 8 * 8;

  if (8 + padded > (size_t) (end - *p))
    return false;
  rv_put_be32 (*p, type);
  rv_put_be32 (*p + 4, len);
  if (len > 0)
    memcpy (*p + 8, bytes, len);
  *p += 8 + padded;
  return true;
}

/* So that programs that do not know the feature can say which it is. */
static bool
put_feature_name (uint8_t **p, const uint8_t *end)
{
  char feature[FEATURE_LEN] = { 0 /* incompatible */, 4 /* bit */ };

  strcpy (feature + 2, "extended L2 entries");
  return put_extension (p, end, EXT_FEATURE_NAMES, feature, sizeof feature);
}

/* The extensions, their end, and the name of the backing file. */
static bool
put_names (const struct layout *l, uint8_t *head)
{
  const struct rv_qcow2_create *how = l->how;
  uint8_t *p = head + QCOW2_V3_HEADER_LEN, *end = head + l->cluster_size;
  size_t len = how->backing ? strlen (how->backing) : 0;

  if (how->backing_format &&
      !put_extension (&p, end, EXT_BACKING_FORMAT, how->backing_format,
                      strlen (how->backing_format)))
    return false;
  if (how->ext_l2 && !put_feature_name (&p, end))
    return false;
  if (!put_extension (&p, end, 0, NULL, 0) || len > (size_t) (end - p))
    return false;
  if (len > 0) {
    rv_put_be64 (head + 8, p - head);
    rv_put_be32 (head + 16, len);
    memcpy (p, how->backing, len);
  }
  return true;
}

static void
put_header (const struct layout *l, uint8_t *p)
{
  memcpy (p, "QFI\xfb", 4);
  rv_put_be32 (p + 4, 3);
  rv_put_be32 (p + 20, l->how->cluster_bits);
  rv_put_be64 (p + 24, l->how->size);
  rv_put_be32 (p + 36, l->l1_entries);
  rv_put_be64 (p + 40, l1_off (l));
  rv_put_be64 (p + 48, l->cluster_size);
  rv_put_be32 (p + 56, 1);
  rv_put_be64 (p + 72, l->how->ext_l2 ? QCOW2_INCOMPAT_EXT_L2 : 0);
  rv_put_be32 (p + 96, REFCOUNT_ORDER);
  rv_put_be32 (p + 100, QCOW2_V3_HEADER_LEN);
}

/*--- The tables ---------------------------------------------------------*/

static void
put_refcounts (const struct layout *l, uint8_t *image)
{
  for (uint64_t i = 0; i < l->refblocks; i++)
    rv_put_be64 (image + l->cluster_size + i * 8, (2 + i) * l->cluster_size);
  /* The blocks adjoin. */
  for (uint64_t i = 0; i < clusters (l); i++)
    rv_qcow2_refcount_set (image + 2 * l->cluster_size, i, REFCOUNT_ORDER, 1);
}

/* The header last: without it, it is no image. */
int
rv_qcow2_create (struct rv_io *io, const struct rv_qcow2_create *how,
                 rawview_error *err)
{
  CLEANUP_FREE uint8_t *image = NULL;
  struct layout l;

  if (check_how (how, io->name, err) == -1 ||
      plan (how, io->name, &l, err) == -1)
    return -1;
  image = calloc (clusters (&l), l.cluster_size);
  if (image == NULL)
    return rv_error_nomem (err);
  put_header (&l, image);
  if (!put_names (&l, image))
    return rv_error_limit (err,
                           "%s: the name of the backing file does not fit into "
                           "a QCOW2 cluster of %ju bytes",
                           io->name, (uintmax_t) l.cluster_size);
  put_refcounts (&l, image);
  if (rv_io_pwrite (io, image + l.cluster_size,
                    (clusters (&l) - 1) * l.cluster_size, l.cluster_size,
                    err) == -1)
    return -1;
  return rv_io_pwrite (io, image, l.cluster_size, 0, err);
}
