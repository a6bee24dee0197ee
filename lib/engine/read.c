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
#include "engine/unit.h"
#include "util/checked.h"
#include "util/error.h"

/*--- Whole units --------------------------------------------------------*/

#define BATCH_MAX 64u

struct piece {
  struct rv_map map;
  uint8_t *out;
};

/* The whole units of one request that are waiting to be decoded. */
struct batch {
  struct rv_engine *engine;
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

/* Is the unit in the cache?  Then copies the part from in on. */
static bool
copy_cached (struct rv_engine *e, const struct rv_map *map, uint64_t in,
             void *buf, size_t len)
{
  struct rv_cache_key key = cluster_key (map);
  struct rv_cache_block *block;
  const uint8_t *bytes;

  if (!rv_cache_peek (e->clusters, &key, &block, &bytes))
    return false;
  memcpy (buf, bytes + in, len);
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

static void
decode_piece (void *opaque, size_t i)
{
  struct batch *b = opaque;
  struct piece *p = &b->pieces[i];
  rawview_error error;

  if (copy_cached (b->engine, &p->map, 0, p->out, p->map.unit_len) ||
      decode_into (b->engine, &p->map, p->out, &error) == 0)
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

/*--- Parts of units -----------------------------------------------------*/

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

/* Bytes from offset in of the unit on. */
static int
read_part (struct rv_engine *e, const struct rv_map *map, uint64_t in,
           void *buf, size_t len, rawview_error *err)
{
  struct rv_cache_key key = cluster_key (map);
  struct load load = { e, map };
  struct rv_cache_block *block;
  const uint8_t *bytes;

  if (rv_cache_pin (e->clusters, &key, map->unit_len, load_cluster, &load,
                    &block, &bytes, err) == -1)
    return -1;
  memcpy (buf, bytes + in, len);
  rv_cache_unpin (e->clusters, block);
  return 0;
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
    return read_part (b->engine, map, off - map->unit_off, buf, map->len, err);
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

int
rv_engine_pread (struct rv_engine *e, void *buf, size_t len, uint64_t off,
                 rawview_error *err)
{
  unsigned phase = rv_engine_enter (e);
  struct batch b;
  int r;

  b.engine = e;
  b.len = 0;
  b.failed = false;
  pthread_mutex_init (&b.lock, NULL);
  r = read_runs (&b, buf, len, off, err);
  pthread_mutex_destroy (&b.lock);
  rv_engine_leave (e, phase);
  return r;
}

/*--- Reading ahead ------------------------------------------------------*/

/* Plain data goes into the page cache.  Of compressed units, too, only their
 * compressed bytes: decoding is left to those who really want them.
 */
void
rv_engine_prefetch (struct rv_engine *e, uint64_t len, uint64_t off)
{
  unsigned phase = rv_engine_enter (e);

  for (unsigned steps = 0; len > 0 && steps < RV_WALK_MAX; steps++) {
    struct rv_map map;
    uint64_t n = len;
    unsigned depth;

    if (rv_chain_map (e->chain, off, len, &map, &depth, &n, NULL) == 0) {
      n = map.len;
      if (map.kind == RV_MAP_DATA)
        rv_io_prefetch (map.io, map.host_off, map.len);
      else if (map.kind == RV_MAP_COMPRESSED)
        rv_io_prefetch (map.io, map.host_off, map.host_len);
    }
    off += n;
    len -= n;
  }
  rv_engine_leave (e, phase);
}
