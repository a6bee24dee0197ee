/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hash table whose chains and least-recently-used lists share one lock.  A
 * block is in the table from the moment that somebody begins to load it, and
 * leaves it when its load fails, or it is evicted or replaced; it is freed
 * when, besides, nobody has it pinned.
 */

#include <config.h>

#include <pthread.h>
#include <stdlib.h>

#include "util/cache.h"
#include "util/cleanup.h"
#include "util/error.h"

enum state { LOADING, LOADED, FAILED };

struct rv_cache_block {
  struct rv_cache_block *chain;         /* next of the same hash */
  struct rv_cache_block *newer, *older; /* while unpinned and LOADED */
  bool again;                           /* wanted again: in that list */
  struct rv_cache_key key;
  enum state state;
  bool gone; /* from the table */
  unsigned pins;
  size_t len;
  rawview_error *error; /* FAILED: for those who waited */
  void *shared;         /* NULL: the bytes are own */
  void (*release) (void *shared);
  const uint8_t *bytes;
  uint8_t own[];
};

/* Unpinned blocks. */
struct list {
  struct rv_cache_block *newest, *oldest;
  size_t bytes;
};

struct rv_cache {
  pthread_mutex_t lock; /* protects everything below, and all blocks */
  pthread_cond_t loaded;
  size_t budget, used;     /* bytes */
  struct list once, again; /* wanted once so far, more often */
  struct rv_cache_block **table;
  size_t table_len; /* a power of two */
  size_t blocks;
};

#define TABLE_LEN_MIN 256u

int
rv_cache_new (size_t budget, struct rv_cache **cache, rawview_error *err)
{
  CLEANUP_FREE struct rv_cache *c = calloc (1, sizeof *c);

  if (c == NULL)
    return rv_error_nomem (err);
  c->table_len = TABLE_LEN_MIN;
  c->table = calloc (c->table_len, sizeof *c->table);
  if (c->table == NULL)
    return rv_error_nomem (err);
  c->budget = budget;
  pthread_mutex_init (&c->lock, NULL);
  pthread_cond_init (&c->loaded, NULL);
  *cache = STEAL (c);
  return 0;
}

static void
free_block (struct rv_cache_block *b)
{
  if (b->shared != NULL)
    b->release (b->shared);
  free (b->error);
  free (b);
}

void
rv_cache_free (struct rv_cache *c)
{
  if (c == NULL)
    return;
  for (size_t i = 0; i < c->table_len; i++)
    while (c->table[i]) {
      struct rv_cache_block *b = c->table[i];

      c->table[i] = b->chain;
      free_block (b);
    }
  free (c->table);
  pthread_cond_destroy (&c->loaded);
  pthread_mutex_destroy (&c->lock);
  free (c);
}

/*--- Everything from here to the interface runs with the lock held -------*/

/* Without b, so that all that differ in it only are in one chain. */
static struct rv_cache_block **
bucket (struct rv_cache *c, const struct rv_cache_key *key)
{
  uint64_t h = (uint64_t) (uintptr_t) key->owner ^ key->a * 0x9e3779b97f4a7c15u;

  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93u;
  h ^= h >> 32;
  return &c->table[h & (c->table_len - 1)];
}

static struct rv_cache_block *
find (struct rv_cache *c, const struct rv_cache_key *key)
{
  struct rv_cache_block *b = *bucket (c, key);

  while (b && (b->key.a != key->a || b->key.b != key->b ||
               b->key.owner != key->owner))
    b = b->chain;
  return b;
}

static struct list *
list_of (struct rv_cache *c, const struct rv_cache_block *b)
{
  return b->again ? &c->again : &c->once;
}

static void
list_push (struct rv_cache *c, struct rv_cache_block *b)
{
  struct list *l = list_of (c, b);

  b->newer = NULL;
  b->older = l->newest;
  if (l->newest)
    l->newest->newer = b;
  else
    l->oldest = b;
  l->newest = b;
  l->bytes += b->len;
}

static void
list_remove (struct rv_cache *c, struct rv_cache_block *b)
{
  struct list *l = list_of (c, b);

  if (b->newer)
    b->newer->older = b->older;
  else
    l->newest = b->older;
  if (b->older)
    b->older->newer = b->newer;
  else
    l->oldest = b->newer;
  l->bytes -= b->len;
}

/* Those that were wanted again leave room for new ones to prove themselves. */
static void
list_add (struct rv_cache *c, struct rv_cache_block *b)
{
  list_push (c, b);
  while (c->again.bytes > c->budget / 4 * 3) {
    b = c->again.oldest;
    list_remove (c, b);
    b->again = false;
    list_push (c, b);
  }
}

static void
table_remove (struct rv_cache *c, struct rv_cache_block *b)
{
  struct rv_cache_block **p = bucket (c, &b->key);

  while (*p != b)
    p = &(*p)->chain;
  *p = b->chain;
  b->gone = true;
  c->blocks--;
  c->used -= b->len;
}

/* Keeps chains short.  Without memory they just get longer. */
static void
grow_table (struct rv_cache *c)
{
  size_t old_len = c->table_len;
  struct rv_cache_block **old = c->table, **new;

  new = calloc (old_len * 2, sizeof *new);
  if (new == NULL)
    return;
  c->table = new;
  c->table_len = old_len * 2;
  for (size_t i = 0; i < old_len; i++)
    while (old[i]) {
      struct rv_cache_block *b = old[i], **p = bucket (c, &b->key);

      old[i] = b->chain;
      b->chain = *p;
      *p = b;
    }
  free (old);
}

/* Who goes first; NULL: all are in use. */
static struct rv_cache_block *
victim (struct rv_cache *c)
{
  return c->once.oldest ? c->once.oldest : c->again.oldest;
}

static void
evict (struct rv_cache *c)
{
  struct rv_cache_block *b;

  while (c->used > c->budget && (b = victim (c)) != NULL) {
    list_remove (c, b);
    table_remove (c, b);
    free_block (b);
  }
}

/* The memory of one that has to go anyway and is as large, NULL: there is none.
 * What many threads allocate and free in any order an allocator does not give
 * back, and the budget would be passed by half.
 */
static struct rv_cache_block *
recycle (struct rv_cache *c, size_t len)
{
  struct rv_cache_block *b = victim (c);

  if (b == NULL || b->len != len || b->shared != NULL ||
      c->used + len <= c->budget)
    return NULL;
  list_remove (c, b);
  table_remove (c, b);
  free (b->error);
  return b;
}

static struct rv_cache_block *
init_block (struct rv_cache_block *b, const struct rv_cache_key *key,
            size_t len)
{
  if (b == NULL)
    return NULL;
  *b = (struct rv_cache_block){ .key = *key, .len = len };
  b->bytes = b->own;
  return b;
}

/* One whose bytes are its own. */
static struct rv_cache_block *
new_block (struct rv_cache *c, const struct rv_cache_key *key, size_t len)
{
  struct rv_cache_block *b = recycle (c, len);

  return init_block (b ? b : malloc (sizeof *b + len), key, len);
}

static void
insert (struct rv_cache *c, struct rv_cache_block *b)
{
  struct rv_cache_block **p;

  if (c->blocks >= c->table_len)
    grow_table (c);
  p = bucket (c, &b->key);
  b->chain = *p;
  *p = b;
  c->blocks++;
  c->used += b->len;
  evict (c);
}

/* Takes b out of the table, whatever its state. */
static void
detach (struct rv_cache *c, struct rv_cache_block *b)
{
  table_remove (c, b);
  if (b->pins > 0)
    return;
  list_remove (c, b);
  free_block (b);
}

static void
pin (struct rv_cache *c, struct rv_cache_block *b)
{
  if (b->pins++ == 0)
    list_remove (c, b);
}

static void
unpin (struct rv_cache *c, struct rv_cache_block *b)
{
  if (--b->pins > 0)
    return;
  if (b->gone) {
    free_block (b);
    return;
  }
  list_add (c, b);
  evict (c);
}

/* Loads b, which this thread has just inserted. */
static int
load_block (struct rv_cache *c, struct rv_cache_block *b, rv_cache_load_fn load,
            void *opaque, rawview_error *err)
{
  rawview_error e = { 0 };
  int r;

  pthread_mutex_unlock (&c->lock);
  r = load (opaque, b->own, b->len, &e);
  pthread_mutex_lock (&c->lock);
  b->state = r == 0 ? LOADED : FAILED;
  pthread_cond_broadcast (&c->loaded);
  if (r == 0)
    return 0;
  if (!b->gone)
    table_remove (c, b);
  b->error = b->pins > 1 ? malloc (sizeof e) : NULL;
  if (b->error)
    *b->error = e;
  unpin (c, b);
  if (err)
    *err = e;
  return -1;
}

/* Waits for the thread that loads b, which is pinned. */
static int
wait_for (struct rv_cache *c, struct rv_cache_block *b, rawview_error *err)
{
  while (b->state == LOADING)
    pthread_cond_wait (&c->loaded, &c->lock);
  if (b->state == LOADED)
    return 0;
  if (b->error == NULL)
    rv_error_nomem (err);
  else if (err)
    *err = *b->error;
  unpin (c, b);
  return -1;
}

/*--- The interface ------------------------------------------------------*/

int
rv_cache_pin (struct rv_cache *c, const struct rv_cache_key *key, size_t len,
              enum rv_cache_use use, rv_cache_load_fn load, void *opaque,
              struct rv_cache_block **block, const uint8_t **bytes,
              rawview_error *err)
{
  struct rv_cache_block *b;
  LOCKED (&c->lock);

  b = find (c, key);
  if (b) {
    pin (c, b);
    if (use == RV_CACHE_AGAIN)
      b->again = true;
    if (b->state != LOADED && wait_for (c, b, err) == -1)
      return -1;
  }
  else {
    b = new_block (c, key, len);
    if (b == NULL)
      return rv_error_nomem (err);
    b->state = LOADING;
    b->pins = 1;
    insert (c, b);
    if (load_block (c, b, load, opaque, err) == -1)
      return -1;
  }
  *block = b;
  *bytes = b->bytes;
  return 0;
}

bool
rv_cache_find (struct rv_cache *c, const struct rv_cache_key *key,
               struct rv_cache_block **block, const uint8_t **bytes)
{
  struct rv_cache_block *b;
  LOCKED (&c->lock);

  b = find (c, key);
  if (b == NULL)
    return false;
  pin (c, b);
  if (b->state != LOADED && wait_for (c, b, NULL) == -1)
    return false;
  *block = b;
  *bytes = b->bytes;
  return true;
}

bool
rv_cache_holds (struct rv_cache *c, const struct rv_cache_key *key)
{
  LOCKED (&c->lock);

  return find (c, key) != NULL;
}

void
rv_cache_put (struct rv_cache *c, const struct rv_cache_key *key, size_t len,
              const uint8_t *bytes, void *shared,
              void (*release) (void *shared))
{
  struct rv_cache_block *b = init_block (malloc (sizeof *b), key, len), *old;
  LOCKED (&c->lock);

  old = find (c, key);
  if (old != NULL)
    detach (c, old);
  if (b == NULL) {
    release (shared);
    return;
  }
  b->state = LOADED;
  b->bytes = bytes;
  b->shared = shared;
  b->release = release;
  list_add (c, b);
  insert (c, b);
}

void *
rv_cache_shared (const struct rv_cache_block *b)
{
  return b->shared;
}

void
rv_cache_forget (struct rv_cache *c, const void *owner, uint64_t a,
                 uint64_t b_above)
{
  const struct rv_cache_key key = { .owner = owner, .a = a };
  LOCKED (&c->lock);
  struct rv_cache_block *b = *bucket (c, &key), *next;

  for (; b != NULL; b = next) {
    next = b->chain;
    if (b->key.owner == owner && b->key.a == a && b->key.b > b_above)
      detach (c, b);
  }
}

void
rv_cache_unpin (struct rv_cache *c, struct rv_cache_block *b)
{
  LOCKED (&c->lock);

  unpin (c, b);
}
