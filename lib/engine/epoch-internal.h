/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the epoch share.
 *
 *   epoch.c         the invariants; changes, and one epoch
 *   epoch-freed.c   the way of what is freed
 *   epoch-flush.c   who waits for an epoch, and the end
 *   epoch-thread.c  when epochs begin by themselves
 */

#ifndef RV_EPOCH_INTERNAL_H
#define RV_EPOCH_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/epoch.h"

/* Freed ranges at one stage of their way. */
struct rv_epoch_freed {
  struct rv_freed_list list;
  uint64_t bytes;
};

struct rv_epoch {
  struct rv_format *format;
  const struct rv_format_write_ops *ops;
  struct rv_tables *tables;
  struct rv_grace *grace;

  pthread_mutex_t begin_lock; /* one calls begin; lock may be taken under it */
  atomic_bool begun;
  atomic_bool
      refusing; /* no more changes, for the reason in error: set under lock */

  pthread_mutex_t lock;   /* protects the rest; the tables' locks may be taken
                             under it, nothing of the format is called */
  pthread_cond_t changed; /* whatever somebody may wait for; monotonic */
  struct rv_epoch_limits limits;
  rawview_error error;
  bool sync_failed; /* E7: and that is the error */
  bool marked;      /* mark_corrupt was called */
  bool finished;

  unsigned inside; /* between enter and leave */
  bool freezing;   /* newcomers wait */
  bool running;    /* an epoch; one at a time */

  /* Epochs are numbered by their freezes. */
  uint64_t frozen;       /* the last one that froze */
  uint64_t durable;      /* the last one that is, with all before it */
  uint64_t failed;       /* the last one that failed */
  rawview_error failure; /* and why */

  /* E5, E6: the way of what is freed.  released belongs to who runs. */
  struct rv_epoch_freed fresh;    /* since the last freeze */
  struct rv_epoch_freed gone;     /* no durable table names it */
  struct rv_epoch_freed released; /* refcounts are lower, in memory */
  struct rv_epoch_freed reusable; /* and on disk: readers may be left */

  /* Times in ms, 0: none */
  int64_t since;  /* the first change that is not frozen */
  int64_t follow; /* when gone became more */
  int64_t failed_at;

  pthread_t thread;
  bool has_thread;
  bool quit;
};

/*--- epoch.c ------------------------------------------------------------*/

/* Runs one epoch.  lock is held, nobody is running; lets go of lock meanwhile.
 */
void rv_epoch_run (struct rv_epoch *epoch);

/* Does one of the limits, times factor, lie behind?  lock is held. */
bool rv_epoch_over (struct rv_epoch *epoch, unsigned factor);

/* The error that stopped writing.  Returns -1. */
int rv_epoch_refused (struct rv_epoch *epoch, rawview_error *err);

/*--- epoch-freed.c ------------------------------------------------------*/

/* Moves all of from to to.  What finds no memory is never given back. */
void rv_epoch_move (struct rv_epoch_freed *to, struct rv_epoch_freed *from);

/* Lowers the refcounts of what is gone, which is released then.  A range of
 * which that fails is never tried again, since a part of it may have been done:
 * it leaks.
 */
void rv_epoch_release (struct rv_epoch *epoch, struct rv_epoch_freed *gone);

/* Gives what is reusable back to the format, after all who may read there have
 * left.  No lock is held.
 */
void rv_epoch_reuse (struct rv_epoch *epoch);

/*--- epoch-thread.c -----------------------------------------------------*/

int64_t rv_epoch_now (void);
void rv_epoch_stop_thread (struct rv_epoch *epoch);

#endif /* RV_EPOCH_INTERNAL_H */
