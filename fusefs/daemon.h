/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Going into the background, and the file that says who we are.
 *
 * fuse_daemonize lets the parent go before workers run and the pid file is
 * written.  Here the parent waits for both, so that a script may rely on them,
 * and what fails there is still its caller's diagnostic and exit status.
 */

#ifndef RAWVIEWFS_DAEMON_H
#define RAWVIEWFS_DAEMON_H

#include <rawview.h>

/* What daemon_ready needs. */
struct background {
  int ready_fd;
  int null_fd;
};

/* Forks.  Returns in the child alone, which has left terminal and folder; the
 * parent waits and exits, with 0 or with the exit status of the child.
 */
int daemon_fork (struct background *bg, rawview_error *err);

/* In the child, which may be in the sandbox: leaves the standard streams, lets
 * the parent exit.  Messages must go to syslog from here on.
 */
int daemon_ready (const struct background *bg, rawview_error *err);

struct pid_file {
  char *path; /* absolute; NULL: none */
  int fd;
};

/* Creates the file, before anything is mounted.  path may be NULL. */
int pid_file_open (struct pid_file *pid_file, const char *path,
                   rawview_error *err);
int pid_file_write (struct pid_file *pid_file, rawview_error *err);
void pid_file_remove (struct pid_file *pid_file);

/* The same without removing it. */
void pid_file_release (struct pid_file *pid_file);

#endif /* RAWVIEWFS_DAEMON_H */
