/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "format/qcow2-write.h"
#include "new-file.h"
#include "overlay.h"
#include "util/error.h"
#include "util/text.h"

#define CLUSTER_BITS 17u /* with subclusters of 4 KiB */

/*--- Its name -----------------------------------------------------------*/

/* A member's name is the archive's word: none of its characters may mean
 * something in a file name, here or to QEMU.
 */
static void
make_harmless (char *s)
{
  for (; *s; s++)
    if (strchr ("/\\:", *s) || (unsigned char) *s < 0x20 || *s == 0x7f)
      *s = '-';
}

/* "vm.vmdk", or "vm.ova-disk1.vmdk" for a member. */
static char *
file_name_of (const struct rv_import *import)
{
  CLEANUP_FREE char *member = NULL;
  const char *name = rv_text_basename (import->source->name);
  const char *whole = import->format->io->name;

  if (!import->is_member)
    return strdup (name);
  member = strdup (whole + strlen (import->file->name) + 1);
  if (member == NULL)
    return NULL;
  make_harmless (member);
  return rv_text_format ("%s-%s", name, member);
}

static int
find_path (const struct rv_import *import, const rawview_options *opts,
           char **path, rawview_error *err)
{
  CLEANUP_FREE char *name = NULL;

  if (opts->overlay) {
    *path = strdup (opts->overlay);
    return *path ? 0 : rv_error_nomem (err);
  }
  if (import->source->name == NULL || !import->file->has_id)
    return rv_error_usage (err,
                           "%s: overlay-dir= is for images in files, whose "
                           "names it takes; use overlay=FILE",
                           import->file->name);
  name = file_name_of (import);
  *path =
      name ? rv_text_format ("%s/%s" RV_OVERLAY_SUFFIX, opts->overlay_dir, name)
           : NULL;
  return *path ? 0 : rv_error_nomem (err);
}

/*--- Opening ------------------------------------------------------------*/

/* Returns 1 if there is none. */
static int
open_existing (const char *path, const struct rv_io_file_options *fo,
               struct rv_io **io, rawview_error *err)
{
  rawview_error e = { 0 };

  if (rv_io_file_openat (AT_FDCWD, path, false, path, fo, io, &e) == 0)
    return 0;
  if (e.kind == RAWVIEW_ERROR_IO && e.errnum == ENOENT)
    return 1;
  if (err)
    *err = e;
  return -1;
}

/* What no QCOW2 file could be made for. */
static int
check_import (const struct rv_import *import, const rawview_options *opts,
              rawview_error *err)
{
  const struct rv_format *f = import->format;

  if (opts->snapshot)
    return rv_error_refused (err,
                             "%s: an overlay cannot have the snapshot \"%s\" "
                             "as its backing file; make a copy of it first "
                             "with \"rawview copy\"",
                             f->io->name, opts->snapshot);
  if (f->size == 0 || f->size % 512 != 0)
    return rv_error_unsupported (err,
                                 "%s: a disk of %ju bytes cannot have an "
                                 "overlay, which has whole sectors of 512",
                                 f->io->name, (uintmax_t) f->size);
  return 0;
}

struct filling {
  const char *path;
  const struct rv_qcow2_create *how;
  const struct rv_io_file_options *fo;
  struct rv_io *io; /* of the new file */
};

static int
fill (void *opaque, int fd, rawview_error *err)
{
  struct filling *f = opaque;
  int copy = fcntl (fd, F_DUPFD_CLOEXEC, 0);

  if (copy == -1)
    return rv_error_errno (err, errno, "cannot make the overlay %s", f->path);
  if (rv_io_file_from_fd (copy, f->path, f->fo, &f->io, err) == -1 ||
      rv_qcow2_create (f->io, f->how, err) == -1)
    return -1;
  return rv_io_sync (f->io, err);
}

static int
make (const struct rv_import *import, const char *path,
      const struct rv_io_file_options *fo, struct rv_io **io, bool *exists,
      rawview_error *err)
{
  CLEANUP_FREE char *backing = NULL;

  *exists = false;
  if (rv_backing_name (import, &backing, err) == -1)
    return -1;
  struct rv_qcow2_create how = { .size = import->format->size,
                                 .cluster_bits = CLUSTER_BITS,
                                 .ext_l2 = true,
                                 .backing = backing,
                                 .backing_format = import->format->ops->name };
  struct filling f = { path, &how, fo, NULL };
  struct rv_new_file new = {
    .path = path, .what = "the overlay", .fill = fill, .opaque = &f
  };
  if (rv_new_file (&new, exists, err) == 0) {
    *io = f.io;
    return 0;
  }
  rv_io_unref (f.io);
  return -1;
}

int
rv_overlay_open (const struct rv_import *import, const rawview_options *opts,
                 const struct rv_io_file_options *fo, struct rv_io **io,
                 rawview_error *err)
{
  CLEANUP_FREE char *path = NULL;
  rawview_error e = { 0 };
  bool exists;
  int r;

  if (check_import (import, opts, err) == -1 ||
      find_path (import, opts, &path, err) == -1)
    return -1;
  r = open_existing (path, fo, io, err);
  if (r != 1)
    return r;
  if (make (import, path, fo, io, &exists, &e) == 0)
    return 0;
  /* Perhaps somebody else has made it meanwhile. */
  if (exists)
    r = open_existing (path, fo, io, &e);
  if (r == 0)
    return 0;
  if (err)
    *err = e;
  return -1;
}

/*--- Is it ours? --------------------------------------------------------*/

static const struct rv_ref *
backing_file (const struct rv_format *overlay)
{
  for (size_t i = 0; i < overlay->refs.len; i++)
    if (overlay->refs.ptr[i].role == RV_REF_PARENT)
      return &overlay->refs.ptr[i];
  return NULL;
}

static int
check_name (const struct rv_format *overlay, const struct rv_ref *ref,
            const struct rv_import *import, rawview_error *err)
{
  struct rv_base base;
  bool same;

  if (rv_base_of (AT_FDCWD, overlay->io->name, &base, err) == -1)
    return -1;
  same = rv_backing_name_is (ref->name, base.dirfd, import);
  rv_base_release (&base);
  if (same)
    return 0;
  return rv_error_refused (err,
                           "%s is an overlay of \"%s\" and not of %s; use "
                           "another overlay file, or, if that is the same "
                           "image in another place, \"qemu-img rebase -u\"",
                           overlay->io->name, ref->name,
                           import->format->io->name);
}

static int
check_format (const struct rv_format *overlay, const struct rv_ref *ref,
              const struct rv_import *import, struct rv_warnings *warnings,
              rawview_error *err)
{
  const char *is = import->format->ops->name;

  if (ref->format == NULL)
    rv_warn (warnings,
             "%s does not record that its backing file is %s; QEMU may guess "
             "something else",
             overlay->io->name, is);
  else if (strcmp (ref->format, is) != 0)
    return rv_error_refused (err,
                             "%s records its backing file as %s, but %s is "
                             "read as %s; use another overlay file",
                             overlay->io->name, ref->format,
                             import->format->io->name, is);
  return 0;
}

int
rv_overlay_match (const struct rv_format *overlay,
                  const struct rv_import *import, struct rv_warnings *warnings,
                  rawview_error *err)
{
  const struct rv_ref *ref = backing_file (overlay);

  if (ref == NULL)
    return rv_error_refused (err,
                             "%s is a disk of its own and no overlay of %s: it "
                             "has no backing file; use another overlay file",
                             overlay->io->name, import->format->io->name);
  if (overlay->refs.len > 1)
    return rv_error_refused (err,
                             "%s keeps its data in another file, which an "
                             "overlay may not; use another overlay file",
                             overlay->io->name);
  if (check_name (overlay, ref, import, err) == -1 ||
      check_format (overlay, ref, import, warnings, err) == -1)
    return -1;
  if (overlay->size != import->format->size)
    return rv_error_refused (err,
                             "%s is an overlay for a disk of %ju bytes, but %s "
                             "has %ju; use another overlay file",
                             overlay->io->name, (uintmax_t) overlay->size,
                             import->format->io->name,
                             (uintmax_t) import->format->size);
  return 0;
}
