/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <stdlib.h>

#include "format/vmdk-descriptor.h"
#include "format/vmdk-found.h"
#include "util/error.h"

/* What a table says of a grain, beside its sector + 1. */
#define UNKNOWN 0u
#define NONE    1u
#define TWICE   UINT32_MAX

/* Of a table: it has entries, or this holds for all of its grains. */
enum whole { WHOLE_UNKNOWN, WHOLE_NONE, WHOLE_TABLE };

/*--- What was found -----------------------------------------------------*/

struct rv_vmdk_found *
rv_vmdk_found_alloc (const struct rv_vmdk_layout *l)
{
  struct rv_vmdk_found *f = calloc (1, sizeof *f);

  if (f == NULL)
    return NULL;
  f->table_entries = l->table_entries;
  f->nr_grains = rv_div_up (l->capacity, l->grain);
  f->nr_tables = rv_div_up (f->nr_grains, f->table_entries);
  f->whole = calloc (f->nr_tables, sizeof *f->whole);
  f->tables = calloc (f->nr_tables, sizeof (uint32_t *));
  if (f->whole && f->tables)
    return f;
  rv_vmdk_found_free (f);
  return NULL;
}

void
rv_vmdk_found_free (struct rv_vmdk_found *f)
{
  if (f == NULL)
    return;
  /* Most of them have never been touched. */
  for (uint64_t i = 0; f->whole && i < f->nr_tables; i++)
    if (f->whole[i] == WHOLE_TABLE)
      free (f->tables[i]);
  free (f->tables);
  free (f->whole);
  free (f);
}

static int
make_table (struct rv_vmdk_found *f, uint64_t t, const char *file,
            rawview_error *err)
{
  uint32_t value = f->whole[t] == WHOLE_NONE ? NONE : UNKNOWN;

  if (f->whole[t] == WHOLE_TABLE)
    return 0;
  f->bytes += f->table_entries * sizeof (uint32_t);
  if (f->bytes > RV_VMDK_FOUND_MAX)
    return rv_error_limit (
        err, "%s: the grains found need more than %u bytes of tables", file,
        RV_VMDK_FOUND_MAX);
  f->tables[t] = malloc (f->table_entries * sizeof (uint32_t));
  if (f->tables[t] == NULL)
    return rv_error_nomem (err);
  for (uint32_t i = 0; i < f->table_entries; i++)
    f->tables[t][i] = value;
  f->whole[t] = WHOLE_TABLE;
  return 0;
}

int
rv_vmdk_found_set_none (struct rv_vmdk_found *f, uint64_t first, uint64_t last,
                        const char *file, rawview_error *err)
{
  while (first < last) {
    uint64_t t = first / f->table_entries;
    uint64_t end = rv_min_u64 ((t + 1) * f->table_entries, f->nr_grains);

    if (f->whole[t] == WHOLE_UNKNOWN && first % f->table_entries == 0 &&
        last >= end)
      f->whole[t] = WHOLE_NONE;
    else if (make_table (f, t, file, err) == -1)
      return -1;
    else
      for (uint64_t g = first; g < last && g < end; g++)
        f->tables[t][g % f->table_entries] = NONE;
    first = end;
  }
  return 0;
}

int
rv_vmdk_found_set_grain (struct rv_vmdk_found *f, uint64_t grain,
                         uint32_t sector, const char *file, rawview_error *err)
{
  uint32_t *entry;

  if (make_table (f, grain / f->table_entries, file, err) == -1)
    return -1;
  entry = &f->tables[grain / f->table_entries][grain % f->table_entries];
  *entry = *entry > NONE ? TWICE : sector + 1;
  return 0;
}

static enum rv_vmdk_find
meaning (const struct rv_vmdk_found *f, uint32_t entry)
{
  if (entry == UNKNOWN || entry == TWICE || (entry == NONE && f->unordered))
    return RV_VMDK_FIND_LOST;
  return entry == NONE ? RV_VMDK_FIND_NONE : RV_VMDK_FIND_GRAIN;
}

static enum rv_vmdk_find
meaning_of_table (const struct rv_vmdk_found *f, uint64_t t)
{
  return meaning (f, f->whole[t] == WHOLE_NONE ? NONE : UNKNOWN);
}

enum rv_vmdk_find
rv_vmdk_found_get (const struct rv_vmdk_found *f, uint64_t grain, uint64_t *n,
                   uint64_t *off)
{
  uint64_t t = grain / f->table_entries;
  uint32_t i = grain % f->table_entries, first = i;
  enum rv_vmdk_find find;

  if (f->whole[t] != WHOLE_TABLE) {
    find = meaning_of_table (f, t);
    while (++t < f->nr_tables && f->whole[t] != WHOLE_TABLE &&
           meaning_of_table (f, t) == find)
      continue;
    *n = t * f->table_entries - grain;
    return find;
  }
  find = meaning (f, f->tables[t][i]);
  *off = ((uint64_t) f->tables[t][i] - 1) * RV_VMDK_SECTOR;
  if (find != RV_VMDK_FIND_GRAIN)
    while (i + 1 < f->table_entries && meaning (f, f->tables[t][i + 1]) == find)
      i++;
  *n = i + 1 - first;
  return find;
}
