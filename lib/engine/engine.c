/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "engine/engine-internal.h"
#include "util/error.h"

int
rv_engine_new (const struct rv_chain *chain,
               const struct rv_engine_options *opts, struct rv_engine **engine,
               rawview_error *err)
{
  struct rv_engine *e = calloc (1, sizeof *e);

  if (e == NULL)
    return rv_error_nomem (err);
  e->chain = chain;
  if (rv_cache_new (opts->cache, &e->clusters, err) == -1 ||
      rv_codecs_new (&e->codecs, err) == -1 ||
      rv_workers_new (opts->workers, &e->workers, err) == -1) {
    rv_engine_free (e);
    return -1;
  }
  *engine = e;
  return 0;
}

int
rv_engine_start (struct rv_engine *e, rawview_error *err)
{
  return rv_workers_start (e->workers, err);
}

void
rv_engine_free (struct rv_engine *e)
{
  if (e == NULL)
    return;
  rv_workers_free (e->workers);
  rv_codecs_free (e->codecs);
  rv_cache_free (e->clusters);
  free (e);
}
