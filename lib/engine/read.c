/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading guest bytes.
 *
 * Zeros and plain data go straight into the caller's buffer, run by run.
 * Compressed units that the request covers completely are decoded straight into
 * it too, several at a time, and do not pass through the cache: a copy of the
 * whole disk must not push out what random readers come back to.  A unit of
 * which only a part is wanted is decoded into the cache.
 */

#include <config.h>

#include <string.h>

#include "engine/engine-internal.h"
#include "engine/fetch.h"
#include "engine/unit.h"
#include "util/checked.h"
#include "util/error.h"

/*--- Whole units --------------------------------------------------------*/

#define BATCH_MAX 64u

/* A request of more than this to a slow storage is worth a look at what its
 * parts have in common.
 */
#define SLOW_SMALL (64u << 10)

/* Larger requests keep all cores busy by themselves. */
#define AHEAD_MAX (64u << 10)

struct piece {
  struct rv_map map;
  uint8_t *out;
};

/* The whole units of one request that are waiting to be decoded. */
struct batch {
  struct rv_engine *engine;
  enum rv_cache_use use;
  bool ahead; /* others read ahead of this: share what is decoded with them */
  size_t len;
  struct piece pieces[BATCH_MAX];
  pthread_mutex_t lock; /* protects the two below */
  bool failed;
  rawview_error error; /* the first one */
};

static struct rv_cache_key
cluster_key (const struct rv_map *map)
{
  /* Units that carry a marker of their own are checked against the guest
   * offset, so only that one may find them.  Others may be shared.
   */
  return (struct rv_cache_key){ map->io, map->host_off,
                                map->payload ? map->unit_off : 0 };
}

/* Is the unit in the cache?  Then copies it. */
static bool
copy_cached (struct rv_engine *e, const struct rv_map *map, void *out)
{
  struct rv_cache_key key = cluster_key (map);
  struct rv_cache_block *block;
  const uint8_t *bytes;

  if (!rv_cache_find (e->clusters, &key, &block, &bytes))
    return false;
  memcpy (out, bytes, map->unit_len);
  rv_cache_unpin (e->clusters, block);
  return true;
}

static int
decode_into (struct rv_engine *e, const struct rv_map *map, void *out,
             rawview_error *err)
{
  struct rv_codec_slot *slot = rv_codecs_take (e->codecs);
  int r = rv_unit_decode (map, slot, out, err);

  rv_codecs_give (e->codecs, slot);
  return r;
}

struct load {
  struct rv_engine *engine;
  const struct rv_map *map;
};

static int
load_cluster (void *opaque, void *buf, size_t len, rawview_error *err)
{
  struct load *l = opaque;

  return decode_into (l->engine, l->map, buf, err);
}

static int
pin_unit (struct rv_engine *e, const struct rv_map *map, enum rv_cache_use use,
          struct rv_cache_block **block, const uint8_t **bytes,
          rawview_error *err)
{
  struct rv_cache_key key = cluster_key (map);
  struct load load = { e, map };

  return rv_cache_pin (e->clusters, &key, map->unit_len, use, load_cluster,
                       &load, block, bytes, err);
}

void
rv_engine_decode_ahead (struct rv_engine *e, const struct rv_map *map)
{
  struct rv_cache_key key = cluster_key (map);
  struct rv_cache_block *block;
  const uint8_t *bytes;

  if (!rv_cache_holds (e->clusters, &key) &&
      pin_unit (e, map, RV_CACHE_PASSING, &block, &bytes, NULL) == 0)
    rv_cache_unpin (e->clusters, block);
}

/* Bytes from offset in of the unit on. */
static int
read_part (struct batch *b, const struct rv_map *map, uint64_t in, void *buf,
           size_t len, rawview_error *err)
{
  struct rv_cache_block *block;
  const uint8_t *bytes;

  if (pin_unit (b->engine, map, b->use, &block, &bytes, err) == -1)
    return -1;
  memcpy (buf, bytes + in, len);
  rv_cache_unpin (b->engine->clusters, block);
  return 0;
}

static int
decode_whole (struct batch *b, const struct rv_map *map, uint8_t *out,
              rawview_error *err)
{
  if (b->ahead)
    return read_part (b, map, 0, out, map->unit_len, err);
  if (copy_cached (b->engine, map, out))
    return 0;
  return decode_into (b->engine, map, out, err);
}

static void
decode_piece (void *opaque, size_t i)
{
  struct batch *b = opaque;
  struct piece *p = &b->pieces[i];
  rawview_error error;

  if (decode_whole (b, &p->map, p->out, &error) == 0)
    return;
  LOCKED (&b->lock);
  if (!b->failed)
    b->error = error;
  b->failed = true;
}

static int
batch_flush (struct batch *b, rawview_error *err)
{
  rv_workers_run (b->engine->workers, b->len, decode_piece, b);
  b->len = 0;
  if (!b->failed)
    return 0;
  if (err)
    *err = b->error;
  return -1;
}

/*--- Runs ---------------------------------------------------------------*/

static int
read_data (const struct rv_map *map, uint8_t *buf, rawview_error *err)
{
  size_t n = map->len;

  if (map->host_avail != 0 && map->host_avail < n) {
    memset (buf + map->host_avail, 0, n - map->host_avail);
    n = map->host_avail;
  }
  return rv_io_pread (map->io, buf, n, map->host_off, err);
}

static int
read_compressed (struct batch *b, const struct rv_map *map, uint64_t off,
                 uint8_t *buf, rawview_error *err)
{
  if (off != map->unit_off || map->len < map->unit_len)
    return read_part (b, map, off - map->unit_off, buf, map->len, err);
  b->pieces[b->len++] = (struct piece){ *map, buf };
  return b->len == BATCH_MAX ? batch_flush (b, err) : 0;
}

static int
read_run (struct batch *b, const struct rv_map *map, uint64_t off, uint8_t *buf,
          rawview_error *err)
{
  switch (map->kind) {
  case RV_MAP_DATA:
    return read_data (map, buf, err);
  case RV_MAP_COMPRESSED:
    return read_compressed (b, map, off, buf, err);
  default:
    memset (buf, 0, map->len);
    return 0;
  }
}

static int
read_runs (struct batch *b, uint8_t *buf, size_t len, uint64_t off,
           rawview_error *err)
{
  while (len > 0) {
    struct rv_map map;
    uint64_t damaged;
    unsigned depth;

    if (rv_chain_map (b->engine->chain, off, len, &map, &depth, &damaged,
                      err) == -1 ||
        read_run (b, &map, off, buf, err) == -1)
      return -1;
    buf += map.len;
    off += map.len;
    len -= map.len;
  }
  return batch_flush (b, err);
}

/* Counts as a request until batch_end. */
static void
batch_begin (struct batch *b, struct rv_engine *e)
{
  b->engine = e;
  b->use = RV_CACHE_PASSING;
  b->ahead = false;
  b->len = 0;
  b->failed = false;
  pthread_mutex_init (&b->lock, NULL);
  atomic_fetch_add (&e->reading, 1);
}

static void
batch_end (struct batch *b)
{
  atomic_fetch_sub (&b->engine->reading, 1);
  pthread_mutex_destroy (&b->lock);
}

/* A fast storage is read ahead of for those alone who wait for each small
 * request before they send the next.
 */
static void
prepare (struct batch *b, size_t len, uint64_t off)
{
  struct rv_engine *e = b->engine;
  bool others = atomic_load (&e->reading) > 1;
  bool busy = !e->slow && (others || len > AHEAD_MAX);
  enum rv_order order = rv_ahead_note (e->ahead, len, off, busy);

  b->use = order == RV_ORDER_NONE ? RV_CACHE_AGAIN : RV_CACHE_PASSING;
  b->ahead = order == RV_ORDER_AHEAD && !e->slow;
  if (e->slow && len > SLOW_SMALL)
    rv_fetch_compressed (e, len, off);
}

int
rv_engine_pread (struct rv_engine *e, void *buf, size_t len, uint64_t off,
                 rawview_error *err)
{
  struct batch b;
  unsigned phase;
  int r;

  batch_begin (&b, e);
  prepare (&b, len, off);
  phase = rv_engine_enter (e);
  r = read_runs (&b, buf, len, off, err);
  rv_engine_leave (e, phase);
  batch_end (&b);
  return r;
}

int
rv_engine_read_run (struct rv_engine *e, const struct rv_map *map, void *buf,
                    uint64_t off, rawview_error *err)
{
  struct batch b;
  int r;

  batch_begin (&b, e);
  r = read_run (&b, map, off, buf, err);
  if (r == 0)
    r = batch_flush (&b, err);
  batch_end (&b);
  return r;
}
