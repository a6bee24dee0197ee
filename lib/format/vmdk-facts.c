/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "info" shows, under the names that qemu-img has for it. */

#include <config.h>

#include "format/vmdk.h"
#include "util/error.h"
#include "util/text.h"

/* A disk may have thousands of extents, which nobody reads. */
#define MAX_SHOWN     100u
#define KEYS_PER_LINE 5u

#define DATA "format-specific.data."

/* "format-specific.data.extents.7.NAME", owned by v. */
static const char *
extent_key (struct rv_vmdk *v, size_t i, const char *name)
{
  char *key = rv_text_format (DATA "extents.%zu.%s", i, name);

  if (key != NULL)
    v->fact_keys[v->nr_fact_keys++] = key;
  return key;
}

static int
add_text (struct rv_vmdk *v, size_t i, const char *name, const char *text)
{
  const char *key = extent_key (v, i, name);

  return key ? rv_facts_add_text (&v->base.facts, key, text) : -1;
}

static int
add_number (struct rv_vmdk *v, size_t i, const char *name, uint64_t number)
{
  const char *key = extent_key (v, i, name);

  return key ? rv_facts_add_number (&v->base.facts, key, number) : -1;
}

static int
add_bool (struct rv_vmdk *v, size_t i, const char *name, bool value)
{
  const char *key = extent_key (v, i, name);

  return key ? rv_facts_add_bool (&v->base.facts, key, value) : -1;
}

static int
add_extent (struct rv_vmdk *v, size_t i)
{
  const struct rv_vmdk_extent *e = &v->extents[i];
  const char *file = e->io ? e->io->name : e->name;

  if (add_number (v, i, "virtual-size", e->len) == -1 ||
      (file && add_text (v, i, "filename", file) == -1) ||
      add_text (v, i, "format", rv_vmdk_type_name (e->type)) == -1)
    return -1;
  if (e->grains.gd == NULL)
    return 0;
  if (add_number (v, i, "cluster-size", e->grains.layout.grain) == -1)
    return -1;
  return e->grains.layout.compressed ? add_bool (v, i, "compressed", true) : 0;
}

static int
add_extents (struct rv_vmdk *v)
{
  size_t n = rv_min_u64 (v->nr_extents, MAX_SHOWN);

  v->fact_keys = calloc (n * KEYS_PER_LINE, sizeof *v->fact_keys);
  if (v->fact_keys == NULL)
    return -1;
  for (size_t i = 0; i < n; i++)
    if (add_extent (v, i) == -1)
      return -1;
  return 0;
}

static int
add_descriptor (struct rv_vmdk *v)
{
  const struct rv_vmdk_descriptor *d = &v->descriptor;
  struct rv_facts *f = &v->base.facts;

  if (rv_facts_add_text (f, "format-specific.type", "vmdk") == -1 ||
      (d->has_cid && rv_facts_add_number (f, DATA "cid", d->cid) == -1) ||
      rv_facts_add_number (f, DATA "parent-cid", d->parent_cid) == -1)
    return -1;
  return d->create_type
             ? rv_facts_add_text (f, DATA "create-type", d->create_type)
             : 0;
}

/* Of the sparse extents: the first one's version, and what any of them has. */
static int
add_headers (struct rv_vmdk *v)
{
  const struct rv_vmdk_layout *first = NULL;
  struct rv_facts *f = &v->base.facts;
  bool unclean = false, redundant = false;

  for (size_t i = 0; i < v->nr_extents; i++) {
    const struct rv_vmdk_grains *g = &v->extents[i].grains;

    if (g->gd == NULL)
      continue;
    first = first ? first : &g->layout;
    unclean |= g->layout.unclean;
    redundant |= g->layout.rgd_off != 0;
  }
  if (first == NULL)
    return 0;
  if (rv_facts_add_number (f, DATA "header-version", first->version) == -1 ||
      rv_facts_add_bool (f, DATA "unclean", unclean) == -1)
    return -1;
  return rv_facts_add_bool (f, DATA "redundant-gd", redundant);
}

int
rv_vmdk_add_facts (struct rv_vmdk *v, rawview_error *err)
{
  if (add_descriptor (v) == -1 || add_headers (v) == -1 ||
      add_extents (v) == -1)
    return rv_error_nomem (err);
  return 0;
}
