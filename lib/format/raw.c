/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Raw: the guest's bytes are the file's.  Only ever used when somebody said so;
 * also the shortest example of a driver.
 */

#include <config.h>

#include "format/format.h"
#include "util/checked.h"
#include "util/error.h"

static void
raw_close (struct rv_format *format)
{
  rv_format_release (format);
  free (format);
}

static int
raw_open (struct rv_io *io, const struct rv_format_params *params,
          struct rv_format **format, rawview_error *err)
{
  struct rv_format *f;

  if (params->snapshot)
    return rv_error_usage (err, "%s: a raw disk has no snapshots", io->name);
  if (io->size > params->max_size)
    return rv_error_limit (err, "%s: size %ju is above max-size %ju", io->name,
                           (uintmax_t) io->size, (uintmax_t) params->max_size);
  f = calloc (1, sizeof *f);
  if (f == NULL)
    return rv_error_nomem (err);
  rv_format_init (f, &rv_format_raw, io, params);
  f->size = io->size;
  *format = f;
  return 0;
}

static int
raw_map (struct rv_format *format, uint64_t off, uint64_t len,
         struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  *map = (struct rv_map){ .kind = RV_MAP_DATA,
                          .len = len,
                          .io = format->io,
                          .host_off = off,
                          .sparse_host = true };
  return 0;
}

/*--- Writing ------------------------------------------------------------*/

/* There are no tables: everything is in place. */
static int
raw_nothing (struct rv_format *format, rawview_error *err)
{
  return 0;
}

static void
raw_widen (struct rv_format *format, uint64_t *off, uint64_t *len)
{
}

static int
raw_plan (struct rv_format *format, uint64_t off, uint64_t len,
          struct rv_plan *plan, rawview_error *err)
{
  *plan = (struct rv_plan){ .kind = RV_PLAN_IN_PLACE,
                            .off = off,
                            .len = len,
                            .io = format->io,
                            .host_off = off };
  return 0;
}

static int
raw_drop (struct rv_format *format, uint64_t off, uint64_t len,
          enum rv_drop how, struct rv_drop_answer *answer,
          struct rv_freed_list *freed, rawview_error *err)
{
  *answer = (struct rv_drop_answer){ .what = RV_DROP_IN_PLACE,
                                     .len = len,
                                     .io = format->io,
                                     .host_off = off,
                                     .punch = how != RV_DROP_KEEP };
  return 0;
}

static bool
raw_can_drop (struct rv_format *format, uint64_t off, uint64_t len,
              enum rv_drop how)
{
  return true;
}

static void
raw_files (struct rv_format *format,
           void (*cb) (void *opaque, struct rv_io *io), void *opaque)
{
  cb (opaque, format->io);
}

static const struct rv_format_write_ops raw_write_ops = {
  .enable = raw_nothing,
  .begin = raw_nothing,
  .widen = raw_widen,
  .plan = raw_plan,
  .drop = raw_drop,
  .can_drop = raw_can_drop,
  .files = raw_files,
  .end = raw_nothing,
};

const struct rv_format_ops rv_format_raw = {
  .name = "raw",
  .open = raw_open,
  .map = raw_map,
  .write = &raw_write_ops,
  .close = raw_close,
};
