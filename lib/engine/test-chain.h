/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers of a chain made of runs, for the unit tests of the engine: a driver
 * that answers what the test told it to.
 */

#ifndef RV_TEST_CHAIN_H
#define RV_TEST_CHAIN_H

#include <zlib.h>

#include "engine/engine.h"
#include "util/checked.h"
#include "util/error.h"
#include "util/test.h"

#define UNIT     512u
#define RUNS_MAX 400u

struct test_run {
  uint64_t off, len; /* guest */
  bool damaged;
  struct rv_map map; /* of the whole run */
};

struct test_layer {
  struct rv_format base;
  unsigned number; /* tells the bytes of layers apart */
  uint8_t *bytes;  /* of the host file */
  uint64_t len, room;
  struct rv_io *mem;
  struct test_run runs[RUNS_MAX];
  size_t n;
  atomic_uint maps; /* calls */
};

/* What the guest reads at off of the layer, where it has data. */
static TEST_UNUSED uint8_t
test_byte (unsigned layer, uint64_t off)
{
  return 1 + (off * 7 + off / UNIT * 11 + layer * 101) % 255;
}

static TEST_UNUSED int
test_layer_map (struct rv_format *format, uint64_t off, uint64_t len,
                struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  struct test_layer *l = (struct test_layer *) format;
  struct test_run *r = l->runs;
  uint64_t in;

  atomic_fetch_add (&l->maps, 1);
  while (off >= r->off + r->len)
    r++;
  in = off - r->off;
  *damaged = rv_min_u64 (r->len - in, len);
  if (r->damaged)
    return rv_error_corrupt (err, "layer %u: damage", l->number);
  *map = r->map;
  map->len = *damaged;
  map->io = l->base.io;
  if (map->kind != RV_MAP_DATA)
    return 0;
  map->host_off += in;
  if (map->host_avail && map->host_avail <= in)
    map->kind = RV_MAP_ZERO;
  else if (map->host_avail)
    map->host_avail -= in;
  return 0;
}

static TEST_UNUSED const struct rv_format_ops test_layer_ops = {
  .name = "test",
  .map = test_layer_map,
};

static TEST_UNUSED void
test_layer_init (struct test_layer *l, unsigned number, uint64_t room)
{
  memset (l, 0, sizeof *l);
  l->number = number;
  l->bytes = calloc (1, room);
  l->room = room;
  l->base.ops = &test_layer_ops;
  l->base.cluster_size = UNIT;
}

static TEST_UNUSED struct test_run *
test_layer_add (struct test_layer *l, enum rv_map_kind kind, uint64_t len)
{
  struct test_run *r = &l->runs[l->n++];

  *r = (struct test_run){ .off = l->base.size,
                          .len = len,
                          .map = { .kind = kind, .len = len } };
  l->base.size += len;
  return r;
}

static TEST_UNUSED struct test_run *
test_layer_add_damage (struct test_layer *l, uint64_t len)
{
  struct test_run *r = test_layer_add (l, RV_MAP_ZERO, len);

  r->damaged = true;
  return r;
}

/* Host bytes go behind a gap, so that runs do not adjoin. */
static TEST_UNUSED struct test_run *
test_layer_add_data (struct test_layer *l, uint64_t len)
{
  struct test_run *r = test_layer_add (l, RV_MAP_DATA, len);

  l->len += 13;
  r->map.host_off = l->len;
  for (uint64_t i = 0; i < len; i++)
    l->bytes[l->len++] = test_byte (l->number, r->off + i);
  return r;
}

static TEST_UNUSED struct test_run *
test_layer_add_unit (struct test_layer *l)
{
  struct test_run *r = test_layer_add (l, RV_MAP_COMPRESSED, UNIT);
  uint8_t plain[UNIT];
  z_stream z = { .next_in = plain,
                 .avail_in = UNIT,
                 .next_out = l->bytes + l->len,
                 .avail_out = l->room - l->len };

  for (uint64_t i = 0; i < UNIT; i++)
    plain[i] = test_byte (l->number, r->off + i);
  deflateInit2 (&z, 6, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY);
  deflate (&z, Z_FINISH);
  r->map.codec = RV_CODEC_DEFLATE;
  r->map.host_off = l->len;
  r->map.host_len = l->room - l->len - z.avail_out;
  r->map.unit_len = r->map.unit_min = UNIT;
  r->map.unit_off = r->off;
  l->len += r->map.host_len;
  deflateEnd (&z);
  return r;
}

/* The file as it is now becomes the layer's io. */
static TEST_UNUSED void
test_layer_done (struct test_layer *l)
{
  rawview_error err;

  CHECK_OK (rv_io_mem_new (l->bytes, l->len, "host", &l->mem, &err), err);
  l->base.io = rv_io_ref (l->mem);
}

static TEST_UNUSED void
test_layer_release (struct test_layer *l)
{
  rv_io_unref (l->base.io);
  rv_io_unref (l->mem);
  free (l->bytes);
}
#define CLEANUP_LAYER RV_CLEANUP (test_layer_release)

/* What the guest should read at off of the chain. */
static TEST_UNUSED uint8_t
test_chain_byte (struct test_layer *const *layers, size_t n, uint64_t off)
{
  for (size_t i = 0; i < n && off < layers[i]->base.size; i++) {
    const struct test_run *r = layers[i]->runs;

    while (off >= r->off + r->len)
      r++;
    if (r->map.kind == RV_MAP_ZERO ||
        (r->map.host_avail && off - r->off >= r->map.host_avail))
      return 0;
    if (r->map.kind != RV_MAP_PARENT)
      return test_byte (layers[i]->number, off);
  }
  return 0;
}

struct test_chain {
  struct test_layer *layers[4];
  struct rv_chain chain;
  struct rv_engine *engine;
};

/* layers ends with NULL or the array. */
static TEST_UNUSED bool
test_chain_open (struct test_chain *c, size_t cache, unsigned workers)
{
  struct rv_engine_options opts = { cache, workers };
  rawview_error err;

  for (size_t i = 0; i < 4 && c->layers[i]; i++)
    CHECK (rv_chain_append (&c->chain, &c->layers[i]->base) == 0);
  return CHECK_OK (rv_engine_new (&c->chain, &opts, &c->engine, &err), err) &&
         CHECK_OK (rv_engine_start (c->engine, &err), err);
}

static TEST_UNUSED void
test_chain_close (struct test_chain *c)
{
  rv_engine_free (c->engine);
  rv_chain_release (&c->chain);
}
#define CLEANUP_CHAIN RV_CLEANUP (test_chain_close)

/* Reads and compares; the error, if there is one, goes to err. */
static TEST_UNUSED bool
test_chain_read (struct test_chain *c, size_t len, uint64_t off,
                 rawview_error *err)
{
  CLEANUP_FREE uint8_t *buf = malloc (len ? len : 1);

  memset (buf, 0xa5, len);
  if (rv_engine_pread (c->engine, buf, len, off, err) == -1)
    return false;
  for (size_t i = 0; i < len; i++)
    if (buf[i] != test_chain_byte (c->layers, c->chain.len, off + i))
      return TEST_FAIL ("read of %zu at %ju: byte %zu is %02x, not %02x", len,
                        (uintmax_t) off, i, buf[i],
                        test_chain_byte (c->layers, c->chain.len, off + i));
  return true;
}

#define CHECK_READ(c, len, off) \
  do { \
    rawview_error read_err_ = { 0 }; \
    if (!test_chain_read ((c), (len), (off), &read_err_)) \
      TEST_FAIL ("read of %zu at %ju: %s", (size_t) (len), (uintmax_t) (off), \
                 read_err_.msg); \
  } while (0)

#endif /* RV_TEST_CHAIN_H */
