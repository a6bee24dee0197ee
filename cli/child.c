/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"

extern char **environ;

/*--- Starting -----------------------------------------------------------*/

/* What the new process needs, made before the fork: other threads of ours may
 * hold locks then.
 */
struct birth {
  const struct child_wishes *wishes;
  char **env;
  pid_t parent;
  int null, said; /* -1: none */
  int failed;     /* where an errno goes if it cannot be run */
};

static bool
is_added (const char *variable, const char *const *add)
{
  const size_t len = strcspn (variable, "=") + 1;

  for (; add != NULL && *add != NULL; add++)
    if (strncmp (*add, variable, len) == 0)
      return true;
  return false;
}

/* Of two with the same name some programs take the first, others the last. */
static char **
make_environment (const char *const *add)
{
  struct cli_list list = { 0 };

  for (char **e = environ; *e != NULL; e++)
    if (!is_added (*e, add))
      cli_list_add (&list, *e);
  for (; add != NULL && *add != NULL; add++)
    cli_list_add (&list, *add);
  cli_list_add (&list, NULL);
  return (char **) list.items;
}

static bool
set_files (const struct birth *b)
{
  const int *keep = b->wishes->keep_fd;

  return (b->null == -1 || dup2 (b->null, 0) != -1) &&
         (b->said == -1 ||
          (dup2 (b->said, 1) != -1 && dup2 (b->said, 2) != -1)) &&
         (keep == NULL || fcntl (*keep, F_SETFD, 0) == 0);
}

/* Only calls that are safe after a fork from one of several threads. */
static void __attribute__ ((noreturn)) be_born (const struct birth *b)
{
  const struct child_wishes *w = b->wishes;
  sigset_t none;
  int e;

  sigemptyset (&none);
  signal (SIGPIPE, SIG_DFL);
  sigprocmask (SIG_SETMASK, w->mask != NULL ? w->mask : &none, NULL);
  if (w->session)
    setsid ();
  if (w->death_signal != 0) {
    prctl (PR_SET_PDEATHSIG, w->death_signal);
    if (getppid () != b->parent)
      _exit (127);
  }
  if (set_files (b))
    execvpe (w->argv[0], w->argv, b->env);
  e = errno;
  if (write (b->failed, &e, sizeof e) != sizeof e)
    _exit (126);
  _exit (127);
}

static int
cannot_run (const char *program, int errnum, rawview_error *err)
{
  return cli_error_set (
      err, errnum == ENOENT ? RAWVIEW_ERROR_UNSUPPORTED : RAWVIEW_ERROR_IO,
      errnum, "cannot run %s: %s", program, strerror (errnum));
}

/* Whoever could not run the program tells why before the pipe is closed. */
static int
fork_and_run (struct child *c, struct birth *b, rawview_error *err)
{
  const char *program = b->wishes->argv[0];
  int fds[2], errnum;
  ssize_t n;

  if (pipe2 (fds, O_CLOEXEC) == -1)
    return cli_error_errno (err, errno, "pipe");
  b->failed = fds[1];
  b->parent = getpid ();
  c->pid = fork ();
  if (c->pid == 0)
    be_born (b);
  errnum = errno;
  close (fds[1]);
  n = 0;
  if (c->pid != -1) {
    do
      n = read (fds[0], &errnum, sizeof errnum);
    while (n == -1 && errno == EINTR);
    if (n != 0)
      waitpid (c->pid, NULL, 0);
  }
  close (fds[0]);
  if (c->pid != -1 && n == 0)
    return 0;
  c->pid = 0;
  return cannot_run (program, errnum, err);
}

static int
open_streams (struct child *c, struct birth *b, rawview_error *err)
{
  if (b->wishes->keep_streams)
    return 0;
  b->null = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  c->said = memfd_create (c->name, MFD_CLOEXEC);
  if (b->null == -1 || c->said == -1 ||
      fcntl (c->said, F_SETFL, O_APPEND) == -1)
    return cli_error_errno (err, errno, "cannot run %s", c->name);
  b->said = c->said;
  return 0;
}

int
child_start (struct child *c, const struct child_wishes *wishes,
             rawview_error *err)
{
  struct birth b = { .wishes = wishes, .null = -1, .said = -1 };
  int r;

  *c = (struct child){ .name =
                           cli_format ("%s", cli_base_name (wishes->argv[0])),
                       .said = -1 };
  /* Who ignores it, as we may do by inheritance, is not told of the end. */
  signal (SIGCHLD, SIG_DFL);
  b.env = make_environment (wishes->env);
  r = open_streams (c, &b, err);
  if (r == 0) {
    fflush (NULL);
    r = fork_and_run (c, &b, err);
  }
  free (b.env);
  if (b.null != -1)
    close (b.null);
  if (r == -1)
    child_free (c);
  else if (wishes->session)
    c->group = c->pid;
  return r;
}

/*--- Watching and ending ------------------------------------------------*/

bool
child_runs (struct child *c)
{
  pid_t pid;

  if (c->pid == 0)
    return false;
  pid = waitpid (c->pid, &c->status, WNOHANG);
  if (pid == 0 || (pid == -1 && errno == EINTR))
    return true;
  c->pid = 0;
  return false;
}

static uint64_t
now_ms (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

bool
child_wait (struct child *c, unsigned ms)
{
  const uint64_t end = now_ms () + ms;
  int tick = 1;

  while (child_runs (c)) {
    if (now_ms () >= end)
      return false;
    poll (NULL, 0, tick);
    if (tick < 50)
      tick *= 2;
  }
  return true;
}

void
child_kill (const struct child *c, int signum)
{
  if (c->pid != 0)
    kill (c->group != 0 ? -c->group : c->pid, signum);
}

void
child_ask (struct child *c)
{
  c->asked = true;
  child_kill (c, SIGTERM);
}

void
child_stop (struct child *c, unsigned ms)
{
  if (!c->asked)
    child_ask (c);
  if (!child_wait (c, ms)) {
    child_kill (c, SIGKILL);
    while (!child_wait (c, 1000))
      ;
  }
  /* Its own children may be slower, or have no wish to go. */
  if (c->group != 0)
    kill (-c->group, SIGKILL);
  c->group = 0;
}

/*--- What it says -------------------------------------------------------*/

static void
keep_line (struct child *c)
{
  c->line[c->line_len] = '\0';
  if (c->line_len > 0)
    memcpy (c->words, c->line, c->line_len + 1);
  c->line_len = 0;
}

static void
take_words (struct child *c, const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (text[i] == '\n')
      keep_line (c);
    else if (c->line_len < sizeof c->line - 1)
      c->line[c->line_len++] = (unsigned char) text[i] < ' ' ? ' ' : text[i];
}

/* A log that cannot be written is no reason to end anything. */
static void
write_all (int fd, const char *text, size_t len)
{
  ssize_t n;

  while (fd != -1 && len > 0) {
    n = write (fd, text, len);
    if (n <= 0)
      return;
    text += n;
    len -= (size_t) n;
  }
}

void
child_relay (struct child *c, int fd)
{
  char buf[4096];
  ssize_t n;

  if (c->name == NULL || c->said == -1)
    return;
  while ((n = pread (c->said, buf, sizeof buf, c->relayed)) > 0) {
    write_all (fd, buf, (size_t) n);
    take_words (c, buf, (size_t) n);
    c->relayed += n;
  }
  /* The memory of what has been relayed is given back. */
  fallocate (c->said, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
             c->relayed);
}

const char *
child_last_words (const struct child *c)
{
  return c->line_len > 0 ? c->line : c->words;
}

int
child_result (struct child *c, rawview_error *err)
{
  const char *words;

  if (c->status == 0)
    return 0;
  child_relay (c, -1);
  if (c->line_len > 0)
    keep_line (c);
  words = child_last_words (c);
  if (WIFSIGNALED (c->status))
    return cli_error_set (err, RAWVIEW_ERROR_IO, EIO,
                          "%s was killed by a signal: %s", c->name,
                          strsignal (WTERMSIG (c->status)));
  if (*words == '\0')
    return cli_error_set (err, RAWVIEW_ERROR_IO, EIO, "%s ended with status %d",
                          c->name, WEXITSTATUS (c->status));
  return cli_error_set (err, RAWVIEW_ERROR_IO, EIO, "%s", words);
}

void
child_free (struct child *c)
{
  if (c->name == NULL)
    return;
  free (c->name);
  if (c->said != -1)
    close (c->said);
  *c = (struct child){ .said = -1 };
}
