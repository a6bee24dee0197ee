/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Zeros and trim.
 *
 * Whole units are the tables' business: the driver drops them.  What the tables
 * cannot say is written as zeros, unless it reads so already; so are the parts
 * of units at both ends.  A trim leaves all that as it is.
 */

#include <config.h>

#include <errno.h>

#include "engine/engine-internal.h"
#include "util/checked.h"
#include "util/error.h"

/* Other requests for the same place wait no longer than for this. */
#define PIECE_MAX (256u << 20)

static const uint8_t zeros[1 << 20];

struct zero {
  struct rv_engine *engine;
  struct rv_format *format;
  enum rv_drop how;
  bool fast;    /* RAWVIEW_ZERO_FAST, until something has changed */
  bool changed; /* something has */
};

/*--- Whole units --------------------------------------------------------*/

/* In a range that is locked exclusively.  What reads as zeros gets no place. */
static int
write_zeros (struct zero *z, uint64_t off, uint64_t len, rawview_error *err)
{
  if (z->how == RV_DROP_TRIM)
    return 0;
  while (len > 0) {
    uint64_t n;

    if (!rv_engine_zero_run (z->engine, off, len, &n)) {
      n = rv_min_u64 (n, sizeof zeros - off % sizeof zeros);
      if (rv_engine_write_locked (z->engine, zeros, n, off, err) == -1)
        return -1;
    }
    off += n;
    len -= n;
  }
  return 0;
}

static int
not_fast (struct zero *z, rawview_error *err)
{
  return rv_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOTSUP,
                       "%s: zeroing would be no faster here than writing zeros",
                       z->format->io->name);
}

/* A trim that would have to write is none. */
static int
trim_in_place (const struct rv_drop_answer *a, rawview_error *err)
{
  rawview_error error;

  if (!a->punch ||
      rv_io_zero (a->io, a->host_off, a->len, RV_ZERO_PUNCH | RV_ZERO_FAST,
                  &error) == 0 ||
      error.errnum == ENOTSUP)
    return 0;
  if (err)
    *err = error;
  return -1;
}

static int
zero_in_place (struct zero *z, const struct rv_drop_answer *a, uint64_t off,
               rawview_error *err)
{
  bool fast = z->fast && !z->changed;
  unsigned flags = (a->punch ? RV_ZERO_PUNCH : 0) | (fast ? RV_ZERO_FAST : 0);

  if (z->how == RV_DROP_TRIM)
    return trim_in_place (a, err);
  if (rv_engine_is_zero (z->engine, off, a->len))
    return 0;
  if (rv_io_zero (a->io, a->host_off, a->len, flags, err) == -1)
    return -1;
  z->changed = true;
  return 0;
}

static int
drop (struct zero *z, uint64_t off, uint64_t len, struct rv_drop_answer *answer,
      rawview_error *err)
{
  struct rv_engine *e = z->engine;
  struct rv_freed_list freed = { 0 };
  rawview_error error;
  int r;

  if (rv_epoch_enter (e->epoch, err) == -1)
    return -1;
  *answer = (struct rv_drop_answer){ 0 };
  r = z->format->ops->write->drop (z->format, off, len, z->how, answer, &freed,
                                   &error);
  rv_epoch_leave (e->epoch, &freed);
  return r == -1 ? rv_engine_driver_failed (e, &error, err) : 0;
}

/* Whole units, in a range that is locked exclusively. */
static int
zero_units (struct zero *z, uint64_t off, uint64_t len, rawview_error *err)
{
  while (len > 0) {
    struct rv_drop_answer a;
    int r = 0;

    if (drop (z, off, len, &a, err) == -1)
      return -1;
    if (a.what == RV_DROP_IN_PLACE)
      r = zero_in_place (z, &a, off, err);
    else if (a.what == RV_DROP_WRITE)
      r = write_zeros (z, off, a.len, err);
    else
      z->changed = true;
    if (r == -1)
      return -1;
    off += a.len;
    len -= a.len;
  }
  return 0;
}

/*--- Cutting ------------------------------------------------------------*/

/* The unit that holds off, at most to the disk's end. */
static void
unit_at (struct zero *z, uint64_t off, uint64_t *start, uint64_t *end)
{
  uint64_t len = 1;

  *start = off;
  z->format->ops->write->widen (z->format, start, &len);
  *end = rv_min_u64 (*start + len, z->format->size);
}

/* The whole units between off and end: *from..*to, empty if there are none. */
static void
whole_units (struct zero *z, uint64_t off, uint64_t end, uint64_t *from,
             uint64_t *to)
{
  uint64_t first, first_end, last, last_end;

  unit_at (z, off, &first, &first_end);
  unit_at (z, end - 1, &last, &last_end);
  *from = first == off ? off : rv_min_u64 (first_end, end);
  *to = last_end == end ? end : rv_max_u64 (last, *from);
  if (*from > *to)
    *from = *to;
}

static uint64_t
piece_end (struct zero *z, uint64_t off, uint64_t end)
{
  uint64_t first, last;

  if (end - off <= PIECE_MAX)
    return end;
  unit_at (z, off + PIECE_MAX, &first, &last);
  return first > off ? first : last;
}

/* Calls work for off..end in pieces, each locked exclusively. */
static int
in_pieces (struct zero *z, uint64_t off, uint64_t end,
           int (*work) (struct zero *, uint64_t, uint64_t, rawview_error *),
           rawview_error *err)
{
  struct rv_engine *e = z->engine;
  int r = 0;

  while (r == 0 && off < end) {
    uint64_t stop = piece_end (z, off, end);
    struct rv_range range;

    rv_engine_lock (e, &range, off, stop - off, true);
    r = work (z, off, stop - off, err);
    rv_ranges_unlock (e->ranges, &range);
    rv_epoch_throttle (e->epoch);
    off = stop;
  }
  return r;
}

/* What is only fast if all of it can be dropped: said before anything changes.
 */
static int
check_fast (struct zero *z, uint64_t off, uint64_t end, uint64_t from,
            uint64_t to, rawview_error *err)
{
  if (!z->fast || rv_engine_is_zero (z->engine, off, end - off))
    return 0;
  if (from == to ||
      !z->format->ops->write->can_drop (z->format, from, to - from, z->how))
    return not_fast (z, err);
  return 0;
}

/* The middle comes first: only it may turn out not to be fast. */
static int
zero (struct zero *z, uint64_t off, uint64_t len, rawview_error *err)
{
  uint64_t end = off + len, from, to;

  if (!rv_engine_is_writable (z->engine))
    return rv_engine_not_writable (z->engine, err);
  if (len == 0)
    return 0;
  whole_units (z, off, end, &from, &to);
  if (check_fast (z, off, end, from, to, err) == -1 ||
      in_pieces (z, from, to, zero_units, err) == -1)
    return -1;
  if (z->how == RV_DROP_TRIM)
    return 0;
  if (from == to)
    return in_pieces (z, off, end, write_zeros, err);
  if (in_pieces (z, off, from, write_zeros, err) == -1)
    return -1;
  return in_pieces (z, to, end, write_zeros, err);
}

int
rv_engine_zero (struct rv_engine *e, uint64_t len, uint64_t off, unsigned flags,
                rawview_error *err)
{
  struct zero z = { .engine = e,
                    .format = e->chain->ptr[0],
                    .fast = flags & RAWVIEW_ZERO_FAST };

  z.how = flags & RAWVIEW_ZERO_MAY_TRIM ? RV_DROP_ZERO : RV_DROP_KEEP;
  return zero (&z, off, len, err);
}

int
rv_engine_trim (struct rv_engine *e, uint64_t len, uint64_t off,
                rawview_error *err)
{
  struct zero z = { .engine = e,
                    .format = e->chain->ptr[0],
                    .how = RV_DROP_TRIM };

  return zero (&z, off, len, err);
}
