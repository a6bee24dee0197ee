/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands in a chain for a parent that cannot be had. */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "format/format.h"
#include "util/error.h"

struct missing {
  struct rv_format base;
  char *why;
};

static int
missing_map (struct rv_format *format, uint64_t off, uint64_t len,
             struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  *damaged = len;
  return rv_error_corrupt (err, "%s", ((struct missing *) format)->why);
}

static void
missing_close (struct rv_format *format)
{
  struct missing *m = (struct missing *) format;

  rv_format_release (format);
  free (m->why);
  free (m);
}

static const struct rv_format_ops missing_ops = {
  .name = "missing",
  .map = missing_map,
  .close = missing_close,
};

int
rv_format_missing_new (const char *name, const char *why, uint64_t size,
                       const struct rv_format_params *params,
                       struct rv_format **format, rawview_error *err)
{
  struct missing *m = calloc (1, sizeof *m);
  CLEANUP_IO struct rv_io *io = NULL;

  if (m == NULL)
    return rv_error_nomem (err);
  m->why = strdup (why);
  if (m->why == NULL) {
    free (m);
    return rv_error_nomem (err);
  }
  if (rv_io_mem_new ("", 0, name, &io, err) == -1) {
    free (m->why);
    free (m);
    return -1;
  }
  rv_format_init (&m->base, &missing_ops, io, params);
  m->base.size = size;
  *format = &m->base;
  return 0;
}

const char *
rv_format_missing_why (const struct rv_format *format)
{
  return format->ops == &missing_ops ? ((const struct missing *) format)->why
                                     : NULL;
}
