/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "engine/engine-internal.h"
#include "engine/fetch.h"
#include "util/checked.h"
#include "util/error.h"

/* How far to be ahead of readers in order: of a fast storage as much as keeps
 * all cores busy between two requests, of a slow one as much as is on its way
 * at a time, and will be.
 */
#define WINDOW       (2u << 20)
#define CHUNK        (512u << 10)
#define SLOW_WINDOW  (16u << 20)
#define SLOW_CHUNK   (4u << 20)
#define SLOW_THREADS 4u

static void
fetch (void *opaque, uint64_t len, uint64_t off)
{
  rv_fetch_decoded (opaque, len, off);
}

static int
new_ahead (struct rv_engine *e, const struct rv_engine_options *opts,
           rawview_error *err)
{
  struct rv_ahead_options o = {
    .window = rv_min_u64 (WINDOW, opts->cache / 4),
    .chunk = CHUNK,
    .threads = opts->workers,
    .fetch = fetch,
    .opaque = e,
    .size = e->chain->len > 0 ? e->chain->ptr[0]->size : 0,
  };

  for (size_t i = 0; i < e->chain->len; i++)
    e->slow = e->slow || e->chain->ptr[i]->io->slow;
  if (e->slow) {
    o.window = SLOW_WINDOW;
    o.chunk = SLOW_CHUNK;
    o.threads = SLOW_THREADS;
  }
  return rv_ahead_new (&o, &e->ahead, err);
}

int
rv_engine_new (const struct rv_chain *chain,
               const struct rv_engine_options *opts, struct rv_engine **engine,
               rawview_error *err)
{
  struct rv_engine *e = calloc (1, sizeof *e);

  if (e == NULL)
    return rv_error_nomem (err);
  e->chain = chain;
  e->tables = opts->tables;
  rv_grace_init (&e->grace);
  pthread_mutex_init (&e->setup, NULL);
  if (rv_cache_new (opts->cache, &e->clusters, err) == -1 ||
      rv_codecs_new (&e->codecs, err) == -1 ||
      rv_workers_new (opts->workers, &e->workers, err) == -1 ||
      new_ahead (e, opts, err) == -1) {
    rv_engine_free (e);
    return -1;
  }
  *engine = e;
  return 0;
}

int
rv_engine_start (struct rv_engine *e, rawview_error *err)
{
  LOCKED (&e->setup);
  if (rv_workers_start (e->workers, err) == -1 ||
      (atomic_load (&e->writable) && rv_epoch_start (e->epoch, err) == -1))
    return -1;
  rv_ahead_start (e->ahead);
  e->started = true;
  return 0;
}

void
rv_engine_free (struct rv_engine *e)
{
  if (e == NULL)
    return;
  rv_engine_finish (e, NULL);
  atomic_store (&e->closing, true);
  rv_ahead_free (e->ahead);
  rv_epoch_free (e->epoch);
  rv_ranges_free (e->ranges);
  rv_workers_free (e->workers);
  rv_codecs_free (e->codecs);
  rv_cache_free (e->clusters);
  pthread_mutex_destroy (&e->setup);
  rv_grace_release (&e->grace);
  free (e);
}

/*--- Becoming writable, and ending it -----------------------------------*/

/* Everything but the driver's own, so that its enable is called once. */
static int
prepare (struct rv_engine *e, struct rv_format *format, rawview_error *err)
{
  if (e->ranges == NULL && rv_ranges_new (&e->ranges, err) == -1)
    return -1;
  if (e->epoch == NULL &&
      rv_epoch_new (format, e->tables, &e->grace, &e->epoch, err) == -1)
    return -1;
  return e->started ? rv_epoch_start (e->epoch, err) : 0;
}

int
rv_engine_enable_write (struct rv_engine *e, rawview_error *err)
{
  struct rv_format *format = e->chain->ptr[0];
  const struct rv_format_write_ops *ops = format->ops->write;

  LOCKED (&e->setup);
  if (e->enabled)
    return atomic_load (&e->writable) ? 0 : rv_engine_not_writable (e, err);
  if (ops == NULL || e->tables == NULL)
    return rv_error_unsupported (err, "%s: %s images cannot be written",
                                 format->io->name, format->ops->name);
  if (prepare (e, format, err) == -1)
    return -1;
  if (ops->enable (format, err) == -1) {
    rv_epoch_free (STEAL (e->epoch));
    return -1;
  }
  e->enabled = true;
  atomic_store (&e->writable, true);
  return 0;
}

bool
rv_engine_is_writable (const struct rv_engine *e)
{
  return atomic_load (&e->writable);
}

int
rv_engine_flush (struct rv_engine *e, rawview_error *err)
{
  return rv_engine_is_writable (e) ? rv_epoch_flush (e->epoch, err) : 0;
}

/* After a failure, too, nothing is written any more: the locks of a writer are
 * given back now.  Nor is the thread started again.
 */
int
rv_engine_finish (struct rv_engine *e, rawview_error *err)
{
  bool was;

  pthread_mutex_lock (&e->setup);
  was = atomic_exchange (&e->writable, false);
  pthread_mutex_unlock (&e->setup);
  if (!was)
    return 0;
  return rv_epoch_finish (e->epoch, err);
}
