/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A reader is known by where his next read would begin.  Several requests of
 * one may be under way and arrive in another order, so one that begins nearby
 * is his, too.  The least recently seen reader is forgotten for a new one.
 */

#include <config.h>

#include <stdatomic.h>

#include "engine/ahead.h"
#include "util/checked.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/thread.h"

#define READERS 8u

/* Reads in order before it is believed. */
#define BELIEVED 3u

/* Bytes: less is not worth a thread's waking up. */
#define CHUNK_MIN (128u << 10)

/* A reader who has not been seen for so many reads of all is gone. */
#define GONE (8u * READERS)

/* Chunks that wait to be fetched.  When there is no room, readers are faster
 * than we are: what would come too late is left out.
 */
#define QUEUE 64u

struct reader {
  uint64_t next;  /* where his next read should begin */
  uint64_t ahead; /* how far has been asked for */
  unsigned reads; /* in order, until BELIEVED */
  uint64_t run;   /* bytes that he has read in order */
  uint64_t seen;  /* by the clock */
};

struct chunk {
  uint64_t off, len;
};

struct rv_ahead {
  struct rv_ahead_options o;
  atomic_bool may_start;

  pthread_mutex_t noting; /* protects these two; taken before lock */
  struct reader readers[READERS];
  uint64_t clock; /* counts reads */

  pthread_mutex_t lock; /* protects what follows */
  pthread_cond_t work;
  struct chunk queue[QUEUE];
  size_t first, len; /* in the queue, a ring */
  bool quit;
  unsigned started;
  pthread_t threads[RV_AHEAD_THREADS_MAX];
};

int
rv_ahead_new (const struct rv_ahead_options *options, struct rv_ahead **ahead,
              rawview_error *err)
{
  struct rv_ahead *a = calloc (1, sizeof *a);

  if (a == NULL)
    return rv_error_nomem (err);
  a->o = *options;
  a->o.threads = rv_min_u64 (a->o.threads, RV_AHEAD_THREADS_MAX);
  pthread_mutex_init (&a->noting, NULL);
  pthread_mutex_init (&a->lock, NULL);
  pthread_cond_init (&a->work, NULL);
  *ahead = a;
  return 0;
}

void
rv_ahead_start (struct rv_ahead *a)
{
  atomic_store (&a->may_start, true);
}

void
rv_ahead_free (struct rv_ahead *a)
{
  if (a == NULL)
    return;
  pthread_mutex_lock (&a->lock);
  a->quit = true;
  pthread_cond_broadcast (&a->work);
  pthread_mutex_unlock (&a->lock);
  for (unsigned i = 0; i < a->started; i++)
    pthread_join (a->threads[i], NULL);
  pthread_cond_destroy (&a->work);
  pthread_mutex_destroy (&a->lock);
  pthread_mutex_destroy (&a->noting);
  free (a);
}

/*--- Fetching -----------------------------------------------------------*/

static void *
fetch (void *opaque)
{
  struct rv_ahead *a = opaque;
  LOCKED (&a->lock);

  for (;;) {
    struct chunk c;

    while (a->len == 0 && !a->quit)
      pthread_cond_wait (&a->work, &a->lock);
    if (a->quit)
      return NULL;
    c = a->queue[a->first];
    a->first = (a->first + 1) % QUEUE;
    a->len--;
    pthread_mutex_unlock (&a->lock);
    a->o.fetch (a->o.opaque, c.len, c.off);
    pthread_mutex_lock (&a->lock);
  }
}

/* Without a thread nothing is fetched, which is no error.  Called with the lock
 * held.
 */
static void
start_threads (struct rv_ahead *a)
{
  while (a->started < a->o.threads &&
         rv_thread_create (&a->threads[a->started], fetch, a) == 0)
    a->started++;
}

static void
push_chunks (struct rv_ahead *a, struct reader *r, uint64_t to, uint64_t chunk)
{
  LOCKED (&a->lock);
  start_threads (a);
  while (r->ahead < to && a->len < QUEUE) {
    uint64_t end = rv_align_down (r->ahead, chunk) + chunk;
    struct chunk c = { r->ahead, rv_min_u64 (end, a->o.size) - r->ahead };

    a->queue[(a->first + a->len++) % QUEUE] = c;
    r->ahead += c.len;
    pthread_cond_signal (&a->work);
  }
}

/* The largest power of two that is at most n. */
static uint64_t
power_below (uint64_t n)
{
  return 1ull << (63 - __builtin_clzll (n));
}

/* How far may one be read ahead of?  All share two windows, since what is
 * fetched for one must not push out what waits for another.
 */
static uint64_t
share (const struct rv_ahead *a)
{
  unsigned n = 0;

  for (unsigned i = 0; i < READERS; i++) {
    const struct reader *r = &a->readers[i];

    n += r->reads == BELIEVED && a->clock - r->seen < GONE;
  }
  return n > 2 ? 2 * a->o.window / n : a->o.window;
}

/* Who has read little in order gets little.  Whole chunks, and no new ones
 * before there is room for half a window: then they adjoin in the storage.
 */
static enum rv_order
extend (struct rv_ahead *a, struct reader *r)
{
  uint64_t window = rv_min_u64 (share (a), 2 * r->run), to, chunk;

  if (window < CHUNK_MIN || !atomic_load (&a->may_start))
    return RV_ORDER_KNOWN;
  chunk = rv_min_u64 (a->o.chunk, power_below (rv_max_u64 (r->run, CHUNK_MIN)));
  to = rv_min_u64 (r->next + window, a->o.size);
  r->ahead = rv_max_u64 (r->ahead, r->next);
  if (to >= r->ahead + window / 2 || to == a->o.size)
    push_chunks (a, r, to, chunk);
  return RV_ORDER_AHEAD;
}

/*--- Readers ------------------------------------------------------------*/

/* Is a read at off one of this reader's? */
static bool
is_his (const struct reader *r, uint64_t len, uint64_t off)
{
  uint64_t slack = 2 * len;

  return r->reads > 0 && off <= r->next + slack && off + len + slack >= r->next;
}

/* NULL: nobody's. */
static struct reader *
find_reader (struct rv_ahead *a, uint64_t len, uint64_t off,
             struct reader **oldest)
{
  *oldest = &a->readers[0];
  for (unsigned i = 0; i < READERS; i++) {
    if (is_his (&a->readers[i], len, off))
      return &a->readers[i];
    if (a->readers[i].seen < (*oldest)->seen)
      *oldest = &a->readers[i];
  }
  return NULL;
}

static void
advance (struct reader *r, uint64_t end)
{
  if (end <= r->next)
    return;
  r->run += end - r->next;
  r->next = end;
  if (r->reads < BELIEVED)
    r->reads++;
}

/* Rather than to wait for others who note theirs, a read goes unnoted. */
enum rv_order
rv_ahead_note (struct rv_ahead *a, uint64_t len, uint64_t off, bool busy)
{
  struct reader *r, *oldest;
  enum rv_order order = RV_ORDER_NONE;

  if (pthread_mutex_trylock (&a->noting) != 0)
    return order;
  r = find_reader (a, len, off, &oldest);
  if (r == NULL) {
    r = oldest;
    *r = (struct reader){ .next = off };
  }
  advance (r, off + len);
  r->seen = ++a->clock;
  if (r->reads == BELIEVED)
    order = busy ? RV_ORDER_KNOWN : extend (a, r);
  pthread_mutex_unlock (&a->noting);
  return order;
}
