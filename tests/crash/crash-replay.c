/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* crash-replay: writes images in memory, then looks at what a crash could have
 * left at every moment.  See crash.h for its parts.
 *
 *   --images DIR    made by make-images
 *   --kind NAME     only this kind of image (a folder in DIR); may be repeated
 *   --states N      at least so many states of each kind
 *   --qemu N        of them, so many are also judged by qemu-img check, and as
 *                   many more of those where clusters were freed or tables grew
 *   --threads N     so many guests at once (order differs from run to run)
 *   --jobs N        kinds at the same time
 *   --seed N        first seed; others follow
 *   --state N       of the one seed, only this state
 *   --keep DIR      writes the files of a state that fails there
 *   --break N       with rule N of the flush epoch broken (99: no syncs)
 *   --breaks        each of them must be noticed
 *   --faults STEP   instead: every STEP-th operation fails
 */

#include "crash.h"

#include <dirent.h>
#include <getopt.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "util/text.h"

#define REQUESTS  70u
#define SUBSETS   6u
#define KINDS_MAX 64u
#define NO_SYNCS  99
#define BREAKS    7

/* In broken-epoch.c: which rule of the epoch does not hold, 0 for none. */
extern int rv_break_order;

static struct {
  const char *images, *keep, *scratch;
  const char *kinds[KINDS_MAX];
  unsigned nr_kinds, threads, jobs, broken, fault_step;
  uint64_t states, seed, state, qemu;
  bool breaks;
} opt = { .states = 4000,
          .seed = 1,
          .state = UINT64_MAX,
          .jobs = 1,
          .scratch = "/dev/shm" };

/* Shared by the processes. */
static struct totals {
  atomic_ulong states, again, second, snapshots, qemu, qemu_freed, runs, faults;
} * totals;

/*--- One seed -----------------------------------------------------------*/

struct seed_run {
  struct crash_run run;
  struct crash_judge judge;
  char *dir; /* for qemu-img */
  uint64_t states, freed, freed_asked;
  bool quiet, good;
};

static void
complain (struct seed_run *s, const struct crash_state *state, const char *why)
{
  s->good = false;
  if (s->quiet)
    return;
  printf ("# FAILED %s: seed %ju, state %ju of time %zu: %s\n"
          "# again: crash-replay --images %s --kind %s --seed %ju --state "
          "%ju%s\n",
          s->run.image->kind, (uintmax_t) s->run.plan.seed,
          (uintmax_t) (state ? state->number : 0), state ? state->t : 0, why,
          opt.images, s->run.image->kind, (uintmax_t) s->run.plan.seed,
          (uintmax_t) (state ? state->number : 0),
          opt.threads ? " (but threads differ each time)" : "");
  if (state && opt.keep)
    crash_state_save (state, opt.keep, true);
  fflush (stdout);
}

/* Has something been given back, or the header been written, just now? */
static bool
freed_or_grown (const struct crash_state *state)
{
  const struct rv_trace *trace = &state->run->trace;
  size_t from = state->t > 30 ? state->t - 30 : 0;

  for (size_t i = from; i < state->t; i++)
    if (trace->entries[i].op == RV_TRACE_ZERO ||
        (trace->entries[i].op == RV_TRACE_WRITE &&
         trace->entries[i].off < SECTOR))
      return true;
  return false;
}

static bool
is_turn (uint64_t n, uint64_t wanted)
{
  uint64_t every = wanted ? opt.states / wanted : 0;

  if (opt.state != UINT64_MAX)
    return true;
  return wanted && n % rv_max_u64 (every, 1) == 0;
}

static bool
ask_qemu (struct seed_run *s, const struct crash_state *state,
          struct crash_verdict *v)
{
  bool freed = freed_or_grown (state);
  bool turn = is_turn (s->states, opt.qemu);

  if (s->dir == NULL || s->run.image->format == &rv_format_raw)
    return true;
  if (!turn && freed && s->freed_asked < opt.qemu &&
      is_turn (s->freed++, 3 * opt.qemu)) {
    s->freed_asked++;
    atomic_fetch_add (&totals->qemu_freed, 1);
    turn = true;
  }
  if (!turn && !state->last)
    return true;
  atomic_fetch_add (&totals->qemu, 1);
  return crash_judge_qemu (s->dir, state, v);
}

static bool
judge_state (void *opaque, const struct crash_state *state)
{
  struct seed_run *s = opaque;
  struct crash_verdict v;
  bool all = state->last || opt.state != UINT64_MAX;

  s->states++;
  atomic_fetch_add (&totals->states, 1);
  if (crash_judge (&s->judge, state, &v) && ask_qemu (s, state, &v)) {
    if (s->states % 400 == 0 || opt.state != UINT64_MAX)
      atomic_fetch_add (&totals->second,
                        crash_judge_second (&s->judge, state, &v));
    if (v.good && (all || s->states % 16 == 0)) {
      atomic_fetch_add (&totals->again, 1);
      crash_judge_again (&s->judge, state, &v);
    }
    if (v.good && s->run.image->snapshot && (all || s->states % 8 == 0)) {
      atomic_fetch_add (&totals->snapshots, 1);
      crash_judge_snapshot (&s->judge, state, &v);
    }
  }
  if (!v.good)
    complain (s, state, v.why);
  return v.good;
}

static void
read_now (struct seed_run *s)
{
  rawview_error err;
  char why[300];

  if (!crash_run_read (&s->run, s->judge.buf, &err))
    complain (s, NULL, err.msg);
  else if (!crash_disk_allowed (&s->run.model, s->judge.buf, CRASH_NOW, why,
                                sizeof why))
    complain (s, NULL, why);
}

/* Adds to s->states. */
static bool
run_seed (struct seed_run *s, const struct crash_image *image, uint64_t seed)
{
  struct crash_plan plan = { .seed = seed,
                             .requests = REQUESTS,
                             .threads = opt.threads };
  struct crash_choice choice = { .subsets = SUBSETS,
                                 .only = opt.state,
                                 .no_syncs = opt.broken == NO_SYNCS };

  atomic_fetch_add (&totals->runs, 1);
  if (crash_run_start (&s->run, image, &plan)) {
    crash_run_requests (&s->run);
    crash_run_finish (&s->run);
    crash_model_finish (&s->run.model);
    read_now (s);
  }
  else
    complain (s, NULL, s->run.err.msg);
  if (s->run.failed_requests > 0)
    complain (s, NULL, s->run.err.msg);
  if (s->good)
    crash_states (&s->run, &choice, judge_state, s);
  crash_run_release (&s->run);
  return s->good;
}

/*--- One kind -----------------------------------------------------------*/

static bool
run_kind (const char *kind, uint64_t states, bool quiet)
{
  struct crash_image *image = crash_image_load (opt.images, kind);
  struct seed_run s = { .quiet = quiet, .good = true };
  uint64_t seed = opt.seed;

  crash_judge_init (&s.judge, image);
  if (opt.qemu > 0) {
    struct crash_state first = { .run = &s.run };

    s.dir = rv_text_format ("%s/rawview-crash-%s-%ld", opt.scratch, kind,
                            (long) getpid ());
    s.run.image = image;
    for (unsigned i = 0; i < image->nr_files; i++) {
      first.bytes[i] = image->files[i].bytes;
      first.len[i] = image->files[i].len;
    }
    crash_state_save (&first, s.dir, true);
  }
  do
    run_seed (&s, image, seed++);
  while (s.good && opt.state == UINT64_MAX && s.states < states);
  if (s.dir) {
    CLEANUP_FREE char *rm = rv_text_format ("rm -rf '%s'", s.dir);

    if (system (rm) != 0)
      crash_die ("cannot remove %s", s.dir);
    free (s.dir);
  }
  if (!quiet)
    printf ("%s - %s: %ju states of %ju runs\n", s.good ? "ok" : "not ok", kind,
            (uintmax_t) s.states, (uintmax_t) (seed - opt.seed));
  crash_judge_release (&s.judge);
  crash_image_free (image);
  return s.good;
}

static bool
fault_kind (const char *kind)
{
  struct crash_image *image = crash_image_load (opt.images, kind);
  unsigned runs = crash_faults (image, opt.seed, opt.fault_step);

  atomic_fetch_add (&totals->faults, runs);
  printf ("%s - %s: %u runs with faults\n", runs ? "ok" : "not ok", kind, runs);
  crash_image_free (image);
  return runs > 0;
}

/*--- Breaks -------------------------------------------------------------*/

static bool
notices (int broken)
{
  rv_break_order = broken == NO_SYNCS ? 0 : broken;
  opt.broken = broken;
  for (unsigned i = 0; i < opt.nr_kinds; i++)
    if (!run_kind (opt.kinds[i], opt.states, true)) {
      printf ("ok - break %d is noticed: %s\n", broken, opt.kinds[i]);
      return true;
    }
  printf ("not ok - break %d is not noticed\n", broken);
  return false;
}

/*--- All kinds ----------------------------------------------------------*/

/* A unit of work: a kind, or a break. */
static bool
work (unsigned i)
{
  if (opt.breaks)
    return notices (i < BREAKS ? (int) i + 1 : NO_SYNCS);
  if (opt.fault_step)
    return fault_kind (opt.kinds[i]);
  return run_kind (opt.kinds[i], opt.states, false);
}

static bool
wait_one (void)
{
  int status;

  if (wait (&status) == -1)
    crash_die ("wait: %m");
  if (!WIFEXITED (status))
    printf ("# FAILED: a worker died of signal %d\n", WTERMSIG (status));
  return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

static bool
work_all (unsigned n)
{
  unsigned running = 0;
  bool good = true;

  for (unsigned i = 0; i < n; i++) {
    if (running == opt.jobs) {
      good = wait_one () && good;
      running--;
    }
    fflush (stdout);
    switch (fork ()) {
    case -1:
      crash_die ("fork: %m");
    case 0:
      exit (work (i) ? 0 : 1);
    default:
      running++;
    }
  }
  while (running-- > 0)
    good = wait_one () && good;
  return good;
}

static int
by_name (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static void
find_kinds (void)
{
  DIR *d = opendir (opt.images);
  struct dirent *e;

  if (d == NULL)
    crash_die ("%s: %m", opt.images);
  while ((e = readdir (d)) && opt.nr_kinds < KINDS_MAX)
    if (e->d_name[0] != '.')
      opt.kinds[opt.nr_kinds++] = strdup (e->d_name);
  closedir (d);
  qsort (opt.kinds, opt.nr_kinds, sizeof opt.kinds[0], by_name);
}

static void
parse (int argc, char **argv)
{
  static const struct option options[] = {
    { "break", 1, NULL, 'b' },  { "breaks", 0, NULL, 'B' },
    { "faults", 1, NULL, 'f' }, { "images", 1, NULL, 'i' },
    { "jobs", 1, NULL, 'j' },   { "keep", 1, NULL, 'K' },
    { "kind", 1, NULL, 'k' },   { "qemu", 1, NULL, 'q' },
    { "seed", 1, NULL, 's' },   { "state", 1, NULL, 'S' },
    { "states", 1, NULL, 'n' }, { "threads", 1, NULL, 't' },
    { NULL, 0, NULL, 0 },
  };
  int c;

  while ((c = getopt_long (argc, argv, "", options, NULL)) != -1)
    switch (c) {
    case 'b':
      opt.broken = atoi (optarg);
      break;
    case 'B':
      opt.breaks = true;
      break;
    case 'f':
      opt.fault_step = atoi (optarg);
      break;
    case 'i':
      opt.images = optarg;
      break;
    case 'j':
      opt.jobs = atoi (optarg);
      break;
    case 'K':
      opt.keep = optarg;
      break;
    case 'k':
      if (opt.nr_kinds < KINDS_MAX)
        opt.kinds[opt.nr_kinds++] = optarg;
      break;
    case 'q':
      opt.qemu = strtoull (optarg, NULL, 10);
      break;
    case 's':
      opt.seed = strtoull (optarg, NULL, 10);
      break;
    case 'S':
      opt.state = strtoull (optarg, NULL, 10);
      break;
    case 'n':
      opt.states = strtoull (optarg, NULL, 10);
      break;
    case 't':
      opt.threads = atoi (optarg);
      break;
    default:
      exit (2);
    }
  if (opt.images == NULL || opt.jobs == 0)
    crash_die ("--images DIR is needed");
}

int
main (int argc, char **argv)
{
  bool good;

  parse (argc, argv);
  totals = mmap (NULL, sizeof *totals, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (totals == MAP_FAILED)
    crash_die ("mmap: %m");
  if (opt.nr_kinds == 0)
    find_kinds ();
  rv_break_order = opt.broken == NO_SYNCS ? 0 : opt.broken;
  good = work_all (opt.breaks ? BREAKS + 1 : opt.nr_kinds);
  printf ("# %lu states of %lu runs, %lu after a second crash; %lu written "
          "again, %lu snapshots, %lu by qemu-img (%lu for what was freed); %lu "
          "runs with faults\n",
          totals->states, totals->runs, totals->second, totals->again,
          totals->snapshots, totals->qemu, totals->qemu_freed, totals->faults);
  return good ? 0 : 1;
}
