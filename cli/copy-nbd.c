/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target of rawview copy that is an NBD server.  The only user of libnbd.
 *
 * Each lane has its own connection, which nobody else touches: it sends from
 * one buffer while the next is being filled, and runs the connection whenever
 * it has to wait.  A server that does not promise that connections agree with
 * each other (multi-conn) gets a single lane.
 */

#include <config.h>

#include <errno.h>
#include <string.h>

#include <libnbd.h>

#include "copy.h"

#define MAX_LANES     16
#define BUFFERS       4  /* per lane */
#define MAX_IN_FLIGHT 64 /* commands per lane */

/* Commands that use one buffer, or none: then they zero. */
struct slot {
  struct lane *lane;
  void *buf;
  unsigned in_flight;
};

struct lane {
  struct nbd_handle *nbd;
  struct slot slots[BUFFERS];
  struct slot zeroing;
  unsigned current; /* the slot that is being filled */
  unsigned in_flight;
  int failed; /* errno value of the first command that failed */
};

struct nbd_target {
  struct copy_target base;
  struct lane lanes[MAX_LANES];
  uint32_t max_write; /* bytes that one command may carry */
  bool can_zero, can_flush;
  uint32_t zero_flags;
  void *zeros; /* COPY_PIECE of them, for a server that cannot zero */
};

static struct nbd_target *
of_base (struct copy_target *t)
{
  return (struct nbd_target *) t;
}

static int
nbd_failed (const struct copy_target *t, rawview_error *err)
{
  int errnum = nbd_get_errno ();

  return cli_error_set (err, RAWVIEW_ERROR_IO, errnum != 0 ? errnum : EIO,
                        "%s: %s", t->name, nbd_get_error ());
}

/*--- Commands in flight -------------------------------------------------*/

static int
completed (void *opaque, int *error)
{
  struct slot *slot = opaque;

  slot->in_flight--;
  slot->lane->in_flight--;
  if (*error != 0 && slot->lane->failed == 0)
    slot->lane->failed = *error;
  return 1; /* libnbd may forget it */
}

static nbd_completion_callback
completion (struct slot *slot)
{
  return (nbd_completion_callback){ .callback = completed, .user_data = slot };
}

static int
check_lane (struct copy_target *t, const struct lane *l, rawview_error *err)
{
  return l->failed == 0
             ? 0
             : cli_error_errno (err, l->failed, "%s: the server cannot write",
                                t->name);
}

/* Runs the connection until fewer than max commands of this counter are in
 * flight.
 */
static int
wait_below (struct copy_target *t, struct lane *l, const unsigned *counter,
            unsigned max, rawview_error *err)
{
  while (*counter >= max)
    if (nbd_poll (l->nbd, -1) == -1)
      return nbd_failed (t, err);
  return check_lane (t, l, err);
}

static void *
nbd_buffer (struct copy_target *t, unsigned lane, rawview_error *err)
{
  struct lane *l = &of_base (t)->lanes[lane];
  struct slot *slot;

  l->current = (l->current + 1) % BUFFERS;
  slot = &l->slots[l->current];
  if (wait_below (t, l, &slot->in_flight, 1, err) == -1)
    return NULL;
  return slot->buf;
}

static int
send_write (struct copy_target *t, struct slot *slot, const void *buf,
            size_t len, uint64_t off, rawview_error *err)
{
  struct lane *l = slot->lane;

  if (wait_below (t, l, &l->in_flight, MAX_IN_FLIGHT, err) == -1)
    return -1;
  slot->in_flight++;
  l->in_flight++;
  /* On failure libnbd does not call back. */
  if (nbd_aio_pwrite (l->nbd, buf, len, off, completion (slot), 0) == -1) {
    slot->in_flight--;
    l->in_flight--;
    return nbd_failed (t, err);
  }
  return 0;
}

static int
nbd_write (struct copy_target *t, unsigned lane, const void *buf, size_t len,
           uint64_t off, rawview_error *err)
{
  struct nbd_target *n = of_base (t);
  struct lane *l = &n->lanes[lane];

  while (len > 0) {
    size_t part = len < n->max_write ? len : n->max_write;

    if (send_write (t, &l->slots[l->current], buf, part, off, err) == -1)
      return -1;
    buf = (const uint8_t *) buf + part;
    len -= part;
    off += part;
  }
  return 0;
}

static int
write_zeros (struct copy_target *t, unsigned lane, uint64_t len, uint64_t off,
             rawview_error *err)
{
  struct nbd_target *n = of_base (t);

  while (len > 0) {
    uint64_t part = len < n->max_write ? len : n->max_write;

    if (send_write (t, &n->lanes[lane].zeroing, n->zeros, part, off, err) == -1)
      return -1;
    off += part;
    len -= part;
  }
  return 0;
}

static int
nbd_zero_range (struct copy_target *t, unsigned lane, uint64_t len,
                uint64_t off, rawview_error *err)
{
  struct nbd_target *n = of_base (t);
  struct lane *l = &n->lanes[lane];

  if (!n->can_zero)
    return write_zeros (t, lane, len, off, err);
  if (wait_below (t, l, &l->in_flight, MAX_IN_FLIGHT, err) == -1)
    return -1;
  l->zeroing.in_flight++;
  l->in_flight++;
  if (nbd_aio_zero (l->nbd, len, off, completion (&l->zeroing),
                    n->zero_flags) == -1) {
    l->zeroing.in_flight--;
    l->in_flight--;
    return nbd_failed (t, err);
  }
  return 0;
}

static int
nbd_drain (struct copy_target *t, unsigned lane, rawview_error *err)
{
  struct lane *l = &of_base (t)->lanes[lane];

  return wait_below (t, l, &l->in_flight, 1, err);
}

/* With multi-conn, a flush on one connection covers them all. */
static int
flush_server (struct copy_target *t, rawview_error *err)
{
  struct nbd_target *n = of_base (t);

  if (n->can_flush && nbd_flush (n->lanes[0].nbd, 0) == -1)
    return nbd_failed (t, err);
  return 0;
}

/*--- Opening and closing ------------------------------------------------*/

static void
close_lane (struct lane *l, bool ok)
{
  if (l->nbd != NULL && ok)
    nbd_shutdown (l->nbd, 0);
  nbd_close (l->nbd);
  for (unsigned i = 0; i < BUFFERS; i++)
    free (l->slots[i].buf);
}

static int
close_target (struct copy_target *t, bool ok, rawview_error *err)
{
  struct nbd_target *n = of_base (t);

  for (unsigned i = 0; i < MAX_LANES; i++)
    close_lane (&n->lanes[i], ok);
  free (n->zeros);
  free (n);
  return 0;
}

static void
abandon (struct copy_target *t)
{
  /* The server's export was there before us. */
}

static const struct copy_ops nbd_ops = {
  .buffer = nbd_buffer,
  .write = nbd_write,
  .zero = nbd_zero_range,
  .drain = nbd_drain,
  .flush = flush_server,
  .close = close_target,
  .abandon = abandon,
};

static int
open_lane (struct nbd_target *n, struct lane *l, rawview_error *err)
{
  l->zeroing.lane = l;
  for (unsigned i = 0; i < BUFFERS; i++) {
    l->slots[i].lane = l;
    l->slots[i].buf = malloc (COPY_PIECE);
    if (l->slots[i].buf == NULL)
      return cli_error_errno (err, ENOMEM, "copy");
  }
  l->nbd = nbd_create ();
  if (l->nbd == NULL || nbd_connect_uri (l->nbd, n->base.name) == -1)
    return nbd_failed (&n->base, err);
  return 0;
}

static int
check_server (struct nbd_target *n, const struct copy_target_options *o,
              rawview_error *err)
{
  struct nbd_handle *nbd = n->lanes[0].nbd;
  int64_t size = nbd_get_size (nbd);

  if (size == -1)
    return nbd_failed (&n->base, err);
  if (nbd_is_read_only (nbd) == 1)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EROFS,
                          "%s: the export is read-only", n->base.name);
  if ((uint64_t) size < o->size)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, ENOSPC,
                          "%s: has %lld bytes, the disk needs %llu",
                          n->base.name, (long long) size,
                          (unsigned long long) o->size);
  n->can_zero = nbd_can_zero (nbd) == 1;
  n->can_flush = nbd_can_flush (nbd) == 1;
  if (nbd_can_multi_conn (nbd) == 1)
    n->base.lanes = o->lanes < MAX_LANES ? o->lanes : MAX_LANES;
  return 0;
}

/* The protocol has a smallest size from 1 byte to 64 KiB and a largest from
 * 1 MiB; 0 says nothing.
 */
static int
check_block_sizes (struct nbd_target *n, const struct copy_target_options *o,
                   rawview_error *err)
{
  struct nbd_handle *nbd = n->lanes[0].nbd;
  int64_t min = nbd_get_block_size (nbd, LIBNBD_SIZE_MINIMUM);
  int64_t max = nbd_get_block_size (nbd, LIBNBD_SIZE_MAXIMUM);

  if (min == -1 || max == -1)
    return nbd_failed (&n->base, err);
  if (min > COPY_PIECE || COPY_PIECE % (min > 0 ? min : 1) != 0 ||
      o->size % (uint64_t) (min > 0 ? min : 1) != 0)
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, EINVAL,
                          "%s: takes only blocks of %lld bytes, the disk has "
                          "%llu bytes",
                          n->base.name, (long long) min,
                          (unsigned long long) o->size);
  if (min > 512)
    n->base.granularity = (uint32_t) min;
  if (max > 0 && max < COPY_PIECE)
    n->max_write = (uint32_t) (max - max % n->base.granularity);
  return 0;
}

static int
open_target (struct nbd_target *n, const struct copy_target_options *o,
             rawview_error *err)
{
  if (open_lane (n, &n->lanes[0], err) == -1 ||
      check_server (n, o, err) == -1 || check_block_sizes (n, o, err) == -1)
    return -1;
  for (unsigned i = 1; i < n->base.lanes; i++)
    if (open_lane (n, &n->lanes[i], err) == -1)
      return -1;
  if (n->can_zero)
    return 0;
  n->zeros = calloc (1, COPY_PIECE);
  return n->zeros != NULL ? 0 : cli_error_errno (err, ENOMEM, "copy");
}

struct copy_target *
copy_nbd_open (const char *uri, const struct copy_target_options *options,
               rawview_error *err)
{
  struct nbd_target *n = calloc (1, sizeof *n);
  rawview_error ignored;

  if (n == NULL) {
    cli_error_errno (err, ENOMEM, "copy");
    return NULL;
  }
  n->base.ops = &nbd_ops;
  n->base.name = uri;
  n->base.lanes = 1;
  n->base.zeroed = options->zeroed;
  n->base.always_flush = true;
  n->base.granularity = 512;
  n->max_write = COPY_PIECE;
  if (options->preallocated)
    n->zero_flags = LIBNBD_CMD_FLAG_NO_HOLE;
  if (open_target (n, options, err) == -1) {
    close_target (&n->base, false, &ignored);
    return NULL;
  }
  return &n->base;
}
