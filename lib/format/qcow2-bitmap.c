/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: persistent dirty bitmaps, as far as their host clusters go.  (QEMU's
 * docs/interop/qcow2, "Bitmaps")
 */

#include <config.h>

#include "format/qcow2-count.h"
#include "format/qcow2-l2.h"
#include "util/checked.h"

#define MAX_BITMAPS     65535u
#define MAX_DIRECTORY   (64u << 20)
#define DIRECTORY_ENTRY 24u
#define MAX_TABLE       (32u << 20) /* bytes */

/* The table of one bitmap: offsets of clusters, or 0 and 1 for none. */
static int
count_table (struct rv_qcow2_count *c, uint64_t off, uint64_t entries,
             rawview_error *err)
{
  uint64_t len = entries * 8;
  CLEANUP_FREE uint8_t *table = NULL;

  if (!rv_range_fits (off, len, c->q->base.io->size)) {
    rv_qcow2_report (c, RAWVIEW_FINDING_CORRUPTION,
                     "a bitmap table (offset %#jx, %ju bytes) is beyond the "
                     "end of the file",
                     (uintmax_t) off, (uintmax_t) len);
    return 0;
  }
  if (len == 0 || !rv_qcow2_count_may_walk (c, len, "a bitmap table"))
    return 0;
  rv_qcow2_count_range (c, off, len, 1, "a bitmap table");
  if (len > MAX_TABLE)
    return 0;
  table = malloc (len);
  if (table == NULL)
    return rv_error_nomem (err);
  if (rv_io_pread (c->q->base.io, table, len, off, err) == -1)
    return -1;
  for (uint64_t i = 0; i < len; i += 8) {
    uint64_t host = rv_be64 (table + i) & QCOW2_OFFSET_MASK;

    if (host != 0)
      rv_qcow2_count_range (c, host, rv_qcow2_cluster_size (&c->q->header), 1,
                            "a bitmap cluster");
  }
  return 0;
}

/* The directory: entries of a fixed part, extra data and name, 8-aligned. */
static int
count_directory (struct rv_qcow2_count *c, struct rv_view dir, uint32_t n,
                 rawview_error *err)
{
  for (uint32_t i = 0; i < n && dir.len >= DIRECTORY_ENTRY; i++) {
    const uint8_t *p = dir.p;
    uint64_t len =
        DIRECTORY_ENTRY + (uint64_t) rv_be16 (p + 18) + rv_be32 (p + 20);

    if (count_table (c, rv_be64 (p), rv_be32 (p + 8), err) == -1)
      return -1;
    len = rv_min_u64 ((len + 7) / 8 * 8, dir.len);
    dir.p += len;
    dir.len -= len;
  }
  return 0;
}

int
rv_qcow2_count_bitmaps (struct rv_qcow2_count *c, rawview_error *err)
{
  const struct rv_qcow2_bitmaps *b = &c->q->bitmaps;
  CLEANUP_FREE uint8_t *dir = NULL;

  /* Without the bit nobody vouches for the extension. */
  if (!b->present || !(c->q->header.autoclear & QCOW2_AUTOCLEAR_BITMAPS))
    return 0;
  if (b->count > MAX_BITMAPS || b->directory_len > MAX_DIRECTORY ||
      !rv_range_fits (b->directory_off, b->directory_len,
                      c->q->base.io->size)) {
    rv_qcow2_report (c, RAWVIEW_FINDING_CORRUPTION,
                     "the bitmap directory (offset %#jx, %ju bytes, %u "
                     "bitmaps) is impossible",
                     (uintmax_t) b->directory_off, (uintmax_t) b->directory_len,
                     b->count);
    return 0;
  }
  rv_qcow2_count_range (c, b->directory_off, b->directory_len, 1,
                        "the bitmap directory");
  dir = malloc (b->directory_len + 1);
  if (dir == NULL)
    return rv_error_nomem (err);
  if (b->directory_len > 0 && rv_io_pread (c->q->base.io, dir, b->directory_len,
                                           b->directory_off, err) == -1)
    return -1;
  return count_directory (c, (struct rv_view){ dir, b->directory_len },
                          b->count, err);
}
