/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ending.h"
#include "error.h"

#define UNMOUNT         'u'
#define REMOVE_PID_FILE 'r'
#define DONE            '.'

extern char **environ;

/*--- The process --------------------------------------------------------*/

/* Whoever is not root has mounted by fusermount3, and unmounts by it. */
static void
run_fusermount (const char *mountpoint)
{
  char *argv[] = {
    (char *) "fusermount3", (char *) "-u",       (char *) "-q", (char *) "-z",
    (char *) "--",          (char *) mountpoint, NULL
  };
  pid_t pid;

  if (posix_spawnp (&pid, argv[0], NULL, NULL, argv, environ) != 0)
    return;
  while (waitpid (pid, NULL, 0) == -1 && errno == EINTR)
    ;
}

/* As libfuse does it: at once, whoever may still use the files. */
static void
unmount (const char *mountpoint)
{
  if (geteuid () != 0 ||
      umount2 (mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) == -1)
    run_fusermount (mountpoint);
}

/* Keeps nothing of its parent's: images stay locked, and pipes open, as long as
 * somebody has them.
 */
static int
close_all_but (int fd)
{
  int null = open ("/dev/null", O_RDWR), kept;

  for (int i = 0; i <= 2; i++)
    if (dup2 (null, i) == -1)
      return -1;
  kept = dup2 (fd, 3);
  if (kept == -1 || close_range (4, ~0U, 0) == -1)
    return -1;
  return fcntl (kept, F_SETFD, FD_CLOEXEC) == -1 ? -1 : kept;
}

/* Nobody answers there any more, or will: a server that has been killed closes
 * its files one after the other, so this waits for it.
 */
static bool
is_dead (const char *mountpoint)
{
  struct statx stx;

  return statx (AT_FDCWD, mountpoint, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT,
                STATX_SIZE, &stx) == -1 &&
         (errno == ENOTCONN || errno == ECONNABORTED);
}

static void __attribute__ ((noreturn))
serve (int fd, const char *mountpoint, const char *pid_file)
{
  char request;

  prctl (PR_SET_NAME, "rawviewfs-end");
  /* A signal to the whole group is the parent's to obey. */
  signal (SIGHUP, SIG_IGN);
  signal (SIGINT, SIG_IGN);
  signal (SIGTERM, SIG_IGN);
  signal (SIGPIPE, SIG_IGN);
  fd = close_all_but (fd);
  while (fd != -1 && read (fd, &request, 1) == 1) {
    if (request == UNMOUNT)
      unmount (mountpoint);
    else if (request == REMOVE_PID_FILE && pid_file != NULL)
      unlink (pid_file);
    request = DONE;
    if (write (fd, &request, 1) != 1)
      break;
  }
  /* A parent that was killed has asked for nothing. */
  if (is_dead (mountpoint))
    unmount (mountpoint);
  _exit (0);
}

/*--- Its parent ---------------------------------------------------------*/

int
ending_start (struct ending *ending, const char *mountpoint,
              const char *pid_file, rawview_error *err)
{
  int fds[2];
  pid_t pid;

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1)
    return error_system (err, "socketpair");
  pid = fork ();
  if (pid == 0)
    serve (fds[1], mountpoint, pid_file);
  close (fds[1]);
  if (pid == -1) {
    error_system (err, "fork");
    close (fds[0]);
    return -1;
  }
  *ending = (struct ending){ pid, fds[0] };
  return 0;
}

static void
ask (const struct ending *ending, char request)
{
  if (send (ending->fd, &request, 1, MSG_NOSIGNAL) != 1)
    return;
  while (read (ending->fd, &request, 1) == -1 && errno == EINTR)
    ;
}

void
ending_unmount (const struct ending *ending)
{
  ask (ending, UNMOUNT);
}

void
ending_remove_pid_file (const struct ending *ending)
{
  ask (ending, REMOVE_PID_FILE);
}

void
ending_release (struct ending *ending)
{
  if (ending->pid == 0)
    return;
  close (ending->fd);
  while (waitpid (ending->pid, NULL, 0) == -1 && errno == EINTR)
    ;
  ending->pid = 0;
}
