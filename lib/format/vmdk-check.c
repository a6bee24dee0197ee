/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview_check: every entry of every table, by the judgement that reading
 * uses, and what reading one place cannot see: grains or tables that overlap,
 * second tables that differ, space that nobody uses.
 */

#include <config.h>

#include <stdarg.h>
#include <stdio.h>

#include "format/vmdk-check.h"
#include "util/text.h"

/* A thoroughly broken image has millions; all are counted, so many told. */
#define TOLD_MAX 1000u

static uint64_t *
counter (struct rv_vmdk_check *w, rawview_finding finding)
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

void
rv_vmdk_check_tell (struct rv_vmdk_check *w, rawview_finding finding,
                    uint64_t n, const char *fmt, ...)
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

void
rv_vmdk_check_note_end (struct rv_vmdk_check *w, uint64_t end)
{
  w->result->image_end_offset = rv_max_u64 (w->result->image_end_offset, end);
}

bool
rv_vmdk_check_read (struct rv_vmdk_check *w, void *buf, size_t len,
                    uint64_t off)
{
  rawview_error err;

  if (rv_io_pread (w->g->io, buf, len, off, &err) == 0)
    return true;
  rv_vmdk_check_tell (w, RAWVIEW_FINDING_ERROR, 1, "%s", err.msg);
  return false;
}

/*--- Extents ------------------------------------------------------------*/

static int
begin_extent (struct rv_vmdk_check *w, rawview_error *err)
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
  return rv_vmdk_check_find_copies (w, err);
}

static void
end_extent (struct rv_vmdk_check *w)
{
  rv_vmdk_claims_release (&w->tables);
  rv_vmdk_claims_release (&w->grains);
  rv_vmdk_ranges_release (&w->copies);
  free (w->table);
  free (w->second);
  w->table = w->second = NULL;
}

/* An empty sector ends a stream, however long ago its directory came. */
static void
check_end_mark (struct rv_vmdk_check *w)
{
  uint64_t size = w->g->io->size;
  uint8_t last[RV_VMDK_SECTOR] = { 0 };
  uint64_t n = size % RV_VMDK_SECTOR ? size % RV_VMDK_SECTOR : RV_VMDK_SECTOR;

  if (!rv_vmdk_check_read (w, last, n, size - n))
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
check_tables (struct rv_vmdk_check *w)
{
  const struct rv_vmdk_layout *l = &w->g->layout;

  if (w->g->found) {
    rv_vmdk_check_found (w);
    return;
  }
  if (l->gd_missing)
    CORRUPTION (w,
                "%s: the grain directory is not where the file says; the "
                "%s was checked",
                w->g->io->name,
                l->has_lba ? "one that its marker leads to" : "redundant one");
  rv_vmdk_check_note_end (w, l->gd_off + rv_vmdk_gd_len (l));
  rv_vmdk_check_directory (w);
  if (l->has_lba && !l->gd_missing)
    check_end_mark (w);
  if (l->kind == RV_VMDK_HOSTED && !l->compressed && w->g->size == l->capacity)
    rv_vmdk_check_count_leaks (w);
}

static int
check_sparse (struct rv_vmdk_check *w, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &w->g->layout;

  if (begin_extent (w, err) == -1)
    return -1;
  w->result->total_clusters += rv_div_up (w->g->size, l->grain);
  if (l->unclean) {
    w->repairable++;
    rv_vmdk_check_tell (
        w, RAWVIEW_FINDING_ERROR, 1,
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
check_extent (struct rv_vmdk_check *w, const struct rv_vmdk_extent *e,
              rawview_error *err)
{
  int r;

  if (e->io == NULL) {
    if (e->name && e->access != RV_VMDK_NOACCESS)
      CORRUPTION (w, "the extent file \"%s\" is missing", e->name);
    return 0;
  }
  if (rv_vmdk_extent_is_flat (e)) {
    rv_vmdk_check_note_end (w, e->host_off + e->avail);
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
check_overlap (struct rv_vmdk_check *w, const struct rv_vmdk *v, size_t i)
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
  struct rv_vmdk_check w = { .cb = cb, .opaque = opaque, .result = result };

  for (size_t i = 0; i < v->nr_extents; i++) {
    check_overlap (&w, v, i);
    if (check_extent (&w, &v->extents[i], err) == -1)
      return -1;
  }
  format->repairable = w.repairable;
  return 0;
}
