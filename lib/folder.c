/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each file of the folder is looked at once, and again when it has changed. One
 * that was refused is looked at again when anything has changed, or could have
 * that is not to be seen here: what it refers to may have come, or a lock gone.
 *
 * Extents are not images of their own: a descriptor's "vm-s001.vmdk" would be
 * refused, and the first bytes of its "vm-flat.vmdk" are the guest's to write.
 * So text descriptors are opened first, and what they name is left out, also
 * when the descriptor itself cannot be opened.  A file that is called like a
 * flat extent is not opened even if nobody names it.
 */

#include <config.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "folder.h"
#include "format/ova.h"
#include "overlay.h"
#include "probe.h"
#include "sandbox.h"
#include "util/error.h"
#include "util/text.h"

/*--- Disks --------------------------------------------------------------*/

static void
disk_release (struct rv_disk *d)
{
  free (d->name);
  free (d->source);
  free (d->description);
  rawview_options_free (d->opts);
  rawview_close (d->image);
}

void
rv_disks_free (struct rv_disks *disks)
{
  for (size_t i = 0; i < disks->len; i++)
    disk_release (&disks->ptr[i]);
  rv_disks_release (disks);
}

static char *
describe (const rawview_image *image)
{
  const char *format = rv_image_import (image)->ops->name, *type = "";
  unsigned depth = image->writing.overlay ? 1 : 0;
  const rawview_fact *fact;

  for (size_t i = 0; (fact = rawview_get_fact (image, depth, i)); i++)
    if (strcmp (fact->key, "format-specific.data.create-type") == 0)
      type = fact->text;
  return rv_text_format ("%s%s%s, %ju bytes", format, *type ? " " : "", type,
                         (uintmax_t) rawview_get_size (image));
}

int
rv_disks_add (struct rv_disks *disks, const char *name, const char *source,
              const rawview_options *opts, rawview_image *image,
              struct timespec mtime, rawview_error *err)
{
  struct rv_disk d = { .name = strdup (name),
                       .source = source ? strdup (source) : NULL,
                       .opts = rawview_options_dup (opts),
                       .description = describe (image),
                       .size = rawview_get_size (image),
                       .mtime = mtime,
                       .image = image };

  if (d.name == NULL || (source && d.source == NULL) || d.opts == NULL ||
      d.description == NULL || rv_disks_append (disks, d) == -1) {
    disk_release (&d);
    return rv_error_nomem (err);
  }
  return 0;
}

/*--- Files --------------------------------------------------------------*/

struct file {
  char *name;
  struct stat st; /* as it was looked at */
  bool looked_at;
  bool no_descriptor;        /* known not to be a text descriptor */
  bool is_extent;            /* of another file's image */
  bool is_written;           /* by us, or is an extent of what is */
  struct rv_disks disks;     /* none: it is no image, or refused */
  struct rv_strings extents; /* names that its descriptor has */
  char *refusal;             /* why it was refused, as it was reported */
  bool may_heal;             /* refused for reasons outside of the file */
};

DEFINE_VECTOR (files, struct file);

struct rv_folder {
  int dirfd;
  char *path; /* absolute */
  rawview_options *opts;
  bool has_overlays;  /* those of its own images */
  struct files files; /* by name */
};

static void
strings_free (struct rv_strings *v)
{
  for (size_t i = 0; i < v->len; i++)
    free (v->ptr[i]);
  rv_strings_release (v);
}

static void
file_release (struct file *f)
{
  free (f->name);
  rv_disks_free (&f->disks);
  strings_free (&f->extents);
  free (f->refusal);
}

static void
files_free (struct files *v)
{
  for (size_t i = 0; i < v->len; i++)
    file_release (&v->ptr[i]);
  files_release (v);
}

static int
compare_files (const void *a, const void *b)
{
  return strcmp (((const struct file *) a)->name,
                 ((const struct file *) b)->name);
}

static struct file *
find_file (struct files *v, const char *name)
{
  struct file key = { .name = (char *) name };

  if (v->len == 0)
    return NULL;
  return bsearch (&key, v->ptr, v->len, sizeof key, compare_files);
}

static bool
unchanged (const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
         a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
         a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
         a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
         a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/*--- Reading the folder -------------------------------------------------*/

static void
cleanup_dir (DIR **dir)
{
  if (*dir)
    closedir (*dir);
}

static DIR *
open_dir (int dirfd, const char *path, rawview_error *err)
{
  int fd = openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd == -1 ? NULL : fdopendir (fd);

  if (dir == NULL) {
    rv_error_errno (err, errno, "cannot read the folder %s", path);
    if (fd != -1)
      close (fd);
  }
  return dir;
}

static bool
is_called_overlay (const char *name)
{
  static const char end[] = RV_OVERLAY_SUFFIX;
  size_t n = strlen (name);

  return n >= sizeof end && strcmp (name + n + 1 - sizeof end, end) == 0;
}

static int
add_file (struct rv_folder *folder, const char *name, struct files *now,
          rawview_error *err)
{
  struct file f = { 0 };

  if (name[0] == '.' || (folder->has_overlays && is_called_overlay (name)) ||
      fstatat (folder->dirfd, name, &f.st, AT_SYMLINK_NOFOLLOW) == -1 ||
      !(S_ISREG (f.st.st_mode) || S_ISLNK (f.st.st_mode)))
    return 0;
  f.name = strdup (name);
  if (f.name == NULL || files_append (now, f) == -1) {
    free (f.name);
    return rv_error_nomem (err);
  }
  return 0;
}

static int
read_names (struct rv_folder *folder, struct files *now, rawview_error *err)
{
  RV_CLEANUP (cleanup_dir)
  DIR *dir = open_dir (folder->dirfd, folder->path, err);
  struct dirent *d;

  if (dir == NULL)
    return -1;
  while ((d = readdir (dir)))
    if (add_file (folder, d->d_name, now, err) == -1)
      return -1;
  if (now->len > 0)
    qsort (now->ptr, now->len, sizeof now->ptr[0], compare_files);
  return 0;
}

/* Does somebody write to a disk of the file, through us? */
static bool
has_writer (const struct file *f)
{
  for (size_t i = 0; i < f->disks.len; i++) {
    rawview_image *image = f->disks.ptr[i].image;

    if (image && atomic_load (&image->refs) > 1 && rawview_is_writable (image))
      return true;
  }
  return false;
}

/* What we write changes all the time.  It is looked at when that has ended. */
static bool
is_still (const struct file *old, const struct file *new)
{
  return unchanged (&old->st, &new->st) ||
         (has_writer (old) && old->st.st_dev == new->st.st_dev &&
          old->st.st_ino == new->st.st_ino);
}

/* Takes over what is known of files that have not changed.  Returns whether
 * anything has: come, changed or gone.
 */
static bool
keep_unchanged (struct files *before, struct files *now)
{
  size_t kept = 0;

  for (size_t i = 0; i < now->len; i++) {
    struct file *new = &now->ptr[i], *old = find_file (before, new->name), tmp;

    if (old && is_still (old, new)) {
      tmp = *new;
      *new = *old;
      *old = tmp;
      kept++;
    }
  }
  return kept < now->len || kept < before->len;
}

static void
mark_extents_of (struct files *files, const struct file *f)
{
  for (size_t i = 0; i < f->extents.len; i++) {
    struct file *extent = find_file (files, f->extents.ptr[i]);

    if (extent && extent != f)
      extent->is_extent = true;
  }
}

/* Finds out which files are extents of others.  A guest can write a descriptor
 * into its extent, to make other images disappear: what is refused has no say
 * if it is an extent itself.
 */
static void
mark_extents (struct files *files)
{
  for (size_t i = 0; i < files->len; i++)
    files->ptr[i].is_extent = false;
  for (size_t i = 0; i < files->len; i++)
    if (files->ptr[i].disks.len > 0)
      mark_extents_of (files, &files->ptr[i]);
  for (size_t i = 0; i < files->len; i++)
    if (files->ptr[i].disks.len == 0 && !files->ptr[i].is_extent)
      mark_extents_of (files, &files->ptr[i]);
}

/* Those that we write cannot be opened a second time. */
static void
mark_written (struct files *files)
{
  for (size_t i = 0; i < files->len; i++)
    files->ptr[i].is_written = has_writer (&files->ptr[i]);
  for (size_t i = 0; i < files->len; i++) {
    struct file *f = &files->ptr[i];

    for (size_t j = 0; has_writer (f) && j < f->extents.len; j++) {
      struct file *extent = find_file (files, f->extents.ptr[j]);

      if (extent)
        extent->is_written = true;
    }
  }
}

/* "vm-flat.vmdk", "vm-f001.vmdk" */
static bool
is_called_flat (const char *name)
{
  size_t n = strlen (name);
  const char *p = name + n;

  if (n < 5 || strcasecmp (p -= 5, ".vmdk") != 0)
    return false;
  if (p - name >= 5 && strncasecmp (p - 5, "-flat", 5) == 0)
    return true;
  while (p > name && isdigit ((unsigned char) p[-1]))
    p--;
  return isdigit ((unsigned char) *p) && p - name >= 2 &&
         strncasecmp (p - 2, "-f", 2) == 0;
}

/* Handles that nobody but us has are closed. */
static void
close_idle (struct file *f)
{
  for (size_t i = 0; i < f->disks.len; i++) {
    struct rv_disk *d = &f->disks.ptr[i];

    if (d->image && atomic_load (&d->image->refs) == 1) {
      rawview_close (d->image);
      d->image = NULL;
    }
  }
}

/*--- Looking at a file --------------------------------------------------*/

struct scan {
  struct rv_folder *folder;
  rv_log_fn log;
  void *opaque;
};

static void
report (const struct scan *s, const char *msg)
{
  if (s->log)
    s->log (s->opaque, msg);
}

/* The reason may be about another file: then both are named. */
static char *
skipped_line (const struct file *f, const rawview_error *err)
{
  size_t n = strlen (f->name);

  if (strncmp (err->msg, f->name, n) == 0 && err->msg[n] != '\0' &&
      strchr (": ", err->msg[n]) != NULL)
    return rv_text_format ("skipped: %s", err->msg);
  return rv_text_format ("skipped: %s: %s", f->name, err->msg);
}

/* The file is left out; the same reason is told once. */
static void
refuse (const struct scan *s, struct file *f, const rawview_error *err)
{
  CLEANUP_FREE char *line = skipped_line (f, err);

  f->looked_at = true;
  f->may_heal = err->kind == RAWVIEW_ERROR_IO ||
                err->kind == RAWVIEW_ERROR_NOMEM ||
                err->kind == RAWVIEW_ERROR_REFUSED;
  rv_disks_free (&f->disks);
  if (line == NULL || (f->refusal && strcmp (f->refusal, line) == 0))
    return;
  free (f->refusal);
  f->refusal = STEAL (line);
  report (s, f->refusal);
}

static int
check_name (const struct file *f, const char *name, rawview_error *err)
{
  for (size_t i = 0; i < f->disks.len; i++)
    if (strcmp (f->disks.ptr[i].name, name) == 0)
      return rv_error_corrupt (err,
                               "%s: two of its disks would be called "
                               "\"%s\"",
                               f->name, name);
  return 0;
}

/* Opens one disk of the file and remembers it. */
static int
look_at_disk (const struct scan *s, struct file *f, struct rv_io *io,
              const char *member, bool only, rawview_error *err)
{
  struct rv_source source = { .name = f->name,
                              .dirfd = s->folder->dirfd,
                              .folder = s->folder->path,
                              .look = true,
                              .extents = &f->extents };
  rawview_options *opts = rawview_options_dup (s->folder->opts);
  CLEANUP_FREE char *name =
      only ? strdup (f->name)
           : rv_text_format ("%s:%s", f->name, rv_text_basename (member));
  rawview_image *image;
  int r = -1;

  if (opts == NULL || name == NULL)
    rv_error_nomem (err);
  else if (check_name (f, name, err) == 0 &&
           (member == NULL ||
            rawview_options_set (opts, "disk", member, err) == 0) &&
           rv_image_open (io, &source, opts, &image, err) == 0) {
    for (size_t i = 0; rawview_get_warning (image, i); i++)
      report (s, rawview_get_warning (image, i));
    r = rv_disks_add (&f->disks, name, f->name, opts, image, f->st.st_mtim,
                      err);
    close_idle (f);
  }
  rawview_options_free (opts);
  return r;
}

static int
look_at_ova (const struct scan *s, struct file *f, struct rv_io *io,
             rawview_error *err)
{
  struct rv_ova_members members = { 0 };
  struct rv_warnings ignored = { 0 };
  int r = rv_ova_disks (io, &members, &ignored, err);

  for (size_t i = 0; r == 0 && i < members.len; i++)
    r = look_at_disk (s, f, io, members.ptr[i].name, members.len == 1, err);
  rv_ova_members_free (&members);
  rv_warnings_free (&ignored);
  return r;
}

/* A VMDK, and none of the binary kinds? */
static bool
may_be_descriptor (struct rv_io *io, const struct rv_probe_result *probe)
{
  static const char binary[][5] = { "KDMV", "COWD", "\xbe\xba\xfe\xca" };
  char first[4];

  if (probe->format != &rv_format_vmdk ||
      rv_io_pread (io, first, sizeof first, 0, NULL) == -1)
    return false;
  for (size_t i = 0; i < sizeof binary / sizeof binary[0]; i++)
    if (memcmp (first, binary[i], sizeof first) == 0)
      return false;
  return true;
}

/* descriptors: look only at those that may be text descriptors of VMDKs. */
static int
look_at_io (const struct scan *s, struct file *f, struct rv_io *io,
            bool descriptors, rawview_error *err)
{
  bool any = s->folder->opts->format == NULL;
  struct rv_probe_result probe;

  if (rv_probe (io, &probe, err) == -1)
    return -1;
  if (descriptors && !may_be_descriptor (io, &probe)) {
    f->no_descriptor = true;
    return 0;
  }
  f->looked_at = true;
  if (any && probe.format == NULL && !probe.ova && probe.foreign == NULL)
    return 0; /* not an image, and not called one */
  if (any && probe.ova && probe.second == NULL)
    return look_at_ova (s, f, io, err);
  return look_at_disk (s, f, io, NULL, true, err);
}

static int
look_at_file (const struct scan *s, struct file *f, bool descriptors,
              rawview_error *err)
{
  struct rv_source source = { .name = f->name,
                              .dirfd = s->folder->dirfd,
                              .folder = s->folder->path,
                              .look = true };
  struct rv_warnings ignored = { 0 };
  CLEANUP_IO struct rv_io *io = NULL;
  int r;

  if (s->folder->opts->format == NULL && is_called_flat (f->name))
    return rv_error_refused (err,
                             "%s: is called like the data of a VMDK, whose "
                             "descriptor is not here",
                             f->name);
  r = rv_source_open (&source, s->folder->opts, &ignored, &io, err);
  if (r == 0)
    r = look_at_io (s, f, io, descriptors, err);
  rv_warnings_free (&ignored);
  return r;
}

/* What it named as extents is believed until it names others. */
static void
look_at (const struct scan *s, struct file *f, bool descriptors)
{
  struct rv_strings before = f->extents;
  rawview_error err;

  if (f->looked_at || (descriptors && f->no_descriptor))
    return;
  if (descriptors && is_called_flat (f->name))
    return;
  f->extents = (struct rv_strings){ 0 };
  if (look_at_file (s, f, descriptors, &err) == -1)
    refuse (s, f, &err);
  else if (f->looked_at) {
    free (f->refusal);
    f->refusal = NULL;
  }
  if (f->extents.len == 0 && f->disks.len == 0) {
    f->extents = before;
    return;
  }
  strings_free (&before);
}

/*--- The interface ------------------------------------------------------*/

/* The folder for overlays must be there, and may be this one. */
static int
look_at_overlay_dir (struct rv_folder *f, rawview_error *err)
{
  const char *dir = f->opts->overlay_dir;
  struct stat here, there;

  if (dir == NULL)
    return 0;
  if (stat (dir, &there) == -1)
    return rv_error_errno (err, errno, "overlay-dir=%s", dir);
  f->has_overlays = fstat (f->dirfd, &here) == 0 &&
                    here.st_dev == there.st_dev && here.st_ino == there.st_ino;
  return 0;
}

int
rv_folder_open (const char *dir, const rawview_options *opts,
                struct rv_folder **folder, rawview_error *err)
{
  struct rv_folder *f;

  if (opts->fd != -1 || opts->parent || opts->data_file || opts->disk ||
      opts->snapshot || opts->overlay)
    return rv_error_usage (err,
                           "%s: fd, parent, data-file, disk, snapshot and "
                           "overlay are for one image, not for a folder",
                           dir);
  f = calloc (1, sizeof *f);
  if (f == NULL)
    return rv_error_nomem (err);
  f->path = rv_path_absolute (dir);
  f->opts = rawview_options_dup (opts);
  f->dirfd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (f->dirfd == -1)
    rv_error_errno (err, errno, "cannot open the folder %s", dir);
  else if (f->path == NULL || f->opts == NULL)
    rv_error_nomem (err);
  else if (look_at_overlay_dir (f, err) == 0) {
    *folder = f;
    return 0;
  }
  rv_folder_free (f);
  return -1;
}

void
rv_folder_free (struct rv_folder *f)
{
  if (f == NULL)
    return;
  files_free (&f->files);
  free (f->path);
  rawview_options_free (f->opts);
  if (f->dirfd != -1)
    close (f->dirfd);
  free (f);
}

/* Refused files get another chance. */
static void
look_again (struct files *files, bool changed)
{
  for (size_t i = 0; i < files->len; i++) {
    struct file *f = &files->ptr[i];

    if (f->refusal && f->disks.len == 0 && (changed || f->may_heal))
      f->looked_at = false;
  }
}

int
rv_folder_scan (struct rv_folder *folder, rv_log_fn log, void *opaque,
                rawview_error *err)
{
  struct scan s = { folder, log, opaque };
  struct files now = { 0 };
  bool changed;

  if (read_names (folder, &now, err) == -1) {
    files_free (&now);
    return -1;
  }
  changed = keep_unchanged (&folder->files, &now);
  files_free (&folder->files);
  folder->files = now;
  look_again (&folder->files, changed);
  mark_written (&folder->files);
  for (size_t i = 0; i < now.len; i++)
    if (!now.ptr[i].is_written)
      look_at (&s, &now.ptr[i], true);
  mark_extents (&folder->files);
  for (size_t i = 0; i < now.len; i++)
    if (!now.ptr[i].is_extent && !now.ptr[i].is_written)
      look_at (&s, &now.ptr[i], false);
  mark_extents (&folder->files);
  for (size_t i = 0; i < now.len; i++)
    close_idle (&now.ptr[i]);
  return 0;
}

int
rv_folder_each (struct rv_folder *folder,
                int (*fn) (void *opaque, struct rv_disk *disk), void *opaque)
{
  for (size_t i = 0; i < folder->files.len; i++) {
    struct file *f = &folder->files.ptr[i];

    if (f->is_extent)
      continue;
    for (size_t j = 0; j < f->disks.len; j++)
      if (fn (opaque, &f->disks.ptr[j]) != 0)
        return 1;
  }
  return 0;
}

int
rv_folder_open_disk (struct rv_folder *folder, struct rv_disk *disk,
                     rawview_image **image, rawview_error *err)
{
  struct rv_source source = { .name = disk->source,
                              .dirfd = folder->dirfd,
                              .folder = folder->path };
  struct rv_warnings warnings = { 0 };
  CLEANUP_IO struct rv_io *io = NULL;
  int r = 0;

  /* Whoever still has it reads on; for others there is a new one. */
  if (disk->image && atomic_load (&disk->image->writing.finished)) {
    rawview_close (disk->image);
    disk->image = NULL;
  }
  if (disk->image == NULL) {
    r = rv_source_open (&source, disk->opts, &warnings, &io, err);
    if (r == 0)
      r = rv_image_open (io, &source, disk->opts, &disk->image, err);
    rv_warnings_free (&warnings);
  }
  if (r == 0)
    *image = rawview_ref (disk->image);
  return r;
}

/*--- The sandbox --------------------------------------------------------*/

/* Its files are opened when somebody asks for them. */
int
rv_folder_sandbox (const struct rv_folder *f, struct rv_sandbox_rules *rules,
                   rawview_error *err)
{
  const rawview_options *o = f->opts;
  unsigned may = RV_MAY_READ;

  rules->beneath = true;
  if (o->writable && !rv_options_have_overlay (o))
    may |= RV_MAY_WRITE;
  if (rv_sandbox_add (rules, f->dirfd, may, err) == -1)
    return -1;
  if (o->overlay_dir &&
      rv_sandbox_add_path (rules, o->overlay_dir,
                           RV_MAY_READ | RV_MAY_WRITE | RV_MAY_CREATE |
                               RV_MAY_REMOVE_FILE,
                           err) == -1)
    return -1;
  for (size_t i = 0; i < o->directories.len; i++)
    if (rv_sandbox_add_path (rules, o->directories.ptr[i], RV_MAY_READ, err) ==
        -1)
      return -1;
  return 0;
}
