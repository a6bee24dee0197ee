/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Storage that answers late, made bearable: what will be wanted is asked for
 * before, in few and large requests, and kept until it is read.
 *
 * What is kept are entries, none of which overlap: whole blocks, so that what
 * adjoins never shares one and a server's block size is no matter.
 *
 * 1. An entry is in the array from the moment in which its request is decided,
 *    so nobody asks for its bytes again.  Who wants to read them waits; who
 *    wants them prefetched does not.
 * 2. A request that failed leaves nothing behind: those who waited for it ask
 *    the parent themselves, and so get an error of their own, if it is one.
 * 3. An entry that has users stays where it is.  Of the others the oldest goes
 *    first that has been read to its end, then the oldest.  What was read is
 *    kept as long as there is room: the next unit may begin in its last sector.
 * 4. Nothing is waited for with the lock held but the condition, and no bytes
 *    are read or copied under it.
 */

#include <config.h>

#include <string.h>
#include <sys/queue.h>

#include "io/io.h"
#include "util/checked.h"
#include "util/error.h"
#include "util/vector.h"

#define BLOCK     4096u
#define PIECE_MAX (4u << 20) /* bytes in a request that reads ahead */
#define BITS      64u

enum state { LOADING, READY, FAILED };

struct entry {
  TAILQ_ENTRY (entry) age;
  uint64_t off, len; /* whole blocks, but at the end of the storage */
  uint64_t wanted;   /* the end of what was asked for, in the last block */
  uint8_t *bytes;    /* written by the loader until it is READY, then by none */
  enum state state;
  unsigned users;     /* who loads it, waits for it or copies from it */
  unsigned nr_unread; /* blocks of which the end has not been read */
  uint64_t read[PIECE_MAX / BLOCK / BITS];
};
DEFINE_VECTOR (entries, struct entry *);
TAILQ_HEAD (entry_list, entry);

struct ahead_io {
  struct rv_io base;
  struct rv_io_ops ops; /* what the parent can do */
  struct rv_io *parent;
  uint64_t budget;

  pthread_mutex_t lock; /* of all below and of the entries */
  pthread_cond_t loaded;
  struct entries entries;   /* by offset, without those that FAILED */
  struct entry_list by_age; /* the same ones, the oldest first */
  uint64_t held;            /* bytes of them */
};

/*--- The entries, with the lock held ------------------------------------*/

static uint64_t
end_of (const struct entry *e)
{
  return e->off + e->len;
}

/* The index of the first entry that ends behind off. */
static size_t
find (const struct ahead_io *a, uint64_t off)
{
  size_t lo = 0, hi = a->entries.len;

  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;

    if (end_of (a->entries.ptr[mid]) > off)
      hi = mid;
    else
      lo = mid + 1;
  }
  return lo;
}

static int
insert (struct ahead_io *a, size_t i, struct entry *e)
{
  struct entries *v = &a->entries;

  if (entries_append (v, e) == -1)
    return -1;
  memmove (v->ptr + i + 1, v->ptr + i, (v->len - 1 - i) * sizeof v->ptr[0]);
  v->ptr[i] = e;
  TAILQ_INSERT_TAIL (&a->by_age, e, age);
  a->held += e->len;
  return 0;
}

static void
take_out (struct ahead_io *a, struct entry *e)
{
  struct entries *v = &a->entries;
  size_t i = find (a, e->off);

  v->len--;
  memmove (v->ptr + i, v->ptr + i + 1, (v->len - i) * sizeof v->ptr[0]);
  TAILQ_REMOVE (&a->by_age, e, age);
  a->held -= e->len;
}

static void
entry_free (struct entry *e)
{
  free (e->bytes);
  free (e);
}

/* Which one goes next?  NULL: all have users. */
static struct entry *
oldest (const struct ahead_io *a)
{
  struct entry *e, *unread = NULL;

  TAILQ_FOREACH (e, &a->by_age, age)
  {
    if (e->users == 0 && e->nr_unread == 0)
      return e;
    if (e->users == 0 && unread == NULL)
      unread = e;
  }
  return unread;
}

/* For len more bytes. */
static void
make_room (struct ahead_io *a, uint64_t len)
{
  struct entry *e;

  while (a->held + len > a->budget && (e = oldest (a)) != NULL) {
    take_out (a, e);
    entry_free (e);
  }
}

static void
leave (struct entry *e)
{
  if (--e->users == 0 && e->state == FAILED)
    entry_free (e);
}

/* A block has been read when its last byte has, or the last that was wanted.
 */
static void
mark_read (struct entry *e, uint64_t off, uint64_t len)
{
  size_t last = (off + len - 1 - e->off) / BLOCK;

  for (size_t i = (off - e->off) / BLOCK; i <= last; i++) {
    uint64_t end = rv_min_u64 (e->off + (i + 1) * BLOCK, e->wanted);
    uint64_t bit = UINT64_C (1) << i % BITS;

    if (end > off + len || e->read[i / BITS] & bit)
      continue;
    e->read[i / BITS] |= bit;
    e->nr_unread--;
  }
}

/*--- Reading ahead ------------------------------------------------------*/

static struct entry *
entry_new (uint64_t off, uint64_t len, uint64_t wanted)
{
  struct entry *e = calloc (1, sizeof *e);

  if (e == NULL)
    return NULL;
  e->off = off;
  e->len = len;
  e->wanted = rv_min_u64 (wanted, off + len);
  e->nr_unread = rv_div_up (len, BLOCK);
  e->users = 1;
  return e;
}

/* The next part of *at..end that is neither held nor on its way, as an entry
 * that the caller is to load; *at is then behind it.  NULL: there is none, or
 * no memory.
 */
static struct entry *
claim (struct ahead_io *a, uint64_t *at, uint64_t end, uint64_t wanted)
{
  uint64_t most = rv_min_u64 (PIECE_MAX, a->budget), stop;
  struct entry *e;
  LOCKED (&a->lock);
  size_t i = find (a, *at);

  for (; i < a->entries.len && a->entries.ptr[i]->off <= *at; i++)
    *at = end_of (a->entries.ptr[i]);
  if (*at >= end)
    return NULL;
  stop = rv_min_u64 (end, *at + most);
  if (i < a->entries.len)
    stop = rv_min_u64 (stop, a->entries.ptr[i]->off);
  make_room (a, stop - *at);
  e = entry_new (*at, stop - *at, wanted);
  if (e != NULL && insert (a, find (a, *at), e) == -1) {
    entry_free (e);
    return NULL;
  }
  *at = stop;
  return e;
}

static void
load (struct ahead_io *a, struct entry *e)
{
  int r = -1;

  e->bytes = malloc (e->len);
  if (e->bytes != NULL)
    r = rv_io_pread (a->parent, e->bytes, e->len, e->off, NULL);
  LOCKED (&a->lock);
  e->state = r == 0 ? READY : FAILED;
  if (r == -1)
    take_out (a, e);
  leave (e);
  make_room (a, 0);
  pthread_cond_broadcast (&a->loaded);
}

static void
ahead_prefetch (struct rv_io *io, uint64_t off, uint64_t len)
{
  struct ahead_io *a = (struct ahead_io *) io;
  uint64_t at = rv_align_down (off, BLOCK), wanted = off + len;
  uint64_t last = rv_align_down (wanted - 1, BLOCK);
  uint64_t end = last + rv_min_u64 (BLOCK, a->parent->size - last);
  struct entry *e;

  while ((e = claim (a, &at, end, wanted)) != NULL)
    load (a, e);
}

/*--- Reading ------------------------------------------------------------*/

/* Waits while e is loading.  False: that failed, and e is gone. */
static bool
use (struct ahead_io *a, struct entry *e)
{
  bool ready;

  e->users++;
  while (e->state == LOADING)
    pthread_cond_wait (&a->loaded, &a->lock);
  ready = e->state == READY;
  if (!ready)
    leave (e);
  return ready;
}

/* The entry that has off, which the caller now uses, or NULL.  *len is lowered
 * to what it has from there on, or to where the next one begins.
 */
static struct entry *
look_up (struct ahead_io *a, uint64_t off, size_t *len)
{
  struct entry *e;
  LOCKED (&a->lock);

  do {
    size_t i = find (a, off);

    if (i == a->entries.len)
      return NULL;
    e = a->entries.ptr[i];
    if (e->off > off) {
      *len = rv_min_u64 (*len, e->off - off);
      return NULL;
    }
  } while (!use (a, e));
  *len = rv_min_u64 (*len, end_of (e) - off);
  return e;
}

static void
copy_from (struct ahead_io *a, struct entry *e, void *buf, size_t len,
           uint64_t off)
{
  memcpy (buf, e->bytes + (off - e->off), len);
  LOCKED (&a->lock);
  mark_read (e, off, len);
  leave (e);
}

static int
ahead_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
             rawview_error *err)
{
  struct ahead_io *a = (struct ahead_io *) io;
  uint8_t *p = buf;

  while (len > 0) {
    size_t n = len;
    struct entry *e = look_up (a, off, &n);

    if (e != NULL)
      copy_from (a, e, p, n, off);
    else if (rv_io_pread (a->parent, p, n, off, err) == -1)
      return -1;
    p += n;
    off += n;
    len -= n;
  }
  return 0;
}

/*--- What the parent says -----------------------------------------------*/

static int
ahead_hole (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
            uint64_t *run)
{
  rv_io_hole (((struct ahead_io *) io)->parent, off, len, hole, run);
  return 0;
}

static uint64_t
ahead_allocated (struct rv_io *io)
{
  return rv_io_allocated (((struct ahead_io *) io)->parent);
}

static void
ahead_free (struct rv_io *io)
{
  struct ahead_io *a = (struct ahead_io *) io;

  for (size_t i = 0; i < a->entries.len; i++)
    entry_free (a->entries.ptr[i]);
  entries_release (&a->entries);
  pthread_cond_destroy (&a->loaded);
  pthread_mutex_destroy (&a->lock);
  rv_io_unref (a->parent);
  free (a);
}

static const struct rv_io_ops ahead_ops = {
  .name = "ahead",
  .pread = ahead_pread,
  .hole = ahead_hole,
  .prefetch = ahead_prefetch,
  .allocated = ahead_allocated,
  .free = ahead_free,
};

int
rv_io_ahead_new (struct rv_io *parent, size_t budget, struct rv_io **io,
                 rawview_error *err)
{
  CLEANUP_FREE struct ahead_io *a = calloc (1, sizeof *a);

  if (a == NULL ||
      rv_io_init (&a->base, &a->ops, parent->name, parent->size) == -1)
    return rv_error_nomem (err);
  a->ops = ahead_ops;
  if (parent->ops->hole == NULL)
    a->ops.hole = NULL;
  if (parent->ops->allocated == NULL)
    a->ops.allocated = NULL;
  rv_io_like (&a->base, parent);
  a->base.writable = false;
  a->base.slow = true;
  a->parent = rv_io_ref (parent);
  a->budget = rv_max_u64 (rv_align_down (budget, BLOCK), BLOCK);
  pthread_mutex_init (&a->lock, NULL);
  pthread_cond_init (&a->loaded, NULL);
  TAILQ_INIT (&a->by_age);
  *io = &STEAL (a)->base;
  return 0;
}
