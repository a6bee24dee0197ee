/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables exist twice in most hosted sparse extents.  Who finds the unclean flag
 * clear may rely on both being equal; who finds it set must make them so.
 */

#include <config.h>

#include <string.h>

#include "format/vmdk-claims.h"
#include "format/vmdk-write.h"
#include "util/error.h"

/* A table and its copy, as they are. */
struct pair {
  uint64_t i;
  uint64_t off, copy_off; /* copy_off 0: there is none */
  const uint8_t *bytes, *copy_bytes;
  struct rv_table *table, *copy;
};

/* Looking at all tables of an extent. */
struct vetting {
  const struct rv_vmdk_grains *g;
  struct rv_vmdk_growth *w;
  struct rv_vmdk_claims *claims; /* NULL: not looking for grains named twice */
  uint8_t *settled;              /* what both should be; may be NULL */
};

uint64_t
rv_vmdk_tables_bytes (const struct rv_vmdk_grains *g)
{
  return g->metadata.nr_tables * g->metadata.table_len;
}

/*--- One table ----------------------------------------------------------*/

uint64_t
rv_vmdk_copy_off (const struct rv_vmdk_grains *g,
                  const struct rv_vmdk_growth *w, uint64_t i)
{
  const struct rv_vmdk_layout *l = &g->layout;
  uint32_t raw = w->rgd ? rv_vmdk_directory_load (w->rgd, i) : 0;
  struct rv_vmdk_entry e;

  if (raw == RV_VMDK_NO_COPY)
    return 0;
  rv_vmdk_entry_of_table (l, raw, g->io->size, &e);
  if (e.state != RV_VMDK_STORED ||
      rv_vmdk_ranges_hit_fixed (&g->metadata, e.off, rv_vmdk_table_len (l)))
    return 0;
  return e.off;
}

static void
unpin_pair (const struct rv_vmdk_grains *g, struct pair *p)
{
  if (p->table)
    rv_table_unpin (g->tables, p->table);
  if (p->copy)
    rv_table_unpin (g->tables, p->copy);
  *p = (struct pair){ 0 };
}

static int
pin_pair (const struct rv_vmdk_grains *g, const struct rv_vmdk_growth *w,
          uint64_t i, struct pair *p, rawview_error *err)
{
  size_t len = rv_vmdk_table_len (&g->layout);
  struct rv_vmdk_entry e;

  rv_vmdk_grains_table (g, i, &e);
  *p = (struct pair){ .i = i, .off = e.off };
  p->copy_off = rv_vmdk_copy_off (g, w, i);
  if (rv_tables_pin (g->tables, g->io, p->off, len, &p->table, &p->bytes,
                     err) == -1)
    return -1;
  if (p->copy_off == 0 || rv_tables_pin (g->tables, g->io, p->copy_off, len,
                                         &p->copy, &p->copy_bytes, err) == 0)
    return 0;
  unpin_pair (g, p);
  return -1;
}

static int
report_differing (const struct rv_vmdk_grains *g, uint64_t i,
                  rawview_error *err)
{
  return rv_error_corrupt (
      err,
      "%s: grain table %ju differs from its redundant copy although the extent "
      "was closed cleanly: let the program that made it repair it, or copy the "
      "disk",
      g->io->name, (uintmax_t) i);
}

static int
report_entry (const struct rv_vmdk_grains *g, uint64_t grain,
              const struct rv_vmdk_entry *e, rawview_error *err)
{
  return rv_error_corrupt (err, "%s: grain %ju: the grain table entry 0x%jx %s",
                           g->io->name, (uintmax_t) grain, (uintmax_t) e->raw,
                           e->why);
}

/* What should both copies say about the grain?  By the primary, unless it makes
 * no sense and the other does.
 */
static int
settle_grain (const struct vetting *v, const struct pair *p, uint64_t grain,
              struct rv_vmdk_entry *e, rawview_error *err)
{
  const struct rv_vmdk_grains *g = v->g;
  struct rv_vmdk_entry second;

  rv_vmdk_grains_judge (g, grain, p->bytes, v->w->first, &v->w->metadata, e);
  if (e->state == RV_VMDK_BAD && v->w->unclean && p->copy) {
    rv_vmdk_grains_judge (g, grain, p->copy_bytes, v->w->first, &v->w->metadata,
                          &second);
    if (second.state != RV_VMDK_BAD)
      *e = second;
  }
  if (e->state == RV_VMDK_BAD)
    return report_entry (g, grain, e, err);
  if (e->state == RV_VMDK_STORED && v->claims &&
      !rv_vmdk_claim (v->claims, e->off / RV_VMDK_SECTOR))
    return rv_error_corrupt (
        err, "%s: grain %ju, at byte %ju of the file, overlaps another",
        g->io->name, (uintmax_t) grain, (uintmax_t) e->off);
  return 0;
}

static int
settle_table (const struct vetting *v, const struct pair *p, rawview_error *err)
{
  const struct rv_vmdk_layout *l = &v->g->layout;
  uint64_t grain = p->i * l->table_entries;
  uint64_t end =
      rv_min_u64 (grain + l->table_entries, rv_div_up (v->g->size, l->grain));
  struct rv_vmdk_entry e;

  if (p->copy && !v->w->unclean &&
      memcmp (p->bytes, p->copy_bytes, rv_vmdk_table_len (l)) != 0)
    return report_differing (v->g, p->i, err);
  if (v->settled)
    memcpy (v->settled, p->bytes, rv_vmdk_table_len (l));
  for (; grain < end; grain++) {
    if (settle_grain (v, p, grain, &e, err) == -1)
      return -1;
    if (v->settled)
      rv_put_le32 (v->settled + 4 * (grain % l->table_entries), e.raw);
  }
  return 0;
}

/*--- Before a write -----------------------------------------------------*/

/* Another thread may have vetted the table meanwhile and be changing it: then
 * what was seen here means nothing.
 */
int
rv_vmdk_vet (const struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
             uint64_t i, rawview_error *err)
{
  struct vetting v = { .g = g, .w = w };
  struct pair p;
  int r;

  if (atomic_load (&w->vetted[i]))
    return 0;
  if (pin_pair (g, w, i, &p, err) == -1)
    return -1;
  r = settle_table (&v, &p, err);
  unpin_pair (g, &p);
  if (r == -1 && !atomic_load (&w->vetted[i]))
    return -1;
  atomic_store (&w->vetted[i], 1);
  return 0;
}

/*--- All tables ---------------------------------------------------------*/

static int
for_each_table (struct vetting *v,
                int (*fn) (struct vetting *v, struct pair *p,
                           rawview_error *err),
                rawview_error *err)
{
  struct rv_vmdk_entry e;
  struct pair p;
  int r = 0;

  for (uint64_t i = 0; r == 0 && i < v->g->layout.gd_entries; i++) {
    rv_vmdk_grains_table (v->g, i, &e);
    if (e.state != RV_VMDK_STORED)
      continue;
    if (pin_pair (v->g, v->w, i, &p, err) == -1)
      return -1;
    r = fn (v, &p, err);
    unpin_pair (v->g, &p);
  }
  return r;
}

static int
vet_one (struct vetting *v, struct pair *p, rawview_error *err)
{
  if (settle_table (v, p, err) == -1)
    return -1;
  if (!v->w->unclean)
    atomic_store (&v->w->vetted[p->i], 1);
  return 0;
}

int
rv_vmdk_vet_all (const struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                 rawview_error *err)
{
  struct rv_vmdk_claims claims = { 0 };
  struct vetting v = { .g = g, .w = w, .claims = &claims };
  int r;

  if (rv_vmdk_claims_init (&claims, w->first, g->layout.grain / RV_VMDK_SECTOR,
                           err) == -1)
    return -1;
  r = for_each_table (&v, vet_one, err);
  rv_vmdk_claims_release (&claims);
  w->exclusive = r == 0;
  return r;
}

/*--- Repair -------------------------------------------------------------*/

/* Whole tables are replaced; readers see one or the other. */
static int
repair_one (struct vetting *v, struct pair *p, rawview_error *err)
{
  struct rv_vmdk_grains *g = (struct rv_vmdk_grains *) v->g;
  size_t len = rv_vmdk_table_len (&g->layout);

  if (settle_table (v, p, err) == -1)
    return -1;
  if (p->copy == NULL && v->w->rgd &&
      rv_vmdk_make_copy (g, v->w, p->i, v->settled, err) == -1)
    return -1;
  if (p->copy && memcmp (p->copy_bytes, v->settled, len) != 0 &&
      rv_tables_edit (g->tables, g->io, p->copy_off, len, 0, v->settled, len,
                      RV_PHASE_PUBLISH, err) == -1)
    return -1;
  if (memcmp (p->bytes, v->settled, len) != 0 &&
      rv_tables_edit (g->tables, g->io, p->off, len, 0, v->settled, len,
                      RV_PHASE_PUBLISH, err) == -1)
    return -1;
  atomic_store (&v->w->vetted[p->i], 1);
  return 0;
}

/* Entries of tables that do not exist. */
static int
repair_directory (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                  rawview_error *err)
{
  struct rv_vmdk_entry e;

  for (uint64_t i = 0; w->rgd && i < g->layout.gd_entries; i++) {
    rv_vmdk_grains_table (g, i, &e);
    if (e.state != RV_VMDK_STORED &&
        rv_vmdk_directory_load (w->rgd, i) != e.raw &&
        rv_vmdk_set_copy_entry (g, w, i, e.raw, err) == -1)
      return -1;
  }
  return 0;
}

int
rv_vmdk_repair_all (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                    rawview_error *err)
{
  CLEANUP_FREE uint8_t *settled = malloc (rv_vmdk_table_len (&g->layout));
  struct vetting v = { .g = g, .w = w, .settled = settled };
  LOCKED (&w->grow_lock);

  if (settled == NULL)
    return rv_error_nomem (err);
  if (repair_directory (g, w, err) == -1)
    return -1;
  return for_each_table (&v, repair_one, err);
}
