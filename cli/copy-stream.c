/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What rawview copy does with an image that comes from standard input.
 *
 * Its grains come in any order and zeros do not come at all, so the target is
 * made to read as zeros first.  Then each worker takes one grain after the
 * other; the library lets one of them read while the others decode and write.
 */

#include <config.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"

static const char name[] = "standard input";

/*--- Opening ------------------------------------------------------------*/

static int
refuse_order (const char *dest, rawview_error *err)
{
  return cli_error_set (err, RAWVIEW_ERROR_USAGE, ESPIPE,
                        "copy: %s: what comes from a pipe may come in any "
                        "order, so the destination must be a file, block "
                        "device or NBD server",
                        dest);
}

int
copy_stream_open (const rawview_options *options, const char *dest,
                  struct copy_job *job, rawview_error *err)
{
  if (strcmp (dest, "-") == 0)
    return refuse_order ("standard output", err);
  if (isatty (STDIN_FILENO))
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, ENOTTY,
                          "copy: standard input is a terminal: an image must "
                          "come there, as from a pipe");
  if (rawview_stream_open (STDIN_FILENO, name, options, &job->stream, err) ==
      -1)
    return -1;
  job->size = rawview_stream_get_size (job->stream);
  return 0;
}

int
copy_stream_check (const struct copy_job *job, rawview_error *err)
{
  const struct copy_target *t = job->target;
  uint32_t grain = rawview_stream_get_grain_size (job->stream);

  if (t->ordered)
    return refuse_order (t->name, err);
  if (grain % t->granularity != 0)
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, EINVAL,
                          "%s: takes only blocks of %u bytes, the stream comes "
                          "in grains of %u; save it as a file and copy that",
                          t->name, t->granularity, grain);
  return 0;
}

void
copy_stream_explain (const struct copy_job *job, rawview_error *err)
{
  size_t len = strlen (err->msg);

  snprintf (err->msg + len, sizeof err->msg - len,
            " (%llu bytes of the stream had come, and the disk up to byte %llu "
            "of %llu)",
            (unsigned long long) rawview_stream_get_position (job->stream),
            (unsigned long long) atomic_load (&job->done),
            (unsigned long long) job->size);
}

/*--- Before the first grain ---------------------------------------------*/

/* The first worker alone, so that no zeros come after data. */
static int
zero_all (struct copy_worker *w, rawview_error *err)
{
  struct copy_job *job = w->job;
  struct copy_target *t = job->target;

  for (uint64_t off = 0; off < job->size && !copy_is_stopped (job);) {
    uint64_t n = job->size - off;

    if (n > COPY_ZERO_STEP)
      n = COPY_ZERO_STEP;
    if (t->ops->zero (t, w->lane, n, off, err) == -1)
      return -1;
    off += n;
  }
  return t->ops->drain (t, w->lane, err);
}

static int
prepare (struct copy_worker *w, rawview_error *err)
{
  struct copy_job *job = w->job;

  if (!job->target->zeroed && zero_all (w, err) == -1)
    return -1;
  pthread_mutex_lock (&job->lock);
  job->target->zeroed = true;
  job->prepared = true;
  pthread_cond_broadcast (&job->turn_changed);
  pthread_mutex_unlock (&job->lock);
  return 0;
}

static void
await_prepared (struct copy_job *job)
{
  pthread_mutex_lock (&job->lock);
  while (!job->prepared && !job->stop)
    pthread_cond_wait (&job->turn_changed, &job->lock);
  pthread_mutex_unlock (&job->lock);
}

/*--- Copying ------------------------------------------------------------*/

/* How far the disk has come: grains mostly come in its order. */
static void
note_progress (struct copy_job *job, uint64_t end)
{
  uint_fast64_t done = atomic_load (&job->done);

  while (done < end && !atomic_compare_exchange_weak (&job->done, &done, end))
    continue;
}

/* Decodes into the lane's buffer.  1, or 0 at the end of the stream. */
static int
copy_into_lane (struct copy_worker *w, rawview_error *err)
{
  struct copy_target *t = w->job->target;
  uint8_t *buf = t->ops->buffer (t, w->lane, err);
  uint64_t off;
  size_t len;
  int r;

  if (buf == NULL)
    return -1;
  r = rawview_stream_read (w->job->stream, buf, &len, &off, err);
  if (r != 1)
    return r;
  if (copy_write_sparse (w, buf, len, off, err) == -1)
    return -1;
  note_progress (w->job, off + len);
  return 1;
}

static int
write_shared (struct copy_worker *w, const uint8_t *own, size_t len,
              uint64_t off, rawview_error *err)
{
  struct copy_target *t = w->job->target;
  uint8_t *buf;
  int r = -1;

  pthread_mutex_lock (&w->job->sharing);
  buf = t->ops->buffer (t, w->lane, err);
  if (buf != NULL) {
    memcpy (buf, own, len);
    r = copy_write_sparse (w, buf, len, off, err);
  }
  pthread_mutex_unlock (&w->job->sharing);
  return r;
}

/* The same for a lane that others use too: a server that takes one connection
 * should not be the reason to decode with one thread.
 */
static int
copy_shared (struct copy_worker *w, uint8_t *own, rawview_error *err)
{
  uint64_t off;
  size_t len;
  int r = rawview_stream_read (w->job->stream, own, &len, &off, err);

  if (r != 1)
    return r;
  if (write_shared (w, own, len, off, err) == -1)
    return -1;
  note_progress (w->job, off + len);
  return 1;
}

static int
drain (struct copy_worker *w, rawview_error *err)
{
  struct copy_target *t = w->job->target;
  int r;

  pthread_mutex_lock (&w->job->sharing);
  r = t->ops->drain (t, w->lane, err);
  pthread_mutex_unlock (&w->job->sharing);
  return r;
}

int
copy_grains (struct copy_worker *w, rawview_error *err)
{
  struct copy_job *job = w->job;
  CLEANUP_FREE uint8_t *own = NULL;
  int r = 1;

  if (job->threads > job->target->lanes) {
    own = malloc (rawview_stream_get_grain_size (job->stream));
    if (own == NULL)
      return cli_error_errno (err, ENOMEM, "copy");
  }
  if (w->number == 0 && prepare (w, err) == -1)
    return -1;
  await_prepared (job);
  while (r == 1 && !copy_is_stopped (job))
    r = own ? copy_shared (w, own, err) : copy_into_lane (w, err);
  if (r == -1)
    return -1;
  return copy_is_stopped (job) ? 0 : drain (w, err);
}
