/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What markers announce, and the end, of a VMDK that comes from a pipe. */

#include <config.h>

#include <string.h>

#include "format/format.h"
#include "format/vmdk-descriptor.h"
#include "format/vmdk-pass.h"
#include "format/vmdk-stream.h"
#include "util/checked.h"
#include "util/error.h"

/* What follows a marker that we do not use. */
#define MAX_PAYLOAD_SECTORS 2048u

static bool
is_zero (const uint8_t *p, size_t len)
{
  return *p == 0 && memcmp (p, p + 1, len - 1) == 0;
}

/*--- The end ------------------------------------------------------------*/

/* QEMU leaves room for a whole grain behind the last one. */
static uint64_t
max_padding (const struct rv_vmdk_pass *p)
{
  return RV_VMDK_PADDING_MAX +
         (rv_vmdk_pass_has_footer (p) ? 0 : p->layout.grain);
}

/* Zeros, up to the end. */
static int
take_padding (struct rv_vmdk_pass *p, rawview_error *err)
{
  uint64_t n = 0;
  bool end;

  while (rv_vmdk_pass_at_end (p, &end, err) == 0 && !end) {
    struct rv_view view;

    if (rv_pipe_peek (
            p->pipe,
            rv_min_u64 (RV_VMDK_SECTOR, p->len - rv_vmdk_pass_here (p)), &view,
            err) == -1)
      return -1;
    n += view.len;
    if (n > max_padding (p) || (view.len > 0 && !is_zero (view.p, view.len)))
      return rv_error_corrupt (
          err, "%s: something follows the end-of-stream marker at byte %ju",
          p->file, (uintmax_t) rv_vmdk_pass_here (p));
    /* An archive's member may be cut here: that has its own message. */
    if (rv_vmdk_pass_take (p, NULL, view.len > 0 ? view.len : 1, "the padding",
                           err) == -1)
      return -1;
  }
  return end ? 0 : -1;
}

static int
finish (struct rv_vmdk_pass *p, rawview_error *err)
{
  if (take_padding (p, err) == -1)
    return -1;
  return rv_vmdk_sums_verify (&p->sums, p->file, err);
}

/* sector: that of its marker. */
static int
take_footer (struct rv_vmdk_pass *p, const uint8_t *sector, rawview_error *err)
{
  uint8_t tail[RV_VMDK_FOOTER_LEN];
  struct rv_vmdk_header footer;

  if (!rv_vmdk_pass_has_footer (p))
    return rv_error_corrupt (
        err, "%s: a footer at byte %ju, of which the header does not speak",
        p->file, (uintmax_t) rv_vmdk_pass_here (p));
  memcpy (tail, sector, RV_VMDK_SECTOR);
  if (rv_vmdk_pass_take (p, tail + RV_VMDK_SECTOR, sizeof tail - RV_VMDK_SECTOR,
                         "the footer", err) == -1 ||
      rv_vmdk_footer_parse ((struct rv_view){ tail, sizeof tail }, &p->header,
                            p->file, &footer, err) == -1)
    return -1;
  if (p->sums.gd && footer.gd_sector != p->sums.gd_sector)
    return rv_error_corrupt (
        err,
        "%s: the footer has the grain directory at sector %ju, it came "
        "at %ju",
        p->file, (uintmax_t) footer.gd_sector, (uintmax_t) p->sums.gd_sector);
  return finish (p, err);
}

static int
take_end (struct rv_vmdk_pass *p, const uint8_t *sector, rawview_error *err)
{
  if (rv_vmdk_pass_has_footer (p))
    return rv_error_corrupt (
        err, "%s: the end-of-stream marker at byte %ju came before the footer",
        p->file, (uintmax_t) (rv_vmdk_pass_here (p) - RV_VMDK_SECTOR));
  if (!is_zero (sector, RV_VMDK_SECTOR))
    return rv_error_corrupt (
        err,
        "%s: the end-of-stream marker at byte %ju has "
        "something in it",
        p->file, (uintmax_t) (rv_vmdk_pass_here (p) - RV_VMDK_SECTOR));
  return finish (p, err);
}

/*--- Markers ------------------------------------------------------------*/

/* Does the marker announce as many sectors as the thing has? */
static int
check_count (const struct rv_vmdk_pass *p, uint64_t count, uint64_t len,
             const char *what, rawview_error *err)
{
  uint64_t need = rv_div_up (len, RV_VMDK_SECTOR);

  if (count < need || count > need + MAX_PAYLOAD_SECTORS)
    return rv_error_corrupt (
        err,
        "%s: the marker before byte %ju announces a %s of %ju sectors, "
        "not %ju",
        p->file, (uintmax_t) rv_vmdk_pass_here (p), what, (uintmax_t) count,
        (uintmax_t) need);
  return 0;
}

static int
take_counted (struct rv_vmdk_pass *p, uint32_t type, uint64_t count,
              rawview_error *err)
{
  uint64_t end = rv_vmdk_pass_here (p) + count * RV_VMDK_SECTOR;
  int r = type == RV_VMDK_MARKER_GT   ? rv_vmdk_pass_take_table (p, err)
          : type == RV_VMDK_MARKER_GD ? rv_vmdk_pass_take_directory (p, err)
                                      : 0;

  if (r == -1)
    return -1;
  return rv_vmdk_pass_take (p, NULL, end - rv_vmdk_pass_here (p),
                            "what follows a marker", err);
}

int
rv_vmdk_pass_take_marker (struct rv_vmdk_pass *p, const uint8_t *sector,
                          rawview_error *err)
{
  uint64_t count = rv_le64 (sector);
  uint32_t type = rv_le32 (sector + 12);
  int r = 0;

  switch (type) {
  case RV_VMDK_MARKER_EOS:
    return take_end (p, sector, err) == -1 ? -1 : 1;
  case RV_VMDK_MARKER_FOOTER:
    return take_footer (p, sector, err) == -1 ? -1 : 1;
  case RV_VMDK_MARKER_GT:
    r = check_count (p, count, rv_vmdk_table_len (&p->layout), "grain table",
                     err);
    break;
  case RV_VMDK_MARKER_GD:
    r = check_count (p, count, rv_vmdk_gd_len (&p->layout), "grain directory",
                     err);
    break;
  case RV_VMDK_MARKER_PROGRESS:
    r = check_count (p, count, 0, "progress", err);
    break;
  default:
    r = rv_error_corrupt (
        err, "%s: neither a grain nor a known marker at byte %ju (type %u)",
        p->file, (uintmax_t) (rv_vmdk_pass_here (p) - RV_VMDK_SECTOR), type);
  }
  return r == -1 ? -1 : take_counted (p, type, count, err);
}
