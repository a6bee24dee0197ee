/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Going through a stream by its markers. */

#include <config.h>

#include <stdlib.h>

#include "format/vmdk-descriptor.h"
#include "format/vmdk-found.h"
#include "format/vmdk-stream.h"
#include "util/error.h"

/*--- Markers ------------------------------------------------------------*/

/* How much is read at once where sector by sector is looked at. */
#define WINDOW (64u << 10)

struct scan {
  struct rv_io *io;
  const struct rv_vmdk_layout *layout;
  struct rv_vmdk_found *found;
  uint64_t pos;  /* of the marker at hand, whole sectors */
  uint64_t prev; /* of the last grain's */
  uint64_t next; /* first grain that may still come in order */
  bool broken;   /* something may be missing since the last grain */
  bool complete; /* all grains have come */
  bool after_table;
  uint64_t gd_off; /* 0: not found */
  uint8_t window[WINDOW];
  uint64_t window_off;
  size_t window_len;
};

enum step { STEP_ON, STEP_BROKEN, STEP_END, STEP_FAILED };

/* The sector at pos; NULL at the end of the file.  *failed: could not read. */
static const uint8_t *
look (struct scan *s, size_t ahead, bool *failed, rawview_error *err)
{
  if (s->pos + RV_VMDK_SECTOR > s->io->size)
    return NULL;
  if (s->pos < s->window_off ||
      s->pos + RV_VMDK_SECTOR > s->window_off + s->window_len) {
    s->window_len = rv_min_u64 (ahead, s->io->size - s->pos);
    s->window_off = s->pos;
    if (rv_io_pread (s->io, s->window, s->window_len, s->pos, err) == -1) {
      s->window_len = 0;
      *failed = true;
      return NULL;
    }
  }
  return s->window + (s->pos - s->window_off);
}

/* Can this be the marker of a whole grain?  p: its sector. */
static bool
is_grain (const struct scan *s, const uint8_t *p)
{
  const struct rv_vmdk_layout *l = s->layout;
  uint64_t lba = rv_le64 (p);
  uint32_t size = rv_le32 (p + 8);

  return size != 0 &&
         size <= rv_vmdk_unit_max (l->grain) - RV_VMDK_MARKER_LEN &&
         lba % (l->grain / RV_VMDK_SECTOR) == 0 &&
         lba < l->capacity / RV_VMDK_SECTOR &&
         rv_range_fits (s->pos, RV_VMDK_MARKER_LEN + (uint64_t) size,
                        s->io->size);
}

/* And is it one, where nothing says that there must be one?  The first two
 * bytes of a zlib stream are a multiple of 31.
 */
static bool
is_surely_grain (const struct scan *s, const uint8_t *p)
{
  unsigned zlib = (unsigned) p[12] << 8 | p[13];

  return is_grain (s, p) && (p[12] & 0x0f) == 8 && zlib % 31 == 0 &&
         rv_le64 (p) * RV_VMDK_SECTOR / s->layout->grain >= s->next;
}

static enum step
take_grain (struct scan *s, const uint8_t *p, rawview_error *err)
{
  uint64_t grain = rv_le64 (p) * RV_VMDK_SECTOR / s->layout->grain;

  if (s->pos / RV_VMDK_SECTOR > RV_VMDK_FOUND_SECTOR_MAX)
    return STEP_END;
  if (grain < s->next)
    s->found->unordered = true;
  else if (!s->broken && rv_vmdk_found_set_none (s->found, s->next, grain,
                                                 s->io->name, err) == -1)
    return STEP_FAILED;
  if (rv_vmdk_found_set_grain (s->found, grain, s->pos / RV_VMDK_SECTOR,
                               s->io->name, err) == -1)
    return STEP_FAILED;
  s->next = rv_max_u64 (s->next, grain + 1);
  s->broken = s->after_table = s->complete = false;
  s->prev = s->pos;
  s->pos += rv_div_up (RV_VMDK_MARKER_LEN + (uint64_t) rv_le32 (p + 8),
                       RV_VMDK_SECTOR) *
            RV_VMDK_SECTOR;
  return STEP_ON;
}

/* What a marker announces must be there, len bytes that fill their sectors. */
static bool
announces (const struct scan *s, const uint8_t *p, uint64_t len)
{
  return rv_le64 (p) == rv_div_up (len, RV_VMDK_SECTOR) &&
         rv_range_fits (s->pos + RV_VMDK_SECTOR, len, s->io->size);
}

/* A table stands behind its last grain.  Where a second one follows at once,
 * the tables stand behind all grains.
 */
static enum step
take_table (struct scan *s, rawview_error *err)
{
  struct rv_vmdk_found *f = s->found;
  uint64_t end = rv_min_u64 (
      rv_div_up (s->next, f->table_entries) * f->table_entries, f->nr_grains);

  s->complete = s->complete || (s->after_table && !s->broken);
  s->after_table = true;
  if (!s->broken &&
      rv_vmdk_found_set_none (f, s->next, end, s->io->name, err) == -1)
    return STEP_FAILED;
  if (!s->broken)
    s->next = end;
  s->pos += RV_VMDK_SECTOR +
            rv_div_up (rv_vmdk_table_len (s->layout), RV_VMDK_SECTOR) *
                RV_VMDK_SECTOR;
  return STEP_ON;
}

static enum step
take_other (struct scan *s, const uint8_t *p, rawview_error *err)
{
  switch (rv_le32 (p + 12)) {
  case RV_VMDK_MARKER_GT:
    if (!announces (s, p, rv_vmdk_table_len (s->layout)))
      return STEP_BROKEN;
    return take_table (s, err);
  case RV_VMDK_MARKER_GD:
    if (!announces (s, p, rv_vmdk_gd_len (s->layout)))
      return STEP_BROKEN;
    s->gd_off = s->pos + RV_VMDK_SECTOR;
    return STEP_END;
  case RV_VMDK_MARKER_PROGRESS:
    if (!announces (s, p, 0))
      return STEP_BROKEN;
    s->pos += RV_VMDK_SECTOR;
    return STEP_ON;
  default:
    /* Nothing is concluded from an end mark: it is an empty sector, as a file
     * that was cut may have as well.
     */
    return STEP_BROKEN;
  }
}

static enum step
follow (struct scan *s, rawview_error *err)
{
  bool failed = false;
  const uint8_t *p = look (s, RV_VMDK_SECTOR, &failed, err);

  if (p == NULL)
    return failed ? STEP_BROKEN : STEP_END;
  if (rv_le32 (p + 8) == 0)
    return take_other (s, p, err);
  return is_grain (s, p) ? take_grain (s, p, err) : STEP_BROKEN;
}

/* Looks for the next grain from behind the last one's marker on: it may be that
 * one which is wrong.  A sector that cannot be read has none.
 */
static enum step
search (struct scan *s)
{
  s->broken = true;
  if (s->prev != 0)
    s->pos = s->prev;
  for (s->pos += RV_VMDK_SECTOR; s->pos + RV_VMDK_SECTOR <= s->io->size;
       s->pos += RV_VMDK_SECTOR) {
    bool failed = false;
    const uint8_t *p = look (s, WINDOW, &failed, NULL);

    if (p == NULL)
      p = look (s, RV_VMDK_SECTOR, &failed, NULL);
    if (p && is_surely_grain (s, p))
      return STEP_ON;
    if (p && rv_le32 (p + 8) == 0 && rv_le32 (p + 12) == RV_VMDK_MARKER_GD &&
        announces (s, p, rv_vmdk_gd_len (s->layout)))
      return STEP_ON;
  }
  return STEP_END;
}

static int
scan (struct scan *s, rawview_error *err)
{
  enum step step = STEP_ON;

  while (step == STEP_ON) {
    step = follow (s, err);
    if (step == STEP_BROKEN)
      step = search (s);
  }
  if (step == STEP_FAILED)
    return -1;
  return s->complete
             ? rv_vmdk_found_set_none (s->found, s->next, s->found->nr_grains,
                                       s->io->name, err)
             : 0;
}

int
rv_vmdk_found_new (struct rv_io *io, const struct rv_vmdk_layout *l,
                   uint64_t *gd_off, struct rv_vmdk_found **found,
                   rawview_error *err)
{
  struct scan *s = calloc (1, sizeof *s);
  int r = -1;

  *found = NULL;
  *gd_off = 0;
  if (s)
    *s = (struct scan){ .io = io,
                        .layout = l,
                        .found = rv_vmdk_found_alloc (l),
                        .pos = l->grains_off };
  if (s && s->found)
    r = scan (s, err);
  else
    rv_error_fill (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
  if (r == 0 && s->gd_off == 0)
    *found = STEAL (s->found);
  if (r == 0)
    *gd_off = s->gd_off;
  if (s)
    rv_vmdk_found_free (s->found);
  free (s);
  return r;
}
