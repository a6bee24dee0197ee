/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What reads as zeros, what takes no space, what is data.  An extent that is
 * called zero must read as zeros; damage is called data, so that it is seen
 * when it is read and never in a question about holes.
 */

#include <config.h>

#include "engine/engine-internal.h"
#include "engine/fetch.h"
#include "util/checked.h"

struct walk {
  struct rv_engine *engine;
  bool runs; /* RAWVIEW_EXTENTS_RUNS */
  rawview_extent_cb cb;
  void *opaque;
  bool has_pending;
  rawview_extent pending; /* grows until something else comes */
};

static bool
mergeable (const struct walk *w, const rawview_extent *a,
           const rawview_extent *b)
{
  if (a->zero != b->zero || a->hole != b->hole || a->damaged != b->damaged)
    return false;
  if (!w->runs)
    return true;
  return a->depth == b->depth && a->compressed == b->compressed &&
         a->has_host_off == b->has_host_off &&
         (!a->has_host_off ||
          (a->host_off + a->len == b->host_off && a->filename == b->filename));
}

/* Nonzero: the walk is over. */
static int
push (struct walk *w, const rawview_extent *e)
{
  if (w->has_pending && mergeable (w, &w->pending, e)) {
    w->pending.len += e->len;
    return 0;
  }
  if (w->has_pending && w->cb (w->opaque, &w->pending) != 0) {
    w->has_pending = false;
    return 1;
  }
  w->pending = *e;
  w->has_pending = true;
  return 0;
}

/* Plain data: where the host file has a hole, it reads as zeros. */
static void
describe_data (const struct rv_map *map, rawview_extent *e)
{
  uint64_t run = e->len;
  bool hole = false;

  if (map->sparse_host)
    rv_io_hole (map->io, map->host_off, e->len, &hole, &run);
  e->len = run;
  e->zero = e->hole = hole;
  e->has_host_off = true;
  e->host_off = map->host_off;
  e->filename = map->io->name;
}

static void
describe (const struct rv_map *map, rawview_extent *e)
{
  e->len = map->len;
  switch (map->kind) {
  case RV_MAP_DATA:
    describe_data (map, e);
    break;
  case RV_MAP_COMPRESSED:
    e->compressed = true;
    e->filename = map->io->name;
    break;
  default:
    e->zero = true;
    e->hole = map->hole;
  }
}

/* Fills e for some of the len bytes from e->off on. */
static void
ask (struct rv_engine *engine, uint64_t len, rawview_extent *e)
{
  unsigned phase = rv_engine_enter (engine);
  struct rv_map map;

  if (rv_chain_map (engine->chain, e->off, len, &map, &e->depth, &e->len,
                    NULL) == 0)
    describe (&map, e);
  else
    e->damaged = true;
  rv_engine_leave (engine, phase);
}

/* How far the next question goes.  Upper layers look at all of it although a
 * lower one may end the answer early, again and again; so a question is only
 * larger than the last answer as long as the answers keep up.
 */
struct window {
  uint64_t len;
  unsigned steps; /* that did not fill it, of all layers */
};

#define WINDOW_FIRST  (16u << 20)
#define WINDOW_FACTOR 4u

static void
window_adapt (struct window *w, uint64_t asked, const rawview_extent *e)
{
  uint64_t answered = e->len;

  if (answered < asked)
    w->steps += e->depth + 1;
  if (!rv_mul_u64 (answered, WINDOW_FACTOR, &w->len))
    w->len = UINT64_MAX;
}

int
rv_engine_extents (struct rv_engine *e, uint64_t len, uint64_t off,
                   unsigned flags, rawview_extent_cb cb, void *opaque,
                   rawview_error *err)
{
  struct walk w = { .engine = e,
                    .runs = flags & RAWVIEW_EXTENTS_RUNS,
                    .cb = cb,
                    .opaque = opaque };
  struct window window = { .len = WINDOW_FIRST };
  uint64_t end = off + len;

  while (off < end && window.steps < RV_WALK_MAX) {
    rawview_extent extent = { .off = off };
    uint64_t asked =
        rv_fetch_tables (e, rv_min_u64 (end - off, window.len), off);

    ask (e, asked, &extent);
    off += extent.len;
    window_adapt (&window, asked, &extent);
    if (w.has_pending && flags & RAWVIEW_EXTENTS_ONE &&
        !mergeable (&w, &w.pending, &extent))
      break;
    if (push (&w, &extent) != 0)
      return 0;
  }
  if (w.has_pending)
    cb (opaque, &w.pending);
  return 0;
}
