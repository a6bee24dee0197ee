/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview copy: an image, or one that comes from a pipe, to a raw file, block
 * device, NBD server or stdout.
 *
 * The main thread only waits: for the workers, for the next line of progress,
 * and for signals, which it takes from a descriptor so that no handler runs
 * anywhere.
 */

#include <config.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "copy.h"
#include "progress.h"

#define MAX_SPARSE COPY_PIECE

/* The copy is complete but for what is lost.  No kind of error has it. */
#define STATUS_LOST 16

struct copy_values {
  bool flush;
  bool force;
  bool zeroed;
  const char *mapfile;
  const char *progress;
  const char *rescue;
  const char *sparse;
  unsigned threads;
};

static const struct cli_option options[] = {
  { "destination-is-zero", 0, NULL, "DEST reads as zeros: write only data",
    CLI_FLAG, offsetof (struct copy_values, zeroed) },
  { "flush", 0, NULL, "make the copy durable before ending", CLI_FLAG,
    offsetof (struct copy_values, flush) },
  { "force", 0, NULL, "overwrite a file that is not empty", CLI_FLAG,
    offsetof (struct copy_values, force) },
  { "mapfile", 0, "FILE", "with --rescue: write a mapfile as ddrescue has it",
    CLI_TEXT, offsetof (struct copy_values, mapfile) },
  { "progress", 'p', "bar|json|none", "show progress", CLI_OPTIONAL,
    offsetof (struct copy_values, progress) },
  { "rescue", 0, "yes|no", "copy what can be read and list what is lost",
    CLI_OPTIONAL, offsetof (struct copy_values, rescue) },
  { "sparse", 'S', "SIZE", "look for zeros in blocks of SIZE, 0: do not (4k)",
    CLI_TEXT, offsetof (struct copy_values, sparse) },
  { "threads", 't', "N", "copy with N threads (number of CPUs)", CLI_NUMBER,
    offsetof (struct copy_values, threads) },
};

/*--- Options ------------------------------------------------------------*/

static int
parse_sparse (const char *value, uint64_t *sparse, rawview_error *err)
{
  *sparse = COPY_SPARSE;
  if (value == NULL)
    return 0;
  if (cli_parse_size (value, sparse) &&
      (*sparse == 0 || (*sparse >= 512 && *sparse <= MAX_SPARSE &&
                        (*sparse & (*sparse - 1)) == 0)))
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                        "copy: --sparse=%s: must be 0 or a power of two from "
                        "512 to 2M",
                        value);
}

static int
parse_progress (const char *value, enum progress_mode *mode, rawview_error *err)
{
  if (progress_parse_mode (value, mode))
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                        "copy: --progress=%s: must be bar, json or none",
                        value);
}

/* Of a value that the library has accepted. */
static bool
means_no (const char *value)
{
  static const char *const words[] = { "no", "off", "false", "0" };

  for (size_t i = 0; i < CLI_COUNT (words); i++)
    if (strcasecmp (value, words[i]) == 0)
      return true;
  return false;
}

/* --rescue alone means yes; with a value it is the library's option. */
static int
set_rescue (const struct cli_args *args, bool *rescue, rawview_error *err)
{
  const struct copy_values *v = args->values;
  const char *value = v->rescue && *v->rescue ? v->rescue : "yes";

  *rescue = false;
  if (v->rescue) {
    if (rawview_options_set (args->options, "rescue", value, err) == -1)
      return -1;
    *rescue = !means_no (value);
  }
  if (v->mapfile && !*rescue)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                          "copy: --mapfile is for --rescue");
  if (*rescue && strcmp (args->operands[0], "-") == 0)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, ESPIPE,
                          "copy: --rescue must look here and there, which a "
                          "pipe cannot; save the image as a file");
  return 0;
}

/*--- Waiting ------------------------------------------------------------*/

/* The signals that mean "stop", from now on read from a descriptor.  Threads
 * started later inherit that they are blocked.
 */
static int
open_signals (rawview_error *err)
{
  sigset_t set;
  int fd;

  cli_block_signals (&set);
  /* A reader that went away is an error of writing, told as such. */
  signal (SIGPIPE, SIG_IGN);
  fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  return fd >= 0 ? fd : cli_error_errno (err, errno, "signalfd");
}

/* The first signal asks the workers to stop.  The second ends the process where
 * it stands, as a worker may be waiting for storage that does not answer.
 */
static void
take_signal (int signal_fd, struct copy_job *job, int *signum)
{
  struct signalfd_siginfo info;

  if (read (signal_fd, &info, sizeof info) != sizeof info)
    return;
  if (*signum != 0) {
    job->target->ops->abandon (job->target);
    _exit (128 + *signum);
  }
  *signum = (int) info.ssi_signo;
  copy_job_stop (job);
}

/* Returns the signal that stopped the job, or 0. */
static int
await (struct copy_job *job, int signal_fd, struct progress *progress)
{
  struct pollfd fds[] = { { .fd = job->done_fd, .events = POLLIN },
                          { .fd = signal_fd, .events = POLLIN } };
  int signum = 0;

  while (!(fds[0].revents & POLLIN)) {
    if (poll (fds, CLI_COUNT (fds), 200) == -1)
      continue; /* EINTR, and the events are as before */
    if (fds[1].revents & POLLIN)
      take_signal (signal_fd, job, &signum);
    progress_update (progress, atomic_load (&job->done));
  }
  progress_end (progress, atomic_load (&job->done));
  return signum;
}

/*--- The command --------------------------------------------------------*/

struct copy {
  struct copy_job job;
  struct progress progress;
  enum progress_mode mode;
  bool flush;
  bool to_stdout;
  bool rescue;
  unsigned threads;
  int signum; /* what stopped it */
  struct copy_lost lost;
};

static int
finish_job (struct copy *c, rawview_error *err)
{
  int r = copy_job_finish (&c->job, err);

  /* Workers that it has interrupted say so, which is not the reason. */
  if (c->signum != 0)
    return cli_error_set (err, RAWVIEW_ERROR_IO, EINTR,
                          "copy: stopped by SIG%s", sigabbrev_np (c->signum));
  return r;
}

static int
run_job (struct copy *c, int signal_fd, rawview_error *err)
{
  struct copy_job *job = &c->job;
  struct copy_target *t = job->target;

  progress_start (&c->progress, c->mode, job->size,
                  c->to_stdout ? stderr : stdout);
  if (copy_job_start (job, err) == -1)
    return -1;
  c->signum = await (job, signal_fd, &c->progress);
  if (finish_job (c, err) == -1)
    return -1;
  return c->flush || t->always_flush ? t->ops->flush (t, err) : 0;
}

static int
run_with_descriptors (struct copy *c, rawview_error *err)
{
  int signal_fd, r;

  signal_fd = open_signals (err);
  if (signal_fd == -1)
    return -1;
  c->job.done_fd = eventfd (0, EFD_CLOEXEC);
  r = c->job.done_fd == -1 ? cli_error_errno (err, errno, "eventfd") : 0;
  if (r == 0 && c->job.image)
    r = rawview_start (c->job.image, err);
  if (r == 0)
    r = run_job (c, signal_fd, err);
  if (c->job.done_fd >= 0)
    close (c->job.done_fd);
  close (signal_fd);
  return r;
}

static int
open_source (const struct cli_args *args, struct copy *c, rawview_error *err)
{
  const char *source = args->operands[0];

  if (strcmp (source, "-") == 0)
    return copy_stream_open (args->options, args->operands[1], &c->job, err);
  if (rawview_open (source, args->options, &c->job.image, err) == -1) {
    if (!c->rescue)
      copy_lost_suggest (source, args->options, err);
    return -1;
  }
  c->job.size = rawview_get_size (c->job.image);
  return 0;
}

static int
open_target (const struct cli_args *args, struct copy *c, rawview_error *err)
{
  const struct copy_values *v = args->values;
  const char *dest = args->operands[1];
  struct copy_target_options o = {
    .size = c->job.size,
    .lanes = c->threads,
    .force = v->force,
    .zeroed = v->zeroed,
    .source = c->job.image,
  };

  c->job.target = cli_is_nbd_uri (dest) ? copy_nbd_open (dest, &o, err)
                                        : copy_file_open (dest, &o, err);
  return c->job.target == NULL ? -1 : 0;
}

/* Before the target is, which must be another file. */
static int
set_up_rescue (const struct cli_args *args, struct copy *c, rawview_error *err)
{
  const struct copy_values *v = args->values;
  const char *warning;

  if (!c->rescue)
    return 0;
  for (size_t i = 0; (warning = rawview_get_warning (c->job.image, i)); i++)
    fprintf (stderr, "rawview: %s\n", warning);
  c->lost.size = c->job.size;
  c->lost.bar = c->mode == PROGRESS_BAR;
  if (c->mode == PROGRESS_JSON)
    c->lost.json = c->to_stdout ? stderr : stdout;
  c->job.lost = &c->lost;
  return v->mapfile ? copy_lost_open_map (&c->lost, v->mapfile, v->force,
                                          c->job.image, err)
                    : 0;
}

static int
enter_sandbox (const struct cli_args *args, const struct copy *c,
               rawview_error *err)
{
  const struct copy_target *t = c->job.target;
  const char *removes[] = { NULL, NULL, NULL };
  rawview_sandbox state;
  size_t n = 0;

  if (t->created)
    removes[n++] = t->name;
  if (c->lost.created)
    removes[n++] = c->lost.map_name;
  return cli_enter_sandbox (args->options, c->job.image, NULL, removes, &state,
                            err);
}

static int
copy (const struct cli_args *args, struct copy *c, rawview_error *err)
{
  const struct copy_values *v = args->values;
  rawview_error ignored;
  int r;

  c->flush = v->flush;
  c->to_stdout = strcmp (args->operands[1], "-") == 0;
  c->threads = copy_thread_count (v->threads);
  if (open_source (args, c, err) == -1 || set_up_rescue (args, c, err) == -1)
    return -1;
  /* One of them waits for the pipe. */
  if (c->job.stream && v->threads == 0)
    c->threads++;
  if (c->job.stream)
    c->job.threads = c->threads;
  if (open_target (args, c, err) == -1)
    return -1;
  r = c->job.stream ? copy_stream_check (&c->job, err) : 0;
  if (r == 0)
    r = enter_sandbox (args, c, err);
  if (r == 0 && (r = run_with_descriptors (c, err)) == -1 && c->job.stream)
    copy_stream_explain (&c->job, err);
  if (r == 0 && c->rescue)
    r = copy_lost_finish (&c->lost, err);
  if (r == 0)
    return c->job.target->ops->close (c->job.target, true, err);
  c->job.target->ops->close (c->job.target, false, &ignored);
  return -1;
}

static int
run (const struct cli_args *args)
{
  const struct copy_values *v = args->values;
  struct copy c = { 0 };
  rawview_error err;
  int status = EXIT_SUCCESS;

  if (set_rescue (args, &c.rescue, &err) == -1 ||
      parse_progress (v->progress, &c.mode, &err) == -1 ||
      parse_sparse (v->sparse, &c.job.sparse, &err) == -1 ||
      copy (args, &c, &err) == -1) {
    status = cli_fail (&err);
    if (c.signum != 0)
      status = 128 + c.signum;
    copy_lost_abandon (&c.lost);
  }
  else if (c.lost.ranges > 0) {
    cli_failf (RAWVIEW_ERROR_CORRUPT,
               "%llu bytes in %llu place%s are lost and are zeros in the copy",
               (unsigned long long) c.lost.bytes,
               (unsigned long long) c.lost.ranges,
               c.lost.ranges == 1 ? "" : "s");
    status = STATUS_LOST;
  }
  rawview_stream_close (c.job.stream);
  rawview_close (c.job.image);
  return status != EXIT_SUCCESS ? status : cli_finish_output ();
}

const struct cli_command cmd_copy = {
  .name = "copy",
  .operands = "IMAGE|- DEST",
  .summary =
      "Copies an image to a raw file, block device, NBD server or stdout",
  .options = options,
  .n_options = CLI_COUNT (options),
  .values_size = sizeof (struct copy_values),
  .min_operands = 2,
  .max_operands = 2,
  .run = run,
};
