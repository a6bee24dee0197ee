/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "format/format.h"
#include "format/vmdk-descriptor.h"
#include "format/vmdk-pass.h"
#include "format/vmdk-stream.h"
#include "util/checked.h"
#include "util/error.h"

/*--- Taking bytes -------------------------------------------------------*/

int
rv_vmdk_pass_take (struct rv_vmdk_pass *p, void *buf, uint64_t len,
                   const char *what, rawview_error *err)
{
  if (!rv_range_fits (rv_vmdk_pass_here (p), len, p->len))
    return rv_error_corrupt (
        err, "%s: ends at byte %ju of its own, inside %s: it is cut", p->file,
        (uintmax_t) p->len, what);
  return rv_pipe_take (p->pipe, buf, len, what, err);
}

int
rv_vmdk_pass_at_end (struct rv_vmdk_pass *p, bool *end, rawview_error *err)
{
  struct rv_view view;

  *end = rv_vmdk_pass_here (p) >= p->len;
  if (*end)
    return 0;
  if (rv_pipe_peek (p->pipe, 1, &view, err) == -1)
    return -1;
  *end = view.len == 0 && p->len == UINT64_MAX;
  return 0;
}

/*--- Grains -------------------------------------------------------------*/

static int
check_grain (const struct rv_vmdk_pass *p, uint64_t lba, uint32_t size,
             uint64_t at, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &p->layout;

  if (lba >= p->header.capacity || lba % p->header.grain != 0)
    return rv_error_corrupt (
        err,
        "%s: the compressed grain at byte %ju is that of sector %ju, "
        "where the disk of %ju sectors has none",
        p->file, (uintmax_t) at, (uintmax_t) lba,
        (uintmax_t) p->header.capacity);
  if (size > rv_vmdk_unit_max (l->grain) - RV_VMDK_MARKER_LEN)
    return rv_error_corrupt (
        err, "%s: the compressed grain at byte %ju says %u bytes, at most %u",
        p->file, (uintmax_t) at, size,
        rv_vmdk_unit_max (l->grain) - RV_VMDK_MARKER_LEN);
  return 0;
}

/* The rest of a grain's last sector; QEMU may leave it out at the end. */
static int
take_rest (struct rv_vmdk_pass *p, rawview_error *err)
{
  bool end;

  if (!rv_vmdk_pass_has_footer (p) && rv_vmdk_pass_at_end (p, &end, err) == -1)
    return -1;
  if (!rv_vmdk_pass_has_footer (p) && end)
    return 0;
  return rv_vmdk_pass_take (p, NULL, -rv_vmdk_pass_here (p) % RV_VMDK_SECTOR,
                            "a grain's last sector", err);
}

static int
take_grain (struct rv_vmdk_pass *p, struct rv_vmdk_grain *g, uint8_t *payload,
            rawview_error *err)
{
  const struct rv_vmdk_layout *l = &p->layout;
  uint8_t marker[RV_VMDK_MARKER_LEN];
  uint64_t at = rv_vmdk_pass_here (p), lba;
  uint32_t size;

  if (rv_vmdk_pass_take (p, marker, sizeof marker, "a grain", err) == -1)
    return -1;
  lba = rv_le64 (marker);
  size = rv_le32 (marker + 8);
  if (check_grain (p, lba, size, at, err) == -1 ||
      rv_vmdk_pass_take (p, payload, size, "a grain", err) == -1 ||
      take_rest (p, err) == -1)
    return -1;
  rv_vmdk_sums_grain (&p->sums, lba / p->header.grain, at / RV_VMDK_SECTOR);
  *g = (struct rv_vmdk_grain){ .off = lba * RV_VMDK_SECTOR,
                               .payload_len = size,
                               .at = at };
  g->min = rv_min_u64 (l->grain, l->capacity - g->off);
  if (g->off < p->size)
    g->len = rv_min_u64 (l->grain, p->size - g->off);
  return 1;
}

/* 1: a grain is next, 0: the end was taken, 2: something else was. */
static int
look_at (struct rv_vmdk_pass *p, rawview_error *err)
{
  uint8_t sector[RV_VMDK_SECTOR];
  struct rv_view view;
  bool end;
  int r;

  if (rv_vmdk_pass_at_end (p, &end, err) == -1)
    return -1;
  if (end && !rv_vmdk_pass_has_footer (p))
    return rv_vmdk_sums_verify (&p->sums, p->file, err);
  if (rv_pipe_peek (p->pipe, RV_VMDK_MARKER_LEN, &view, err) == -1)
    return -1;
  if (view.len == RV_VMDK_MARKER_LEN && rv_le32 (view.p + 8) != 0)
    return 1;
  if (rv_vmdk_pass_take (p, sector, sizeof sector, "the stream of grains",
                         err) == -1)
    return -1;
  r = rv_vmdk_pass_take_marker (p, sector, err);
  return r == -1 ? -1 : r == 1 ? 0 : 2;
}

int
rv_vmdk_pass_next (struct rv_vmdk_pass *p, struct rv_vmdk_grain *g,
                   uint8_t *payload, rawview_error *err)
{
  int r;

  do {
    if (rv_vmdk_pass_take_places (p, err) == -1)
      return -1;
    r = look_at (p, err);
  } while (r == 2);
  return r == 1 ? take_grain (p, g, payload, err) : r;
}
