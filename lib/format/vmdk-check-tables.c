/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way to the grain tables, and what it says twice. */

#include <config.h>

#include <string.h>

#include "format/vmdk-check.h"

/* A copy may be behind while a writer has the extent open. */
static const char *
excuse (const struct rv_vmdk_layout *l)
{
  return l->unclean ? " (the extent was not closed cleanly)" : "";
}

/* Both are at hand and not the same. */
static void
tell_difference (struct rv_vmdk_check *w, uint64_t table)
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
compare_second (struct rv_vmdk_check *w, uint64_t table,
                const struct rv_vmdk_entry *e)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  size_t len = rv_vmdk_table_len (l);
  struct rv_vmdk_entry second;
  uint8_t raw[4];

  if (!rv_vmdk_check_read (w, raw, sizeof raw, l->rgd_off + 4 * table))
    return;
  rv_vmdk_entry_of_table (l, rv_le32 (raw), w->g->io->size, &second);
  if (second.state == e->state && e->state != RV_VMDK_STORED)
    return;
  if (second.state == RV_VMDK_STORED && e->state == RV_VMDK_STORED) {
    if (!rv_vmdk_check_read (w, w->second, len, second.off))
      return;
    rv_vmdk_check_note_end (w, second.off + len);
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
read_table (struct rv_vmdk_check *w, uint64_t table,
            const struct rv_vmdk_entry *e)
{
  if (!rv_vmdk_claim (&w->tables, e->off / RV_VMDK_SECTOR))
    CORRUPTION (w, "%s: grain table %ju, at byte %ju, overlaps another",
                w->g->io->name, (uintmax_t) table, (uintmax_t) e->off);
  rv_vmdk_check_note_end (w, e->off + rv_vmdk_table_len (&w->g->layout));
  return rv_vmdk_check_read (w, w->table, rv_vmdk_table_len (&w->g->layout),
                             e->off);
}

/* Is there another way to the table? */
static bool
has_good_copy (struct rv_vmdk_check *w, uint64_t table)
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
tell_bad_table (struct rv_vmdk_check *w, uint64_t i,
                const struct rv_vmdk_entry *e)
{
  CORRUPTION (w, "%s: grain directory entry %ju, 0x%jx, %s%s", w->g->io->name,
              (uintmax_t) i, (uintmax_t) e->raw, e->why,
              has_good_copy (w, i)
                  ? "; that of the redundant directory is possible, and "
                    "rescue=yes reads by it"
                  : "");
}

void
rv_vmdk_check_directory (struct rv_vmdk_check *w)
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
      rv_vmdk_check_table (w, i);
  }
}

int
rv_vmdk_check_find_copies (struct rv_vmdk_check *w, rawview_error *err)
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
  if (!rv_vmdk_check_read (w, rgd, rv_vmdk_gd_len (l), l->rgd_off))
    return 0;
  for (uint64_t i = 0; i < l->gd_entries; i++) {
    rv_vmdk_entry_of_table (l, rv_le32 (rgd + 4 * i), w->g->io->size, &e);
    if (e.state == RV_VMDK_STORED)
      w->copies.tables[w->copies.nr_tables++] = e.raw;
  }
  rv_vmdk_ranges_sort (&w->copies);
  return 0;
}

/* Bytes behind the first grain that tables take up. */
static uint64_t
table_bytes_after (const struct rv_vmdk_check *w, uint64_t off)
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

void
rv_vmdk_check_count_leaks (struct rv_vmdk_check *w)
{
  const struct rv_vmdk_layout *l = &w->g->layout;
  uint64_t from =
      rv_min_u64 (w->first_grain, rv_div_up (l->data_off, l->grain) * l->grain);
  uint64_t used = w->stored * l->grain + table_bytes_after (w, from);
  uint64_t have = w->g->io->size > from ? w->g->io->size - from : 0;
  uint64_t leaked = have > used ? (have - used) / l->grain : 0;

  if (leaked > 0)
    rv_vmdk_check_tell (w, RAWVIEW_FINDING_LEAK, leaked,
                        "%s: room for %ju grains is not used by any table",
                        w->g->io->name, (uintmax_t) leaked);
}
