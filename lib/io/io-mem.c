/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory as storage, so that tests and fuzzers need no files. */

#include <config.h>

#include <string.h>

#include "io/io.h"
#include "util/error.h"

struct mem_io {
  struct rv_io base;
  const uint8_t *bytes;
};

static int
mem_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
           rawview_error *err)
{
  struct mem_io *m = (struct mem_io *) io;

  memcpy (buf, m->bytes + off, len);
  return 0;
}

static void
mem_free (struct rv_io *io)
{
  free (io);
}

static const struct rv_io_ops mem_ops = {
  .name = "mem",
  .pread = mem_pread,
  .free = mem_free,
};

int
rv_io_mem_new (const void *bytes, uint64_t len, const char *name,
               struct rv_io **io, rawview_error *err)
{
  CLEANUP_FREE struct mem_io *m = calloc (1, sizeof *m);

  if (m == NULL || rv_io_init (&m->base, &mem_ops, name, len) == -1)
    return rv_error_nomem (err);
  m->bytes = bytes;
  *io = &STEAL (m)->base;
  return 0;
}
