/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scope frees things.
 *
 *   CLEANUP_FREE char *name = strdup (s);
 *   ...
 *   out->name = STEAL (name);
 *
 * A type of the project gets its own CLEANUP_ macro beside its free function.
 */

#ifndef RV_CLEANUP_H
#define RV_CLEANUP_H

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define RV_CLEANUP(fn) __attribute__ ((cleanup (fn)))

static inline void
rv_cleanup_free (void *pp)
{
  free (*(void **) pp);
}

static inline void
rv_cleanup_close (int *fd)
{
  if (*fd >= 0)
    close (*fd);
}

static inline void
rv_cleanup_unlock (pthread_mutex_t **lock)
{
  pthread_mutex_unlock (*lock);
}

#define CLEANUP_FREE  RV_CLEANUP (rv_cleanup_free)
#define CLEANUP_CLOSE RV_CLEANUP (rv_cleanup_close)

/* Holds a mutex until the end of the scope. */
#define RV_PASTE2(a, b) a##b
#define RV_PASTE(a, b)  RV_PASTE2 (a, b)
#define LOCKED(mutex) \
  RV_CLEANUP (rv_cleanup_unlock) \
  pthread_mutex_t *RV_PASTE (locked_, __LINE__) = (mutex); \
  pthread_mutex_lock (RV_PASTE (locked_, __LINE__))

/* Takes a pointer out of the reach of its cleanup. */
#define STEAL(p) \
  ({ \
    __typeof__ (p) stolen_ = (p); \
    (p) = NULL; \
    stolen_; \
  })

static inline int
rv_steal_fd (int *fd)
{
  int r = *fd;

  *fd = -1;
  return r;
}

#endif /* RV_CLEANUP_H */
