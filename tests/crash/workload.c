/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A seeded sequence of requests on an image in memory.
 *
 * What goes wrong goes wrong where requests meet: so most of them fall into a
 * few places, and begin or end at the borders of clusters and of tables.
 */

#include "crash.h"

#include "engine/engine-internal.h"

#define ROOM      (64u << 20)
#define PLACES    6u
#define UNITS_MAX 4u
#define LEN_MAX   (256u << 10)

/*--- The image ----------------------------------------------------------*/

static bool
make_io (struct crash_run *run, unsigned i)
{
  const struct crash_file *f = &run->image->files[i];
  CLEANUP_IO struct rv_io *ram = NULL;
  CLEANUP_IO struct rv_io *traced = NULL;

  if (!f->writable) {
    run->bytes[i] = f->bytes;
    return rv_io_mem_new (f->bytes, f->len, f->name, &run->ios[i], &run->err) ==
           0;
  }
  if (rv_io_ram_new (f->len, ROOM, f->name, &ram, &run->bytes[i], &run->err) ==
      -1)
    return false;
  memcpy (run->bytes[i], f->bytes, f->len);
  if (rv_io_trace_new (ram, i, &run->trace, &traced, &run->err) == -1)
    return false;
  if (run->plan.faults == NULL)
    run->ios[i] = STEAL (traced);
  else if (rv_io_faults_new (traced, run->plan.faults, &run->ios[i],
                             &run->err) == -1)
    return false;
  return true;
}

/* Some seeds have epochs that begin by themselves. */
static void
set_limits (struct crash_run *run)
{
  uint64_t unit = run->image->unit;
  struct rv_epoch_limits small = {
    .dirty = 3 * unit, .freed = 5 * unit, .change_ms = 3, .follow_ms = 1
  };

  if (run->plan.seed % 3 == 0)
    rv_epoch_set_limits (run->disk.engine->epoch, &small);
}

bool
crash_run_start (struct crash_run *run, const struct crash_image *image,
                 const struct crash_plan *plan)
{
  *run = (struct crash_run){ .image = image, .plan = *plan };
  rv_trace_init (&run->trace);
  crash_model_init (&run->model, image);
  for (unsigned i = 0; i < image->nr_files; i++)
    if (!make_io (run, i))
      return false;
  if (crash_open (image, run->ios, NULL, &run->disk, &run->err) == -1 ||
      rv_engine_enable_write (run->disk.engine, &run->err) == -1)
    return false;
  set_limits (run);
  return plan->threads == 0 ||
         rv_engine_start (run->disk.engine, &run->err) == 0;
}

void
crash_run_release (struct crash_run *run)
{
  crash_close (&run->disk);
  crash_model_release (&run->model);
  for (unsigned i = 0; i < run->image->nr_files; i++)
    rv_io_unref (run->ios[i]);
  rv_trace_release (&run->trace);
}

bool
crash_run_read (struct crash_run *run, uint8_t *buf, rawview_error *err)
{
  return rv_engine_pread (run->disk.engine, buf, run->image->size, 0, err) == 0;
}

/*--- Which request ------------------------------------------------------*/

/* Somewhere, but mostly where others are too. */
static uint64_t
choose_place (const struct crash_run *run, struct crash_rng *rng)
{
  uint64_t unit = run->image->unit, units = run->image->size / unit;
  uint64_t table = unit / 8; /* entries of an L2 table */
  uint64_t place;

  if (units == 0)
    return 0;
  place = crash_mix (run->plan.seed * PLACES + crash_random (rng, PLACES));
  if (crash_random (rng, 4) == 0)
    place = crash_random (rng, units);
  else if (units > table && place % 3 == 0)
    place = place / 3 % (units / table) * table + table - 1;
  return place % units * unit;
}

static void
choose_range (const struct crash_run *run, struct crash_rng *rng, uint64_t *off,
              uint64_t *len)
{
  uint64_t unit = run->image->unit, max = rv_min_u64 (LEN_MAX, 8 * unit);

  *off = choose_place (run, rng);
  switch (crash_random (rng, 4)) {
  case 0: /* whole units */
    *len = (1 + crash_random (rng, UNITS_MAX)) * unit;
    break;
  case 1: /* a few sectors somewhere in it */
    *off += crash_random (rng, unit / SECTOR) * SECTOR;
    *len = (1 + crash_random (rng, 8)) * SECTOR;
    break;
  case 2: /* to the end of it, and a little beyond */
    *len = (1 + crash_random (rng, 4)) * SECTOR;
    *off += unit - rv_min_u64 (*len, unit);
    *len += crash_random (rng, 3) * SECTOR;
    break;
  default: /* anything */
    *off += crash_random (rng, unit / SECTOR) * SECTOR;
    *len = (1 + crash_random (rng, max / SECTOR)) * SECTOR;
  }
  if (*off >= run->image->size)
    *off = run->image->size - SECTOR;
  *len = rv_min_u64 (*len, run->image->size - *off);
}

/* Of 64: how often is it what?  Some seeds seldom flush, some trim a lot. */
static enum crash_op
choose_op (const struct crash_run *run, struct crash_rng *rng)
{
  static const unsigned flushes[] = { 8, 1, 16, 4 };
  unsigned flush = flushes[run->plan.seed % 4];
  unsigned trim = run->plan.seed / 4 % 2 ? 20 : 8;
  unsigned n = crash_random (rng, 64);

  if (n < flush)
    return CRASH_FLUSH;
  if (n < flush + trim)
    return CRASH_TRIM;
  if (n < flush + trim + 8)
    return CRASH_ZERO;
  return CRASH_WRITE;
}

/*--- Doing it -----------------------------------------------------------*/

static int
write_request (struct crash_run *run, uint32_t number, uint64_t off,
               uint64_t len, rawview_error *err)
{
  CLEANUP_FREE uint8_t *buf = crash_alloc (len);

  for (uint64_t i = 0; i < len; i += SECTOR)
    crash_fill (buf + i, number, (off + i) / SECTOR);
  return rv_engine_pwrite (run->disk.engine, buf, len, off, err);
}

static int
perform (struct crash_run *run, uint32_t number, enum crash_op op, uint64_t off,
         uint64_t len, unsigned flags, rawview_error *err)
{
  switch (op) {
  case CRASH_WRITE:
    return write_request (run, number, off, len, err);
  case CRASH_ZERO:
    return rv_engine_zero (run->disk.engine, len, off, flags, err);
  case CRASH_TRIM:
    return rv_engine_trim (run->disk.engine, len, off, err);
  default:
    return rv_engine_flush (run->disk.engine, err);
  }
}

static bool
do_request (struct crash_run *run, enum crash_op op, uint64_t off, uint64_t len,
            unsigned flags)
{
  rawview_error err;
  uint32_t number =
      crash_model_begin (&run->model, &run->trace, op, off, len, flags);
  int r = perform (run, number, op, off, len, flags, &err);

  crash_model_end (&run->model, &run->trace, number, r == 0);
  if (r == 0)
    return true;
  pthread_mutex_lock (&run->model.lock);
  run->last = err;
  if (run->failed_requests++ == 0)
    run->err = err;
  pthread_mutex_unlock (&run->model.lock);
  return false;
}

bool
crash_run_request (struct crash_run *run, struct crash_rng *rng)
{
  enum crash_op op = choose_op (run, rng);
  uint64_t off, len;
  unsigned flags;

  choose_range (run, rng, &off, &len);
  flags = crash_random (rng, 2) ? RAWVIEW_ZERO_MAY_TRIM : 0;
  if (op == CRASH_FLUSH)
    return crash_run_flush (run);
  return do_request (run, op, off, len, flags);
}

bool
crash_run_flush (struct crash_run *run)
{
  return do_request (run, CRASH_FLUSH, 0, 0, 0);
}

void
crash_run_finish (struct crash_run *run)
{
  rawview_error err;

  /* The end flushes, but says so only when it has returned. */
  if (!crash_run_flush (run))
    return;
  run->finished = rv_engine_finish (run->disk.engine, &err) == 0;
  if (run->finished)
    return;
  run->last = err;
  if (run->failed_requests++ == 0)
    run->err = err;
}

/*--- All of them --------------------------------------------------------*/

struct guest {
  struct crash_run *run;
  pthread_t thread;
  unsigned number, requests;
};

static void *
be_guest (void *opaque)
{
  struct guest *g = opaque;
  struct crash_rng rng = { crash_mix (g->run->plan.seed) + g->number };

  for (unsigned i = 0; i < g->requests; i++)
    crash_run_request (g->run, &rng);
  return NULL;
}

void
crash_run_requests (struct crash_run *run)
{
  unsigned n = run->plan.threads ? run->plan.threads : 1;
  struct guest *guests = crash_alloc (n * sizeof *guests);

  for (unsigned i = 0; i < n; i++)
    guests[i] = (struct guest){ .run = run,
                                .number = i,
                                .requests = run->plan.requests / n };
  if (run->plan.threads == 0)
    be_guest (&guests[0]);
  else {
    for (unsigned i = 0; i < n; i++)
      if (pthread_create (&guests[i].thread, NULL, be_guest, &guests[i]) != 0)
        crash_die ("cannot start a thread");
    for (unsigned i = 0; i < n; i++)
      pthread_join (guests[i].thread, NULL);
  }
  free (guests);
}
