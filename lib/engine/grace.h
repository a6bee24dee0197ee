/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may still be reading where the tables pointed a moment ago?
 *
 * Everything that maps guest bytes and then touches the host bytes does so
 * between rv_grace_enter and rv_grace_leave.  Whoever wants to reuse a host
 * range that no table names any more calls rv_grace_wait first: it returns when
 * all who had entered before the call have left.  Entering never waits.
 */

#ifndef RV_GRACE_H
#define RV_GRACE_H

#include <pthread.h>

struct rv_grace {
  pthread_mutex_t lock;
  pthread_cond_t gone;
  pthread_mutex_t turn; /* one waiter at a time */
  unsigned phase;       /* 0 or 1: which of inside newcomers count in */
  unsigned inside[2];
};

static inline void
rv_grace_init (struct rv_grace *g)
{
  *g = (struct rv_grace){ 0 };
  pthread_mutex_init (&g->lock, NULL);
  pthread_mutex_init (&g->turn, NULL);
  pthread_cond_init (&g->gone, NULL);
}

static inline void
rv_grace_release (struct rv_grace *g)
{
  pthread_cond_destroy (&g->gone);
  pthread_mutex_destroy (&g->turn);
  pthread_mutex_destroy (&g->lock);
}

/* The result is for rv_grace_leave. */
static inline unsigned
rv_grace_enter (struct rv_grace *g)
{
  unsigned phase;

  pthread_mutex_lock (&g->lock);
  phase = g->phase;
  g->inside[phase]++;
  pthread_mutex_unlock (&g->lock);
  return phase;
}

static inline void
rv_grace_leave (struct rv_grace *g, unsigned phase)
{
  pthread_mutex_lock (&g->lock);
  if (--g->inside[phase] == 0)
    pthread_cond_broadcast (&g->gone);
  pthread_mutex_unlock (&g->lock);
}

static inline void
rv_grace_wait (struct rv_grace *g)
{
  unsigned old;

  pthread_mutex_lock (&g->turn);
  pthread_mutex_lock (&g->lock);
  old = g->phase;
  g->phase = !old;
  while (g->inside[old] > 0)
    pthread_cond_wait (&g->gone, &g->lock);
  pthread_mutex_unlock (&g->lock);
  pthread_mutex_unlock (&g->turn);
}

#endif /* RV_GRACE_H */
