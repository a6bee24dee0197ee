/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing guest bytes.
 *
 * Where the driver says "in place", the bytes go there, side by side with other
 * requests.  Otherwise the request takes its units for itself and asks again,
 * since somebody may have given them a place meanwhile.  A unit that gets a new
 * place is written there as a whole: what the request does not cover is filled
 * with what the guest reads there now.  Only then do the tables learn of it
 * (epoch.c: E1).
 */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "engine/engine-internal.h"
#include "util/checked.h"
#include "util/error.h"

/* Up to this a unit is put together in memory and written at once. */
#define ASSEMBLE_MAX (256u << 10)

int
rv_engine_not_writable (struct rv_engine *e, rawview_error *err)
{
  return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EROFS,
                       "%s: the image is not open for writing",
                       e->chain->ptr[0]->io->name);
}

void
rv_engine_lock (struct rv_engine *e, struct rv_range *range, uint64_t off,
                uint64_t len, bool exclusive)
{
  struct rv_format *format = e->chain->ptr[0];

  format->ops->write->widen (format, &off, &len);
  *range = (struct rv_range){ .off = off, .len = len, .exclusive = exclusive };
  rv_ranges_lock (e->ranges, range);
}

int
rv_engine_driver_failed (struct rv_engine *e, const rawview_error *error,
                         rawview_error *err)
{
  if (error->kind == RAWVIEW_ERROR_CORRUPT)
    rv_epoch_stop (e->epoch, error);
  if (err)
    *err = *error;
  return -1;
}

bool
rv_engine_zero_run (struct rv_engine *e, uint64_t off, uint64_t len,
                    uint64_t *run)
{
  unsigned phase = rv_engine_enter (e), depth;
  struct rv_map map;
  bool zero = false;

  *run = len;
  if (rv_chain_map (e->chain, off, len, &map, &depth, run, NULL) == 0) {
    zero = map.kind == RV_MAP_ZERO;
    *run = map.len;
  }
  rv_engine_leave (e, phase);
  return zero;
}

bool
rv_engine_is_zero (struct rv_engine *e, uint64_t off, uint64_t len)
{
  uint64_t run;

  for (unsigned steps = 0; len > 0; steps++) {
    if (steps == RV_WALK_MAX || !rv_engine_zero_run (e, off, len, &run))
      return false;
    off += run;
    len -= run;
  }
  return true;
}

/*--- A unit in a new place ----------------------------------------------*/

/* What is written for one plan, and from which bytes. */
struct unit {
  struct rv_engine *engine;
  const struct rv_plan *plan;
  const uint8_t *buf; /* the request's, plan->len */
  bool blank;         /* the host range reads as zeros, and nobody else's */
};

/* A part of the unit that the request does not cover. */
struct edge {
  uint64_t off, len; /* guest */
  bool zero;
};

/* Zeros beyond the disk's end. */
static uint64_t
inside_disk (const struct unit *u, const struct edge *edge)
{
  uint64_t size = u->engine->chain->ptr[0]->size;

  return edge->off >= size ? 0 : rv_min_u64 (edge->len, size - edge->off);
}

static struct edge
edge (const struct unit *u, uint64_t off, uint64_t end)
{
  struct edge e = { .off = off, .len = end - off };

  if (e.len > 0)
    e.zero = rv_engine_is_zero (u->engine, off, inside_disk (u, &e));
  return e;
}

static int
fill (const struct unit *u, const struct edge *edge, uint8_t *buf,
      rawview_error *err)
{
  uint64_t n = edge->zero ? 0 : inside_disk (u, edge);

  memset (buf + n, 0, edge->len - n);
  return n ? rv_engine_pread (u->engine, buf, n, edge->off, err) : 0;
}

static uint64_t
host_off (const struct unit *u, uint64_t off)
{
  return u->plan->host_off - u->plan->off + off;
}

/* In a blank place zeros need not be written, but the file should reach to the
 * end of the unit: then the last sector does it.
 */
static void
trim_edges (const struct unit *u, struct edge *left, struct edge *right)
{
  if (!u->blank)
    return;
  if (left->zero) {
    left->off += left->len;
    left->len = 0;
  }
  if (right->zero && right->len > 4096) {
    right->off += right->len - 512;
    right->len = 512;
  }
}

static int
write_edge (const struct unit *u, const struct edge *edge, rawview_error *err)
{
  CLEANUP_FREE uint8_t *buf = NULL;

  if (edge->len == 0)
    return 0;
  buf = malloc (edge->len);
  if (buf == NULL)
    return rv_error_nomem (err);
  if (fill (u, edge, buf, err) == -1)
    return -1;
  return rv_io_pwrite (u->plan->io, buf, edge->len, host_off (u, edge->off),
                       err);
}

/* All that adjoins the request's bytes, in one piece. */
static int
write_assembled (const struct unit *u, const struct edge *left,
                 const struct edge *right, rawview_error *err)
{
  const struct rv_plan *plan = u->plan;
  size_t len = left->len + plan->len + right->len;
  CLEANUP_FREE uint8_t *buf = malloc (len);

  if (buf == NULL)
    return rv_error_nomem (err);
  if (fill (u, left, buf, err) == -1 ||
      fill (u, right, buf + left->len + plan->len, err) == -1)
    return -1;
  memcpy (buf + left->len, u->buf, plan->len);
  return rv_io_pwrite (plan->io, buf, len, host_off (u, left->off), err);
}

static int
write_unit (const struct unit *u, rawview_error *err)
{
  const struct rv_plan *plan = u->plan;
  uint64_t end = plan->off + plan->len;
  struct edge left = edge (u, plan->fill_off, plan->off);
  struct edge right = edge (u, end, plan->fill_off + plan->fill_len);

  trim_edges (u, &left, &right);
  if (left.len + right.len > 0 && right.off == end &&
      left.len + plan->len + right.len <= ASSEMBLE_MAX)
    return write_assembled (u, &left, &right, err);
  if (write_edge (u, &left, err) == -1 ||
      rv_io_pwrite (plan->io, u->buf, plan->len, plan->host_off, err) == -1)
    return -1;
  return write_edge (u, &right, err);
}

/*--- One plan -----------------------------------------------------------*/

/* Changes tables, as one of the next two. */
static int
change (struct rv_engine *e, struct rv_plan *plan,
        int (*work) (struct rv_format *, struct rv_plan *,
                     struct rv_freed_list *, rawview_error *),
        rawview_error *err)
{
  struct rv_freed_list freed = { 0 };
  rawview_error error;
  int r;

  if (rv_epoch_enter (e->epoch, err) == -1)
    return -1;
  r = work (e->chain->ptr[0], plan, &freed, &error);
  rv_epoch_leave (e->epoch, &freed);
  return r == -1 ? rv_engine_driver_failed (e, &error, err) : 0;
}

static int
allocate (struct rv_format *format, struct rv_plan *plan,
          struct rv_freed_list *freed, rawview_error *err)
{
  return format->ops->write->allocate (format, plan, err);
}

/* A publish that fails is not cancelled: its place leaks, since some table may
 * name it already.
 */
static int
publish (struct rv_format *format, struct rv_plan *plan,
         struct rv_freed_list *freed, rawview_error *err)
{
  return format->ops->write->publish (format, plan, freed, err);
}

static void
cancel (struct rv_engine *e, const struct rv_plan *plan)
{
  struct rv_format *format = e->chain->ptr[0];
  struct rv_freed_list freed = { 0 };

  if (plan->kind != RV_PLAN_FRESH || rv_epoch_enter (e->epoch, NULL) == -1)
    return;
  format->ops->write->cancel (format, plan, &freed);
  rv_epoch_leave (e->epoch, &freed);
}

/* Is the place that plan got a part of the file that nobody has written? */
static bool
is_blank (const struct rv_plan *plan, uint64_t old_size)
{
  return plan->kind == RV_PLAN_FRESH && plan->io->can_grow &&
         plan->host_off - (plan->off - plan->fill_off) >= old_size;
}

static int
write_new (struct rv_engine *e, const uint8_t *buf, struct rv_plan *plan,
           rawview_error *err)
{
  struct unit unit = { .engine = e, .plan = plan, .buf = buf };

  if (plan->kind == RV_PLAN_FRESH && change (e, plan, allocate, err) == -1)
    return -1;
  unit.blank = is_blank (plan, atomic_load (&plan->io->size));
  if (write_unit (&unit, err) == -1) {
    cancel (e, plan);
    return -1;
  }
  return change (e, plan, publish, err);
}

static int
write_in_place (struct rv_engine *e, const uint8_t *buf,
                const struct rv_plan *plan, rawview_error *err)
{
  if (rv_epoch_ready (e->epoch, err) == -1)
    return -1;
  return rv_io_pwrite (plan->io, buf, plan->len, plan->host_off, err);
}

static int
make_plan (struct rv_engine *e, size_t len, uint64_t off, struct rv_plan *plan,
           rawview_error *err)
{
  struct rv_format *format = e->chain->ptr[0];
  rawview_error error;

  if (rv_epoch_ready (e->epoch, err) == -1)
    return -1;
  *plan = (struct rv_plan){ 0 };
  if (format->ops->write->plan (format, off, len, plan, &error) == -1)
    return rv_engine_driver_failed (e, &error, err);
  return 0;
}

/*--- Requests -----------------------------------------------------------*/

int
rv_engine_write_locked (struct rv_engine *e, const uint8_t *buf, size_t len,
                        uint64_t off, rawview_error *err)
{
  while (len > 0) {
    struct rv_plan plan;

    if (make_plan (e, len, off, &plan, err) == -1)
      return -1;
    if ((plan.kind == RV_PLAN_IN_PLACE ? write_in_place (e, buf, &plan, err)
                                       : write_new (e, buf, &plan, err)) == -1)
      return -1;
    buf += plan.len;
    off += plan.len;
    len -= plan.len;
  }
  return 0;
}

/* As much from the start as may be written in place: *done bytes. */
static int
write_shared (struct rv_engine *e, const uint8_t *buf, size_t len, uint64_t off,
              size_t *done, rawview_error *err)
{
  for (*done = 0; *done < len;) {
    struct rv_plan plan;

    if (make_plan (e, len - *done, off + *done, &plan, err) == -1)
      return -1;
    if (plan.kind != RV_PLAN_IN_PLACE)
      return 0;
    if (write_in_place (e, buf + *done, &plan, err) == -1)
      return -1;
    *done += plan.len;
  }
  return 0;
}

static int
write_request (struct rv_engine *e, const uint8_t *buf, size_t len,
               uint64_t off, rawview_error *err)
{
  struct rv_range range;
  size_t done;
  int r;

  rv_engine_lock (e, &range, off, len, false);
  r = write_shared (e, buf, len, off, &done, err);
  rv_ranges_unlock (e->ranges, &range);
  if (r == -1 || done == len)
    return r;
  rv_engine_lock (e, &range, off + done, len - done, true);
  r = rv_engine_write_locked (e, buf + done, len - done, off + done, err);
  rv_ranges_unlock (e->ranges, &range);
  return r;
}

int
rv_engine_pwrite (struct rv_engine *e, const void *buf, size_t len,
                  uint64_t off, rawview_error *err)
{
  int r;

  if (!rv_engine_is_writable (e))
    return rv_engine_not_writable (e, err);
  if (len == 0)
    return 0;
  r = write_request (e, buf, len, off, err);
  rv_epoch_throttle (e->epoch);
  return r;
}
