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
#include "format/vmdk-found.h"
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
  struct rv_vmdk_ranges copies; /* redundant tables */
  uint8_t *table, *second;      /* one table each */
  uint64_t stored;              /* uncompressed grains */
  uint64_t first_grain;         /* lowest byte of a grain */
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

/* Reading does not look at the redundant tables; writing one, or the grain,
 * would spoil the other.
 */
static void
check_copies (struct walk *w, uint64_t grain, const struct rv_vmdk_entry *e)
{
  uint64_t next;

  if (w->copies.nr_tables == 0)
    return;
  next = rv_vmdk_ranges_next (&w->copies, e->off);
  if (next < e->off + w->g->layout.grain)
    CORRUPTION (w,
                "%s: grain %ju, at byte %ju of the file, overlaps the "
                "redundant grain table at byte %ju",
                w->g->io->name, (uintmax_t) grain, (uintmax_t) e->off,
                (uintmax_t) next);
}

static void
check_stored (struct walk *w, uint64_t grain, const struct rv_vmdk_entry *e)
{
  w->result->allocated_clusters++;
  if (w->g->layout.compressed) {
    check_compressed (w, grain, e);
    return;
  }
  check_copies (w, grain, e);
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

/* A copy may be behind while a writer has the extent open. */
static const char *
excuse (const struct rv_vmdk_layout *l)
{
  return l->unclean ? " (the extent was not closed cleanly)" : "";
}

/* Both are at hand and not the same. */
static void
tell_difference (struct walk *w, uint64_t table)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  uint64_t n = 0, first = 0;

  for (uint32_t i = l->table_entries; i-- > 0;)
    if (memcmp (w->table + 4 * i, w->second + 4 * i, 4) != 0) {
      first = table * l->table_entries + i;
      n++;
    }
  CORRUPTION (w,
              "%s: grain table %ju differs from its redundant copy in %ju "
              "entries, first for grain %ju (byte %ju of the extent); rawview "
              "reads the first%s",
              w->g->io->name, (uintmax_t) table, (uintmax_t) n,
              (uintmax_t) first, (uintmax_t) first * l->grain, excuse (l));
}

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
  if (second.state != RV_VMDK_STORED || e->state != RV_VMDK_STORED)
    CORRUPTION (
        w,
        "%s: grain table %ju differs from its redundant copy: the "
        "directories name sectors %ju and %ju; rawview reads the first%s",
        w->g->io->name, (uintmax_t) table, (uintmax_t) e->raw,
        (uintmax_t) second.raw, excuse (&w->g->layout));
  else
    tell_difference (w, table);
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

/* Is there another way to the table? */
static bool
has_good_copy (struct walk *w, uint64_t table)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  struct rv_vmdk_entry e;
  uint8_t raw[4];

  if (l->rgd_off == 0 || rv_io_pread (w->g->io, raw, sizeof raw,
                                      l->rgd_off + 4 * table, NULL) == -1)
    return false;
  rv_vmdk_entry_of_table (l, rv_le32 (raw), w->g->io->size, &e);
  return e.state != RV_VMDK_BAD;
}

static void
tell_bad_table (struct walk *w, uint64_t i, const struct rv_vmdk_entry *e)
{
  CORRUPTION (w, "%s: grain directory entry %ju, 0x%jx, %s%s", w->g->io->name,
              (uintmax_t) i, (uintmax_t) e->raw, e->why,
              has_good_copy (w, i)
                  ? "; that of the redundant directory is possible, and "
                    "rescue=yes reads by it"
                  : "");
}

static void
check_directory (struct walk *w)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  struct rv_vmdk_entry e;

  for (uint64_t i = 0; i < l->gd_entries; i++) {
    rv_vmdk_grains_table (w->g, i, &e);
    if (e.state == RV_VMDK_BAD) {
      tell_bad_table (w, i, &e);
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

/* Where the redundant tables are, as far as their directory makes sense. */
static int
find_copies (struct walk *w, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  CLEANUP_FREE uint8_t *rgd = NULL;
  struct rv_vmdk_entry e;

  if (l->rgd_off == 0 || l->rgd_off == l->gd_off)
    return 0;
  rgd = malloc (rv_vmdk_gd_len (l));
  w->copies.tables =
      reallocarray (NULL, l->gd_entries, sizeof *w->copies.tables);
  if (rgd == NULL || w->copies.tables == NULL)
    return rv_error_nomem (err);
  w->copies.table_len = rv_vmdk_table_len (l);
  if (!read_or_tell (w, rgd, rv_vmdk_gd_len (l), l->rgd_off))
    return 0;
  for (uint64_t i = 0; i < l->gd_entries; i++) {
    rv_vmdk_entry_of_table (l, rv_le32 (rgd + 4 * i), w->g->io->size, &e);
    if (e.state == RV_VMDK_STORED)
      w->copies.tables[w->copies.nr_tables++] = e.raw;
  }
  rv_vmdk_ranges_sort (&w->copies);
  return 0;
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
  if (w->table == NULL || w->second == NULL)
    return rv_error_nomem (err);
  return find_copies (w, err);
}

static void
end_extent (struct walk *w)
{
  rv_vmdk_claims_release (&w->tables);
  rv_vmdk_claims_release (&w->grains);
  rv_vmdk_ranges_release (&w->copies);
  free (w->table);
  free (w->second);
  w->table = w->second = NULL;
}

/* A stream's directory is lost: its grains were found by their markers. */
static void
check_found (struct walk *w)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  uint64_t grains = rv_div_up (w->g->size, l->grain), n, lost = 0, first = 0;
  struct rv_vmdk_entry e = { .state = RV_VMDK_STORED, .free = UINT64_MAX };

  for (uint64_t grain = 0; grain < grains; grain += n)
    switch (rv_vmdk_found_get (w->g->found, grain, &n, &e.off)) {
    case RV_VMDK_FIND_GRAIN:
      check_stored (w, grain, &e);
      break;
    case RV_VMDK_FIND_LOST:
      first = lost ? first : grain;
      lost += rv_min_u64 (n, grains - grain);
      break;
    default:
      break;
    }
  CORRUPTION (w,
              "%s: no footer leads to the grain directory: the stream is cut; "
              "%ju grains are there",
              w->g->io->name, (uintmax_t) w->result->allocated_clusters);
  if (lost)
    CORRUPTION (w,
                "%s: %ju of %ju grains are missing or were zeros, the first at "
                "byte %ju of the extent",
                w->g->io->name, (uintmax_t) lost, (uintmax_t) grains,
                (uintmax_t) (first * l->grain));
}

/* An empty sector ends a stream, however long ago its directory came. */
static void
check_end_mark (struct walk *w)
{
  uint64_t size = w->g->io->size;
  uint8_t last[RV_VMDK_SECTOR] = { 0 };
  uint64_t n = size % RV_VMDK_SECTOR ? size % RV_VMDK_SECTOR : RV_VMDK_SECTOR;

  if (!read_or_tell (w, last, n, size - n))
    return;
  for (size_t i = 0; i < n; i++)
    if (last[i] != 0) {
      CORRUPTION (w,
                  "%s: the stream has no end mark: it is cut or something was "
                  "appended",
                  w->g->io->name);
      return;
    }
}

/* By the directory, or what there is of one. */
static void
check_tables (struct walk *w)
{
  const struct rv_vmdk_layout *l = &w->g->layout;

  if (w->g->found) {
    check_found (w);
    return;
  }
  if (l->gd_missing)
    CORRUPTION (w,
                "%s: the grain directory is not where the file says; the "
                "%s was checked",
                w->g->io->name,
                l->has_lba ? "one that its marker leads to" : "redundant one");
  note_end (w, l->gd_off + rv_vmdk_gd_len (l));
  check_directory (w);
  if (l->has_lba && !l->gd_missing)
    check_end_mark (w);
  if (l->kind == RV_VMDK_HOSTED && !l->compressed && w->g->size == l->capacity)
    count_leaks (w);
}

static int
check_sparse (struct walk *w, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &w->g->layout;

  if (begin_extent (w, err) == -1)
    return -1;
  w->result->total_clusters += rv_div_up (w->g->size, l->grain);
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
  check_tables (w);
  return 0;
}

static int
check_extent (struct walk *w, const struct rv_vmdk_extent *e,
              rawview_error *err)
{
  int r;

  if (e->io == NULL) {
    if (e->name && e->access != RV_VMDK_NOACCESS)
      CORRUPTION (w, "the extent file \"%s\" is missing", e->name);
    return 0;
  }
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

static bool
is_same_file (const struct rv_vmdk_extent *a, const struct rv_vmdk_extent *b)
{
  return b->io && !rv_vmdk_extent_is_flat (b) && rv_io_same (a->io, b->io);
}

/* Does an extent share its bytes with one before it? */
static void
check_overlap (struct walk *w, const struct rv_vmdk *v, size_t i)
{
  const struct rv_vmdk_extent *e = &v->extents[i];
  bool flat = rv_vmdk_extent_is_flat (e);

  for (size_t j = 0; e->io && j < i; j++)
    if (flat ? rv_vmdk_extents_overlap (e, &v->extents[j])
             : is_same_file (e, &v->extents[j])) {
      CORRUPTION (w,
                  "%s: the extents from byte %ju and from byte %ju of the disk "
                  "on overlap in the file",
                  e->io->name, (uintmax_t) v->extents[j].start,
                  (uintmax_t) e->start);
      return;
    }
}

int
rv_vmdk_check (struct rv_format *format,
               void (*cb) (void *opaque, rawview_finding finding,
                           const char *msg),
               void *opaque, rawview_check_result *result, rawview_error *err)
{
  const struct rv_vmdk *v = (struct rv_vmdk *) format;
  struct walk w = { .cb = cb, .opaque = opaque, .result = result };

  for (size_t i = 0; i < v->nr_extents; i++) {
    check_overlap (&w, v, i);
    if (check_extent (&w, &v->extents[i], err) == -1)
      return -1;
  }
  format->repairable = w.repairable;
  return 0;
}
