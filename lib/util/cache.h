/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A cache of immutable blocks within a byte budget: tables as they lie in the
 * file, decompressed clusters.
 *
 * - A block in use is pinned and not evicted, so the budget may be passed by
 *   the blocks that are pinned at one time.
 * - Single flight: while one thread loads a block, others that want it wait.  A
 *   failed load is told to every waiter and not remembered.
 * - The least recently used block goes first, and those that were wanted again
 *   go last: three quarters of the budget may be theirs, and who reads
 *   through everything once does not push them out.
 */

#ifndef RV_CACHE_H
#define RV_CACHE_H

#include <rawview.h>

struct rv_cache;
struct rv_cache_block;

/* What a block is: something that owns it, and two numbers. */
struct rv_cache_key {
  const void *owner;
  uint64_t a, b;
};

/* Fills the len bytes at buf. */
typedef int (*rv_cache_load_fn) (void *opaque, void *buf, size_t len,
                                 rawview_error *err);

/* budget: bytes */
int rv_cache_new (size_t budget, struct rv_cache **cache, rawview_error *err);
void rv_cache_free (struct rv_cache *cache);

/* Is a block worth more because it is wanted again?  Not if it is wanted by one
 * who passes by and takes a little of it at a time.
 */
enum rv_cache_use { RV_CACHE_AGAIN, RV_CACHE_PASSING };

/* Pins the block of len bytes, loading it if needed, without holding a lock.
 * *bytes is valid until rv_cache_unpin.  One key always comes with one len.
 */
int rv_cache_pin (struct rv_cache *cache, const struct rv_cache_key *key,
                  size_t len, enum rv_cache_use use, rv_cache_load_fn load,
                  void *opaque, struct rv_cache_block **block,
                  const uint8_t **bytes, rawview_error *err);

/* Pins the block if it is there or being loaded, as one who passes by; waits
 * for its load, never loads.
 */
bool rv_cache_find (struct rv_cache *cache, const struct rv_cache_key *key,
                    struct rv_cache_block **block, const uint8_t **bytes);

/* Is the block there, or being loaded? */
bool rv_cache_holds (struct rv_cache *cache, const struct rv_cache_key *key);

/* Puts a block under the key, in place of what is there or being loaded: who
 * has that pinned keeps it, who comes later gets the new one.  Its bytes are
 * not copied but shared: release (shared) is called, perhaps with the cache's
 * lock held, when the block is gone and nobody has it pinned; or at once if
 * there is no memory for it, and then the key is merely forgotten.
 */
void rv_cache_put (struct rv_cache *cache, const struct rv_cache_key *key,
                   size_t len, const uint8_t *bytes, void *shared,
                   void (*release) (void *shared));

/* What a block that is pinned shares, NULL if it was loaded. */
void *rv_cache_shared (const struct rv_cache_block *block);

/* Nobody gets the blocks of this owner and a from now on whose b is above
 * b_above.  Who has one pinned keeps it.
 */
void rv_cache_forget (struct rv_cache *cache, const void *owner, uint64_t a,
                      uint64_t b_above);

void rv_cache_unpin (struct rv_cache *cache, struct rv_cache_block *block);

#endif /* RV_CACHE_H */
