/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far an injection has come: what it does, and a guess in percent.  As JSON
 * one object per line: {"phase": "...", "percent": 25.0, "elapsed": 61.5}
 */

#ifndef CLI_INJECT_PROGRESS_H
#define CLI_INJECT_PROGRESS_H

#include "progress.h"

struct inject_progress {
  enum progress_mode mode;
  struct timespec start, shown;
  char phase[256];
  unsigned percent;
};

/* JSON goes to stdout, a bar to stderr. */
void inject_progress_start (struct inject_progress *p, enum progress_mode mode);

/* Shows what is new, and now and then what is not; percent never goes back. */
void inject_progress_show (struct inject_progress *p, const char *phase,
                           unsigned percent);

/* Ends the bar's line. */
void inject_progress_end (struct inject_progress *p);

#endif /* CLI_INJECT_PROGRESS_H */
