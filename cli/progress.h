/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a long command has come, for people or for programs. */

#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <time.h>

#include "cli.h"

enum progress_mode { PROGRESS_NONE, PROGRESS_BAR, PROGRESS_JSON };

struct progress {
  enum progress_mode mode;
  FILE *out;
  uint64_t total; /* bytes */
  struct timespec start, shown;
};

/* The mode of an option's value: NULL if it was not given, then a bar if stderr
 * is a terminal.  False if it is no mode.
 */
bool progress_parse_mode (const char *value, enum progress_mode *mode);

/* By the clock that nobody sets. */
double progress_seconds_since (const struct timespec *then);

/* JSON goes to json_out, a bar to stderr. */
void progress_start (struct progress *p, enum progress_mode mode,
                     uint64_t total, FILE *json_out);

/* Shows it if the last time is long enough ago. */
void progress_update (struct progress *p, uint64_t done);

/* Shows it for the last time and ends the line. */
void progress_end (struct progress *p, uint64_t done);

#endif /* CLI_PROGRESS_H */
