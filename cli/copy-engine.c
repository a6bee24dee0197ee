/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The workers of rawview copy.
 *
 * A worker takes the next piece under the lock, and reads, examines and writes
 * it outside.  A piece is either one long run of zeros, however long, or at
 * most COPY_PIECE bytes that are worth reading.  Short runs of zeros inside
 * data are read as well: finding them in the buffer is cheaper than many small
 * pieces.  Memory is bounded by the lanes' buffers.
 *
 * Where only the changes are wanted, what lies in backing files is skipped.
 */

#include <config.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"

/* A run of zeros this long is worth a piece of its own. */
#define MIN_ZERO_RUN (64 * 1024)

#define MAX_THREADS 256

enum kind {
  DATA,
  ZERO,
  SKIP, /* the target has it already */
};

struct piece {
  uint64_t off, len;
  uint64_t number;
  enum kind kind;
};

/*--- Cutting ------------------------------------------------------------*/

static uint64_t
align_down (uint64_t n, uint64_t unit)
{
  return n - n % unit;
}

static uint64_t
align_up (uint64_t n, uint64_t unit)
{
  return align_down (n + unit - 1, unit);
}

struct cut {
  uint64_t off;
  uint64_t limit; /* where a piece of data has to end */
  uint64_t size;  /* of the disk */
  uint64_t unit, min_zero;
  bool changes;
  uint64_t len;
  enum kind kind;
};

/* Whether a run need not be read. */
static enum kind
kind_of (const struct cut *c, const rawview_extent *e)
{
  if (c->changes && e->depth > 0)
    return SKIP;
  return e->zero && !e->damaged ? ZERO : DATA;
}

/* How much of a run that need not be read the target's unit lets us treat as
 * such; *start is moved up to it.
 */
static uint64_t
usable (const struct cut *c, const rawview_extent *e, enum kind kind,
        uint64_t *start)
{
  uint64_t end = e->off + e->len;
  uint64_t min = kind == ZERO ? c->min_zero : 1;

  if (kind == DATA)
    return 0;
  if (end < c->size)
    end = align_down (end, c->unit);
  *start = align_up (e->off, c->unit);
  return end > *start && end - *start >= min ? end - *start : 0;
}

static int
add_extent (void *opaque, const rawview_extent *e)
{
  struct cut *c = opaque;
  enum kind kind = kind_of (c, e);
  uint64_t start = 0, unread = usable (c, e, kind, &start);
  uint64_t end = e->off + e->len;

  if (unread > 0 && start == c->off) {
    c->kind = kind;
    c->len = unread;
    return 1;
  }
  if (unread > 0 && start < c->limit) {
    c->len = start - c->off;
    return 1;
  }
  if (end > c->limit)
    end = c->limit;
  c->len = end - c->off;
  return end == c->limit;
}

/* Where the map cannot be read, the piece is taken as data: reading it tells
 * what is wrong, or that nothing is.
 */
static void
cut_piece (struct copy_job *job, struct piece *p)
{
  struct cut c = {
    .off = job->cursor,
    .size = job->size,
    .unit = job->target->granularity,
    .min_zero = job->sparse > 0 ? MIN_ZERO_RUN : 1,
    .changes = job->changes,
  };
  const unsigned flags = job->changes ? RAWVIEW_EXTENTS_RUNS : 0;

  c.limit = align_down (c.off, COPY_PIECE) + COPY_PIECE;
  if (c.limit > c.size)
    c.limit = c.size;
  if (rawview_extents (job->image, c.size - c.off, c.off, flags, add_extent, &c,
                       NULL) == -1)
    c.len = 0;
  /* The walk may have ended anywhere; the target wants whole units. */
  if (c.kind == DATA && c.off + c.len < c.limit)
    c.len = align_down (c.off + c.len, c.unit) - c.off;
  if (c.len == 0)
    c.len = c.limit - c.off;
  *p = (struct piece){ .off = c.off, .len = c.len, .kind = c.kind };
}

static bool
take_piece (struct copy_job *job, struct piece *p)
{
  bool got = false;

  pthread_mutex_lock (&job->lock);
  if (!job->stop && job->cursor < job->size) {
    cut_piece (job, p);
    p->number = job->pieces++;
    job->cursor += p->len;
    got = true;
  }
  pthread_mutex_unlock (&job->lock);
  return got;
}

/*--- In order, for streams and for the list of what is lost -------------*/

static bool
is_ordered (const struct copy_job *job)
{
  return job->target->ordered || job->lost != NULL;
}

/* False if the job has been stopped. */
static bool
await_turn (struct copy_job *job, const struct piece *p)
{
  bool go;

  if (!is_ordered (job))
    return true;
  pthread_mutex_lock (&job->lock);
  while (job->turn != p->number && !job->stop)
    pthread_cond_wait (&job->turn_changed, &job->lock);
  go = !job->stop;
  pthread_mutex_unlock (&job->lock);
  return go;
}

static void
pass_turn (struct copy_job *job)
{
  if (!is_ordered (job))
    return;
  pthread_mutex_lock (&job->lock);
  job->turn++;
  pthread_cond_broadcast (&job->turn_changed);
  pthread_mutex_unlock (&job->lock);
}

bool
copy_is_stopped (struct copy_job *job)
{
  bool stop;

  pthread_mutex_lock (&job->lock);
  stop = job->stop;
  pthread_mutex_unlock (&job->lock);
  return stop;
}

/*--- Copying ------------------------------------------------------------*/

static int
zero_range (struct copy_worker *w, uint64_t len, uint64_t off,
            rawview_error *err)
{
  struct copy_job *job = w->job;
  struct copy_target *t = job->target;

  while (len > 0 && !copy_is_stopped (job)) {
    uint64_t n = len < COPY_ZERO_STEP ? len : COPY_ZERO_STEP;

    if (t->ops->zero (t, w->lane, n, off, err) == -1)
      return -1;
    atomic_fetch_add (&job->done, n);
    off += n;
    len -= n;
  }
  return 0;
}

static bool
is_zero (const uint8_t *p, size_t len)
{
  /* Equal to itself moved by one, and the first byte is 0. */
  return *p == 0 && memcmp (p, p + 1, len - 1) == 0;
}

/* Length of the stretch at p that is all blocks of zeros, or all others. */
static size_t
stretch (const uint8_t *p, size_t len, size_t block, bool *zero)
{
  size_t n, end = 0;

  do {
    n = len - end < block ? len - end : block;
    if (end == 0)
      *zero = is_zero (p, n);
    else if (is_zero (p + end, n) != *zero)
      break;
    end += n;
  } while (end < len);
  return end;
}

static size_t
block_size (const struct copy_job *job)
{
  return job->sparse > job->target->granularity ? job->sparse
                                                : job->target->granularity;
}

int
copy_write_sparse (struct copy_worker *w, const uint8_t *buf, size_t len,
                   uint64_t off, rawview_error *err)
{
  struct copy_target *t = w->job->target;
  bool zero;
  int r;

  if (w->job->sparse == 0)
    return t->ops->write (t, w->lane, buf, len, off, err);
  while (len > 0) {
    size_t n = stretch (buf, len, block_size (w->job), &zero);

    if (!zero)
      r = t->ops->write (t, w->lane, buf, n, off, err);
    else
      r = t->zeroed ? 0 : t->ops->zero (t, w->lane, n, off, err);
    if (r == -1)
      return -1;
    buf += n;
    off += n;
    len -= n;
  }
  return 0;
}

static int
read_piece (struct copy_worker *w, const struct piece *p, uint8_t *buf,
            rawview_error *err)
{
  struct copy_job *job = w->job;

  w->losses.n = 0;
  if (rawview_pread (job->image, buf, p->len, p->off, err) == 0)
    return 0;
  if (job->lost)
    return copy_lost_read (job->image, buf, p->len, p->off, &w->losses, err);
  copy_lost_explain (job->image, buf, p->len, p->off, err);
  return -1;
}

static int
copy_data (struct copy_worker *w, const struct piece *p, rawview_error *err)
{
  struct copy_target *t = w->job->target;
  uint8_t *buf = t->ops->buffer (t, w->lane, err);

  if (buf == NULL || read_piece (w, p, buf, err) == -1)
    return -1;
  if (!await_turn (w->job, p))
    return 0;
  if (w->job->lost)
    copy_lost_tell (w->job->lost, &w->losses, p->off + p->len);
  if (copy_write_sparse (w, buf, p->len, p->off, err) == -1)
    return -1;
  atomic_fetch_add (&w->job->done, p->len);
  return 0;
}

static int
copy_zeros (struct copy_worker *w, const struct piece *p, rawview_error *err)
{
  if (!await_turn (w->job, p))
    return 0;
  if (w->job->target->zeroed) {
    atomic_fetch_add (&w->job->done, p->len);
    return 0;
  }
  return zero_range (w, p->len, p->off, err);
}

static int
skip (struct copy_worker *w, const struct piece *p)
{
  if (await_turn (w->job, p))
    atomic_fetch_add (&w->job->done, p->len);
  return 0;
}

static int
copy_piece (struct copy_worker *w, const struct piece *p, rawview_error *err)
{
  switch (p->kind) {
  case ZERO:
    return copy_zeros (w, p, err);
  case SKIP:
    return skip (w, p);
  case DATA:
    break;
  }
  return copy_data (w, p, err);
}

static int
copy_pieces (struct copy_worker *w, rawview_error *err)
{
  struct copy_target *t = w->job->target;
  struct piece p;

  while (take_piece (w->job, &p)) {
    if (copy_piece (w, &p, err) == -1)
      return -1;
    pass_turn (w->job);
  }
  return copy_is_stopped (w->job) ? 0 : t->ops->drain (t, w->lane, err);
}

/*--- Workers ------------------------------------------------------------*/

static void
stop_locked (struct copy_job *job)
{
  job->stop = true;
  pthread_cond_broadcast (&job->turn_changed);
  /* Others may wait for a pipe that brings nothing any more. */
  if (job->stream)
    rawview_stream_stop (job->stream);
}

static void *
work (void *opaque)
{
  struct copy_worker *w = opaque;
  struct copy_job *job = w->job;
  rawview_error err;
  int r = job->stream ? copy_grains (w, &err) : copy_pieces (w, &err);
  const uint64_t one = 1;
  bool last;

  pthread_mutex_lock (&job->lock);
  if (r == -1 && !job->failed) {
    job->failed = true;
    job->err = err;
    stop_locked (job);
  }
  last = --job->running == 0;
  /* What never came is zero. */
  if (last && job->stream && !job->stop)
    atomic_store (&job->done, job->size);
  pthread_mutex_unlock (&job->lock);
  /* Nobody could do anything about a failure, and there is none. */
  if (last && write (job->done_fd, &one, sizeof one) == -1)
    return NULL;
  return NULL;
}

static int
start_worker (struct copy_job *job, unsigned i, rawview_error *err)
{
  struct copy_worker *w = &job->workers[i];
  int r;

  w->job = job;
  w->number = i;
  w->lane = i % job->target->lanes;
  pthread_mutex_lock (&job->lock);
  job->running++;
  pthread_mutex_unlock (&job->lock);
  r = pthread_create (&w->thread, NULL, work, w);
  if (r == 0) {
    job->n_workers++;
    return 0;
  }
  pthread_mutex_lock (&job->lock);
  job->running--;
  pthread_mutex_unlock (&job->lock);
  return cli_error_errno (err, r, "cannot start a thread");
}

static int
start_workers (struct copy_job *job, unsigned n, rawview_error *err)
{
  struct copy_target *t = job->target;

  job->workers = calloc (n, sizeof *job->workers);
  if (job->workers == NULL)
    return cli_error_errno (err, ENOMEM, "copy");
  if (t->ops->start && t->ops->start (t, err) == -1)
    return -1;
  for (unsigned i = 0; i < n; i++)
    if (start_worker (job, i, err) == -1)
      return -1;
  return 0;
}

int
copy_job_start (struct copy_job *job, rawview_error *err)
{
  rawview_error ignored;
  unsigned n = job->target->lanes;

  if (n < job->threads)
    n = job->threads;
  pthread_mutex_init (&job->lock, NULL);
  pthread_mutex_init (&job->sharing, NULL);
  pthread_cond_init (&job->turn_changed, NULL);
  if (start_workers (job, n, err) == 0)
    return 0;
  copy_job_stop (job);
  copy_job_finish (job, &ignored);
  return -1;
}

unsigned
copy_thread_count (unsigned wished)
{
  long n = wished != 0 ? (long) wished : sysconf (_SC_NPROCESSORS_ONLN);

  return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (unsigned) n;
}

void
copy_job_stop (struct copy_job *job)
{
  pthread_mutex_lock (&job->lock);
  stop_locked (job);
  pthread_mutex_unlock (&job->lock);
}

int
copy_job_finish (struct copy_job *job, rawview_error *err)
{
  for (unsigned i = 0; i < job->n_workers; i++) {
    pthread_join (job->workers[i].thread, NULL);
    free (job->workers[i].losses.ranges);
  }
  free (job->workers);
  pthread_cond_destroy (&job->turn_changed);
  pthread_mutex_destroy (&job->sharing);
  pthread_mutex_destroy (&job->lock);
  if (!job->failed)
    return 0;
  *err = job->err;
  return -1;
}
