/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is done at the end and what a process in the sandbox cannot do: Landlock
 * denies unmounting, also to root, and without new privileges fusermount3 does
 * not work.  So a process of its own waits for that moment.  It holds no file
 * but a socket, and does these two things to these two names and nothing else.
 *
 * If the file system is killed, the mount that nobody serves any more goes too.
 */

#ifndef RAWVIEWFS_ENDING_H
#define RAWVIEWFS_ENDING_H

#include <sys/types.h>

#include <rawview.h>

struct ending {
  pid_t pid; /* 0: was not started */
  int fd;
};

/* Forks, so it must be called before threads are started; mounted already.
 * pid_file may be NULL.
 */
int ending_start (struct ending *ending, const char *mountpoint,
                  const char *pid_file, rawview_error *err);

/* Both return when it is done.  What fails is not told, as libfuse does it. */
void ending_unmount (const struct ending *ending);
void ending_remove_pid_file (const struct ending *ending);

/* Waits for the process to end.  Without one it does nothing. */
void ending_release (struct ending *ending);

#endif /* RAWVIEWFS_ENDING_H */
