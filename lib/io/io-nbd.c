/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container file behind an NBD server.
 *
 * A connection serves one request at a time, so that parallel readers need
 * several.  The first one is made at open; another is made by a reader who
 * finds all of them busy, up to the number allowed, and stays.  Many servers do
 * not announce that they bear several clients, yet do: for reading there is
 * nothing to keep coherent, so it is simply tried.  A server that takes one
 * client at a time accepts the second and then says nothing, hence the time
 * limits; such a server is not tried again.
 *
 * A lost connection is not made anew: behind the same address might be another
 * file by then, while tables of this one are cached.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "io/io.h"
#include "io/libnbd-lazy.h"
#include "io/nbd-uri.h"
#include "util/checked.h"
#include "util/error.h"

/* How long may the handshake take? */
#define FIRST_CONNECT_MS 30000
#define NEXT_CONNECT_MS  1000

/* What every server takes if it does not say what it takes. */
#define DEFAULT_MIN 512u
#define DEFAULT_MAX (32u << 20)

/* Unaligned reads go through a buffer of this size, at least any minimum. */
#define BOUNCE_MAX (1u << 20)

/* The most that is asked at once about holes. */
#define STATUS_MAX (1u << 30)

struct nbd_io {
  struct rv_io base;
  struct rv_libnbd lib;
  char *uri;
  uint64_t min, max; /* of a request, bytes; max is a multiple of min */

  pthread_mutex_t lock; /* of what follows; nothing is waited for under it */
  pthread_cond_t changed;
  struct nbd_handle **idle; /* a stack with room for all */
  unsigned nr_idle;
  unsigned nr_open; /* idle or in use */
  unsigned nr_max;  /* lowered when the server does not bear more */
  bool connecting;  /* one thread tries to get another */
};

/*--- Connecting ---------------------------------------------------------*/

/* Why the last libnbd call of this thread failed.  Valid until the next. */
static const char *
reason (const struct rv_libnbd *lib, const char *uri)
{
  const char *text = lib->get_error ();
  int errnum = lib->get_errno ();

  /* Leave out which function of libnbd it was. */
  if (text != NULL && strncmp (text, "nbd_", 4) == 0 && strstr (text, ": "))
    text = strstr (text, ": ") + 2;
  if (text == NULL || rv_nbd_uri_is_quoted (uri, text))
    text = strerror (errnum ? errnum : EIO);
  return text;
}

static uint64_t
now_ms (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (uint64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The URI is the operator's own, so it may name key files. */
static int
prepare (const struct rv_libnbd *lib, struct nbd_handle *h)
{
  uint32_t transports = LIBNBD_ALLOW_TRANSPORT_TCP |
                        LIBNBD_ALLOW_TRANSPORT_UNIX |
                        LIBNBD_ALLOW_TRANSPORT_VSOCK;
  /* The last request before an uneven end is shorter than the minimum. */
  uint32_t strict = lib->get_strict_mode (h) & ~LIBNBD_STRICT_ALIGN;

  if (lib->set_uri_allow_transports (h, transports) == -1 ||
      lib->set_uri_allow_local_file (h, true) == -1 ||
      lib->set_strict_mode (h, strict) == -1)
    return -1;
  return lib->add_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION);
}

/* Waits for the handshake.  1: done, 0: no time left, -1: see reason. */
static int
wait_ready (const struct rv_libnbd *lib, struct nbd_handle *h, int timeout_ms)
{
  uint64_t end = now_ms () + timeout_ms;

  while (lib->aio_is_connecting (h) > 0) {
    uint64_t now = now_ms ();

    if (now >= end)
      return 0;
    if (lib->poll (h, end - now) == -1 && lib->get_errno () != EINTR)
      return -1;
  }
  return lib->aio_is_ready (h) > 0 ? 1 : -1;
}

static struct nbd_handle *
connect_uri (const struct rv_libnbd *lib, const char *uri, const char *name,
             int timeout_ms, rawview_error *err)
{
  struct nbd_handle *h = lib->create ();
  int r = -1;

  if (h != NULL && prepare (lib, h) == 0 && lib->aio_connect_uri (h, uri) == 0)
    r = wait_ready (lib, h, timeout_ms);
  if (r == 1)
    return h;
  if (r == 0)
    rv_error_set (err, RAWVIEW_ERROR_IO, ETIMEDOUT,
                  "cannot connect to %s: the server has not answered for %d s; "
                  "it may serve one client at a time and have one",
                  name, timeout_ms / 1000);
  else
    rv_error_set (err, RAWVIEW_ERROR_IO, lib->get_errno (),
                  "cannot connect to %s: %s", name, reason (lib, uri));
  lib->close (h);
  return NULL;
}

/*--- The pool of connections --------------------------------------------*/

/* Tries to get one more; called with the lock held, which it drops meanwhile.
 */
static struct nbd_handle *
grow (struct nbd_io *n)
{
  struct nbd_handle *h;

  n->connecting = true;
  pthread_mutex_unlock (&n->lock);
  h = connect_uri (&n->lib, n->uri, n->base.name, NEXT_CONNECT_MS, NULL);
  if (h != NULL && n->lib.get_size (h) != (int64_t) n->base.size) {
    n->lib.close (h); /* something else is served there by now */
    h = NULL;
  }
  pthread_mutex_lock (&n->lock);
  n->connecting = false;
  if (h != NULL)
    n->nr_open++;
  else
    n->nr_max = n->nr_open;
  pthread_cond_broadcast (&n->changed);
  return h;
}

static struct nbd_handle *
take (struct nbd_io *n)
{
  struct nbd_handle *h = NULL;
  LOCKED (&n->lock);

  while (h == NULL) {
    if (n->nr_idle > 0)
      h = n->idle[--n->nr_idle];
    else if (n->nr_open < n->nr_max && !n->connecting)
      h = grow (n);
    else
      pthread_cond_wait (&n->changed, &n->lock);
  }
  return h;
}

static void
put (struct nbd_io *n, struct nbd_handle *h)
{
  LOCKED (&n->lock);

  n->idle[n->nr_idle++] = h;
  pthread_cond_signal (&n->changed);
}

/*--- Reading ------------------------------------------------------------*/

/* Whole blocks, but at the end. */
static bool
is_aligned (const struct nbd_io *n, size_t len, uint64_t off)
{
  return (off & (n->min - 1)) == 0 &&
         ((len & (n->min - 1)) == 0 || off + len == n->base.size);
}

/* A range that keeps the server's rules, except for its length. */
static int
read_pieces (struct nbd_io *n, struct nbd_handle *h, char *buf, size_t len,
             uint64_t off)
{
  while (len > 0) {
    size_t piece = rv_min_u64 (len, n->max);

    if (n->lib.pread (h, buf, piece, off, 0) == -1)
      return -1;
    buf += piece;
    off += piece;
    len -= piece;
  }
  return 0;
}

/* The same for any range, by reading whole blocks around it. */
static int
read_unaligned (struct nbd_io *n, struct nbd_handle *h, char *bounce, char *buf,
                size_t len, uint64_t off)
{
  while (len > 0) {
    uint64_t from = rv_align_down (off, n->min);
    uint64_t to = rv_align_down (off + len - 1, n->min) + n->min;
    size_t skip = off - from, piece;

    to = rv_min_u64 (rv_min_u64 (to, n->base.size), from + BOUNCE_MAX);
    piece = rv_min_u64 (len, to - off);
    if (read_pieces (n, h, bounce, to - from, from) == -1)
      return -1;
    memcpy (buf, bounce + skip, piece);
    buf += piece;
    off += piece;
    len -= piece;
  }
  return 0;
}

static int
nbd_io_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
              rawview_error *err)
{
  struct nbd_io *n = (struct nbd_io *) io;
  bool aligned = is_aligned (n, len, off);
  CLEANUP_FREE char *bounce = aligned ? NULL : malloc (BOUNCE_MAX);
  struct nbd_handle *h;
  int r;

  if (!aligned && bounce == NULL)
    return rv_error_nomem (err);
  h = take (n);
  r = aligned ? read_pieces (n, h, buf, len, off)
              : read_unaligned (n, h, bounce, buf, len, off);
  /* errno of a lost connection would mean nothing to a client: just EIO. */
  if (r == -1)
    rv_error_set (err, RAWVIEW_ERROR_IO, EIO,
                  "cannot read %s at %" PRIu64 ": %s", io->name, off,
                  reason (&n->lib, n->uri));
  put (n, h);
  return r;
}

/*--- Holes --------------------------------------------------------------*/

struct status {
  uint64_t len; /* of the run of one kind at the start, 0: nothing yet */
  bool zero;
};

static int
add_status (void *opaque, const char *context, uint64_t off, uint32_t *entries,
            size_t nr_entries, int *error)
{
  struct status *s = opaque;

  if (s->len > 0 || strcmp (context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
    return 0;
  for (size_t i = 0; i + 1 < nr_entries; i += 2) {
    bool zero = entries[i + 1] & LIBNBD_STATE_ZERO;

    if (s->len > 0 && zero != s->zero)
      break;
    s->zero = zero;
    s->len += entries[i];
  }
  return 0;
}

/* Where to end a question about from..end: at a whole block, as some servers
 * insist; only within the last and incomplete one at the end itself.
 */
static uint64_t
status_end (struct nbd_io *n, uint64_t from, uint64_t end)
{
  uint64_t to = rv_align_down (end - 1, n->min) + n->min;

  to = rv_min_u64 (to, from + STATUS_MAX);
  if (to <= n->base.size)
    return to;
  to = rv_align_down (n->base.size, n->min);
  return to > from ? to : n->base.size;
}

static int
nbd_io_hole (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
             uint64_t *run)
{
  struct nbd_io *n = (struct nbd_io *) io;
  uint64_t from = rv_align_down (off, n->min);
  uint64_t to = status_end (n, from, off + len);
  struct status s = { 0 };
  nbd_extent_callback cb = { .callback = add_status, .user_data = &s };
  struct nbd_handle *h = take (n);
  int r = -1;

  if (n->lib.can_meta_context (h, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0)
    r = n->lib.block_status (h, to - from, from, cb, 0);
  put (n, h);
  if (r == -1 || s.len <= off - from)
    return -1;
  *hole = s.zero;
  *run = rv_min_u64 (s.len - (off - from), len);
  return 0;
}

/*--- Opening and closing ------------------------------------------------*/

static void
nbd_io_free (struct rv_io *io)
{
  struct nbd_io *n = (struct nbd_io *) io;

  for (unsigned i = 0; i < n->nr_idle; i++) {
    n->lib.aio_disconnect (n->idle[i], 0); /* says good-bye and does not wait */
    n->lib.close (n->idle[i]);
  }
  pthread_cond_destroy (&n->changed);
  pthread_mutex_destroy (&n->lock);
  free (n->idle);
  free (n->uri);
  free (n);
}

static const struct rv_io_ops nbd_ops = {
  .name = "nbd",
  .pread = nbd_io_pread,
  .hole = nbd_io_hole,
  .free = nbd_io_free,
};

static void
get_block_sizes (struct nbd_io *n, struct nbd_handle *h)
{
  int64_t min = n->lib.get_block_size (h, LIBNBD_SIZE_MINIMUM);
  int64_t max = n->lib.get_block_size (h, LIBNBD_SIZE_MAXIMUM);

  n->min = rv_is_pow2 (min) && min <= BOUNCE_MAX ? min : DEFAULT_MIN;
  n->max = rv_min_u64 (max > 0 ? max : DEFAULT_MAX, DEFAULT_MAX);
  n->max = rv_max_u64 (rv_align_down (n->max, n->min), n->min);
}

/* Makes the io around its first connection. */
static int
wrap (const struct rv_libnbd *lib, struct nbd_handle *h, const char *uri,
      const char *name, unsigned connections, struct rv_io **io,
      rawview_error *err)
{
  CLEANUP_FREE struct nbd_io *n = calloc (1, sizeof *n);
  CLEANUP_FREE struct nbd_handle **idle = calloc (connections, sizeof *idle);
  CLEANUP_FREE char *copy = strdup (uri);
  int64_t size = lib->get_size (h);

  if (size == -1)
    return rv_error_set (err, RAWVIEW_ERROR_IO, lib->get_errno (),
                         "cannot get the size of %s: %s", name,
                         reason (lib, uri));
  if (n == NULL || idle == NULL || copy == NULL ||
      rv_io_init (&n->base, &nbd_ops, name, size) == -1)
    return rv_error_nomem (err);
  n->lib = *lib;
  get_block_sizes (n, h);
  pthread_mutex_init (&n->lock, NULL);
  pthread_cond_init (&n->changed, NULL);
  n->uri = STEAL (copy);
  n->idle = STEAL (idle);
  n->idle[0] = h;
  n->nr_idle = n->nr_open = 1;
  n->nr_max = connections;
  *io = &STEAL (n)->base;
  return 0;
}

int
rv_io_nbd_open (const char *uri, unsigned connections, struct rv_io **io,
                rawview_error *err)
{
  CLEANUP_FREE char *name = rv_nbd_uri_show (uri);
  struct rv_libnbd lib;
  struct nbd_handle *h;

  if (name == NULL)
    return rv_error_nomem (err);
  if (rv_libnbd_load (&lib, err) == -1)
    return -1;
  h = connect_uri (&lib, uri, name, FIRST_CONNECT_MS, err);
  if (h == NULL)
    return -1;
  if (wrap (&lib, h, uri, name, rv_max_u64 (connections, 1), io, err) == -1) {
    lib.close (h);
    return -1;
  }
  return 0;
}
