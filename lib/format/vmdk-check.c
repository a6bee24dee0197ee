/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview_check: every entry of every table, by the judgement that reading
 * uses, and what reading one place cannot see: grains or tables that overlap,
 * second tables that differ, space that nobody uses.
 */

#include <config.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format/vmdk-claims.h"
#include "format/vmdk-stream.h"
#include "format/vmdk.h"
#include "util/error.h"
#include "util/text.h"

/* A thoroughly broken image has millions; all are counted, so many told. */
#define TOLD_MAX 1000u

struct walk {
  void (*cb) (void *opaque, rawview_finding finding, const char *msg);
  void *opaque;
  rawview_check_result *result;
  unsigned told;
  uint64_t repairable; /* see struct rv_format */

  /* The extent at hand. */
  const struct rv_vmdk_grains *g;
  struct rv_vmdk_claims tables, grains;
  uint8_t *table, *second; /* one table each */
  uint64_t stored;         /* uncompressed grains */
  uint64_t first_grain;    /* lowest byte of a grain */
};

static uint64_t *
counter (struct walk *w, rawview_finding finding)
{
  switch (finding) {
  case RAWVIEW_FINDING_CORRUPTION:
    return &w->result->corruptions;
  case RAWVIEW_FINDING_LEAK:
    return &w->result->leaks;
  default:
    return &w->result->check_errors;
  }
}

static void tell (struct walk *w, rawview_finding finding, uint64_t n,
                  const char *fmt, ...) RV_PRINTF (4, 5);

/* n: what the finding adds to its counter */
static void
tell (struct walk *w, rawview_finding finding, uint64_t n, const char *fmt, ...)
{
  char msg[sizeof ((rawview_error *) NULL)->msg];
  va_list args;

  *counter (w, finding) += n;
  if (w->told > TOLD_MAX)
    return;
  va_start (args, fmt);
  vsnprintf (msg, sizeof msg, fmt, args);
  va_end (args);
  rv_text_make_printable (msg);
  w->cb (w->opaque, finding,
         w->told++ < TOLD_MAX ? msg : "more findings are only counted");
}

#define CORRUPTION(w, ...) \
  tell ((w), RAWVIEW_FINDING_CORRUPTION, 1, __VA_ARGS__)

static void
note_end (struct walk *w, uint64_t end)
{
  w->result->image_end_offset = rv_max_u64 (w->result->image_end_offset, end);
}

/* A read that fails leaves a part unchecked; the rest goes on. */
static bool
read_or_tell (struct walk *w, void *buf, size_t len, uint64_t off)
{
  rawview_error err;

  if (rv_io_pread (w->g->io, buf, len, off, &err) == 0)
    return true;
  tell (w, RAWVIEW_FINDING_ERROR, 1, "%s", err.msg);
  return false;
}

/*--- Grains -------------------------------------------------------------*/

/* The marker says whose grain it is and how long. */
static void
check_compressed (struct walk *w, uint64_t grain, const struct rv_vmdk_entry *e)
{
  uint8_t marker[RV_VMDK_MARKER_LEN];
  uint64_t off = grain * w->g->layout.grain;
  struct rv_view payload;
  struct rv_map map;
  rawview_error err;
  size_t len;

  w->result->compressed_clusters++;
  if (!read_or_tell (w, marker, sizeof marker, e->off))
    return;
  rv_vmdk_grains_map_compressed (w->g, off, 1, e, &map);
  if (map.payload (&map, (struct rv_view){ marker, sizeof marker }, &payload,
                   &len, &err) == -1) {
    CORRUPTION (w, "%s", err.msg);
    return;
  }
  note_end (w, e->off + len);
  if (e->free - e->off < len)
    CORRUPTION (w, "%s: the compressed grain at byte %ju runs into a table",
                w->g->io->name, (uintmax_t) e->off);
  if (!rv_vmdk_claim_all (&w->grains, e->off / RV_VMDK_SECTOR,
                          rv_div_up (len, RV_VMDK_SECTOR)))
    CORRUPTION (w, "%s: the compressed grain at byte %ju overlaps another",
                w->g->io->name, (uintmax_t) e->off);
}

static void
check_stored (struct walk *w, uint64_t grain, const struct rv_vmdk_entry *e)
{
  w->result->allocated_clusters++;
  if (w->g->layout.compressed) {
    check_compressed (w, grain, e);
    return;
  }
  w->stored++;
  w->first_grain = rv_min_u64 (w->first_grain, e->off);
  note_end (w, rv_min_u64 (e->off + w->g->layout.grain, w->g->io->size));
  if (!rv_vmdk_claim (&w->grains, e->off / RV_VMDK_SECTOR))
    CORRUPTION (w, "%s: grain %ju, at byte %ju of the file, overlaps another",
                w->g->io->name, (uintmax_t) grain, (uintmax_t) e->off);
}

static void
check_table (struct walk *w, uint64_t table)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  uint64_t grain = table * l->table_entries;
  uint64_t end =
      rv_min_u64 (grain + l->table_entries, rv_div_up (w->g->size, l->grain));
  struct rv_vmdk_entry e;

  for (; grain < end; grain++) {
    rv_vmdk_grains_entry (w->g, grain, w->table, &e);
    if (e.state == RV_VMDK_BAD)
      CORRUPTION (w, "%s: grain %ju: the grain table entry 0x%jx %s",
                  w->g->io->name, (uintmax_t) grain, (uintmax_t) e.raw, e.why);
    else if (e.state == RV_VMDK_STORED)
      check_stored (w, grain, &e);
  }
}

/*--- Tables -------------------------------------------------------------*/

/* Each table exists twice in most hosted sparse extents. */
static void
compare_second (struct walk *w, uint64_t table, const struct rv_vmdk_entry *e)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  size_t len = rv_vmdk_table_len (l);
  struct rv_vmdk_entry second;
  uint8_t raw[4];

  if (!read_or_tell (w, raw, sizeof raw, l->rgd_off + 4 * table))
    return;
  rv_vmdk_entry_of_table (l, rv_le32 (raw), w->g->io->size, &second);
  if (second.state == e->state && e->state != RV_VMDK_STORED)
    return;
  if (second.state == RV_VMDK_STORED && e->state == RV_VMDK_STORED) {
    if (!read_or_tell (w, w->second, len, second.off))
      return;
    note_end (w, second.off + len);
    if (memcmp (w->table, w->second, len) == 0)
      return;
  }
  w->repairable += l->unclean;
  CORRUPTION (w,
              "%s: grain table %ju differs from its redundant copy; rawview "
              "reads the first%s",
              w->g->io->name, (uintmax_t) table,
              l->unclean ? " (the extent was not closed cleanly)" : "");
}

static bool
read_table (struct walk *w, uint64_t table, const struct rv_vmdk_entry *e)
{
  if (!rv_vmdk_claim (&w->tables, e->off / RV_VMDK_SECTOR))
    CORRUPTION (w, "%s: grain table %ju, at byte %ju, overlaps another",
                w->g->io->name, (uintmax_t) table, (uintmax_t) e->off);
  note_end (w, e->off + rv_vmdk_table_len (&w->g->layout));
  return read_or_tell (w, w->table, rv_vmdk_table_len (&w->g->layout), e->off);
}

static void
check_directory (struct walk *w)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  struct rv_vmdk_entry e;

  for (uint64_t i = 0; i < l->gd_entries; i++) {
    rv_vmdk_grains_table (w->g, i, &e);
    if (e.state == RV_VMDK_BAD) {
      CORRUPTION (w, "%s: grain directory entry %ju, 0x%jx, %s", w->g->io->name,
                  (uintmax_t) i, (uintmax_t) e.raw, e.why);
      continue;
    }
    if (e.state == RV_VMDK_STORED && !read_table (w, i, &e))
      continue;
    if (l->rgd_off)
      compare_second (w, i, &e);
    if (e.state == RV_VMDK_STORED)
      check_table (w, i);
  }
}

/*--- Extents ------------------------------------------------------------*/

/* Bytes behind the first grain that tables take up. */
static uint64_t
table_bytes_after (const struct walk *w, uint64_t off)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  struct rv_vmdk_entry e;
  uint64_t n = 0;

  for (uint64_t i = 0; i < l->gd_entries; i++) {
    rv_vmdk_grains_table (w->g, i, &e);
    n += e.state == RV_VMDK_STORED && e.off >= off;
  }
  return n * rv_vmdk_table_len (l) * (l->rgd_off ? 2 : 1);
}

/* Grains are written at the end of the file before a table points to them; a
 * writer that dies between the two leaves space that nobody uses.
 */
static void
count_leaks (struct walk *w)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  uint64_t from =
      rv_min_u64 (w->first_grain, rv_div_up (l->data_off, l->grain) * l->grain);
  uint64_t used = w->stored * l->grain + table_bytes_after (w, from);
  uint64_t have = w->g->io->size > from ? w->g->io->size - from : 0;
  uint64_t leaked = have > used ? (have - used) / l->grain : 0;

  if (leaked > 0)
    tell (w, RAWVIEW_FINDING_LEAK, leaked,
          "%s: room for %ju grains is not used by any table", w->g->io->name,
          (uintmax_t) leaked);
}

static int
begin_extent (struct walk *w, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  uint64_t size = w->g->io->size, table_len = rv_vmdk_table_len (l);

  w->stored = 0;
  w->first_grain = UINT64_MAX;
  if (rv_vmdk_claims_init (&w->tables, size, table_len / RV_VMDK_SECTOR, err) ==
          -1 ||
      rv_vmdk_claims_init (&w->grains, size,
                           l->compressed ? 1 : l->grain / RV_VMDK_SECTOR,
                           err) == -1)
    return -1;
  w->table = malloc (table_len);
  w->second = malloc (table_len);
  return w->table && w->second ? 0 : rv_error_nomem (err);
}

static void
end_extent (struct walk *w)
{
  rv_vmdk_claims_release (&w->tables);
  rv_vmdk_claims_release (&w->grains);
  free (w->table);
  free (w->second);
  w->table = w->second = NULL;
}

static int
check_sparse (struct walk *w, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &w->g->layout;

  if (begin_extent (w, err) == -1)
    return -1;
  w->result->total_clusters += rv_div_up (w->g->size, l->grain);
  note_end (w, l->gd_off + rv_vmdk_gd_len (l));
  if (l->unclean) {
    w->repairable++;
    tell (w, RAWVIEW_FINDING_ERROR, 1,
          "%s: was not closed cleanly: whether something is missing cannot be "
          "told",
          w->g->io->name);
  }
  if (l->rgd_missing)
    CORRUPTION (w, "%s: the redundant grain directory is outside the file",
                w->g->io->name);
  check_directory (w);
  if (l->kind == RV_VMDK_HOSTED && !l->compressed && w->g->size == l->capacity)
    count_leaks (w);
  return 0;
}

static int
check_extent (struct walk *w, const struct rv_vmdk_extent *e,
              rawview_error *err)
{
  int r;

  if (e->io == NULL)
    return 0;
  if (rv_vmdk_extent_is_flat (e)) {
    note_end (w, e->host_off + e->avail);
    if (e->avail < e->len)
      CORRUPTION (w, "%s: the last %ju bytes of the extent are missing",
                  e->io->name, (uintmax_t) (e->len - e->avail));
    return 0;
  }
  w->g = &e->grains;
  r = check_sparse (w, err);
  end_extent (w);
  return r;
}

int
rv_vmdk_check (struct rv_format *format,
               void (*cb) (void *opaque, rawview_finding finding,
                           const char *msg),
               void *opaque, rawview_check_result *result, rawview_error *err)
{
  const struct rv_vmdk *v = (struct rv_vmdk *) format;
  struct walk w = { .cb = cb, .opaque = opaque, .result = result };

  for (size_t i = 0; i < v->nr_extents; i++)
    if (check_extent (&w, &v->extents[i], err) == -1)
      return -1;
  format->repairable = w.repairable;
  return 0;
}
