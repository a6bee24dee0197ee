/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nbdkit process of rawview serve, and the files around it. */

#include <config.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "run-dir.h"
#include "serve.h"

/*--- Files --------------------------------------------------------------*/

/* A socket that a server left behind refuses connections. */
static int
remove_dead_socket (const struct sockaddr_un *address, rawview_error *err)
{
  const char *path = address->sun_path;
  struct stat st;
  int fd, r;

  if (lstat (path, &st) == -1)
    return 0;
  if (!S_ISSOCK (st.st_mode))
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, EEXIST,
                          "serve: %s: exists and is not a socket", path);
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd == -1)
    return cli_error_errno (err, errno, "serve: socket");
  r = connect (fd, (const struct sockaddr *) address, sizeof *address);
  if (r == -1 && errno == ECONNREFUSED)
    unlink (path);
  close (fd);
  if (r == 0)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EADDRINUSE,
                          "serve: %s: another server listens there", path);
  return 0;
}

static int
check_socket (const char *path, rawview_error *err)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  if (strlen (path) >= sizeof address.sun_path)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, ENAMETOOLONG,
                          "serve: %s: too long for a socket, which may have "
                          "%zu bytes",
                          path, sizeof address.sun_path - 1);
  strcpy (address.sun_path, path);
  return remove_dead_socket (&address, err);
}

static int
place_socket (struct serve_place *p, const struct serve_wishes *w,
              rawview_error *err)
{
  p->socket = w->socket != NULL ? cli_absolute_path (w->socket, err)
                                : cli_format ("%s/nbd.sock", p->dir);
  return p->socket != NULL ? check_socket (p->socket, err) : -1;
}

static int
place_pid_file (struct serve_place *p, const struct serve_wishes *w,
                rawview_error *err)
{
  p->pid_file = w->pid_file != NULL ? cli_absolute_path (w->pid_file, err)
                                    : cli_format ("%s/pid", p->dir);
  if (p->pid_file == NULL)
    return -1;
  /* An old one would say that the server is ready. */
  if (unlink (p->pid_file) == -1 && errno != ENOENT)
    return cli_error_errno (err, errno, "%s", p->pid_file);
  return 0;
}

int
serve_place_make (struct serve_place *p, const struct serve_wishes *w,
                  rawview_error *err)
{
  const bool need_socket = !w->tcp;
  const bool need_pid_file = !w->daemon || w->pid_file != NULL;

  if ((need_socket && w->socket == NULL) ||
      (need_pid_file && w->pid_file == NULL)) {
    p->dir = run_dir_new ("rawview", err);
    if (p->dir == NULL)
      return -1;
  }
  if (need_socket && place_socket (p, w, err) == -1)
    return -1;
  return need_pid_file ? place_pid_file (p, w, err) : 0;
}

static void
remove_ours (const char *dir, const char *path, bool been_ready)
{
  const size_t len = dir != NULL ? strlen (dir) : 0;

  if (path == NULL)
    return;
  if (been_ready ||
      (len > 0 && strncmp (path, dir, len) == 0 && path[len] == '/'))
    unlink (path);
}

void
serve_place_remove (struct serve_place *p, bool been_ready)
{
  remove_ours (p->dir, p->socket, been_ready);
  remove_ours (p->dir, p->pid_file, been_ready);
  if (p->dir != NULL)
    rmdir (p->dir);
}

void
serve_place_free (struct serve_place *p)
{
  free (p->dir);
  free (p->socket);
  free (p->pid_file);
}

/*--- Processes ----------------------------------------------------------*/

int
serve_exec (char *const argv[])
{
  execvp (argv[0], argv);
  return cli_failf (errno == ENOENT ? RAWVIEW_ERROR_UNSUPPORTED
                                    : RAWVIEW_ERROR_IO,
                    "serve: cannot run %s: %s", argv[0], strerror (errno));
}

/* Starts nbdkit with the signals as they were. */
static int
start (struct child *child, char *const argv[], const sigset_t *mask)
{
  const struct child_wishes wishes = { .argv = argv,
                                       .mask = mask,
                                       .keep_streams = true };
  rawview_error err;

  if (child_start (child, &wishes, &err) == 0)
    return 0;
  return cli_failf (err.kind, "serve: %s", err.msg);
}

/* nbdkit has said itself what is wrong. */
static int
exit_status (int status)
{
  return WIFSIGNALED (status) ? 128 + WTERMSIG (status) : WEXITSTATUS (status);
}

static bool
is_ready (const char *pid_file)
{
  struct stat st;

  return stat (pid_file, &st) == 0 && st.st_size > 0;
}

/* Returns the wait status. */
static int
watch (struct child *child, const sigset_t *set, const char *pid_file,
       int (*ready) (void *opaque), void *opaque)
{
  const struct timespec tick = { .tv_nsec = 10 * 1000 * 1000 };
  bool told = false;
  int signum;

  for (;;) {
    signum = told ? sigwaitinfo (set, NULL) : sigtimedwait (set, NULL, &tick);
    if (signum == SIGCHLD && !child_runs (child))
      return child->status;
    if (signum == SIGHUP || signum == SIGINT || signum == SIGTERM)
      child_kill (child, SIGTERM);
    if (!told && is_ready (pid_file)) {
      told = true;
      if (ready (opaque) != 0)
        child_kill (child, SIGTERM);
    }
  }
}

int
serve_supervise (char *const argv[], const char *pid_file,
                 int (*ready) (void *opaque), void *opaque)
{
  sigset_t set, old;
  struct child child;
  int status;

  sigprocmask (SIG_BLOCK, NULL, &old);
  cli_block_signals (&set);
  sigaddset (&set, SIGCHLD);
  sigprocmask (SIG_BLOCK, &set, NULL);
  status = start (&child, argv, &old);
  if (status != 0)
    return status;
  status = watch (&child, &set, pid_file, ready, opaque);
  child_free (&child);
  return exit_status (status);
}

int
serve_daemonize (char *const argv[], int (*ready) (void *opaque), void *opaque)
{
  struct child child;
  sigset_t mask;
  int status;

  sigprocmask (SIG_BLOCK, NULL, &mask);
  status = start (&child, argv, &mask);
  if (status != 0)
    return status;
  while (!child_wait (&child, 1000))
    ;
  status = child.status;
  child_free (&child);
  return status == 0 ? ready (opaque) : exit_status (status);
}
