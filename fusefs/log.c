/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#define FUSE_USE_VERSION 35
#include <fuse_log.h>

#include "log.h"

/* Errors of requests: this many different lines in this many seconds. */
#define BURST_LINES   16
#define BURST_SECONDS 10

#define LINE_SIZE 600 /* fits a rawview_error and some words around it */

static struct {
  pthread_mutex_t lock; /* over all below; nothing is called with it held */
  bool debug;
  bool syslog;
  bool serving;
  char fuse_line[LINE_SIZE]; /* of libfuse, which writes it in pieces */
  char fuse_reason[LINE_SIZE];

  /* The burst of errors that we are in. */
  time_t burst_start;
  unsigned lines;
  unsigned left_out;
  char line[BURST_LINES][LINE_SIZE];
} state = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
put (const char *line)
{
  bool to_syslog;

  pthread_mutex_lock (&state.lock);
  to_syslog = state.syslog;
  pthread_mutex_unlock (&state.lock);

  if (to_syslog)
    syslog (LOG_ERR, "%s", line);
  else
    fprintf (stderr, "rawviewfs: %s\n", line);
}

void
log_line (const char *fmt, ...)
{
  char line[LINE_SIZE];
  va_list ap;

  va_start (ap, fmt);
  vsnprintf (line, sizeof line, fmt, ap);
  va_end (ap);
  put (line);
}

/* Takes note of a line.  Returns whether it is to be written, and in *left_out
 * how many were not written in the burst that has just ended.
 */
static bool
note_line (const char *msg, unsigned *left_out)
{
  struct timespec now;
  bool seen = false;

  *left_out = 0;
  clock_gettime (CLOCK_MONOTONIC, &now);

  pthread_mutex_lock (&state.lock);
  if (state.lines == 0 || now.tv_sec - state.burst_start >= BURST_SECONDS) {
    *left_out = state.left_out;
    state.burst_start = now.tv_sec;
    state.lines = state.left_out = 0;
  }
  for (unsigned i = 0; i < state.lines && !seen; i++)
    seen = strcmp (state.line[i], msg) == 0;
  if (seen || state.lines == BURST_LINES) {
    state.left_out++;
    seen = true;
  }
  else
    snprintf (state.line[state.lines++], LINE_SIZE, "%s", msg);
  pthread_mutex_unlock (&state.lock);
  return !seen;
}

void
log_request_error (const char *msg)
{
  unsigned left_out;
  bool write_it = note_line (msg, &left_out);

  if (left_out > 0)
    log_line ("%u more errors of requests were not logged", left_out);
  if (write_it)
    put (msg);
}

/*--- What libfuse says --------------------------------------------------*/

/* Adds a piece to the line that libfuse is writing.  Returns whether that is
 * now complete; then it is copied to line.
 */
static bool
add_piece (const char *piece, char line[LINE_SIZE])
{
  size_t used = strlen (state.fuse_line);
  char *end;

  snprintf (state.fuse_line + used, sizeof state.fuse_line - used, "%s", piece);
  end = strchr (state.fuse_line, '\n');
  if (end == NULL)
    return false;
  *end = '\0';
  memcpy (line, state.fuse_line, LINE_SIZE);
  state.fuse_line[0] = '\0';
  return true;
}

static void __attribute__ ((format (printf, 2, 0)))
from_fuse (enum fuse_log_level level, const char *fmt, va_list ap)
{
  static const char prefix[] = "fuse: ";
  char piece[LINE_SIZE], line[LINE_SIZE];
  const char *text = line;
  bool complete, serving;

  if (level >= FUSE_LOG_DEBUG) {
    if (state.debug)
      vfprintf (stderr, fmt, ap);
    return;
  }
  vsnprintf (piece, sizeof piece, fmt, ap);

  pthread_mutex_lock (&state.lock);
  complete = add_piece (piece, line);
  if (complete && strncmp (text, prefix, strlen (prefix)) == 0)
    text += strlen (prefix);
  serving = state.serving;
  if (complete && !serving)
    snprintf (state.fuse_reason, sizeof state.fuse_reason, "%s", text);
  pthread_mutex_unlock (&state.lock);

  if (complete && serving)
    log_line ("libfuse: %s", text);
}

void
log_init (bool debug)
{
  state.debug = debug;
  fuse_set_log_func (from_fuse);
}

const char *
log_fuse_reason (const char *otherwise)
{
  return state.fuse_reason[0] != '\0' ? state.fuse_reason : otherwise;
}

void
log_serving (void)
{
  pthread_mutex_lock (&state.lock);
  state.serving = true;
  pthread_mutex_unlock (&state.lock);
}

void
log_to_syslog (void)
{
  openlog ("rawviewfs", LOG_PID, LOG_DAEMON);
  pthread_mutex_lock (&state.lock);
  state.syslog = true;
  pthread_mutex_unlock (&state.lock);
}
