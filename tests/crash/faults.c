/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A short workload whose n-th operation fails, for every n, in every way.
 *
 * The request in which it happens may fail; nothing else may be lost, now or
 * after a crash.  Once the fault is gone writing works again, unless a sync
 * has failed: then nothing is promised to be durable any more.
 */

#include "crash.h"

#include <errno.h>

#define REQUESTS 24u
#define MORE     6u
#define SUBSETS  1u

struct way {
  const char *name;
  unsigned kinds;
  int errnum;
  bool once, torn;
};

static const struct way ways[] = {
  { "read-eio-once", RV_FAULT_READ, EIO, true, false },
  { "write-eio-once", RV_FAULT_WRITE | RV_FAULT_ZERO, EIO, true, false },
  { "write-eio-torn", RV_FAULT_WRITE, EIO, true, true },
  { "write-enospc", RV_FAULT_WRITE, ENOSPC, false, true },
  { "sync-eio-once", RV_FAULT_SYNC, EIO, true, false },
  { "all-eio", RV_FAULT_READ | RV_FAULT_WRITE | RV_FAULT_ZERO | RV_FAULT_SYNC,
    EIO, false, false },
};

struct fault_run {
  const struct way *way;
  unsigned n;
  struct rv_io_faults faults;
  struct crash_run run;
  struct crash_judge *judge;
  bool good;
};

static bool
complain (struct fault_run *f, const char *what, const char *why)
{
  printf ("# FAILED %s: fault %s at operation %u, seed %ju: %s%s\n",
          f->run.image->kind, f->way->name, f->n, (uintmax_t) f->run.plan.seed,
          what, why);
  f->good = false;
  return false;
}

static bool
any_sync_failed (const struct crash_run *run)
{
  for (unsigned i = 0; i < run->image->nr_files; i++)
    if (run->image->files[i].writable &&
        atomic_load (&run->ios[i]->sync_failed))
      return true;
  return false;
}

/* The fault is over. */
static bool
go_on (struct fault_run *f)
{
  struct crash_rng rng = { f->n };
  unsigned failed = f->run.failed_requests;

  if (any_sync_failed (&f->run)) {
    if (crash_run_flush (&f->run))
      return complain (f, "a flush succeeds after a failed sync", "");
    return true;
  }
  for (unsigned i = 0; i < MORE; i++)
    crash_run_request (&f->run, &rng);
  if (f->run.failed_requests > failed)
    return complain (f, "writing does not work again: ", f->run.last.msg);
  crash_run_finish (&f->run);
  if (f->run.failed_requests > failed)
    return complain (f, "writing cannot be finished: ", f->run.last.msg);
  return true;
}

static bool
judge_state (void *opaque, const struct crash_state *state)
{
  struct fault_run *f = opaque;
  struct crash_state s = *state;
  struct crash_verdict v;

  /* What happens without a fault has been seen. */
  if (state->t + 24 < f->run.trace.len && state->t % 8 != 0)
    return true;
  s.last = false; /* leaks are allowed */
  if (!crash_judge (f->judge, &s, &v))
    return complain (f, "after a crash ", v.why);
  return true;
}

static bool
read_now (struct fault_run *f)
{
  rawview_error err;
  char why[300];

  if (!crash_run_read (&f->run, f->judge->buf, &err))
    return complain (f, "cannot be read: ", err.msg);
  if (!crash_disk_allowed (&f->run.model, f->judge->buf, CRASH_NOW, why,
                           sizeof why))
    return complain (f, "", why);
  return true;
}

/* *hit: was there an operation n? */
static bool
one_run (struct fault_run *f, const struct crash_image *image,
         const struct crash_plan *plan, bool *hit)
{
  struct crash_choice choice = { .subsets = SUBSETS, .only = UINT64_MAX };
  bool started;

  f->faults = (struct rv_io_faults){ .countdown = f->n,
                                     .kinds = f->way->kinds,
                                     .errnum = f->way->errnum,
                                     .once = f->way->once,
                                     .torn = f->way->torn };
  f->good = true;
  started = crash_run_start (&f->run, image, plan);
  if (started)
    crash_run_requests (&f->run);
  *hit = atomic_load (&f->faults.countdown) <= 1;
  atomic_store (&f->faults.countdown, 0);
  if (started)
    go_on (f);
  crash_model_finish (&f->run.model);
  if (f->good && started)
    read_now (f);
  if (f->good)
    crash_states (&f->run, &choice, judge_state, f);
  crash_run_release (&f->run);
  return f->good;
}

unsigned
crash_faults (const struct crash_image *image, uint64_t seed, unsigned step)
{
  struct crash_judge judge;
  struct fault_run f = { .judge = &judge };
  struct crash_plan plan = { .seed = seed,
                             .requests = REQUESTS,
                             .faults = &f.faults };
  unsigned runs = 0;
  bool good = true, hit = true;

  crash_judge_init (&judge, image);
  for (size_t w = 0; good && w < sizeof ways / sizeof ways[0]; w++) {
    f.way = &ways[w];
    hit = true;
    for (f.n = 1; good && hit; f.n += step) {
      good = one_run (&f, image, &plan, &hit);
      runs++;
    }
  }
  crash_judge_release (&judge);
  return good ? runs : 0;
}
