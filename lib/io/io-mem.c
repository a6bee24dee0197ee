/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory as storage, so that tests and fuzzers need no files: the caller's,
 * which is only read, or an io's own, which grows like a file on a disk that is
 * small.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "io/io.h"
#include "util/checked.h"
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

/*--- Memory that can be written -----------------------------------------*/

/* The lock stands for what a page's lock does in the kernel: tests may read and
 * write the same bytes at once.
 */
struct ram_io {
  struct rv_io base;
  pthread_rwlock_t lock;
  uint64_t room;
  uint8_t *bytes; /* room of them; zeros beyond the size */
};

static int
ram_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
           rawview_error *err)
{
  struct ram_io *r = (struct ram_io *) io;

  pthread_rwlock_rdlock (&r->lock);
  memcpy (buf, r->bytes + off, len);
  pthread_rwlock_unlock (&r->lock);
  return 0;
}

/* As on a full disk, what there is room for is written. */
static int
ram_pwrite (struct rv_io *io, const void *buf, size_t len, uint64_t off,
            rawview_error *err)
{
  struct ram_io *r = (struct ram_io *) io;
  size_t fits = off < r->room ? rv_min_u64 (len, r->room - off) : 0;

  if (fits > 0) {
    pthread_rwlock_wrlock (&r->lock);
    memcpy (r->bytes + off, buf, fits);
    pthread_rwlock_unlock (&r->lock);
    rv_io_raise_size (io, off + fits);
  }
  if (fits == len)
    return 0;
  return rv_error_errno (err, ENOSPC,
                         "cannot write %zu bytes to %s at %" PRIu64, len,
                         io->name, off);
}

static int
ram_zero (struct rv_io *io, uint64_t off, uint64_t len, unsigned flags,
          rawview_error *err)
{
  struct ram_io *r = (struct ram_io *) io;

  pthread_rwlock_wrlock (&r->lock);
  memset (r->bytes + off, 0, len);
  pthread_rwlock_unlock (&r->lock);
  return 0;
}

static int
ram_sync (struct rv_io *io, rawview_error *err)
{
  return 0;
}

static void
ram_free (struct rv_io *io)
{
  struct ram_io *r = (struct ram_io *) io;

  pthread_rwlock_destroy (&r->lock);
  free (r->bytes);
  free (r);
}

static const struct rv_io_ops ram_ops = {
  .name = "ram",
  .pread = ram_pread,
  .pwrite = ram_pwrite,
  .zero = ram_zero,
  .sync = ram_sync,
  .free = ram_free,
};

int
rv_io_ram_new (uint64_t len, uint64_t room, const char *name, struct rv_io **io,
               uint8_t **bytes, rawview_error *err)
{
  CLEANUP_FREE struct ram_io *r = calloc (1, sizeof *r);
  CLEANUP_FREE uint8_t *memory = NULL;

  room = rv_max_u64 (room, len);
  memory = calloc (rv_max_u64 (room, 1), 1);
  if (r == NULL || memory == NULL ||
      rv_io_init (&r->base, &ram_ops, name, len) == -1)
    return rv_error_nomem (err);
  pthread_rwlock_init (&r->lock, NULL);
  r->base.writable = r->base.can_grow = true;
  r->room = room;
  r->bytes = STEAL (memory);
  if (bytes != NULL)
    *bytes = r->bytes;
  *io = &STEAL (r)->base;
  return 0;
}
