/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <signal.h>

#include "util/thread.h"

int
rv_thread_create (pthread_t *thread, void *(*start) (void *), void *opaque)
{
  sigset_t all, before;
  int r;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  r = pthread_create (thread, NULL, start, opaque);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  return r;
}
