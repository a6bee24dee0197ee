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

const struct rv_format_ops rv_format_raw = {
  .name = "raw",
  .open = raw_open,
  .map = raw_map,
  .close = raw_close,
};
