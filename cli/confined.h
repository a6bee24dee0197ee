/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Work on what strangers wrote, in a process of its own: in the sandbox, with
 * little memory and time.  What it finds goes into memory that both see, which
 * must be checked as if a stranger had written that too.
 */

#ifndef CLI_CONFINED_H
#define CLI_CONFINED_H

#include <sys/types.h>

#include "cli.h"

struct confined_work {
  const rawview_options *options; /* with the option sandbox; NULL: auto */
  unsigned long max_memory;       /* bytes, besides what we have */
  unsigned max_seconds;           /* of the processor */
  int fd; /* what it looks at: nothing else of ours stays open in it */
  void (*run) (void *opaque); /* must start no thread */
  void *opaque;
};

struct confined {
  pid_t pid;
  rawview_error *err; /* of the sandbox, shared */
};

/* Zeroed memory that stays shared; NULL: *err. */
void *confined_alloc (size_t size, rawview_error *err);
void confined_free (void *memory, size_t size); /* NULL is allowed */

/* Returns while it works.  After success there must be a confined_wait. */
int confined_start (struct confined *c, const struct confined_work *work,
                    rawview_error *err);

/* Returns when it has ended.  0: run has returned; -1: *err, which is
 * RAWVIEW_ERROR_LIMIT, and called after what was looked at, if a signal has
 * ended it.
 */
int confined_wait (struct confined *c, const char *what, rawview_error *err);

#endif /* CLI_CONFINED_H */
