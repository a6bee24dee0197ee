/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Getting guest bytes nearer before they are read.  Nothing in here fails: what
 * cannot be fetched will be read, and then the error is told.
 */

#ifndef RV_FETCH_H
#define RV_FETCH_H

#include "engine/engine.h"

/* Of a fast storage: tells the kernel.  Of a slow one: reads the tables and the
 * bytes of the range in as few requests as their places allow, and returns when
 * they are there.
 */
void rv_fetch (struct rv_engine *engine, uint64_t len, uint64_t off);

/* The same for a slow storage; of a fast one, decodes the compressed units of
 * the range into the cache.
 */
void rv_fetch_decoded (struct rv_engine *engine, uint64_t len, uint64_t off);

/* The same for a slow storage and what is compressed, for a request that wants
 * all of it now: plain data it had better read itself.
 */
void rv_fetch_compressed (struct rv_engine *engine, uint64_t len, uint64_t off);

/* Before a map of the range: of slow storages, fetches the tables that it
 * needs. Returns how much of the range they are good for, which is all of a
 * fast one.
 */
uint64_t rv_fetch_tables (struct rv_engine *engine, uint64_t len, uint64_t off);

#endif /* RV_FETCH_H */
