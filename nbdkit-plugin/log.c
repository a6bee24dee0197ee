/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <rawview.h>

#include "log.h"

/* This many different lines in this many seconds, as in rawviewfs. */
#define BURST_LINES   16
#define BURST_SECONDS 10

static bool serving; /* set before there are threads */

static struct {
  pthread_mutex_t lock; /* over all below; nothing is called with it held */
  time_t start;
  unsigned lines;
  unsigned left_out;
  char line[BURST_LINES][sizeof ((rawview_error *) 0)->msg];
} burst = { .lock = PTHREAD_MUTEX_INITIALIZER };

void
log_serving (void)
{
  serving = true;
}

void
log_line (const char *msg)
{
  /* nbdkit has no other way to be heard from the background. */
  if (serving)
    nbdkit_error ("%s", msg);
  else
    fprintf (stderr, "nbdkit: rawview: %s\n", msg);
}

/* Ends a burst that is over; returns how many lines it has left out. */
static unsigned
end_burst (void)
{
  unsigned left_out;
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  if (burst.lines > 0 && now.tv_sec - burst.start < BURST_SECONDS)
    return 0;
  left_out = burst.left_out;
  burst.start = now.tv_sec;
  burst.lines = burst.left_out = 0;
  return left_out;
}

/* Takes note of a line; returns whether it is to be written. */
static bool
note_line (const char *msg)
{
  bool seen = burst.lines == BURST_LINES;

  for (unsigned i = 0; i < burst.lines && !seen; i++)
    seen = strcmp (burst.line[i], msg) == 0;
  if (seen)
    burst.left_out++;
  else
    snprintf (burst.line[burst.lines++], sizeof burst.line[0], "%s", msg);
  return !seen;
}

void
log_request_error (const char *what, const char *msg)
{
  unsigned left_out;
  bool write_it;

  pthread_mutex_lock (&burst.lock);
  left_out = end_burst ();
  write_it = note_line (msg);
  pthread_mutex_unlock (&burst.lock);

  if (left_out > 0)
    nbdkit_error ("%u more errors of requests were not logged", left_out);
  if (write_it)
    nbdkit_error ("%s: %s", what, msg);
}
