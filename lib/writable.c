/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the public interface does with an image that is written.
 *
 * A handle is opened as a reader.  rawview_make_writable takes the locks of a
 * writer on every file that writing touches, looks around for others who would
 * suffer, and asks driver and engine.  Nothing on disk changes before the first
 * request that writes.
 */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "claim.h"
#include "image.h"
#include "util/checked.h"
#include "util/error.h"

void
rv_writing_init (struct rv_writing *w)
{
  pthread_rwlockattr_t attr;

  w->base.dirfd = -1;
  pthread_mutex_init (&w->lock, NULL);
  pthread_rwlockattr_init (&attr);
#ifdef PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP
  /* A stream of requests must not keep finish waiting for ever. */
  pthread_rwlockattr_setkind_np (&attr,
                                 PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
  pthread_rwlock_init (&w->requests, &attr);
  pthread_rwlockattr_destroy (&attr);
}

void
rv_ios_free (struct rv_ios *ios)
{
  for (size_t i = 0; i < ios->len; i++)
    rv_io_unref (ios->ptr[i]);
  rv_ios_release (ios);
}

/* Others may write the files again. */
static void
give_back_files (struct rv_writing *w)
{
  for (size_t i = 0; i < w->files.len; i++) {
    rv_io_lock_for_reading (w->files.ptr[i]);
    rv_unclaim (w->files.ptr[i]);
  }
  rv_ios_free (&w->files);
}

void
rv_writing_release (struct rv_writing *w)
{
  give_back_files (w);
  rv_base_release (&w->base);
  pthread_rwlock_destroy (&w->requests);
  pthread_mutex_destroy (&w->lock);
}

/*--- Errors -------------------------------------------------------------*/

/* Every refusal ends with the way on. */
static int
suggest_overlay (const rawview_image *image, const rawview_error *e,
                 rawview_error *err)
{
  const char *way = image->writing.folder
                        ? "; overlay-dir=DIR would keep changes in files of "
                          "their own"
                        : "; overlay=FILE would keep the changes in a file of "
                          "their own";
  int room = sizeof e->msg - 1 - strlen (way);

  if (image->writing.overlay || image->writing.rescue ||
      e->kind == RAWVIEW_ERROR_NOMEM || strstr (e->msg, "overlay=")) {
    if (err)
      *err = *e;
    return -1;
  }
  return rv_error_set (err, e->kind, e->errnum, "%.*s%s", room, e->msg, way);
}

/*--- The files ----------------------------------------------------------*/

struct collecting {
  struct rv_ios *files;
  bool failed;
};

static void
collect (void *opaque, struct rv_io *io)
{
  struct collecting *c = opaque;

  for (size_t i = 0; i < c->files->len; i++)
    if (c->files->ptr[i] == io)
      return;
  if (rv_ios_append (c->files, io) == -1)
    c->failed = true;
  else
    rv_io_ref (io);
}

static int
find_files (struct rv_format *f, struct rv_ios *files, rawview_error *err)
{
  struct collecting c = { files };

  f->ops->write->files (f, collect, &c);
  if (c.failed)
    return rv_error_nomem (err);
  for (size_t i = 0; i < files->len; i++)
    if (!files->ptr[i]->writable)
      return rv_io_refuse_writing (files->ptr[i], err);
  return 0;
}

static int
take_file (struct rv_writing *w, struct rv_io *io, rawview_error *err)
{
  if (rv_claim (io, err) == -1)
    return -1;
  if (rv_io_lock_for_writing (io, err) == -1) {
    rv_unclaim (io);
    return -1;
  }
  if (rv_ios_append (&w->files, io) == -1) {
    rv_io_lock_for_reading (io);
    rv_unclaim (io);
    return rv_error_nomem (err);
  }
  rv_io_ref (io);
  return 0;
}

/* All of them or none. */
static int
take_files (struct rv_writing *w, const struct rv_ios *files,
            rawview_error *err)
{
  for (size_t i = 0; i < files->len; i++)
    if (take_file (w, files->ptr[i], err) == -1) {
      give_back_files (w);
      return -1;
    }
  return 0;
}

/*--- May it be written? -------------------------------------------------*/

/* What needs no look at the files. */
static int
check_kind (const rawview_image *image, rawview_error *err)
{
  const struct rv_writing *w = &image->writing;
  const struct rv_format *f = image->chain.ptr[0];

  if (atomic_load (&w->finished))
    return rv_error_usage (err, "%s: writing has been finished; open it again",
                           f->io->name);
  if (w->rescue)
    return rv_error_refused (err,
                             "%s: what is opened with rescue= is never "
                             "written",
                             f->io->name);
  if (!w->wanted)
    return rv_error_usage (err, "%s was opened for reading only", f->io->name);
  if (w->snapshot && !w->overlay)
    return rv_error_refused (err, "%s: an internal snapshot is never written",
                             f->io->name);
  if (w->member && !w->overlay)
    return rv_error_refused (err, "%s: a disk inside an OVA cannot be written",
                             f->io->name);
  if (f->ops->write == NULL)
    return rv_error_unsupported (err, "%s: the format %s cannot be written",
                                 f->io->name, f->ops->name);
  return 0;
}

static void
ignore_finding (void *opaque, rawview_finding finding, const char *msg)
{
}

/* check=full.  What a crash may have left is no reason to refuse: the driver
 * looks at it again, and puts it right before the first write.
 */
static int
check_tables (rawview_image *image, rawview_error *err)
{
  struct rv_format *f = image->chain.ptr[0];
  rawview_check_result result = { 0 };

  if (image->writing.check != RV_CHECK_FULL || f->ops->check == NULL)
    return 0;
  if (f->ops->check (f, ignore_finding, NULL, &result, err) == -1)
    return -1;
  if (result.corruptions + result.check_errors <= f->repairable)
    return 0;
  return rv_error_corrupt (err,
                           "%s: check=full found %ju contradictions and %ju "
                           "parts that it could not check, so it is not "
                           "written; \"rawview check\" lists them",
                           f->io->name, (uintmax_t) result.corruptions,
                           (uintmax_t) result.check_errors);
}

/* With all files taken. */
static int
ask_driver (rawview_image *image, rawview_error *err)
{
  if (check_tables (image, err) == -1)
    return -1;
  return rv_engine_enable_write (image->engine, err);
}

static int
look_around (const rawview_image *image, const struct rv_ios *files,
             rawview_error *err)
{
  const struct rv_writing *w = &image->writing;

  if (w->overlay)
    return 0;
  if (rv_beside_locked (&w->base, files, err) == -1)
    return -1;
  return rv_beside_children (&w->base, image->chain.ptr[0], &w->ignored_child,
                             err);
}

/* What others do may change: those refusals hold for this call only. */
static int
make_writable (rawview_image *image, rawview_error *err)
{
  struct rv_writing *w = &image->writing;
  struct rv_ios files = { 0 };
  int r;

  if (w->refused.kind != RAWVIEW_ERROR_NONE) {
    *err = w->refused;
    return -1;
  }
  if (check_kind (image, err) == -1)
    return -1;
  r = find_files (image->chain.ptr[0], &files, err);
  if (r == 0)
    r = look_around (image, &files, err);
  if (r == 0)
    r = take_files (w, &files, err);
  rv_ios_free (&files);
  if (r == -1)
    return -1;
  if (ask_driver (image, err) == -1) {
    give_back_files (w);
    w->refused = *err;
    return -1;
  }
  atomic_store (&w->on, true);
  return 0;
}

int
rawview_make_writable (rawview_image *image, rawview_error *err)
{
  rawview_error e = { 0 };
  LOCKED (&image->writing.lock);

  if (atomic_load (&image->writing.on) || make_writable (image, &e) == 0)
    return 0;
  return suggest_overlay (image, &e, err);
}

bool
rawview_is_writable (const rawview_image *image)
{
  return atomic_load (&image->writing.on);
}

/*--- Requests -----------------------------------------------------------*/

/* 0: go on, and call end_request. */
static int
begin_request (rawview_image *image, rawview_error *err)
{
  pthread_rwlock_rdlock (&image->writing.requests);
  if (atomic_load (&image->writing.on))
    return 0;
  pthread_rwlock_unlock (&image->writing.requests);
  return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EROFS,
                       "%s is open for reading only",
                       image->chain.ptr[0]->io->name);
}

static int
end_request (rawview_image *image, int r)
{
  pthread_rwlock_unlock (&image->writing.requests);
  return r;
}

int
rawview_pwrite (rawview_image *image, const void *buf, size_t len, uint64_t off,
                rawview_error *err)
{
  if (rv_image_check_range (image, len, off, err) == -1 ||
      begin_request (image, err) == -1)
    return -1;
  return end_request (image,
                      rv_engine_pwrite (image->engine, buf, len, off, err));
}

int
rawview_zero (rawview_image *image, uint64_t len, uint64_t off, unsigned flags,
              rawview_error *err)
{
  if (rv_image_check_range (image, len, off, err) == -1 ||
      begin_request (image, err) == -1)
    return -1;
  return end_request (image,
                      rv_engine_zero (image->engine, len, off, flags, err));
}

int
rawview_trim (rawview_image *image, uint64_t len, uint64_t off,
              rawview_error *err)
{
  if (rv_image_check_range (image, len, off, err) == -1 ||
      begin_request (image, err) == -1)
    return -1;
  return end_request (image, rv_engine_trim (image->engine, len, off, err));
}

/* A reader has nothing to flush. */
int
rawview_flush (rawview_image *image, rawview_error *err)
{
  int r = 0;

  pthread_rwlock_rdlock (&image->writing.requests);
  if (atomic_load (&image->writing.on))
    r = rv_engine_flush (image->engine, err);
  return end_request (image, r);
}

int
rawview_finish (rawview_image *image, rawview_error *err)
{
  struct rv_writing *w = &image->writing;
  int r;
  LOCKED (&w->lock);

  if (!atomic_load (&w->on))
    return 0;
  pthread_rwlock_wrlock (&w->requests);
  r = rv_engine_finish (image->engine, err);
  atomic_store (&w->on, false);
  pthread_rwlock_unlock (&w->requests);
  atomic_store (&w->finished, true);
  give_back_files (w);
  return r;
}
