/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "format/format.h"
#include "format/vmdk-descriptor.h"
#include "format/vmdk-pass.h"
#include "format/vmdk-stream.h"
#include "util/checked.h"
#include "util/error.h"

enum marker {
  MARKER_EOS,
  MARKER_GT,
  MARKER_GD,
  MARKER_FOOTER,
  MARKER_PROGRESS
};

/* What follows a marker that we do not use. */
#define MAX_PAYLOAD_SECTORS 2048u

#define SAVE_IT "save it as a file and copy that"

/*--- Taking bytes -------------------------------------------------------*/

/* How far we are in the VMDK. */
static uint64_t
here (const struct rv_vmdk_pass *p)
{
  return p->pipe->pos - p->start;
}

static int
take (struct rv_vmdk_pass *p, void *buf, uint64_t len, const char *what,
      rawview_error *err)
{
  if (!rv_range_fits (here (p), len, p->len))
    return rv_error_corrupt (
        err, "%s: ends at byte %ju of its own, inside %s: it is cut", p->file,
        (uintmax_t) p->len, what);
  return rv_pipe_take (p->pipe, buf, len, what, err);
}

/* Is there nothing behind what was taken? */
static int
at_end (struct rv_vmdk_pass *p, bool *end, rawview_error *err)
{
  struct rv_view view;

  *end = here (p) >= p->len;
  if (*end)
    return 0;
  if (rv_pipe_peek (p->pipe, 1, &view, err) == -1)
    return -1;
  *end = view.len == 0 && p->len == UINT64_MAX;
  return 0;
}

static bool
is_zero (const uint8_t *p, size_t len)
{
  return *p == 0 && memcmp (p, p + 1, len - 1) == 0;
}

/*--- Opening ------------------------------------------------------------*/

static bool
has_footer (const struct rv_vmdk_pass *p)
{
  return p->header.gd_sector == RV_VMDK_GD_AT_END;
}

static int
check_kind (const struct rv_vmdk_pass *p, rawview_error *err)
{
  if (!(p->header.flags & RV_VMDK_FLAG_DEFLATE))
    return rv_error_unsupported (
        err,
        "%s: only streamOptimized VMDKs can be read from a pipe, and this "
        "is another kind; " SAVE_IT,
        p->file);
  if (!(p->header.flags & RV_VMDK_FLAG_MARKERS))
    return rv_error_unsupported (
        err,
        "%s: its grains do not say where they belong, so that it cannot "
        "be read from a pipe; " SAVE_IT,
        p->file);
  return 0;
}

static int
make_layout (struct rv_vmdk_pass *p, rawview_error *err)
{
  const struct rv_vmdk_header *h = &p->header;
  struct rv_vmdk_layout *l = &p->layout;

  *l = (struct rv_vmdk_layout){
    .kind = RV_VMDK_HOSTED,
    .version = h->version,
    .capacity = h->capacity * RV_VMDK_SECTOR,
    .grain = h->grain * RV_VMDK_SECTOR,
    .table_entries = h->table_entries,
    .entry_size = 4,
    .header_len = RV_VMDK_HEADER_LEN,
    .zero_entries = h->flags & RV_VMDK_FLAG_ZERO,
    .compressed = true,
    .has_lba = true,
  };
  l->gd_entries = rv_div_up (l->capacity, rv_vmdk_table_span (l));
  if (rv_vmdk_header_descriptor (h, INT64_MAX, p->file, &l->descriptor_off,
                                 &l->descriptor_len, err) == -1)
    return -1;
  if (l->descriptor_len == 0)
    return rv_error_unsupported (
        err,
        "%s: is one extent of a disk, without descriptor: it cannot be "
        "read from a pipe alone",
        p->file);
  p->front = l->descriptor_off + l->descriptor_len;
  if (h->overhead <= INT64_MAX / RV_VMDK_SECTOR)
    p->front = rv_max_u64 (p->front, h->overhead * RV_VMDK_SECTOR);
  return rv_vmdk_sums_init (&p->sums, l, p->file, err);
}

static int
check_descriptor (struct rv_vmdk_pass *p, const struct rv_vmdk_descriptor *d,
                  uint64_t max_size, rawview_error *err)
{
  if (d->extents.len != 1 || d->extents.ptr[0].type != RV_VMDK_SPARSE)
    return rv_error_unsupported (
        err,
        "%s: the descriptor inside describes %zu extents of other files, "
        "which a pipe does not bring",
        p->file, d->extents.len);
  if (d->parent_cid != RV_VMDK_NO_PARENT)
    return rv_error_unsupported (
        err,
        "%s: is only what differs from a parent disk, which a pipe does "
        "not bring; " SAVE_IT,
        p->file);
  if (d->extents.ptr[0].access == RV_VMDK_NOACCESS)
    return rv_error_refused (
        err, "%s: the descriptor allows no access to the extent", p->file);
  if (d->size > max_size)
    return rv_error_limit (err, "%s: the disk has %ju bytes, max-size is %ju",
                           p->file, (uintmax_t) d->size, (uintmax_t) max_size);
  if (d->size > p->layout.capacity)
    return rv_error_corrupt (
        err,
        "%s: the descriptor says that the extent has %ju bytes, its "
        "header says %ju",
        p->file, (uintmax_t) d->size, (uintmax_t) p->layout.capacity);
  p->size = d->size;
  return 0;
}

static int
read_descriptor (struct rv_vmdk_pass *p, uint64_t max_size, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &p->layout;
  CLEANUP_FREE uint8_t *text = malloc (l->descriptor_len);
  struct rv_vmdk_descriptor d;
  int r;

  if (text == NULL)
    return rv_error_nomem (err);
  if (take (p, NULL, l->descriptor_off - here (p),
            "what precedes the descriptor", err) == -1 ||
      take (p, text, l->descriptor_len, "the descriptor", err) == -1 ||
      rv_vmdk_descriptor_parse ((struct rv_view){ text, l->descriptor_len },
                                p->file, &d, err) == -1)
    return -1;
  r = check_descriptor (p, &d, max_size, err);
  rv_vmdk_descriptor_release (&d);
  return r;
}

int
rv_vmdk_pass_open (struct rv_vmdk_pass *p, struct rv_pipe *pipe,
                   const char *file, uint64_t len, uint64_t max_size,
                   rawview_error *err)
{
  uint8_t head[RV_VMDK_HEADER_LEN];

  *p = (struct rv_vmdk_pass){
    .pipe = pipe, .file = strdup (file), .start = pipe->pos, .len = len
  };
  if (p->file == NULL)
    return rv_error_nomem (err);
  if (take (p, head, sizeof head, "the VMDK header", err) == -1 ||
      rv_vmdk_header_parse ((struct rv_view){ head, sizeof head }, p->file,
                            &p->header, err) == -1 ||
      check_kind (p, err) == -1 || make_layout (p, err) == -1)
    return -1;
  return read_descriptor (p, max_size, err);
}

void
rv_vmdk_pass_release (struct rv_vmdk_pass *p)
{
  rv_vmdk_sums_release (&p->sums);
  free (p->places);
  free (p->file);
}

/*--- Tables -------------------------------------------------------------*/

static int
take_table (struct rv_vmdk_pass *p, rawview_error *err)
{
  uint64_t sector = here (p) / RV_VMDK_SECTOR;
  uint32_t len = rv_vmdk_table_len (&p->layout);
  CLEANUP_FREE uint8_t *bytes = malloc (len);

  if (bytes == NULL)
    return rv_error_nomem (err);
  if (take (p, bytes, len, "a grain table", err) == -1)
    return -1;
  return rv_vmdk_sums_table (&p->sums, sector, bytes, p->file, err);
}

static int
take_directory (struct rv_vmdk_pass *p, rawview_error *err)
{
  uint64_t sector = here (p) / RV_VMDK_SECTOR;
  uint64_t len = rv_vmdk_gd_len (&p->layout);
  CLEANUP_FREE uint8_t *bytes = malloc (len);

  if (bytes == NULL)
    return rv_error_nomem (err);
  if (take (p, bytes, len, "the grain directory", err) == -1 ||
      take (p, NULL, -len % RV_VMDK_SECTOR, "the grain directory", err) == -1)
    return -1;
  return rv_vmdk_sums_directory (&p->sums, sector, bytes, err);
}

/*--- Tables without markers ---------------------------------------------*/

static int
compare_places (const void *a, const void *b)
{
  const uint32_t *p = a, *q = b;

  return (*p > *q) - (*p < *q);
}

/* The directory knows where they are. */
static int
find_places (struct rv_vmdk_pass *p, rawview_error *err)
{
  const struct rv_vmdk_sums *s = &p->sums;

  p->places = calloc (s->gd_entries, sizeof *p->places);
  if (p->places == NULL)
    return rv_error_nomem (err);
  for (uint64_t i = 0; i < s->gd_entries; i++)
    if (s->gd[i] > 1 || (s->gd[i] == 1 && !s->zero_entries))
      p->places[p->nr_places++] = s->gd[i];
  qsort (p->places, p->nr_places, sizeof *p->places, compare_places);
  return 0;
}

/* Where the next thing begins that the header or the directory has told of. */
static uint64_t
next_place (const struct rv_vmdk_pass *p)
{
  if (has_footer (p))
    return UINT64_MAX;
  if (p->sums.gd == NULL)
    return p->header.gd_sector <= UINT64_MAX / RV_VMDK_SECTOR
               ? p->header.gd_sector * RV_VMDK_SECTOR
               : UINT64_MAX;
  if (p->place < p->nr_places)
    return (uint64_t) p->places[p->place] * RV_VMDK_SECTOR;
  return UINT64_MAX;
}

static int
take_place (struct rv_vmdk_pass *p, rawview_error *err)
{
  if (p->sums.gd == NULL)
    return take_directory (p, err) == -1 ? -1 : find_places (p, err);
  p->place++;
  /* Directory entries may share a table. */
  while (p->place < p->nr_places &&
         p->places[p->place] == p->places[p->place - 1])
    p->place++;
  return take_table (p, err);
}

static int
refuse_order (const struct rv_vmdk_pass *p, uint64_t place, rawview_error *err)
{
  return rv_error_unsupported (
      err,
      "%s: the %s at byte %ju came before its place was known, so that "
      "it cannot be read from a pipe; " SAVE_IT,
      p->file, p->sums.gd ? "grain table" : "grain directory",
      (uintmax_t) place);
}

/* Takes what is neither a grain nor a marker. */
static int
take_places (struct rv_vmdk_pass *p, rawview_error *err)
{
  for (;;) {
    uint64_t place = next_place (p), pos = here (p);

    if (place < pos)
      return refuse_order (p, place, err);
    if (place == pos) {
      if (take_place (p, err) == -1)
        return -1;
    }
    else if (pos >= p->front)
      return 0;
    else if (take (p, NULL, rv_min_u64 (place, p->front) - pos,
                   "what precedes the grains", err) == -1)
      return -1;
  }
}

/*--- The end ------------------------------------------------------------*/

/* QEMU leaves room for a whole grain behind the last one. */
static uint64_t
max_padding (const struct rv_vmdk_pass *p)
{
  return RV_VMDK_PADDING_MAX + (has_footer (p) ? 0 : p->layout.grain);
}

/* Zeros, up to the end. */
static int
take_padding (struct rv_vmdk_pass *p, rawview_error *err)
{
  uint64_t n = 0;
  bool end;

  while (at_end (p, &end, err) == 0 && !end) {
    struct rv_view view;

    if (rv_pipe_peek (p->pipe, rv_min_u64 (RV_VMDK_SECTOR, p->len - here (p)),
                      &view, err) == -1)
      return -1;
    n += view.len;
    if (n > max_padding (p) || (view.len > 0 && !is_zero (view.p, view.len)))
      return rv_error_corrupt (
          err, "%s: something follows the end-of-stream marker at byte %ju",
          p->file, (uintmax_t) here (p));
    /* An archive's member may be cut here: that has its own message. */
    if (take (p, NULL, view.len > 0 ? view.len : 1, "the padding", err) == -1)
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

  if (!has_footer (p))
    return rv_error_corrupt (
        err, "%s: a footer at byte %ju, of which the header does not speak",
        p->file, (uintmax_t) here (p));
  memcpy (tail, sector, RV_VMDK_SECTOR);
  if (take (p, tail + RV_VMDK_SECTOR, sizeof tail - RV_VMDK_SECTOR,
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
  if (has_footer (p))
    return rv_error_corrupt (
        err, "%s: the end-of-stream marker at byte %ju came before the footer",
        p->file, (uintmax_t) (here (p) - RV_VMDK_SECTOR));
  if (!is_zero (sector, RV_VMDK_SECTOR))
    return rv_error_corrupt (err,
                             "%s: the end-of-stream marker at byte %ju has "
                             "something in it",
                             p->file, (uintmax_t) (here (p) - RV_VMDK_SECTOR));
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
        p->file, (uintmax_t) here (p), what, (uintmax_t) count,
        (uintmax_t) need);
  return 0;
}

static int
take_counted (struct rv_vmdk_pass *p, enum marker type, uint64_t count,
              rawview_error *err)
{
  uint64_t end = here (p) + count * RV_VMDK_SECTOR;
  int r = type == MARKER_GT   ? take_table (p, err)
          : type == MARKER_GD ? take_directory (p, err)
                              : 0;

  if (r == -1)
    return -1;
  return take (p, NULL, end - here (p), "what follows a marker", err);
}

/* A marker that is no grain's.  1: it was the end. */
static int
take_marker (struct rv_vmdk_pass *p, const uint8_t *sector, rawview_error *err)
{
  uint64_t count = rv_le64 (sector);
  uint32_t type = rv_le32 (sector + 12);
  int r = 0;

  switch (type) {
  case MARKER_EOS:
    return take_end (p, sector, err) == -1 ? -1 : 1;
  case MARKER_FOOTER:
    return take_footer (p, sector, err) == -1 ? -1 : 1;
  case MARKER_GT:
    r = check_count (p, count, rv_vmdk_table_len (&p->layout), "grain table",
                     err);
    break;
  case MARKER_GD:
    r = check_count (p, count, rv_vmdk_gd_len (&p->layout), "grain directory",
                     err);
    break;
  case MARKER_PROGRESS:
    r = check_count (p, count, 0, "progress", err);
    break;
  default:
    r = rv_error_corrupt (
        err, "%s: neither a grain nor a known marker at byte %ju (type %u)",
        p->file, (uintmax_t) (here (p) - RV_VMDK_SECTOR), type);
  }
  return r == -1 ? -1 : take_counted (p, type, count, err);
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

  if (!has_footer (p) && at_end (p, &end, err) == -1)
    return -1;
  if (!has_footer (p) && end)
    return 0;
  return take (p, NULL, -here (p) % RV_VMDK_SECTOR, "a grain's last sector",
               err);
}

static int
take_grain (struct rv_vmdk_pass *p, struct rv_vmdk_grain *g, uint8_t *payload,
            rawview_error *err)
{
  const struct rv_vmdk_layout *l = &p->layout;
  uint8_t marker[RV_VMDK_MARKER_LEN];
  uint64_t at = here (p), lba;
  uint32_t size;

  if (take (p, marker, sizeof marker, "a grain", err) == -1)
    return -1;
  lba = rv_le64 (marker);
  size = rv_le32 (marker + 8);
  if (check_grain (p, lba, size, at, err) == -1 ||
      take (p, payload, size, "a grain", err) == -1 || take_rest (p, err) == -1)
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

  if (at_end (p, &end, err) == -1)
    return -1;
  if (end && !has_footer (p))
    return rv_vmdk_sums_verify (&p->sums, p->file, err);
  if (rv_pipe_peek (p->pipe, RV_VMDK_MARKER_LEN, &view, err) == -1)
    return -1;
  if (view.len == RV_VMDK_MARKER_LEN && rv_le32 (view.p + 8) != 0)
    return 1;
  if (take (p, sector, sizeof sector, "the stream of grains", err) == -1)
    return -1;
  r = take_marker (p, sector, err);
  return r == -1 ? -1 : r == 1 ? 0 : 2;
}

int
rv_vmdk_pass_next (struct rv_vmdk_pass *p, struct rv_vmdk_grain *g,
                   uint8_t *payload, rawview_error *err)
{
  int r;

  do {
    if (take_places (p, err) == -1)
      return -1;
    r = look_at (p, err);
  } while (r == 2);
  return r == 1 ? take_grain (p, g, payload, err) : r;
}
