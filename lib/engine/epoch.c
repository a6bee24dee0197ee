/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The flush epoch: in which order changes become durable.
 *
 * What a disk holds after a crash is any mixture of what was written since the
 * last sync, torn into sectors.  So whatever is written must not do harm with
 * only a part of the rest: a table that points at a cluster must not be there
 * before the cluster's bytes and its refcount; a cluster must not get new bytes
 * while a table on disk still says that they are the old ones.
 *
 * Guest data is written at once, where no table on disk points to it yet (or in
 * place).  Changed tables stay in memory.  From time to time all of them are
 * taken together, in one instant, and written in three phases with a barrier,
 * the sync of every file, after each:
 *
 *   ALLOC    refcounts, and new tables that nothing points to.  The barrier
 *            makes all guest data durable with them.
 *   HOOK     refcount table entries and the like, which ALLOC itself needed
 *   PUBLISH  L2 and L1 entries, grain tables and directories.  After this
 *            barrier a flush is answered.
 *
 * That is an epoch.  All who ask for a flush while one runs share the next, so
 * many small writers make few barriers.  A barrier for which nothing was
 * written costs nothing.
 *
 * What PUBLISH made unreachable goes a way of its own, and nobody waits for it:
 * its refcounts are lowered in memory as the next epoch begins, are written in
 * that one's ALLOC, and after that barrier, when all have left who may still be
 * reading there, it may be punched and given out again.
 *
 *   freed -> (this epoch's last barrier) -> release -> (next epoch's first
 *   barrier, readers gone) -> reuse
 *
 * The invariants
 *
 * E1  The data of what is published was written before it was published, so
 *     before the freeze that takes it.
 * E2  A freeze takes all tables at one instant, and none falls between enter
 *     and leave: an epoch has all of a change or nothing of it.  A freeze gets
 *     its turn however many others come and go.
 * E3  ALLOC and all data are durable before HOOK is written, and HOOK before
 *     PUBLISH is.  Durable means: in every file that the format names.
 * E4  A flush returns when an epoch that froze after the call began has its
 *     PUBLISH durable; with nothing to publish, after its one barrier.
 * E5  What publishes freed is released only after the last barrier of the epoch
 *     that froze them.
 * E6  What was released is reused only after a barrier that made the release
 *     durable, and after all readers who had entered by then have left.
 * E7  A barrier that fails is for good: nobody knows what was dropped.  No
 *     change is accepted any more, each flush fails with that error, reading
 *     goes on.  A write that fails (no space, an I/O error) fails this flush;
 *     the changes are dirty again and the next epoch repeats them.
 * E8  The format's begin is durable before anything else of the image changes;
 *     its end is the last change, and only after everything went well.
 */

#include <config.h>

#include "engine/epoch-internal.h"
#include "util/error.h"

#ifdef RV_BREAK_ORDER
/* Only in the crash replayer's own copy, which must notice each of these. */
enum {
  BREAK_FIRST_BARRIER = 1,
  BREAK_PUBLISH_FIRST,
  BREAK_REUSE_AT_ONCE,
  BREAK_RELEASE_EARLY,
  BREAK_HOOK_BARRIER,
  BREAK_LAST_BARRIER,
  BREAK_BEGIN,
};
extern int rv_break_order;
int rv_break_order;
#define BROKEN(what) (rv_break_order == (what))
#else
#define BROKEN(what) false
#endif

int
rv_epoch_new (struct rv_format *format, struct rv_tables *tables,
              struct rv_grace *grace, struct rv_epoch **epoch,
              rawview_error *err)
{
  struct rv_epoch *e = calloc (1, sizeof *e);
  pthread_condattr_t attr;

  if (e == NULL)
    return rv_error_nomem (err);
  e->format = format;
  e->ops = format->ops->write;
  e->tables = tables;
  e->grace = grace;
  e->limits = RV_EPOCH_LIMITS;
  pthread_mutex_init (&e->begin_lock, NULL);
  pthread_mutex_init (&e->lock, NULL);
  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&e->changed, &attr);
  pthread_condattr_destroy (&attr);
  *epoch = e;
  return 0;
}

void
rv_epoch_free (struct rv_epoch *e)
{
  if (e == NULL)
    return;
  rv_epoch_stop_thread (e);
  rv_freed_list_release (&e->fresh.list);
  rv_freed_list_release (&e->gone.list);
  rv_freed_list_release (&e->released.list);
  rv_freed_list_release (&e->reusable.list);
  pthread_cond_destroy (&e->changed);
  pthread_mutex_destroy (&e->lock);
  pthread_mutex_destroy (&e->begin_lock);
  free (e);
}

/*--- Errors that stay ---------------------------------------------------*/

/* lock is held.  The first error stays. */
static void
refuse (struct rv_epoch *e, const rawview_error *error)
{
  if (!atomic_load (&e->refusing))
    e->error = *error;
  atomic_store (&e->refusing, true);
}

int
rv_epoch_refused (struct rv_epoch *e, rawview_error *err)
{
  LOCKED (&e->lock);
  if (err)
    *err = e->error;
  return -1;
}

void
rv_epoch_stop (struct rv_epoch *e, const rawview_error *error)
{
  bool mark;

  pthread_mutex_lock (&e->lock);
  mark = !e->marked;
  e->marked = true;
  refuse (e, error);
  pthread_mutex_unlock (&e->lock);
  if (mark && e->ops->mark_corrupt)
    e->ops->mark_corrupt (e->format);
}

/* E8 */
static int
begin (struct rv_epoch *e, rawview_error *err)
{
  LOCKED (&e->begin_lock);
  if (atomic_load (&e->begun))
    return 0;
  if (!BROKEN (BREAK_BEGIN) && e->ops->begin (e->format, err) == -1)
    return -1;
  atomic_store (&e->begun, true);
  return 0;
}

int
rv_epoch_ready (struct rv_epoch *e, rawview_error *err)
{
  if (atomic_load (&e->refusing))
    return rv_epoch_refused (e, err);
  return atomic_load (&e->begun) ? 0 : begin (e, err);
}

/*--- Changes ------------------------------------------------------------*/

#ifdef RV_BREAK_ORDER
static void
reuse_at_once (struct rv_epoch *e, const struct rv_freed_list *freed)
{
  for (size_t i = 0; i < freed->len; i++)
    if ((e->ops->release == NULL ||
         e->ops->release (e->format, &freed->ptr[i], NULL) == 0) &&
        e->ops->reuse)
      e->ops->reuse (e->format, &freed->ptr[i]);
}
#endif

bool
rv_epoch_over (struct rv_epoch *e, unsigned factor)
{
  return rv_tables_dirty (e->tables) / factor > e->limits.dirty ||
         e->fresh.bytes / factor > e->limits.freed ||
         e->gone.bytes / factor > e->limits.freed;
}

/* When epochs fail again and again, memory must not fill with changes. */
static bool
choked (struct rv_epoch *e)
{
  return e->failed > e->durable && rv_epoch_over (e, 4);
}

int
rv_epoch_enter (struct rv_epoch *e, rawview_error *err)
{
  if (rv_epoch_ready (e, err) == -1)
    return -1;
  LOCKED (&e->lock);
  if (choked (e)) {
    if (err)
      *err = e->failure;
    return -1;
  }
  while (e->freezing) /* E2 */
    pthread_cond_wait (&e->changed, &e->lock);
  e->inside++;
  return 0;
}

void
rv_epoch_leave (struct rv_epoch *e, struct rv_freed_list *freed)
{
  struct rv_epoch_freed more = { .list = *freed };

  *freed = (struct rv_freed_list){ 0 };
#ifdef RV_BREAK_ORDER
  if (BROKEN (BREAK_REUSE_AT_ONCE)) {
    reuse_at_once (e, &more.list);
    rv_freed_list_release (&more.list);
  }
#endif
  if (e->ops->release == NULL && e->ops->reuse == NULL)
    rv_freed_list_release (&more.list);
  for (size_t i = 0; i < more.list.len; i++)
    more.bytes += more.list.ptr[i].len;
  LOCKED (&e->lock);
  rv_epoch_move (&e->fresh, &more);
  e->inside--;
  if (e->freezing || e->since == 0)
    pthread_cond_broadcast (&e->changed);
  if (e->since == 0)
    e->since = rv_epoch_now ();
}

/*--- One epoch ----------------------------------------------------------*/

/* What one epoch has taken. */
struct taken {
  struct rv_frozen *tables; /* NULL: none */
  struct rv_epoch_freed freed;
  uint64_t number;
};

/* E2.  E5: what was freed belongs to this epoch like the tables. */
static int
freeze (struct rv_epoch *e, struct taken *t, rawview_error *err)
{
  int r;

  LOCKED (&e->lock);
  e->freezing = true;
  while (e->inside > 0)
    pthread_cond_wait (&e->changed, &e->lock);
  t->number = ++e->frozen;
  r = rv_tables_freeze (e->tables, &t->tables, err);
  if (r == 0) {
    rv_epoch_move (&t->freed, &e->fresh);
    e->since = 0;
  }
  e->freezing = false;
  pthread_cond_broadcast (&e->changed);
  return r;
}

struct barrier {
  struct rv_epoch *epoch;
  rawview_error *err;
  int r;
};

/* E7: a failure stays. */
static void
sync_file (void *opaque, struct rv_io *io)
{
  struct barrier *b = opaque;

  if (b->r == -1)
    return;
  b->r = rv_io_sync (io, b->err);
  if (b->r == 0)
    return;
  LOCKED (&b->epoch->lock);
  b->epoch->sync_failed = true;
  b->epoch->failure = *b->err;
  refuse (b->epoch, b->err);
}

static int
barrier (struct rv_epoch *e, rawview_error *err)
{
  struct barrier b = { .epoch = e, .err = err };

  e->ops->files (e->format, sync_file, &b);
  return b.r;
}

static bool
skip_barrier (enum rv_phase phase)
{
  return (phase == RV_PHASE_ALLOC && BROKEN (BREAK_FIRST_BARRIER)) ||
         (phase == RV_PHASE_HOOK && BROKEN (BREAK_HOOK_BARRIER)) ||
         (phase == RV_PHASE_PUBLISH && BROKEN (BREAK_LAST_BARRIER));
}

/* ALLOC always has its barrier: guest data is written without tables, too. */
static int
write_phase (struct rv_epoch *e, struct rv_frozen *tables, enum rv_phase phase,
             rawview_error *err)
{
  bool has = tables != NULL && rv_frozen_has (tables, phase);

  if (has && rv_frozen_write (e->tables, tables, phase, err) == -1)
    return -1;
  if (skip_barrier (phase) || (!has && phase != RV_PHASE_ALLOC))
    return 0;
  return barrier (e, err);
}

/* E3.  *done: how many phases are durable. */
static int
write_phases (struct rv_epoch *e, struct rv_frozen *tables, unsigned *done,
              rawview_error *err)
{
  if (BROKEN (BREAK_PUBLISH_FIRST) &&
      write_phase (e, tables, RV_PHASE_PUBLISH, err) == -1)
    return -1;
  for (*done = 0; *done < RV_NR_PHASES; ++*done) {
    if (write_phase (e, tables, (enum rv_phase) * done, err) == -1)
      return -1;
    if (*done == RV_PHASE_ALLOC) {
      LOCKED (&e->lock);
      rv_epoch_move (&e->reusable, &e->released); /* E6 */
    }
  }
  return 0;
}

/* lock is held. */
static void
settle (struct rv_epoch *e, struct taken *t, int r, const rawview_error *error)
{
  if (r == 0) {
    e->durable = t->number; /* E4 */
    if (t->freed.list.len > 0)
      e->follow = rv_epoch_now ();
    rv_epoch_move (&e->gone, &t->freed); /* E5 */
    e->failed_at = 0;
    return;
  }
  e->failed = t->number;
  e->failure = *error;
  e->failed_at = rv_epoch_now ();
  if (e->since == 0)
    e->since = e->failed_at;
  rv_epoch_move (&e->fresh, &t->freed);
}

/* What is gone by now gets released in this epoch. */
static void
release_gone (struct rv_epoch *e)
{
  struct rv_epoch_freed gone = { 0 };

  pthread_mutex_lock (&e->lock);
  rv_epoch_move (&gone, &e->gone);
  if (BROKEN (BREAK_RELEASE_EARLY))
    rv_epoch_move (&gone, &e->fresh);
  pthread_mutex_unlock (&e->lock);
  rv_epoch_release (e, &gone);
}

static int
run (struct rv_epoch *e, struct taken *t, rawview_error *err)
{
  unsigned done = 0;
  int r;

  release_gone (e);
  if (freeze (e, t, err) == -1)
    return -1;
  r = write_phases (e, t->tables, &done, err);
  if (t->tables)
    rv_tables_thaw (e->tables, t->tables, (enum rv_phase) done);
  return r;
}

void
rv_epoch_run (struct rv_epoch *e)
{
  struct taken t = { 0 };
  rawview_error error;
  int r;

  e->running = true;
  pthread_mutex_unlock (&e->lock);
  r = run (e, &t, &error);
  pthread_mutex_lock (&e->lock);
  settle (e, &t, r, &error);
  e->running = false;
  pthread_cond_broadcast (&e->changed);
}
