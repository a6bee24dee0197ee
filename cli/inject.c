/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "expose.h"
#include "guest-agent.h"
#include "inject.h"
#include "run-dir.h"

/* How the percents are shared out. */
enum { EXPOSED = 1, CONVERTED = 90, AGENT_GONE = 96, FLUSHED = 99 };

struct job {
  struct inject *in;
  struct expose *expose;
  struct run_dir dir;
  const char **paths; /* where the disks can be seen */
};

/*--- Watching -----------------------------------------------------------*/

/* Waits a moment, unless a child ends.  -1: it is to end. */
static int
take_signal (struct job *j, long ms, rawview_error *err)
{
  const struct timespec moment = { .tv_nsec = ms * 1000 * 1000 };
  sigset_t set = *j->in->signals;
  int signum;

  if (ms > 0)
    sigaddset (&set, SIGCHLD);
  signum = sigtimedwait (&set, NULL, &moment);
  if (signum <= 0 || signum == SIGCHLD)
    return 0;
  j->in->signum = signum;
  return cli_error_set (err, RAWVIEW_ERROR_IO, EINTR, "stopped by SIG%s",
                        sigabbrev_np (signum));
}

/* The same.  -1: it is to end, or somebody who is needed has gone. */
static int
tick (struct job *j, rawview_error *err)
{
  if (take_signal (j, 200, err) == -1)
    return -1;
  if (expose_check (j->expose, err) == -1 ||
      source_check (j->in->source, err) == -1)
    return -1;
  return 0;
}

/*--- What is done -------------------------------------------------------*/

static void
show_v2v (const struct job *j, const struct v2v *v2v)
{
  const unsigned share = CONVERTED - EXPOSED;
  const char *phase = v2v_phase (v2v);

  inject_progress_show (j->in->progress,
                        *phase != '\0' ? phase : "Starting virt-v2v-in-place",
                        EXPOSED + v2v_percent (v2v) * share / 100);
}

/* Somebody else's end is usually why virt-v2v has failed. */
static int
watch_v2v (struct job *j, struct v2v *v2v, rawview_error *err)
{
  rawview_error cause;
  int r;

  while ((r = v2v_watch (v2v, err)) == 1) {
    show_v2v (j, v2v);
    if (tick (j, err) == -1)
      return -1;
  }
  show_v2v (j, v2v);
  if (r == -1 && tick (j, &cause) == -1)
    *err = cause;
  return r;
}

static int
convert (struct job *j, rawview_error *err)
{
  const struct inject *in = j->in;
  const struct machine *m = source_machine (in->source);
  struct cli_list args = { 0 };
  struct v2v_wishes w = { .program = in->program,
                          .machine = m,
                          .disks = j->paths,
                          .args = &args,
                          .env = in->env,
                          .root = in->root,
                          .dir = j->dir.path,
                          .log_fd = in->log_fd };
  struct v2v *v2v;
  int r;

  for (size_t i = 0; in->keys != NULL && i < in->keys->len; i++)
    cli_list_add (&args, in->keys->items[i]);
  for (size_t i = 0; in->args != NULL && i < in->args->len; i++)
    cli_list_add (&args, in->args->items[i]);
  r = v2v_start (&w, &v2v, err);
  free (args.items);
  if (r == -1)
    return -1;
  r = watch_v2v (j, v2v, err);
  v2v_end (v2v);
  return r;
}

static int
watch_agent (struct job *j, struct child *child, rawview_error *err)
{
  rawview_error why;

  while (child_runs (child)) {
    child_relay (child, j->in->log_fd);
    if (tick (j, err) == -1)
      return -1;
  }
  child_relay (child, j->in->log_fd);
  if (child_result (child, &why) == 0)
    return 0;
  return cli_error_set (err, why.kind, why.errnum,
                        "the guest agent's installation could not be removed "
                        "from what the guest does first: %s",
                        why.msg);
}

static int
drop_agent (struct job *j, rawview_error *err)
{
  const struct inject *in = j->in;
  const struct machine *m = source_machine (in->source);
  struct child child;
  int r;

  if (!in->no_guest_agent)
    return 0;
  inject_progress_show (in->progress, "Removing the guest agent's installation",
                        CONVERTED);
  if (guest_agent_start (j->paths, m->n_disks, in->program->sockets, in->keys,
                         j->dir.path, &child, err) == -1)
    return -1;
  r = watch_agent (j, &child, err);
  child_stop (&child, 5000);
  child_free (&child);
  inject_progress_show (in->progress, "Removing the guest agent's installation",
                        AGENT_GONE);
  return r;
}

/*--- Around it ----------------------------------------------------------*/

static int
show_disks (struct job *j, rawview_error *err)
{
  const struct inject *in = j->in;
  const struct machine *m = source_machine (in->source);
  struct expose_disk *disks = calloc (m->n_disks, sizeof *disks);
  int r;

  j->paths = calloc (m->n_disks, sizeof *j->paths);
  if (disks == NULL || j->paths == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  for (size_t i = 0; i < m->n_disks; i++)
    disks[i] = (struct expose_disk){ .source = m->disks[i].source,
                                     .options = in->passed,
                                     .options2 = &m->disks[i].options,
                                     .overlay = in->overlays[i] };
  inject_progress_show (in->progress, "Opening the disks", 0);
  r = expose_start (disks, m->n_disks,
                    in->program->sockets ? EXPOSE_SOCKETS : EXPOSE_FILES,
                    in->log_fd, &j->expose, err);
  free (disks);
  for (size_t i = 0; r == 0 && i < m->n_disks; i++)
    j->paths[i] = expose_path (j->expose, i);
  return r;
}

static int
work (struct job *j, rawview_error *err)
{
  /* A signal may be waiting since before. */
  return tick (j, err) == -1 || convert (j, err) == -1 ||
                 drop_agent (j, err) == -1
             ? -1
             : 0;
}

static int
run (struct inject *in, rawview_error *err)
{
  struct job j = { .in = in };
  rawview_error late;
  int r = run_dir_make (&j.dir, err);

  if (r == 0 && show_disks (&j, err) == -1) {
    r = -1;
    take_signal (&j, 0, err);
  }
  if (r == 0) {
    r = work (&j, err);
    if (r == 0)
      inject_progress_show (in->progress, "Writing what is left", FLUSHED);
    /* Only now is it durable. */
    if (expose_stop (j.expose, &late) == -1 && r == 0) {
      *err = late;
      r = -1;
    }
  }
  free (j.paths);
  run_dir_remove (&j.dir);
  return r;
}

/* A child's end that is not blocked would wake nobody. */
int
inject_run (struct inject *in, rawview_error *err)
{
  sigset_t set, old;
  int r;

  sigemptyset (&set);
  sigaddset (&set, SIGCHLD);
  pthread_sigmask (SIG_BLOCK, &set, &old);
  r = run (in, err);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  return r;
}
