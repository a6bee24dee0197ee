/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dest.h"

#define VOLUME_PREFIX "libvirt:"

/*--- What was said ------------------------------------------------------*/

static bool
ends_with (const char *text, const char *end)
{
  size_t len = strlen (text), n = strlen (end);

  return len >= n && strcmp (text + len - n, end) == 0;
}

/* Takes a setting off the end of the text: ",format=qcow2" and the like. */
static bool
take_setting (char *text, const char *setting)
{
  if (!ends_with (text, setting))
    return false;
  text[strlen (text) - strlen (setting)] = '\0';
  return true;
}

/* Only these words at the very end mean something, so that names and URIs may
 * have commas.
 */
static void
take_settings (char *text, struct dest *d)
{
  bool more = true, said = false;

  while (more) {
    more = true;
    if (d->format == NULL && take_setting (text, ",format=raw"))
      d->format = "raw";
    else if (d->format == NULL && take_setting (text, ",format=qcow2"))
      d->format = "qcow2";
    else if (!said && take_setting (text, ",allocation=sparse")) {
      d->preallocated = false;
      said = true;
    }
    else if (!said && take_setting (text, ",allocation=preallocated"))
      d->preallocated = said = true;
    else
      more = false;
  }
}

static int
parse_volume (const char *name, struct dest *d, rawview_error *err)
{
  const char *slash = strchr (name, '/');

  d->kind = DEST_VOLUME;
  if (slash == NULL || slash == name || slash[1] == '\0' ||
      strchr (slash + 1, '/') != NULL)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                          "import: --to=" VOLUME_PREFIX
                          "%s: must be " VOLUME_PREFIX "POOL/VOLUME",
                          name);
  d->where = cli_format ("%s", name);
  return 0;
}

static int
parse_path (const char *path, struct dest *d, rawview_error *err)
{
  struct stat st;

  if (*path == '\0' || strcmp (path, "-") == 0)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                          "import: --to=%s: must be a file, a folder, a block "
                          "device, an NBD URI or " VOLUME_PREFIX "POOL/VOLUME",
                          path);
  d->where = cli_absolute_path (path, err);
  if (d->where == NULL)
    return -1;
  d->path = cli_format ("%s", d->where);
  if (stat (path, &st) == 0 && S_ISBLK (st.st_mode))
    d->kind = DEST_BLOCK;
  return 0;
}

static int
parse (const char *said, bool preallocated, struct dest *d, rawview_error *err)
{
  CLEANUP_FREE char *text = cli_format ("%s", said);

  *d = (struct dest){ .preallocated = preallocated, .fd = -1 };
  take_settings (text, d);
  if (strncmp (text, VOLUME_PREFIX, strlen (VOLUME_PREFIX)) == 0)
    return parse_volume (text + strlen (VOLUME_PREFIX), d, err);
  if (!cli_is_nbd_uri (text))
    return parse_path (text, d, err);
  d->kind = DEST_NBD;
  d->where = cli_format ("%s", text);
  d->path = cli_format ("%s", text);
  return 0;
}

static int
parse_allocation (const char *said, bool *preallocated, rawview_error *err)
{
  *preallocated = said != NULL && strcmp (said, "preallocated") == 0;
  if (said == NULL || *preallocated || strcmp (said, "sparse") == 0)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                        "import: --allocation=%s: must be sparse or "
                        "preallocated",
                        said);
}

static struct dest *
allocate (size_t n)
{
  struct dest *items = calloc (n, sizeof *items);

  if (items == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  for (size_t i = 0; i < n; i++)
    items[i].fd = -1;
  return items;
}

int
dests_parse (const struct cli_list *to, const char *allocation,
             struct dests *dests, rawview_error *err)
{
  bool preallocated;

  *dests = (struct dests){ 0 };
  if (parse_allocation (allocation, &preallocated, err) == -1)
    return -1;
  if (to->len == 0)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                          "import: --to=DEST must say where the disks go");
  dests->items = allocate (to->len);
  for (; dests->n < to->len; dests->n++)
    if (parse (to->items[dests->n], preallocated, &dests->items[dests->n],
               err) == -1) {
      dests->n++;
      return -1;
    }
  return 0;
}

static void
clear (struct dest *d)
{
  free (d->where);
  free (d->path);
  if (d->fd >= 0)
    close (d->fd);
}

void
dests_clear (struct dests *dests)
{
  for (size_t i = 0; i < dests->n; i++)
    clear (&dests->items[i]);
  free (dests->items);
  *dests = (struct dests){ 0 };
}

/*--- One for each disk --------------------------------------------------*/

static bool
is_folder (const struct dest *d)
{
  struct stat st;

  return d->kind == DEST_FILE &&
         (ends_with (d->where, "/") ||
          (stat (d->where, &st) == 0 && S_ISDIR (st.st_mode)));
}

/* How much of "vm-disk1.vmdk" is its name. */
static size_t
stem_length (const char *name)
{
  static const char *const suffixes[] = { ".vmdk", ".qcow2", ".raw", ".img" };

  for (size_t i = 0; i < CLI_COUNT (suffixes); i++)
    if (ends_with (name, suffixes[i]) && strlen (name) > strlen (suffixes[i]))
      return strlen (name) - strlen (suffixes[i]);
  return strlen (name);
}

/* "a.vmdk" and "a.qcow2" cannot both become "a.raw". */
static bool
stem_is_taken (const struct machine *m, size_t i)
{
  const char *name = m->disks[i].name;
  size_t len = stem_length (name);

  for (size_t j = 0; j < m->n_disks; j++)
    if (j != i && stem_length (m->disks[j].name) == len &&
        strncmp (m->disks[j].name, name, len) == 0)
      return true;
  return false;
}

static char *
path_in_folder (const char *folder, const struct machine *m, size_t i,
                const char *suffix)
{
  const char *name = m->disks[i].name;
  size_t len = suffix == NULL || stem_is_taken (m, i) ? strlen (name)
                                                      : stem_length (name);

  return cli_format ("%s%s%.*s%s%s", folder, ends_with (folder, "/") ? "" : "/",
                     (int) len, name, suffix ? "." : "", suffix ? suffix : "");
}

static const char *
format_of_suffix (const struct dest *d)
{
  if (d->kind != DEST_FILE && d->kind != DEST_VOLUME)
    return NULL;
  if (ends_with (d->where, ".qcow2"))
    return "qcow2";
  return ends_with (d->where, ".raw") || ends_with (d->where, ".img") ? "raw"
                                                                      : NULL;
}

static void
choose_format (struct dest *d, const char *format, bool as_is)
{
  if (d->format == NULL && !as_is)
    d->format = format_of_suffix (d);
  if (d->format == NULL)
    d->format = format && !as_is ? format : "raw";
}

static void
spread (struct dests *dests, const struct machine *m,
        const char *const *formats, bool as_is)
{
  struct dest *items = allocate (m->n_disks), *folder = &dests->items[0];

  for (size_t i = 0; i < m->n_disks; i++) {
    struct dest *d = &items[i];

    d->preallocated = folder->preallocated;
    d->format = folder->format;
    if (d->format == NULL)
      d->format = formats[i] && !as_is ? formats[i] : "raw";
    d->where = path_in_folder (folder->where, m, i, as_is ? NULL : d->format);
    d->path = cli_format ("%s", d->where);
  }
  clear (folder);
  free (dests->items);
  *dests = (struct dests){ items, m->n_disks };
}

static int
check_twice (const struct dests *dests, rawview_error *err)
{
  for (size_t i = 0; i < dests->n; i++)
    for (size_t j = 0; j < i; j++)
      if (dests->items[i].kind == dests->items[j].kind &&
          strcmp (dests->items[i].where, dests->items[j].where) == 0)
        return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                              "import: %s cannot take two disks",
                              dests->items[i].where);
  return 0;
}

int
dests_assign (struct dests *dests, const struct machine *m,
              const char *const *formats, bool as_is, rawview_error *err)
{
  if (dests->n == 1 && is_folder (&dests->items[0]))
    spread (dests, m, formats, as_is);
  if (dests->n != m->n_disks)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                          "import: %s has %zu disk%s, but --to names %zu "
                          "destination%s; a folder is one for all",
                          m->name, m->n_disks, m->n_disks == 1 ? "" : "s",
                          dests->n, dests->n == 1 ? "" : "s");
  for (size_t i = 0; i < dests->n; i++)
    choose_format (&dests->items[i], formats[i], as_is);
  return check_twice (dests, err);
}

/*--- Looking ------------------------------------------------------------*/

static int
too_small (const struct dest *d, uint64_t size, rawview_error *err)
{
  if (d->size >= size)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_USAGE, ENOSPC,
                        "%s: has %llu bytes, the disk needs %llu", d->where,
                        (unsigned long long) d->size,
                        (unsigned long long) size);
}

static bool
is_qcow2 (const struct dest *d)
{
  return strcmp (d->format, "qcow2") == 0;
}

/* A server's size is asked by who reads from it. */
static int
look_at_server (struct dest *d, uint64_t size, rawview_error *err)
{
  CLEANUP_IMAGE rawview_image *image = NULL;
  rawview_options *o = rawview_options_new ();
  int r = -1;

  if (o == NULL)
    return cli_error_errno (err, ENOMEM, "import");
  if (rawview_options_set (o, "format", "raw", err) == 0)
    r = rawview_open (d->path, o, &image, err);
  rawview_options_free (o);
  if (r == -1)
    return -1;
  d->exists = true;
  d->size = rawview_get_size (image);
  return too_small (d, size, err);
}

static int
look_at_device (struct dest *d, uint64_t size, rawview_error *err)
{
  int fd = d->fd >= 0 ? d->fd : open (d->path, O_RDONLY | O_CLOEXEC);
  off_t end;

  if (fd == -1)
    return cli_error_errno (err, errno, "%s", d->where);
  end = lseek (fd, 0, SEEK_END);
  if (end == -1)
    cli_error_errno (err, errno, "%s: cannot find its size", d->where);
  if (fd != d->fd)
    close (fd);
  if (end == -1)
    return -1;
  d->exists = true;
  d->size = (uint64_t) end;
  return too_small (d, size, err);
}

static int
look_at_file (struct dest *d, bool force, rawview_error *err)
{
  struct stat st;

  if (stat (d->path, &st) == -1)
    return errno == ENOENT ? 0 : cli_error_errno (err, errno, "%s", d->where);
  if (!S_ISREG (st.st_mode))
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, EINVAL,
                          "%s: is neither a file nor a block device", d->where);
  d->exists = true;
  d->used = st.st_size > 0;
  if (d->used && !force)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EEXIST,
                          "%s: exists and is not empty (--force overwrites it)",
                          d->where);
  return 0;
}

static int
look_at_folder (const struct dest *d, rawview_error *err)
{
  const char *slash = strrchr (d->path, '/');
  CLEANUP_FREE char *folder =
      cli_format ("%.*s", (int) (slash - d->path) + 1, d->path);

  return access (folder, W_OK | X_OK) == 0
             ? 0
             : cli_error_errno (err, errno, "%s", folder);
}

int
dest_look (struct dest *d, uint64_t size, bool force, rawview_error *err)
{
  struct stat st;

  if (is_qcow2 (d) && (d->kind == DEST_NBD || d->kind == DEST_BLOCK))
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, 0,
                          "%s: qcow2 is for files; this is written as raw",
                          d->where);
  if (d->kind == DEST_NBD)
    return look_at_server (d, size, err);
  if (d->path == NULL)
    return 0;
  if (stat (d->path, &st) == 0 && S_ISBLK (st.st_mode))
    return look_at_device (d, size, err);
  if (look_at_file (d, force, err) == -1)
    return -1;
  return d->exists ? 0 : look_at_folder (d, err);
}

/*--- Opening ------------------------------------------------------------*/

/* Root opens it, perhaps by a name that others can change. */
static int
check_device (const struct dest *d, rawview_error *err)
{
  struct stat st;

  if (fstat (d->fd, &st) == 0 && S_ISBLK (st.st_mode))
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_REFUSED, ENOTBLK,
                        "%s: is no block device any more", d->where);
}

int
dest_open_early (struct dest *d, rawview_error *err)
{
  if (d->kind != DEST_BLOCK || d->fd >= 0)
    return 0;
  d->fd = open (d->path, O_RDWR | O_EXCL | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (d->fd >= 0)
    return check_device (d, err);
  if (errno == EBUSY)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EBUSY,
                          "%s: is in use, perhaps mounted", d->where);
  return cli_error_errno (err, errno, "%s", d->where);
}

struct copy_target *
dest_open (struct dest *d, const struct copy_target_options *options,
           rawview_error *err)
{
  struct copy_target_options o = *options;

  o.preallocated = d->preallocated;
  o.force = o.force || d->is_new;
  o.fd = d->fd >= 0 ? &d->fd : NULL;
  if (d->kind == DEST_NBD)
    return copy_nbd_open (d->path, &o, err);
  if (is_qcow2 (d))
    return copy_image_open (d->path, &o, err);
  return copy_file_open (d->path, &o, err);
}

const char *
dest_describe (const struct dest *d)
{
  switch (d->kind) {
  case DEST_BLOCK:
    return "block device";
  case DEST_NBD:
    return "NBD server";
  case DEST_VOLUME:
    return is_qcow2 (d) ? "qcow2 volume" : "raw volume";
  case DEST_FILE:
    break;
  }
  return is_qcow2 (d) ? "qcow2 file" : "raw file";
}
