/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the process does that moves the bytes of an import. */

#include <config.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mover.h"

#define REPORT_MS 200

struct moved {
  rawview_image *image; /* NULL: a stream */
  struct copy_target *target;
  uint64_t size;
};

struct run {
  const struct mover_plan *plan;
  int commands, reports;
  unsigned threads;
  rawview_exports *set; /* all images, for the sandbox */
  struct moved *disks;
};

/* It is not written only if nobody is there to read, and then we end, too. */
static void
report (const struct run *run, const struct mover_report *r)
{
  if (write (run->reports, r, sizeof *r) != sizeof *r)
    _exit (1);
}

static void
report_event (const struct run *run, enum mover_event event, uint64_t done)
{
  report (run, &(struct mover_report){ .event = event, .done = done });
}

/*--- Opening ------------------------------------------------------------*/

/* overlay: NULL: none */
static rawview_options *
options_of (const struct run *run, size_t i, const char *overlay,
            rawview_error *err)
{
  rawview_options *o, *copy;
  int r = 0;

  o = machine_disk_options (&run->plan->machine->disks[i], run->plan->options,
                            err);
  if (o == NULL)
    return NULL;
  /* In a copy what was said before may be said anew. */
  copy = rawview_options_dup (o);
  rawview_options_free (o);
  if (copy == NULL)
    r = cli_error_errno (err, ENOMEM, "import");
  if (r == 0 && run->plan->as_is)
    r = rawview_options_set (copy, "format", "raw", err);
  if (r == 0 && overlay)
    r = rawview_options_set (copy, "overlay", overlay, err);
  if (r == 0)
    return copy;
  rawview_options_free (copy);
  return NULL;
}

static int
open_source (struct run *run, size_t i, rawview_error *err)
{
  CLEANUP_FREE char *name = cli_format ("%zu", i);
  rawview_options *o = options_of (run, i, NULL, err);
  struct moved *d = &run->disks[i];
  int r;

  if (o == NULL)
    return -1;
  r = rawview_exports_add_source (run->set, name,
                                  run->plan->machine->disks[i].source, o, err);
  rawview_options_free (o);
  if (r == -1 || rawview_exports_open (run->set, name, &d->image, err) == -1)
    return -1;
  d->size = rawview_get_size (d->image);
  return 0;
}

static int
open_sources (struct run *run, rawview_error *err)
{
  const struct mover_plan *plan = run->plan;

  if (plan->stream) {
    run->disks[0].size = rawview_stream_get_size (plan->stream);
    return 0;
  }
  for (size_t i = 0; i < plan->dests->n; i++)
    if (open_source (run, i, err) == -1)
      return -1;
  return 0;
}

static int
open_target (struct run *run, size_t i, rawview_error *err)
{
  struct moved *d = &run->disks[i];
  const struct copy_target_options o = { .size = d->size,
                                         .lanes = run->threads,
                                         .force = run->plan->force,
                                         .source = d->image };

  d->target = dest_open (&run->plan->dests->items[i], &o, err);
  if (d->target == NULL)
    return -1;
  if (d->target->created)
    report (run, &(struct mover_report){ .event = MOVER_CREATED, .disk = i });
  return 0;
}

/* Files at last: what can be refused has been refused then. */
static int
open_targets (struct run *run, rawview_error *err)
{
  const struct dests *dests = run->plan->dests;

  for (int files = 0; files < 2; files++)
    for (size_t i = 0; i < dests->n; i++)
      if ((dests->items[i].kind == DEST_FILE) == files &&
          open_target (run, i, err) == -1)
        return -1;
  return 0;
}

/* When an overlay is opened its base is opened once more. */
static int
add_folder_of (struct run *run, const char *path, rawview_error *err)
{
  const char *slash = strrchr (path, '/');
  CLEANUP_FREE char *folder = NULL;

  if (slash == NULL || cli_is_nbd_uri (path))
    return 0;
  folder = cli_format ("%.*s", (int) (slash - path) + 1, path);
  return rawview_exports_add_folder (run->set, folder, NULL, err);
}

/* With sandbox=on, what is opened later must be beneath these. */
static int
add_folders (struct run *run, rawview_error *err)
{
  const struct mover_plan *plan = run->plan;

  if (plan->work_dir == NULL)
    return 0;
  for (size_t i = 0; i < plan->machine->n_disks; i++)
    if (add_folder_of (run, plan->machine->disks[i].source, err) == -1)
      return -1;
  return rawview_exports_add_folder (run->set, plan->work_dir, NULL, err);
}

static int
open_all (struct run *run, rawview_error *err)
{
  rawview_sandbox state;

  run->threads = copy_thread_count (run->plan->threads);
  /* One of them waits for the pipe. */
  if (run->plan->stream && run->plan->threads == 0)
    run->threads++;
  run->set = rawview_exports_new ();
  run->disks = calloc (run->plan->dests->n, sizeof *run->disks);
  if (run->set == NULL || run->disks == NULL)
    return cli_error_errno (err, ENOMEM, "import");
  if (open_sources (run, err) == -1 || open_targets (run, err) == -1 ||
      add_folders (run, err) == -1)
    return -1;
  return cli_enter_sandbox (run->plan->options, NULL, run->set, NULL, &state,
                            err);
}

/*--- Copying ------------------------------------------------------------*/

static void
await (struct run *run, struct copy_job *job, enum mover_event event,
       uint64_t before)
{
  struct pollfd fd = { .fd = job->done_fd, .events = POLLIN };

  while (!(fd.revents & POLLIN)) {
    poll (&fd, 1, REPORT_MS);
    report_event (run, event, before + atomic_load (&job->done));
  }
}

static int
run_job (struct run *run, struct copy_job *job, enum mover_event event,
         uint64_t before, rawview_error *err)
{
  int r;

  job->done_fd = eventfd (0, EFD_CLOEXEC);
  if (job->done_fd == -1)
    return cli_error_errno (err, errno, "eventfd");
  r = job->image ? rawview_start (job->image, err) : 0;
  if (r == 0)
    r = copy_job_start (job, err);
  if (r == 0) {
    await (run, job, event, before);
    r = copy_job_finish (job, err);
  }
  close (job->done_fd);
  return r;
}

static int
copy_disk (struct run *run, size_t i, uint64_t before, rawview_error *err)
{
  const struct moved *d = &run->disks[i];
  struct copy_job job = { .image = d->image,
                          .stream = run->plan->stream,
                          .target = d->target,
                          .size = d->size,
                          .sparse = COPY_SPARSE };

  if (job.stream) {
    job.threads = run->threads;
    if (copy_stream_check (&job, err) == -1)
      return -1;
  }
  if (run_job (run, &job, MOVER_COPYING, before, err) == 0)
    return 0;
  if (job.stream)
    copy_stream_explain (&job, err);
  return -1;
}

static int
copy_all (struct run *run, rawview_error *err)
{
  uint64_t before = 0;

  for (size_t i = 0; i < run->plan->dests->n; i++) {
    if (copy_disk (run, i, before, err) == -1)
      return -1;
    before += run->disks[i].size;
  }
  return 0;
}

/*--- Shipping -----------------------------------------------------------*/

static int
open_overlay (struct run *run, size_t i, rawview_image **image,
              rawview_error *err)
{
  rawview_options *o = options_of (run, i, run->plan->overlays[i], err);
  int r;

  if (o == NULL)
    return -1;
  r = rawview_open (run->plan->machine->disks[i].source, o, image, err);
  rawview_options_free (o);
  return r;
}

/* What the overlay has itself replaces what was copied of the base. */
static int
ship_disk (struct run *run, size_t i, uint64_t before, rawview_error *err)
{
  const struct moved *d = &run->disks[i];
  CLEANUP_IMAGE rawview_image *image = NULL;
  struct copy_job job = {
    .target = d->target, .size = d->size, .sparse = COPY_SPARSE, .changes = true
  };

  if (open_overlay (run, i, &image, err) == -1)
    return -1;
  if (rawview_get_size (image) != d->size)
    return cli_error_set (err, RAWVIEW_ERROR_CORRUPT, EIO,
                          "%s: its size is not that of the disk",
                          run->plan->overlays[i]);
  job.image = image;
  d->target->zeroed = false;
  return run_job (run, &job, MOVER_SHIPPING, before, err);
}

static int
ship_all (struct run *run, rawview_error *err)
{
  uint64_t before = 0;
  char go;

  if (read (run->commands, &go, sizeof go) != sizeof go)
    _exit (1);
  for (size_t i = 0; i < run->plan->dests->n; i++) {
    if (ship_disk (run, i, before, err) == -1)
      return -1;
    before += run->disks[i].size;
  }
  return 0;
}

/*--- The end ------------------------------------------------------------*/

static int
flush_all (struct run *run, rawview_error *err)
{
  for (size_t i = 0; i < run->plan->dests->n; i++) {
    struct copy_target *t = run->disks[i].target;

    if (t->ops->flush (t, err) == -1)
      return -1;
  }
  for (size_t i = 0; i < run->plan->dests->n; i++) {
    struct copy_target *t = run->disks[i].target;

    run->disks[i].target = NULL;
    if (t->ops->close (t, true, err) == -1)
      return -1;
  }
  return 0;
}

static void
clean_up (struct run *run)
{
  rawview_error ignored;

  for (size_t i = 0; run->disks && i < run->plan->dests->n; i++) {
    struct moved *d = &run->disks[i];

    if (d->target)
      d->target->ops->close (d->target, false, &ignored);
    rawview_close (d->image);
  }
  free (run->disks);
  rawview_exports_free (run->set);
}

static int
move (struct run *run, rawview_error *err)
{
  if (open_all (run, err) == -1)
    return -1;
  report_event (run, MOVER_READY, 0);
  if (copy_all (run, err) == -1)
    return -1;
  report_event (run, MOVER_COPIED, 0);
  if (run->plan->work_dir && ship_all (run, err) == -1)
    return -1;
  report_event (run, MOVER_FLUSHING, 0);
  return flush_all (run, err);
}

int
mover_run (const struct mover_plan *plan, int commands, int reports)
{
  struct run run = { .plan = plan, .commands = commands, .reports = reports };
  struct mover_report last = { .event = MOVER_DONE };
  int r = move (&run, &last.err);

  if (r == -1)
    last.event = MOVER_FAILED;
  clean_up (&run);
  report (&run, &last);
  return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
