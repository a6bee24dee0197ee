/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What engine.c, read.c and extents.c share. */

#ifndef RV_ENGINE_INTERNAL_H
#define RV_ENGINE_INTERNAL_H

#include "engine/codec.h"
#include "engine/engine.h"
#include "engine/workers.h"
#include "util/cache.h"

/* A call that asks where things are, and moves no bytes, looks up so many runs
 * and no more: a hostile image has billions.
 */
#define RV_WALK_MAX 4096u

struct rv_engine {
  const struct rv_chain *chain;
  struct rv_cache *clusters; /* decompressed ones */
  struct rv_codecs *codecs;
  struct rv_workers *workers;
};

#endif /* RV_ENGINE_INTERNAL_H */
