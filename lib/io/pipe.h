/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes that come once, in order: a pipe.  Not an rv_io, which can go back; but
 * rv_io_pipe_new makes one of it for readers that only go forward.
 *
 * One thread at a time, except rv_pipe_stop and rv_pipe_position.
 */

#ifndef RV_PIPE_H
#define RV_PIPE_H

#include "io/io.h"
#include "util/bytes.h"
#include "util/digest.h"

/* How far one can look ahead. */
#define RV_PIPE_BUFFER (256u << 10)

struct rv_pipe {
  int fd;               /* the caller's */
  int stop_fd;          /* an eventfd: readable when nobody wants any more */
  char *name;           /* for messages */
  _Atomic uint64_t pos; /* of the next byte to be taken */
  uint8_t *buf;
  size_t at, filled;        /* what was read and not taken: at..filled */
  bool ended;               /* nothing comes after that */
  struct rv_digest *digest; /* of all that is taken from now on, or NULL */
};

/* On failure nothing needs to be released. */
int rv_pipe_init (struct rv_pipe *p, int fd, const char *name,
                  rawview_error *err);
void rv_pipe_release (struct rv_pipe *p);

/* Takes exactly len bytes; buf NULL throws them away.  what: where one is, for
 * the message if the end comes too soon, which is RAWVIEW_ERROR_CORRUPT.
 */
int rv_pipe_take (struct rv_pipe *p, void *buf, uint64_t len, const char *what,
                  rawview_error *err);

/* Shows up to want bytes, at most RV_PIPE_BUFFER, without taking them: fewer
 * only at the end.  Valid until the next call.
 */
int rv_pipe_peek (struct rv_pipe *p, size_t want, struct rv_view *view,
                  rawview_error *err);

/* Ends a read that waits, and lets every later one fail with ECANCELED. */
void rv_pipe_stop (struct rv_pipe *p);

/* Reads of it must be in order; what is passed over is thrown away.  Its size
 * is not known and said to be the largest.  The pipe must outlive it.
 */
int rv_io_pipe_new (struct rv_pipe *p, struct rv_io **io, rawview_error *err);

#endif /* RV_PIPE_H */
