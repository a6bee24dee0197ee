/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "io/pipe.h"
#include "util/checked.h"
#include "util/error.h"

int
rv_pipe_init (struct rv_pipe *p, int fd, const char *name, rawview_error *err)
{
  *p = (struct rv_pipe){ .fd = fd,
                         .stop_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK) };
  if (p->stop_fd == -1)
    return rv_error_errno (err, errno, "eventfd");
  p->name = strdup (name);
  p->buf = malloc (RV_PIPE_BUFFER);
  if (p->name == NULL || p->buf == NULL) {
    rv_pipe_release (p);
    return rv_error_nomem (err);
  }
#ifdef F_SETPIPE_SZ
  /* The writer goes on while we decode.  Not a pipe, or not permitted: so be
   * it.
   */
  fcntl (fd, F_SETPIPE_SZ, 1 << 20);
#endif
  return 0;
}

void
rv_pipe_release (struct rv_pipe *p)
{
  rv_digest_end (p->digest, NULL);
  close (p->stop_fd);
  free (p->name);
  free (p->buf);
}

void
rv_pipe_stop (struct rv_pipe *p)
{
  /* It can only be full, and then it is readable. */
  eventfd_write (p->stop_fd, 1);
}

/*--- Reading ------------------------------------------------------------*/

static int
await (struct rv_pipe *p, rawview_error *err)
{
  struct pollfd fds[] = { { .fd = p->fd, .events = POLLIN },
                          { .fd = p->stop_fd, .events = POLLIN } };

  while (poll (fds, 2, -1) == -1)
    if (errno != EINTR)
      return rv_error_errno (err, errno, "%s", p->name);
  if (fds[1].revents)
    return rv_error_errno (err, ECANCELED, "%s", p->name);
  return 0;
}

/* Reads once, at least a byte unless it is the end.  Returns how many or -1. */
static ssize_t
read_some (struct rv_pipe *p, void *buf, size_t len, rawview_error *err)
{
  ssize_t n;

  if (p->ended)
    return 0;
  do {
    if (await (p, err) == -1)
      return -1;
    n = read (p->fd, buf, len);
  } while (n == -1 && (errno == EINTR || errno == EAGAIN));
  if (n == -1)
    return rv_error_errno (err, errno, "%s: cannot read at byte %ju", p->name,
                           (uintmax_t) (p->pos + p->filled - p->at));
  p->ended = n == 0;
  return n;
}

static int
fill (struct rv_pipe *p, size_t want, rawview_error *err)
{
  if (p->filled - p->at >= want)
    return 0;
  memmove (p->buf, p->buf + p->at, p->filled - p->at);
  p->filled -= p->at;
  p->at = 0;
  while (p->filled < want && !p->ended) {
    ssize_t n =
        read_some (p, p->buf + p->filled, RV_PIPE_BUFFER - p->filled, err);

    if (n == -1)
      return -1;
    p->filled += n;
  }
  return 0;
}

int
rv_pipe_peek (struct rv_pipe *p, size_t want, struct rv_view *view,
              rawview_error *err)
{
  want = rv_min_u64 (want, RV_PIPE_BUFFER);
  if (fill (p, want, err) == -1)
    return -1;
  *view =
      (struct rv_view){ p->buf + p->at, rv_min_u64 (want, p->filled - p->at) };
  return 0;
}

int
rv_pipe_take (struct rv_pipe *p, void *buf, uint64_t len, const char *what,
              rawview_error *err)
{
  uint8_t *out = buf;

  while (len > 0) {
    size_t n;

    if (fill (p, 1, err) == -1)
      return -1;
    n = rv_min_u64 (len, p->filled - p->at);
    if (n == 0)
      return rv_error_corrupt (
          err,
          "%s: ends at byte %ju, inside %s: it is cut, or its sender "
          "stopped",
          p->name, (uintmax_t) p->pos, what);
    if (p->digest)
      rv_digest_update (p->digest, p->buf + p->at, n);
    if (out) {
      memcpy (out, p->buf + p->at, n);
      out += n;
    }
    p->at += n;
    p->pos += n;
    len -= n;
  }
  return 0;
}

/*--- As an io -----------------------------------------------------------*/

struct pipe_io {
  struct rv_io base;
  struct rv_pipe *pipe;
};

static int
pipe_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
            rawview_error *err)
{
  struct rv_pipe *p = ((struct pipe_io *) io)->pipe;

  if (off < p->pos)
    return rv_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ESPIPE,
                         "%s: byte %ju has passed already", p->name,
                         (uintmax_t) off);
  if (rv_pipe_take (p, NULL, off - p->pos, "the archive", err) == -1)
    return -1;
  return rv_pipe_take (p, buf, len, "the archive", err);
}

static void
pipe_free (struct rv_io *io)
{
  free (io);
}

static const struct rv_io_ops pipe_ops = {
  .name = "pipe",
  .pread = pipe_pread,
  .free = pipe_free,
};

int
rv_io_pipe_new (struct rv_pipe *p, struct rv_io **io, rawview_error *err)
{
  CLEANUP_FREE struct pipe_io *s = calloc (1, sizeof *s);

  if (s == NULL || rv_io_init (&s->base, &pipe_ops, p->name, INT64_MAX) == -1)
    return rv_error_nomem (err);
  s->pipe = p;
  *io = &STEAL (s)->base;
  return 0;
}
