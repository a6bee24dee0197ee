/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "engine/chain.h"
#include "util/checked.h"

int
rv_chain_map (const struct rv_chain *chain, uint64_t off, uint64_t len,
              struct rv_map *map, unsigned *depth, uint64_t *damaged,
              rawview_error *err)
{
  unsigned d;

  for (d = 0; d < chain->len && off < chain->ptr[d]->size; d++) {
    struct rv_format *f = chain->ptr[d];

    *depth = d;
    len = rv_min_u64 (len, f->size - off);
    *damaged = len;
    if (f->ops->map (f, off, len, map, damaged, err) == -1)
      return -1;
    if (map->kind != RV_MAP_PARENT)
      return 0;
    len = map->len;
  }
  *map = (struct rv_map){ .kind = RV_MAP_ZERO, .len = len, .hole = true };
  *depth = d ? d - 1 : 0;
  return 0;
}
