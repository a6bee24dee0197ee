/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "error.h"

/* The parent's end: one byte means that all is well. */
static void __attribute__ ((noreturn)) wait_for_child (pid_t child, int fd)
{
  char byte;
  ssize_t n;
  int status;

  do
    n = read (fd, &byte, 1);
  while (n == -1 && errno == EINTR);
  if (n == 1)
    _exit (0);

  while (waitpid (child, &status, 0) == -1)
    if (errno != EINTR)
      _exit (1);
  if (WIFSIGNALED (status))
    fprintf (stderr, "rawviewfs: the background process died: %s\n",
             strsignal (WTERMSIG (status)));
  _exit (WIFEXITED (status) && WEXITSTATUS (status) != 0 ? WEXITSTATUS (status)
                                                         : 1);
}

static int
leave (struct background *bg, rawview_error *err)
{
  bg->null_fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  if (bg->null_fd != -1 && setsid () != -1 && chdir ("/") == 0)
    return 0;
  return error_system (err, "cannot go into the background");
}

int
daemon_fork (struct background *bg, rawview_error *err)
{
  int fds[2];
  pid_t child;

  if (pipe2 (fds, O_CLOEXEC) == -1)
    return error_system (err, "pipe");
  child = fork ();
  if (child == -1) {
    error_system (err, "fork");
    close (fds[0]);
    close (fds[1]);
    return -1;
  }
  if (child > 0) {
    close (fds[1]);
    wait_for_child (child, fds[0]);
  }
  close (fds[0]);
  bg->ready_fd = fds[1];
  return leave (bg, err);
}

int
daemon_ready (const struct background *bg, rawview_error *err)
{
  bool ok = true;

  for (int fd = 0; fd <= 2 && ok; fd++)
    ok = dup2 (bg->null_fd, fd) != -1;
  if (bg->null_fd > 2)
    close (bg->null_fd);
  if (!ok || write (bg->ready_fd, "", 1) != 1)
    return error_system (err, "cannot go into the background");
  close (bg->ready_fd);
  return 0;
}

int
pid_file_open (struct pid_file *pid_file, const char *path, rawview_error *err)
{
  char *cwd;

  *pid_file = (struct pid_file){ .fd = -1 };
  if (path == NULL)
    return 0;

  cwd = path[0] == '/' ? strdup ("") : getcwd (NULL, 0);
  if (cwd == NULL || asprintf (&pid_file->path, "%s%s%s", cwd,
                               cwd[0] != '\0' ? "/" : "", path) == -1) {
    pid_file->path = NULL;
    free (cwd);
    return error_system (err, path);
  }
  free (cwd);

  pid_file->fd =
      open (pid_file->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (pid_file->fd == -1) {
    error_system (err, path);
    free (pid_file->path);
    pid_file->path = NULL;
    return -1;
  }
  return 0;
}

int
pid_file_write (struct pid_file *pid_file, rawview_error *err)
{
  int r;

  if (pid_file->path == NULL)
    return 0;
  r = dprintf (pid_file->fd, "%ld\n", (long) getpid ());
  if (close (pid_file->fd) == -1)
    r = -1;
  pid_file->fd = -1;
  return r < 0 ? error_system (err, pid_file->path) : 0;
}

void
pid_file_remove (struct pid_file *pid_file)
{
  if (pid_file->path == NULL)
    return;
  unlink (pid_file->path);
  pid_file_release (pid_file);
}

void
pid_file_release (struct pid_file *pid_file)
{
  if (pid_file->path != NULL && pid_file->fd != -1)
    close (pid_file->fd);
  free (pid_file->path);
  pid_file->path = NULL;
}
