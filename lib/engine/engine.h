/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine: moves guest bytes, for every format alike. */

#ifndef RV_ENGINE_H
#define RV_ENGINE_H

#include "engine/chain.h"

struct rv_engine;

struct rv_engine_options {
  size_t cache;             /* bytes of decompressed clusters to keep */
  unsigned workers;         /* decompression threads */
  struct rv_tables *tables; /* the chain's; NULL: never writable, and readers
                               need not be counted */
};

/* chain is borrowed and must outlive the engine. */
int rv_engine_new (const struct rv_chain *chain,
                   const struct rv_engine_options *opts,
                   struct rv_engine **engine, rawview_error *err);
int rv_engine_start (struct rv_engine *engine, rawview_error *err);
void rv_engine_free (struct rv_engine *engine);

/* Contracts as the functions of rawview.h; the range is inside the disk. */
int rv_engine_pread (struct rv_engine *engine, void *buf, size_t len,
                     uint64_t off, rawview_error *err);
int rv_engine_salvage (struct rv_engine *engine, void *buf, size_t len,
                       uint64_t off, rawview_lost_cb cb, void *opaque,
                       rawview_error *err);
int rv_engine_extents (struct rv_engine *engine, uint64_t len, uint64_t off,
                       unsigned flags, rawview_extent_cb cb, void *opaque,
                       rawview_error *err);

/*--- Writing ------------------------------------------------------------*/

/* The first of the chain becomes writable, or the error says why not.  Reading
 * goes on meanwhile.
 */
int rv_engine_enable_write (struct rv_engine *engine, rawview_error *err);
bool rv_engine_is_writable (const struct rv_engine *engine);

int rv_engine_pwrite (struct rv_engine *engine, const void *buf, size_t len,
                      uint64_t off, rawview_error *err);
int rv_engine_zero (struct rv_engine *engine, uint64_t len, uint64_t off,
                    unsigned flags, rawview_error *err);
int rv_engine_trim (struct rv_engine *engine, uint64_t len, uint64_t off,
                    rawview_error *err);
int rv_engine_flush (struct rv_engine *engine, rawview_error *err);

/* Flushes until nothing is left to give back, ends writing.  No other request
 * that changes something may be under way.  Then the engine is read-only, after
 * a failure too.  rv_engine_free does it, but cannot tell of errors.
 */
int rv_engine_finish (struct rv_engine *engine, rawview_error *err);

#endif /* RV_ENGINE_H */
