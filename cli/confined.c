/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confined.h"

void *
confined_alloc (size_t size, rawview_error *err)
{
  void *memory = mmap (NULL, size, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  if (memory != MAP_FAILED)
    return memory;
  cli_error_errno (err, errno, "memory to share with a process");
  return NULL;
}

void
confined_free (void *memory, size_t size)
{
  if (memory != NULL)
    munmap (memory, size);
}

/*--- In the process -----------------------------------------------------*/

/* Private memory that this process has, in bytes; 0: not known. */
static unsigned long
data_size (void)
{
  unsigned long pages = 0;
  FILE *statm = fopen ("/proc/self/statm", "re");

  if (statm == NULL)
    return 0;
  if (fscanf (statm, "%*u %*u %*u %*u %*u %lu", &pages) != 1)
    pages = 0;
  fclose (statm);
  return pages * (unsigned long) sysconf (_SC_PAGESIZE);
}

/* Disks that are being written may be open, and libguestfs' connections. */
static void
close_others (int fd)
{
  const unsigned first = STDERR_FILENO + 1, kept = (unsigned) fd;

  if (kept > first)
    close_range (first, kept - 1, 0);
  close_range (kept + 1, ~0u, 0);
}

static void
limit (int resource, rlim_t value)
{
  struct rlimit r;

  if (getrlimit (resource, &r) == 0 && value < r.rlim_cur) {
    r.rlim_cur = value;
    setrlimit (resource, &r);
  }
}

static void __attribute__ ((noreturn))
run_work (const struct confined_work *work, rawview_error *err)
{
  const unsigned long data = data_size ();
  rawview_sandbox sandbox;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  close_others (work->fd);
  limit (RLIMIT_CORE, 0);
  limit (RLIMIT_CPU, work->max_seconds);
  if (data != 0)
    limit (RLIMIT_DATA, data + work->max_memory);
  if (cli_enter_sandbox (work->options, NULL, NULL, NULL, &sandbox, err) == -1)
    _exit (EXIT_FAILURE);
  work->run (work->opaque);
  _exit (EXIT_SUCCESS);
}

/*--- Beside it ----------------------------------------------------------*/

int
confined_start (struct confined *c, const struct confined_work *work,
                rawview_error *err)
{
  c->err = confined_alloc (sizeof *c->err, err);
  if (c->err == NULL)
    return -1;
  c->pid = fork ();
  if (c->pid == 0)
    run_work (work, c->err);
  if (c->pid == -1) {
    confined_free (c->err, sizeof *c->err);
    return cli_error_errno (err, errno, "starting a process");
  }
  return 0;
}

static int
judge_status (const struct confined *c, int status, const char *what,
              rawview_error *err)
{
  if (WIFSIGNALED (status))
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, EIO,
                          "%s: looking at it was ended by signal %d: it may be "
                          "made to do harm",
                          what, WTERMSIG (status));
  if (WEXITSTATUS (status) == EXIT_SUCCESS)
    return 0;
  *err = *c->err;
  err->msg[sizeof err->msg - 1] = '\0';
  return -1;
}

int
confined_wait (struct confined *c, const char *what, rawview_error *err)
{
  int status, r;

  do
    r = waitpid (c->pid, &status, 0);
  while (r == -1 && errno == EINTR);
  r = r == -1 ? cli_error_errno (err, errno, "waiting for a process")
              : judge_status (c, status, what, err);
  confined_free (c->err, sizeof *c->err);
  return r;
}
