/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting and ending the process that moves the bytes. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mover.h"

static int
make_pipes (int commands[2], int reports[2], rawview_error *err)
{
  if (pipe2 (commands, O_CLOEXEC) == -1)
    return cli_error_errno (err, errno, "import: pipe");
  if (pipe2 (reports, O_CLOEXEC) == 0)
    return 0;
  cli_error_errno (err, errno, "import: pipe");
  close (commands[0]);
  close (commands[1]);
  return -1;
}

/* Its parent decides what a signal means. */
static void
ignore_signals (void)
{
  static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE };

  for (size_t i = 0; i < CLI_COUNT (signals); i++)
    signal (signals[i], SIG_IGN);
}

static void __attribute__ ((noreturn))
be_mover (const struct mover_plan *plan, pid_t parent, int commands,
          int reports)
{
  ignore_signals ();
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != parent)
    _exit (1);
  _exit (mover_run (plan, commands, reports));
}

int
mover_start (const struct mover_plan *plan, struct mover *m, rawview_error *err)
{
  int commands[2], reports[2];
  const pid_t parent = getpid ();

  if (make_pipes (commands, reports, err) == -1)
    return -1;
  fflush (NULL);
  m->pid = fork ();
  if (m->pid == 0) {
    close (commands[1]);
    close (reports[0]);
    be_mover (plan, parent, commands[0], reports[1]);
  }
  close (commands[0]);
  close (reports[1]);
  m->commands = commands[1];
  m->reports = reports[0];
  if (m->pid > 0)
    return 0;
  m->pid = 0;
  close (m->commands);
  close (m->reports);
  return cli_error_errno (err, errno, "import: cannot fork");
}

/* They are smaller than PIPE_BUF, so they come whole. */
int
mover_read (struct mover *m, struct mover_report *report)
{
  ssize_t n;

  do
    n = read (m->reports, report, sizeof *report);
  while (n == -1 && errno == EINTR);
  return n == sizeof *report ? 1 : 0;
}

int
mover_ship (struct mover *m, rawview_error *err)
{
  const char go = 's';

  if (write (m->commands, &go, sizeof go) == sizeof go)
    return 0;
  return cli_error_errno (err, errno, "import: the copying process");
}

void
mover_stop (struct mover *m)
{
  if (m->pid == 0)
    return;
  kill (m->pid, SIGKILL);
  while (waitpid (m->pid, NULL, 0) == -1 && errno == EINTR)
    continue;
  m->pid = 0;
  close (m->commands);
  close (m->reports);
}
