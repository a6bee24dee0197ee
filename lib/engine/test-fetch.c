/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "engine/engine-internal.h"
#include "engine/fetch.h"
#include "engine/test-chain.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

/* What io-ahead keeps, see open.c. */
#define KEPT (32 * MIB)

/*--- A slow storage without an end, and without bytes -------------------*/

struct slow_io {
  struct rv_io base;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  uint64_t fetched; /* bytes */
  unsigned fetches;
  bool shut, waiting; /* a fetch is to wait, does */
};

static int
slow_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
            rawview_error *err)
{
  memset (buf, 0, len);
  return 0;
}

/* Who waits does so for at most 10 s, so that a test that fails ends. */
static void
slow_prefetch (struct rv_io *io, uint64_t off, uint64_t len)
{
  struct slow_io *s = (struct slow_io *) io;
  struct timespec t;
  LOCKED (&s->lock);

  s->fetched += len;
  s->fetches++;
  clock_gettime (CLOCK_REALTIME, &t);
  t.tv_sec += 10;
  s->waiting = s->shut;
  pthread_cond_broadcast (&s->changed);
  while (s->shut &&
         pthread_cond_timedwait (&s->changed, &s->lock, &t) != ETIMEDOUT)
    ;
  s->waiting = false;
}

static void
slow_free (struct rv_io *io)
{
  struct slow_io *s = (struct slow_io *) io;

  pthread_cond_destroy (&s->changed);
  pthread_mutex_destroy (&s->lock);
  free (s);
}

static const struct rv_io_ops slow_ops = {
  .name = "slow",
  .pread = slow_pread,
  .prefetch = slow_prefetch,
  .free = slow_free,
};

/* A layer of such a storage, with these answers. */
static struct slow_io *
slow_layer (struct test_layer *l, const struct rv_format_ops *ops)
{
  struct slow_io *s = calloc (1, sizeof *s);

  CHECK (rv_io_init (&s->base, &slow_ops, "slow", 2 * TIB) == 0);
  s->base.slow = true;
  pthread_mutex_init (&s->lock, NULL);
  pthread_cond_init (&s->changed, NULL);
  test_layer_init (l, 1, 1);
  l->base.ops = ops;
  l->base.io = &s->base;
  l->base.size = TIB;
  return s;
}

/* Plain and in one piece. */
static int
flat_map (struct rv_format *f, uint64_t off, uint64_t len, struct rv_map *map,
          uint64_t *damaged, rawview_error *e)
{
  *map = (struct rv_map){
    .kind = RV_MAP_DATA, .len = len, .io = f->io, .host_off = off
  };
  return 0;
}

/* Each sector is as far from the next as just to be worth joining. */
#define APART (256 * KIB)

static int
scattered_map (struct rv_format *f, uint64_t off, uint64_t len,
               struct rv_map *map, uint64_t *damaged, rawview_error *e)
{
  uint64_t host = off / UNIT * APART % TIB;

  return flat_map (f, host, rv_min_u64 (len, UNIT - off % UNIT), map, damaged,
                   e);
}

/* Too far to be worth it. */
static int
strewn_map (struct rv_format *f, uint64_t off, uint64_t len, struct rv_map *map,
            uint64_t *damaged, rawview_error *e)
{
  uint64_t host = off / UNIT * MIB % TIB;

  return flat_map (f, host, rv_min_u64 (len, UNIT - off % UNIT), map, damaged,
                   e);
}

#define TABLE 4096u

/* Two tables for each GiB. */
static void
some_tables (struct rv_format *f, uint64_t off, uint64_t len,
             int (*cb) (void *opaque, struct rv_io *io, uint64_t host_off,
                        size_t len),
             void *opaque)
{
  for (uint64_t i = off / GIB; i * GIB < off + len; i++)
    if (cb (opaque, f->io, TIB + 2 * i * TABLE, TABLE) ||
        cb (opaque, f->io, TIB + (2 * i + 1) * TABLE, TABLE))
      return;
}

static const struct rv_format_ops flat = { .name = "flat", .map = flat_map };
static const struct rv_format_ops scattered = { .name = "scattered",
                                                .map = scattered_map };
static const struct rv_format_ops strewn = { .name = "strewn",
                                             .map = strewn_map };
static const struct rv_format_ops tabled = { .name = "tabled",
                                             .map = flat_map,
                                             .tables_of = some_tables };

/*--- Tests --------------------------------------------------------------*/

static void
no_more_is_fetched_than_is_kept (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct slow_io *s = slow_layer (&a, &flat);

  REQUIRE (test_chain_open (&c, MIB, 0));
  rv_fetch (c.engine, TIB, 0);
  CHECK (s->fetched > MIB && s->fetched <= KEPT);
}

static void
little_is_fetched_for_the_sake_of_what_lies_apart (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct slow_io *s = slow_layer (&a, &scattered);

  REQUIRE (test_chain_open (&c, MIB, 0));
  rv_fetch (c.engine, 8 * UNIT, 0);
  CHECK_EQ_U64 (s->fetches, 1);
  s->fetched = 0;
  rv_fetch (c.engine, 2 * MIB, MIB);
  CHECK (s->fetched >= 2 * MIB && s->fetched <= KEPT);
}

static void
tables_that_are_there_are_not_fetched_again (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct slow_io *s = slow_layer (&a, &tabled);
  rawview_error err;

  REQUIRE_OK (rv_tables_new (MIB, &a.base.tables, &err), err);
  REQUIRE (test_chain_open (&c, MIB, 0));
  for (uint64_t i = 0; i < 64; i++)
    rv_fetch_compressed (c.engine, 128 * KIB, i * GIB);
  CHECK_EQ_U64 (s->fetched, 64 * 2 * TABLE);
  for (uint64_t i = 0; i < 64; i++)
    rv_fetch_compressed (c.engine, 128 * KIB, i * 29 % 64 * GIB);
  CHECK_EQ_U64 (s->fetched, 64 * 2 * TABLE);
  rv_tables_free (a.base.tables);
}

static int
ignore_extent (void *opaque, const rawview_extent *e)
{
  return 0;
}

static void
a_map_fetches_the_tables_that_it_needs (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct slow_io *s = slow_layer (&a, &tabled);
  rawview_error err;

  REQUIRE_OK (rv_tables_new (16 * MIB, &a.base.tables, &err), err);
  REQUIRE (test_chain_open (&c, MIB, 0));
  CHECK_OK (rv_engine_extents (c.engine, 1, 5 * GIB + 7, 0, ignore_extent, NULL,
                               &err),
            err);
  CHECK_EQ_U64 (s->fetched, 2 * TABLE);
  CHECK_OK (rv_engine_extents (c.engine, TIB, 0, 0, ignore_extent, NULL, &err),
            err);
  CHECK_EQ_U64 (s->fetched, 1024 * 2 * TABLE);
  rv_tables_free (a.base.tables);
}

static void *
fetch_some (void *opaque)
{
  rv_fetch (opaque, MIB, 0);
  return NULL;
}

/* Nobody frees what a slow storage holds. */
static void
who_frees_need_not_wait_for_what_is_fetched (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct slow_io *s = slow_layer (&a, &flat);
  struct rv_tables *tables;
  pthread_t thread;
  rawview_error err;

  REQUIRE_OK (rv_tables_new (MIB, &tables, &err), err);
  REQUIRE (test_chain_open (&c, MIB, 0));
  c.engine->tables = tables; /* as for an image that can become writable */
  s->shut = true;
  REQUIRE (pthread_create (&thread, NULL, fetch_some, c.engine) == 0);
  pthread_mutex_lock (&s->lock);
  while (!s->waiting)
    pthread_cond_wait (&s->changed, &s->lock);
  pthread_mutex_unlock (&s->lock);
  rv_grace_wait (&c.engine->grace);
  pthread_mutex_lock (&s->lock);
  CHECK (s->waiting);
  s->shut = false;
  pthread_cond_broadcast (&s->changed);
  pthread_mutex_unlock (&s->lock);
  pthread_join (thread, NULL);
  c.engine->tables = NULL;
  rv_tables_free (tables);
}

struct closing {
  struct rv_engine *engine;
  struct slow_io *io;
};

static void *
let_go_when_closing (void *opaque)
{
  struct closing *c = opaque;

  while (!atomic_load (&c->engine->closing))
    nanosleep (&(struct timespec){ .tv_nsec = 1000000 }, NULL);
  LOCKED (&c->io->lock);
  c->io->shut = false;
  pthread_cond_broadcast (&c->io->changed);
  return NULL;
}

/* Read in order until somebody reads ahead, who then hangs. */
static void
who_closes_waits_for_one_request_only (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct slow_io *s = slow_layer (&a, &strewn);
  struct closing closing = { .io = s };
  uint8_t buf[32 * KIB];
  pthread_t thread;
  rawview_error err;

  REQUIRE (test_chain_open (&c, MIB, 0));
  closing.engine = c.engine;
  s->shut = true;
  for (uint64_t off = 0; off < 4 * sizeof buf; off += sizeof buf)
    CHECK_OK (rv_engine_pread (c.engine, buf, sizeof buf, off, &err), err);
  pthread_mutex_lock (&s->lock);
  while (!s->waiting)
    pthread_cond_wait (&s->changed, &s->lock);
  pthread_mutex_unlock (&s->lock);
  REQUIRE (pthread_create (&thread, NULL, let_go_when_closing, &closing) == 0);
  rv_engine_free (STEAL (c.engine));
  pthread_join (thread, NULL);
  CHECK (s->fetches <= 4); /* one of each thread */
}

int
main (void)
{
  TEST (no_more_is_fetched_than_is_kept);
  TEST (little_is_fetched_for_the_sake_of_what_lies_apart);
  TEST (tables_that_are_there_are_not_fetched_again);
  TEST (a_map_fetches_the_tables_that_it_needs);
  TEST (who_frees_need_not_wait_for_what_is_fetched);
  TEST (who_closes_waits_for_one_request_only);
  return test_result ();
}
