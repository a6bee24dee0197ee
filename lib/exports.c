/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of named disks.  What was added by name is open as long as the set;
 * disks of folders are opened when somebody asks for them, and shared.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "folder.h"
#include "format/ova.h"
#include "probe.h"
#include "sandbox.h"
#include "util/error.h"
#include "util/text.h"

DEFINE_VECTOR (folders, struct rv_folder *);

struct rawview_exports {
  pthread_mutex_t lock; /* protects the folders' contents */
  struct rv_disks disks;
  struct folders folders;
  rv_log_fn log;
  void *opaque;
};

rawview_exports *
rawview_exports_new (void)
{
  rawview_exports *x = calloc (1, sizeof *x);

  if (x)
    pthread_mutex_init (&x->lock, NULL);
  return x;
}

void
rawview_exports_free (rawview_exports *x)
{
  if (x == NULL)
    return;
  rv_disks_free (&x->disks);
  for (size_t i = 0; i < x->folders.len; i++)
    rv_folder_free (x->folders.ptr[i]);
  folders_release (&x->folders);
  pthread_mutex_destroy (&x->lock);
  free (x);
}

void
rawview_exports_set_log (rawview_exports *x,
                         void (*log) (void *opaque, const char *msg),
                         void *opaque)
{
  x->log = log;
  x->opaque = opaque;
}

static void
log_warnings (const rawview_exports *x, const rawview_image *image)
{
  for (size_t i = 0; x->log && rawview_get_warning (image, i); i++)
    x->log (x->opaque, rawview_get_warning (image, i));
}

/*--- Adding -------------------------------------------------------------*/

static int
check_name (const rawview_exports *x, const char *name, rawview_error *err)
{
  for (size_t i = 0; i < x->disks.len; i++)
    if (strcmp (x->disks.ptr[i].name, name) == 0)
      return rv_error_usage (err,
                             "two exports would be called \"%s\"; give each a "
                             "name of its own",
                             name);
  return 0;
}

/* The same plain image under two names has one handle. */
static rawview_image *
share_handle (const rawview_exports *x, rawview_image *image,
              const rawview_options *opts)
{
  struct rv_format *f = image->chain.ptr[0];

  for (size_t i = 0; i < x->disks.len; i++) {
    struct rv_disk *d = &x->disks.ptr[i];
    struct rv_format *g = d->image->chain.ptr[0];

    if (opts->snapshot == NULL && d->opts->snapshot == NULL &&
        f->ops == g->ops && rv_io_same (f->io, g->io)) {
      rawview_close (image);
      return rawview_ref (d->image);
    }
  }
  return image;
}

static int
add_disk (rawview_exports *x, const char *name, struct rv_io *io,
          const struct rv_source *source, const rawview_options *opts,
          rawview_error *err)
{
  struct stat st = { 0 };
  rawview_image *image;

  if (check_name (x, name, err) == -1 ||
      rv_image_open (io, source, opts, &image, err) == -1)
    return -1;
  log_warnings (x, image);
  image = share_handle (x, image, opts);
  if (opts->fd != -1)
    fstat (opts->fd, &st);
  else if (!rv_text_is_nbd_uri (source->name))
    stat (source->name, &st);
  return rv_disks_add (&x->disks, name, source->name, opts, image, st.st_mtim,
                       err);
}

/* The name for a source that was given none: that of its file.  A URI's export
 * name or path may be anything, so its disk is just called "disk".
 */
static const char *
default_name (const struct rv_source *source)
{
  if (source->name == NULL || rv_text_is_nbd_uri (source->name))
    return "disk";
  return rv_text_basename (source->name);
}

static int
add_ova (rawview_exports *x, struct rv_io *io, const struct rv_source *source,
         const rawview_options *opts, rawview_error *err)
{
  struct rv_ova_members members = { 0 };
  struct rv_warnings ignored = { 0 };
  int r = rv_ova_disks (io, &members, &ignored, err);

  if (r == 0 && members.len > 1 && opts->overlay)
    r = rv_error_usage (err,
                        "%s has %zu disks, which cannot share one overlay; use "
                        "overlay-dir=, or disk= to choose one",
                        io->name, members.len);
  for (size_t i = 0; r == 0 && i < members.len; i++) {
    rawview_options *o = rawview_options_dup (opts);

    r = o ? rawview_options_set (o, "disk", members.ptr[i].name, err)
          : rv_error_nomem (err);
    if (r == 0)
      r = add_disk (x, rv_text_basename (members.ptr[i].name), io, source, o,
                    err);
    rawview_options_free (o);
  }
  rv_ova_members_free (&members);
  rv_warnings_free (&ignored);
  return r;
}

static int
add_io (rawview_exports *x, const char *name, struct rv_io *io,
        const struct rv_source *source, const rawview_options *opts,
        rawview_error *err)
{
  struct rv_probe_result probe;

  if (rv_probe (io, &probe, err) == -1)
    return -1;
  if (name == NULL && probe.ova && probe.second == NULL &&
      opts->format == NULL && opts->disk == NULL)
    return add_ova (x, io, source, opts, err);
  return add_disk (x, name ? name : default_name (source), io, source, opts,
                   err);
}

int
rawview_exports_add_source (rawview_exports *x, const char *name,
                            const char *source, const rawview_options *opts,
                            rawview_error *err)
{
  struct rv_source s = { .name = source, .dirfd = AT_FDCWD };
  rawview_options *defaults = opts ? NULL : rawview_options_new ();
  struct rv_warnings warnings = { 0 };
  CLEANUP_IO struct rv_io *io = NULL;
  int r = -1;

  if (opts == NULL)
    opts = defaults;
  if (opts == NULL)
    return rv_error_nomem (err);
  if (rv_source_open (&s, opts, &warnings, &io, err) == 0) {
    for (size_t i = 0; x->log && i < warnings.len; i++)
      x->log (x->opaque, warnings.ptr[i]);
    r = add_io (x, name, io, &s, opts, err);
  }
  rv_warnings_free (&warnings);
  rawview_options_free (defaults);
  return r;
}

int
rawview_exports_add_folder (rawview_exports *x, const char *dir,
                            const rawview_options *opts, rawview_error *err)
{
  rawview_options *defaults = opts ? NULL : rawview_options_new ();
  struct rv_folder *folder = NULL;
  int r = -1;

  if (opts == NULL && defaults == NULL)
    return rv_error_nomem (err);
  if (rv_folder_open (dir, opts ? opts : defaults, &folder, err) == 0) {
    r = rv_folder_scan (folder, x->log, x->opaque, err);
    if (r == 0 && folders_append (&x->folders, folder) == -1)
      r = rv_error_nomem (err);
  }
  if (r == -1)
    rv_folder_free (folder);
  rawview_options_free (defaults);
  return r;
}

/*--- Listing ------------------------------------------------------------*/

struct listing {
  int (*cb) (void *opaque, const rawview_export *e);
  void *opaque;
};

static int
list_disk (void *opaque, struct rv_disk *d)
{
  struct listing *l = opaque;

  return l->cb (l->opaque, &(rawview_export){ .name = d->name,
                                              .description = d->description,
                                              .size = d->size,
                                              .mtime_sec = d->mtime.tv_sec,
                                              .mtime_nsec = d->mtime.tv_nsec });
}

int
rawview_exports_list (rawview_exports *x,
                      int (*cb) (void *opaque, const rawview_export *e),
                      void *opaque, rawview_error *err)
{
  struct listing l = { cb, opaque };
  LOCKED (&x->lock);

  for (size_t i = 0; i < x->disks.len; i++)
    if (list_disk (&l, &x->disks.ptr[i]) != 0)
      return 0;
  for (size_t i = 0; i < x->folders.len; i++) {
    if (rv_folder_scan (x->folders.ptr[i], x->log, x->opaque, err) == -1)
      return -1;
    if (rv_folder_each (x->folders.ptr[i], list_disk, &l) != 0)
      return 0;
  }
  return 0;
}

const char *
rawview_exports_default (const rawview_exports *x)
{
  return x->disks.len > 0 ? x->disks.ptr[0].name : NULL;
}

/*--- Opening ------------------------------------------------------------*/

struct search {
  const char *name;
  struct rv_disk *found;
};

static int
match_disk (void *opaque, struct rv_disk *d)
{
  struct search *s = opaque;

  if (strcmp (d->name, s->name) == 0)
    s->found = d;
  return s->found != NULL;
}

/* Looks at the folder's files again, so that a changed one is not taken for
 * what it was.
 */
static int
open_in_folder (rawview_exports *x, struct rv_folder *folder, const char *name,
                rawview_image **image, bool *found, rawview_error *err)
{
  struct search s = { .name = name };

  if (rv_folder_scan (folder, x->log, x->opaque, err) == -1)
    return -1;
  rv_folder_each (folder, match_disk, &s);
  *found = s.found != NULL;
  return *found ? rv_folder_open_disk (folder, s.found, image, err) : 0;
}

int
rawview_exports_open (rawview_exports *x, const char *name,
                      rawview_image **image, rawview_error *err)
{
  bool found = false;
  LOCKED (&x->lock);

  for (size_t i = 0; i < x->disks.len; i++)
    if (name[0] == '\0' || strcmp (x->disks.ptr[i].name, name) == 0) {
      *image = rawview_ref (x->disks.ptr[i].image);
      return 0;
    }
  for (size_t i = 0; i < x->folders.len; i++) {
    if (open_in_folder (x, x->folders.ptr[i], name, image, &found, err) == -1)
      return -1;
    if (found)
      return 0;
  }
  if (name[0] == '\0')
    return rv_error_set (err, RAWVIEW_ERROR_USAGE, ENOENT,
                         "say which export: a folder has no default one");
  return rv_error_set (err, RAWVIEW_ERROR_USAGE, ENOENT,
                       "there is no export called \"%s\"", name);
}

/*--- The sandbox --------------------------------------------------------*/

int
rv_exports_sandbox (rawview_exports *x, struct rv_sandbox_rules *rules,
                    rawview_error *err)
{
  LOCKED (&x->lock);

  for (size_t i = 0; i < x->disks.len; i++)
    if (rv_sandbox_add_image (rules, x->disks.ptr[i].image,
                              x->disks.ptr[i].opts, err) == -1)
      return -1;
  for (size_t i = 0; i < x->folders.len; i++)
    if (rv_folder_sandbox (x->folders.ptr[i], rules, err) == -1)
      return -1;
  return 0;
}
