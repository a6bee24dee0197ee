/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What engine.c, read.c, extents.c and others share. */

#ifndef RV_ENGINE_INTERNAL_H
#define RV_ENGINE_INTERNAL_H

#include <stdatomic.h>

#include "engine/ahead.h"
#include "engine/codec.h"
#include "engine/engine.h"
#include "engine/epoch.h"
#include "engine/grace.h"
#include "engine/ranges.h"
#include "engine/workers.h"
#include "util/cache.h"

/* A call that asks where things are, and moves no bytes, looks up so many runs
 * and no more, counted in each layer that is asked: a hostile image has
 * billions, and 64 layers.
 */
#define RV_WALK_MAX 4096u

#define RV_SPANS 8u

struct rv_engine {
  const struct rv_chain *chain;
  struct rv_cache *clusters; /* decompressed ones */
  struct rv_codecs *codecs;
  struct rv_workers *workers;
  atomic_uint reading; /* requests under way */
  struct rv_ahead *ahead;
  atomic_bool closing;              /* nothing more need be fetched */
  bool slow;                        /* some layer's container is, see io.h */
  _Atomic uint64_t spans[RV_SPANS]; /* fetch.c: whose tables were fetched, and
                                       1; in the slot of its number */

  struct rv_tables *tables; /* NULL: never writable */
  struct rv_grace grace;    /* used if it may become writable */
  pthread_mutex_t setup;    /* protects started, and becoming writable */
  bool started;
  bool enabled;         /* the next two are there */
  atomic_bool writable; /* and may be used */
  struct rv_ranges *ranges;
  struct rv_epoch *epoch;
};

/* Around mapping guest bytes and touching where they are.  Costs nothing for an
 * image that nobody can write.
 */
static inline unsigned
rv_engine_enter (struct rv_engine *e)
{
  return e->tables ? rv_grace_enter (&e->grace) : 0;
}

static inline void
rv_engine_leave (struct rv_engine *e, unsigned phase)
{
  if (e->tables)
    rv_grace_leave (&e->grace, phase);
}

/*--- read.c -------------------------------------------------------------*/

/* Decodes a COMPRESSED unit into the cache, for one who will pass by. */
void rv_engine_decode_ahead (struct rv_engine *engine,
                             const struct rv_map *map);

/* Reads all of one run, which map found at off, between enter and leave. */
int rv_engine_read_run (struct rv_engine *engine, const struct rv_map *map,
                        void *buf, uint64_t off, rawview_error *err);

/*--- write.c ------------------------------------------------------------*/

/* The error of a request to change an engine that is not writable. */
int rv_engine_not_writable (struct rv_engine *engine, rawview_error *err);

/* Widens the range and locks it. */
void rv_engine_lock (struct rv_engine *engine, struct rv_range *range,
                     uint64_t off, uint64_t len, bool exclusive);

/* Writes as rv_engine_pwrite does, in a range that the caller has locked
 * exclusively.
 */
int rv_engine_write_locked (struct rv_engine *engine, const uint8_t *buf,
                            size_t len, uint64_t off, rawview_error *err);

/* Does what is at off read as zeros, as far as the tables know, and for how
 * long is the answer the same: 0 < *run <= len.
 */
bool rv_engine_zero_run (struct rv_engine *engine, uint64_t off, uint64_t len,
                         uint64_t *run);

/* Does all of it? */
bool rv_engine_is_zero (struct rv_engine *engine, uint64_t off, uint64_t len);

/* An error of the driver's: stops all writing if a table contradicts itself.
 * Returns -1.
 */
int rv_engine_driver_failed (struct rv_engine *engine,
                             const rawview_error *error, rawview_error *err);

#endif /* RV_ENGINE_INTERNAL_H */
