/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of a VMDK that comes from a pipe. */

#include <config.h>

#include "format/format.h"
#include "format/vmdk-descriptor.h"
#include "format/vmdk-pass.h"
#include "format/vmdk-stream.h"
#include "util/checked.h"
#include "util/error.h"

/*--- Tables -------------------------------------------------------------*/

int
rv_vmdk_pass_take_table (struct rv_vmdk_pass *p, rawview_error *err)
{
  uint64_t sector = rv_vmdk_pass_here (p) / RV_VMDK_SECTOR;
  uint32_t len = rv_vmdk_table_len (&p->layout);
  CLEANUP_FREE uint8_t *bytes = malloc (len);

  if (bytes == NULL)
    return rv_error_nomem (err);
  if (rv_vmdk_pass_take (p, bytes, len, "a grain table", err) == -1)
    return -1;
  return rv_vmdk_sums_table (&p->sums, sector, bytes, p->file, err);
}

int
rv_vmdk_pass_take_directory (struct rv_vmdk_pass *p, rawview_error *err)
{
  uint64_t sector = rv_vmdk_pass_here (p) / RV_VMDK_SECTOR;
  uint64_t len = rv_vmdk_gd_len (&p->layout);
  CLEANUP_FREE uint8_t *bytes = malloc (len);

  if (bytes == NULL)
    return rv_error_nomem (err);
  if (rv_vmdk_pass_take (p, bytes, len, "the grain directory", err) == -1 ||
      rv_vmdk_pass_take (p, NULL, -len % RV_VMDK_SECTOR, "the grain directory",
                         err) == -1)
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
  if (rv_vmdk_pass_has_footer (p))
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
    return rv_vmdk_pass_take_directory (p, err) == -1 ? -1
                                                      : find_places (p, err);
  p->place++;
  /* Directory entries may share a table. */
  while (p->place < p->nr_places &&
         p->places[p->place] == p->places[p->place - 1])
    p->place++;
  return rv_vmdk_pass_take_table (p, err);
}

static int
refuse_order (const struct rv_vmdk_pass *p, uint64_t place, rawview_error *err)
{
  return rv_error_unsupported (
      err,
      "%s: the %s at byte %ju came before its place was known, so that "
      "it cannot be read from a pipe; save it as a file and copy that",
      p->file, p->sums.gd ? "grain table" : "grain directory",
      (uintmax_t) place);
}

int
rv_vmdk_pass_take_places (struct rv_vmdk_pass *p, rawview_error *err)
{
  for (;;) {
    uint64_t place = next_place (p), pos = rv_vmdk_pass_here (p);

    if (place < pos)
      return refuse_order (p, place, err);
    if (place == pos) {
      if (take_place (p, err) == -1)
        return -1;
    }
    else if (pos >= p->front)
      return 0;
    else if (rv_vmdk_pass_take (p, NULL, rv_min_u64 (place, p->front) - pos,
                                "what precedes the grains", err) == -1)
      return -1;
  }
}
