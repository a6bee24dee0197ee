/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The running of an import.  This process only watches: the one that moves the
 * bytes, the one that injects, and the signals.
 */

#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import-inject.h"
#include "inject-contract.h"

#define TICK_MS 200

struct running {
  struct import *im;
  struct work_dir work;
  struct mover mover;
  struct injection injection;
  char *overlay_dir; /* NULL: none */
  char **overlays;   /* one per disk */
  struct import_progress progress;
  sigset_t signals;
  int signal_fd;
  int signum;    /* what stopped it, or 0 */
  bool *created; /* which destinations were */
  bool ready;    /* all are open */
  bool copied;
  bool shipping;
  bool done;
};

/*--- Signals ------------------------------------------------------------*/

static int
open_signals (struct running *r, rawview_error *err)
{
  cli_block_signals (&r->signals);
  /* To look at once when somebody has ended. */
  sigaddset (&r->signals, SIGCHLD);
  sigprocmask (SIG_BLOCK, &r->signals, NULL);
  signal (SIGPIPE, SIG_IGN);
  r->signal_fd = signalfd (-1, &r->signals, SFD_CLOEXEC | SFD_NONBLOCK);
  return r->signal_fd >= 0 ? 0 : cli_error_errno (err, errno, "signalfd");
}

static void
remove_created (struct running *r)
{
  for (size_t i = 0; i < r->im->dests.n; i++)
    if (r->created[i])
      unlink (r->im->dests.items[i].path);
}

/* The first signal stops all that goes on.  The second ends the process where
 * it stands, as others may be waiting for storage that does not answer; they
 * end with it.
 */
static void
take_signals (struct running *r)
{
  struct signalfd_siginfo info;

  while (read (r->signal_fd, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD)
      continue;
    if (r->signum != 0) {
      remove_created (r);
      _exit (128 + r->signum);
    }
    r->signum = (int) info.ssi_signo;
  }
}

/* Not before all destinations are open: until then, only who opens them knows
 * which ones it has created.
 */
static int
check_signal (const struct running *r, rawview_error *err)
{
  if (r->signum == 0 || !r->ready)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_IO, EINTR,
                        "import: stopped by SIG%s", sigabbrev_np (r->signum));
}

/*--- The mover ----------------------------------------------------------*/

static void
note_created (struct running *r, size_t disk)
{
  r->created[disk] = true;
  work_dir_note_created (&r->work, r->im->dests.items[disk].path);
}

static int
take_report (struct running *r, const struct mover_report *report,
             rawview_error *err)
{
  switch (report->event) {
  case MOVER_CREATED:
    note_created (r, report->disk);
    break;
  case MOVER_READY:
    r->ready = true;
    return r->overlay_dir
               ? injection_start (&r->injection, r->im, r->overlay_dir, err)
               : 0;
  case MOVER_COPYING:
    r->progress.copied = report->done;
    break;
  case MOVER_COPIED:
    r->progress.copied = r->im->total;
    r->copied = true;
    break;
  case MOVER_SHIPPING:
    r->progress.shipped = report->done;
    break;
  case MOVER_FLUSHING:
    import_progress_show (&r->progress, IMPORT_FLUSH);
    break;
  case MOVER_DONE:
    r->done = true;
    break;
  case MOVER_FAILED:
    *err = report->err;
    return -1;
  }
  return 0;
}

static int
read_report (struct running *r, rawview_error *err)
{
  struct mover_report report;
  rawview_error why;

  if (mover_read (&r->mover, &report) == 0)
    return cli_error_set (err, RAWVIEW_ERROR_IO, EIO,
                          "import: the copying process ended unexpectedly");
  if (take_report (r, &report, err) == 0)
    return 0;
  /* What a server said before it went is the better reason. */
  if (r->im->source && source_check (r->im->source, &why) == -1)
    *err = why;
  return -1;
}

/*--- Volumes ------------------------------------------------------------*/

static int
create_volumes (struct running *r, rawview_error *err)
{
  struct import *im = r->im;

  for (size_t i = 0; i < im->dests.n; i++) {
    struct dest *d = &im->dests.items[i];

    if (d->kind != DEST_VOLUME || d->path)
      continue;
    if (domain_create_volume (im->libvirt, d->where, d->format,
                              im->disks[i].size, d->preallocated, &d->path,
                              err) == -1)
      return -1;
    d->is_new = true;
    work_dir_note_created (&r->work, d->path);
  }
  return 0;
}

static void
end_volumes (const struct running *r, bool ok)
{
  for (size_t i = 0; i < r->im->dests.n; i++) {
    const struct dest *d = &r->im->dests.items[i];

    if (d->kind == DEST_VOLUME && d->is_new && !ok)
      domain_delete_volume (r->im->libvirt, d->where);
    else if (d->kind == DEST_VOLUME && ok)
      domain_refresh_pool (r->im->libvirt, d->where);
  }
}

static int
start_mover (struct running *r, rawview_error *err)
{
  struct import *im = r->im;
  const struct import_wishes *w = im->wishes;
  const struct mover_plan plan = { .machine = &im->machine,
                                   .dests = &im->dests,
                                   .options = w->options,
                                   .stream = im->stream,
                                   .as_is = !w->format && !w->virtio,
                                   .force = w->force,
                                   .threads = w->threads,
                                   .work_dir = r->overlay_dir,
                                   .overlays = r->overlays };

  return mover_start (&plan, &r->mover, err);
}

/*--- Watching -----------------------------------------------------------*/

static enum import_phase
phase_of (const struct running *r)
{
  if (r->done)
    return IMPORT_DONE;
  if (r->progress.phase == IMPORT_FLUSH)
    return IMPORT_FLUSH;
  if (r->shipping)
    return IMPORT_SHIP;
  return r->copied && r->overlay_dir ? IMPORT_INJECT : IMPORT_COPY;
}

/* When both parts are complete. */
static int
maybe_ship (struct running *r, rawview_error *err)
{
  if (!r->copied || !r->injection.done || r->shipping)
    return 0;
  r->shipping = true;
  return mover_ship (&r->mover, err);
}

static int
watch_injection (struct running *r, rawview_error *err)
{
  if (injection_watch (&r->injection, err) == -1)
    return -1;
  r->progress.injected = r->injection.percent;
  return maybe_ship (r, err);
}

static int
watch (struct running *r, rawview_error *err)
{
  struct pollfd fds[] = { { .fd = r->mover.reports, .events = POLLIN },
                          { .fd = r->signal_fd, .events = POLLIN } };

  while (!r->done) {
    work_dir_show_life (&r->work);
    if (poll (fds, CLI_COUNT (fds), TICK_MS) == -1)
      continue; /* EINTR, and the events are as before */
    if (fds[1].revents & POLLIN)
      take_signals (r);
    if (check_signal (r, err) == -1)
      return -1;
    if (fds[0].revents & (POLLIN | POLLHUP) && read_report (r, err) == -1)
      return -1;
    if (watch_injection (r, err) == -1)
      return -1;
    import_progress_show (&r->progress, phase_of (r));
  }
  return 0;
}

/*--- Beginning and end --------------------------------------------------*/

static int
make_work_dir (struct running *r, rawview_error *err)
{
  const struct import *im = r->im;
  rawview_error ignored;

  if (im->wishes->virtio)
    return work_dir_make (im->work_parent, &r->work, err);
  /* Only for the notes, so it may fail. */
  for (size_t i = 0; i < im->dests.n && r->work.path == NULL; i++)
    if ((im->dests.items[i].kind == DEST_FILE ||
         im->dests.items[i].kind == DEST_VOLUME) &&
        work_dir_make (im->work_parent, &r->work, &ignored) == -1)
      return 0;
  return 0;
}

static int
name_overlays (struct running *r, rawview_error *err)
{
  const struct machine *m = &r->im->machine;

  if (!r->im->wishes->virtio)
    return 0;
  r->overlay_dir = cli_format ("%s/overlays", r->work.path);
  if (mkdir (r->overlay_dir, 0700) == -1)
    return cli_error_errno (err, errno, "%s", r->overlay_dir);
  r->overlays = calloc (m->n_disks, sizeof *r->overlays);
  if (r->overlays == NULL)
    return cli_error_errno (err, ENOMEM, "import");
  for (size_t i = 0; i < m->n_disks; i++)
    r->overlays[i] = inject_overlay_path (r->overlay_dir, &m->disks[i]);
  return 0;
}

static int
run (struct running *r, rawview_error *err)
{
  if (open_signals (r, err) == -1 || make_work_dir (r, err) == -1 ||
      name_overlays (r, err) == -1 || create_volumes (r, err) == -1 ||
      start_mover (r, err) == -1)
    return -1;
  return watch (r, err);
}

static void
tell_incomplete (const struct running *r)
{
  for (size_t i = 0; r->ready && i < r->im->dests.n; i++)
    if (!r->created[i] && !r->im->dests.items[i].is_new)
      fprintf (stderr, "rawview: %s: is incomplete now\n",
               r->im->dests.items[i].where);
}

static void
free_running (struct running *r)
{
  if (r->signal_fd >= 0)
    close (r->signal_fd);
  for (size_t i = 0; r->overlays && i < r->im->machine.n_disks; i++)
    free (r->overlays[i]);
  free (r->overlays);
  free (r->overlay_dir);
  free (r->created);
}

int
import_run (struct import *im, int *signum, rawview_error *err)
{
  const struct import_wishes *w = im->wishes;
  struct running r = {
    .im = im,
    .signal_fd = -1,
    .progress = { .mode = w->progress, .virtio = w->virtio, .total = im->total }
  };
  int status;

  r.created = calloc (im->dests.n, sizeof *r.created);
  if (r.created == NULL)
    return cli_error_errno (err, ENOMEM, "import");
  status = run (&r, err);
  import_progress_end (&r.progress);
  injection_stop (&r.injection);
  mover_stop (&r.mover);
  if (status == -1) {
    remove_created (&r);
    tell_incomplete (&r);
  }
  end_volumes (&r, status == 0);
  work_dir_remove (&r.work);
  free_running (&r);
  *signum = r.signum;
  return status;
}
