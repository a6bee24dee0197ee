/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other programs that run beside this one, and end with it.
 *
 * What a program says goes to a file in memory, of which the news are
 * relayed to a log and the last line is kept: when it fails, that is the reason
 * that a person wants to read.  Nobody has to read in time, so that the program
 * never waits for us.
 *
 * A child belongs to the thread that has started it, and must not outlive it:
 * the kernel sends the death signal when that thread ends.
 */

#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include <sys/types.h>

#include "cli.h"

struct child {
  char *name;      /* of the program, without its folder */
  pid_t pid;       /* 0: none runs */
  pid_t group;     /* that it leads; 0: it is in ours */
  bool asked;      /* to end */
  int status;      /* as of waitpid, once it has ended */
  int said;        /* the file with its output; -1: it goes to ours */
  off_t relayed;   /* how far that has been read */
  size_t line_len; /* of a line whose end has not come */
  char line[512];  /* it, and */
  char words[512]; /* the last one that is complete and not empty */
};

struct child_wishes {
  char *const *argv;      /* argv[0] is looked for on the path */
  const char *const *env; /* "NAME=VALUE" to add, NULL at the end; or NULL */
  const sigset_t *mask;   /* of its signals; NULL: blocks none */
  int death_signal;       /* what it gets if we die; 0: nothing */
  bool session;           /* without our terminal, as the leader of its group */
  bool keep_streams;      /* they are ours; else stdin is empty, and stdout and
                             stderr go to the file in memory */
  const int *keep_fd;     /* stays open in it under its number; NULL: none */
};

/* -1: it could not be started, RAWVIEW_ERROR_UNSUPPORTED if there is no such
 * program; then there is nothing to free.
 */
int child_start (struct child *child, const struct child_wishes *wishes,
                 rawview_error *err);

/* Is it still there?  Waits for nothing. */
bool child_runs (struct child *child);

/* Waits until it has ended, for at most so many milliseconds; false: it has
 * not.
 */
bool child_wait (struct child *child, unsigned ms);

/* To its whole group if it leads one. */
void child_kill (const struct child *child, int signum);

/* Asks it to end (SIGTERM).  A second time might cut off what it does then. */
void child_ask (struct child *child);

/* Ends it, politely, unless it has been asked before, and after so many
 * milliseconds by force; and what is left of the group that it led.  It may
 * have ended before.
 */
void child_stop (struct child *child, unsigned ms);

/* Copies what it has said since the last time to the log; fd may be -1. */
void child_relay (struct child *child, int fd);

/* What it said last, "" if nothing; after child_relay. */
const char *child_last_words (const struct child *child);

/* 0 if it has ended with success; else *err says in its own words why not, or
 * how it ended.
 */
int child_result (struct child *child, rawview_error *err);

/* Of a child that does not run.  One that was never started may be given if it
 * is zero.
 */
void child_free (struct child *child);

#endif /* CLI_CHILD_H */
