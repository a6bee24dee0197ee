/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <sys/random.h>

#include "format/vmdk-sums.h"
#include "util/bytes.h"
#include "util/error.h"

int
rv_vmdk_sums_init (struct rv_vmdk_sums *s, const struct rv_vmdk_layout *l,
                   const char *file, rawview_error *err)
{
  *s = (struct rv_vmdk_sums){ .gd_entries = l->gd_entries,
                              .table_entries = l->table_entries,
                              .zero_entries = l->zero_entries };
  if (l->gd_entries > RV_VMDK_MAX_PASS_TABLES)
    return rv_error_limit (
        err, "%s: a grain directory of %ju entries, at most %u on a pipe", file,
        (uintmax_t) l->gd_entries, RV_VMDK_MAX_PASS_TABLES);
  if (getrandom (s->key, sizeof s->key, 0) != sizeof s->key)
    return rv_error_errno (err, errno, "getrandom");
  s->grains = calloc (l->gd_entries, sizeof *s->grains);
  return s->grains ? 0 : rv_error_nomem (err);
}

void
rv_vmdk_sums_release (struct rv_vmdk_sums *s)
{
  rv_vmdk_seen_tables_release (&s->tables);
  free (s->grains);
  free (s->gd);
  s->grains = NULL;
  s->gd = NULL;
}

/* slot: which entry of its table. */
static uint64_t
hash (const struct rv_vmdk_sums *s, uint32_t slot, uint32_t sector)
{
  uint64_t x = ((uint64_t) slot << 32 | sector) ^ s->key[0];

  for (int i = 0; i < 3; i++) {
    x *= s->key[1] | 1;
    x ^= x >> 32;
    x += s->key[0];
    x *= UINT64_C (0xd6e8feb86659fd93);
    x ^= x >> 29;
  }
  return x;
}

void
rv_vmdk_sums_grain (struct rv_vmdk_sums *s, uint64_t n, uint64_t sector)
{
  /* No table can name a sector beyond 32 bits: then the sums differ. */
  s->grains[n / s->table_entries] +=
      hash (s, n % s->table_entries, sector <= UINT32_MAX ? sector : 0);
}

int
rv_vmdk_sums_table (struct rv_vmdk_sums *s, uint64_t sector,
                    const uint8_t *bytes, const char *file, rawview_error *err)
{
  struct rv_vmdk_seen_table t = { .sector = sector };

  if (s->tables.len > s->gd_entries)
    return rv_error_corrupt (
        err, "%s: more grain tables than the %ju that the disk needs", file,
        (uintmax_t) s->gd_entries);
  for (uint32_t i = 0; i < s->table_entries; i++) {
    uint32_t entry = rv_le32 (bytes + 4 * i);

    if (entry == 0 || (entry == 1 && s->zero_entries))
      continue;
    t.bad = t.bad || entry == 1;
    t.sum += hash (s, i, entry);
  }
  return rv_vmdk_seen_tables_append (&s->tables, t) == -1 ? rv_error_nomem (err)
                                                          : 0;
}

int
rv_vmdk_sums_directory (struct rv_vmdk_sums *s, uint64_t sector,
                        const uint8_t *bytes, rawview_error *err)
{
  if (s->gd == NULL)
    s->gd = calloc (s->gd_entries, sizeof *s->gd);
  if (s->gd == NULL)
    return rv_error_nomem (err);
  for (uint64_t i = 0; i < s->gd_entries; i++)
    s->gd[i] = rv_le32 (bytes + 4 * i);
  s->gd_sector = sector;
  return 0;
}

/*--- Verifying ----------------------------------------------------------*/

static int
compare_sectors (const void *a, const void *b)
{
  const struct rv_vmdk_seen_table *s = a, *t = b;

  return (s->sector > t->sector) - (s->sector < t->sector);
}

static int
verify_table (const struct rv_vmdk_sums *s, uint64_t i, const char *file,
              rawview_error *err)
{
  struct rv_vmdk_seen_table none = { 0 }, key = { .sector = s->gd[i] };
  const struct rv_vmdk_seen_table *t = &none;

  if (s->gd[i] != 0 && !(s->gd[i] == 1 && s->zero_entries)) {
    t = s->tables.len ? bsearch (&key, s->tables.ptr, s->tables.len, sizeof key,
                                 compare_sectors)
                      : NULL;
    if (t == NULL)
      return rv_error_corrupt (
          err,
          "%s: no grain table came at sector %u, where the directory has "
          "the %ju-th",
          file, s->gd[i], (uintmax_t) i);
  }
  if (t->bad || t->sum != s->grains[i])
    return rv_error_corrupt (
        err,
        "%s: grain table %ju does not agree with the grains that came: "
        "some are missing, came twice or are not in it",
        file, (uintmax_t) i);
  return 0;
}

int
rv_vmdk_sums_verify (struct rv_vmdk_sums *s, const char *file,
                     rawview_error *err)
{
  if (s->gd == NULL)
    return rv_error_corrupt (
        err, "%s: the grain directory has not come: the stream is cut", file);
  if (s->tables.len)
    qsort (s->tables.ptr, s->tables.len, sizeof *s->tables.ptr,
           compare_sectors);
  for (uint64_t i = 0; i < s->gd_entries; i++)
    if (verify_table (s, i, file, err) == -1)
      return -1;
  return 0;
}
