/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options, declared once: the table at the bottom is what nbdkit
 * parameters, rawviewfs options and command line flags are made from.
 */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "engine/workers.h"
#include "util/error.h"
#include "util/text.h"

/*--- Paths --------------------------------------------------------------*/

/* Appends the parts of path to out, which has room, resolving dots. */
static char *
append_parts (char *out, char *end, const char *path)
{
  while (*path) {
    size_t n = strcspn (path, "/");

    if (n == 2 && memcmp (path, "..", 2) == 0) {
      while (end > out && *--end != '/')
        ;
    }
    else if (n > 0 && !(n == 1 && *path == '.')) {
      *end++ = '/';
      memcpy (end, path, n);
      end += n;
    }
    path += n;
    path += *path == '/';
  }
  *end = '\0';
  return end;
}

char *
rv_path_normalize (const char *base, const char *path)
{
  char *out = malloc (strlen (base) + strlen (path) + 3), *end = out;

  if (out == NULL)
    return NULL;
  if (path[0] != '/')
    end = append_parts (out, end, base);
  end = append_parts (out, end, path);
  if (end == out)
    strcpy (out, "/");
  return out;
}

char *
rv_path_absolute (const char *path)
{
  CLEANUP_FREE char *cwd = NULL;

  if (path[0] == '/')
    return rv_path_normalize ("/", path);
  cwd = getcwd (NULL, 0);
  return cwd ? rv_path_normalize (cwd, path) : NULL;
}

/*--- Values -------------------------------------------------------------*/

static int
set_text (char **field, const char *value, rawview_error *err)
{
  free (*field);
  *field = strdup (value);
  return *field ? 0 : rv_error_nomem (err);
}

static int
set_path (char **field, const char *value, rawview_error *err)
{
  /* Not normalised: ".." behind a symbolic link is the operator's to use. */
  if (value[0] == '/' || rv_text_is_nbd_uri (value))
    return set_text (field, value, err);
  CLEANUP_FREE char *cwd = getcwd (NULL, 0);

  if (cwd == NULL)
    return rv_error_errno (err, errno, "cannot find the working directory");
  free (*field);
  *field = rv_text_format ("%s/%s", cwd, value);
  return *field ? 0 : rv_error_nomem (err);
}

/* The same for what must be a file of this machine. */
static int
set_local_path (char **field, const char *key, const char *value,
                rawview_error *err)
{
  if (value[0] == '\0' || rv_text_is_nbd_uri (value))
    return rv_error_usage (err, "%s=%s: this must be a file or folder here",
                           key, value);
  return set_path (field, value, err);
}

static int
set_bool (bool *field, const char *key, const char *value, rawview_error *err)
{
  if (!rv_text_parse_bool (value, field))
    return rv_error_usage (err, "%s=%s: use yes or no", key, value);
  return 0;
}

static int
set_number (unsigned *field, const char *key, const char *value, unsigned min,
            unsigned max, rawview_error *err)
{
  uint64_t n;

  if (!rv_text_parse_size (value, &n) || n < min || n > max)
    return rv_error_usage (err, "%s=%s: use a number from %u to %u", key, value,
                           min, max);
  *field = n;
  return 0;
}

static int
set_size (uint64_t *field, const char *key, const char *value, uint64_t max,
          rawview_error *err)
{
  uint64_t n;

  if (!rv_text_parse_size (value, &n) || n > max)
    return rv_error_usage (err,
                           "%s=%s: use a size up to %ju bytes, such as 64M",
                           key, value, (uintmax_t) max);
  *field = n;
  return 0;
}

static int
set_driver (const struct rv_format_ops **field, const char *key,
            const char *value, rawview_error *err)
{
  *field = NULL;
  if (strcasecmp (value, "auto") == 0)
    return 0;
  for (size_t i = 0; rv_formats[i]; i++)
    if (strcasecmp (value, rv_formats[i]->name) == 0) {
      *field = rv_formats[i];
      return 0;
    }
  return rv_error_usage (
      err, "%s=%s: the formats are auto, qcow2, vmdk and raw", key, value);
}

static size_t find_option (const char *key);

/*--- One function an option ---------------------------------------------*/

static int
set_format (rawview_options *o, const char *key, const char *value,
            rawview_error *err)
{
  return set_driver (&o->format, key, value, err);
}

static int
set_snapshot (rawview_options *o, const char *key, const char *value,
              rawview_error *err)
{
  return set_text (&o->snapshot, value, err);
}

static int
set_disk (rawview_options *o, const char *key, const char *value,
          rawview_error *err)
{
  return set_text (&o->disk, value, err);
}

static int
add_directory (rawview_options *o, const char *value, rawview_error *err)
{
  CLEANUP_FREE char *dir = rv_path_absolute (value);

  if (dir == NULL || rv_strings_append (&o->directories, dir) == -1)
    return rv_error_nomem (err);
  dir = NULL;
  return 0;
}

/* The first references= replaces what was so before. */
static void
forget_references (rawview_options *o)
{
  o->same_directory = false;
  for (size_t i = 0; i < o->directories.len; i++)
    free (o->directories.ptr[i]);
  rv_strings_release (&o->directories);
}

static int
set_references (rawview_options *o, const char *key, const char *value,
                rawview_error *err)
{
  if (value[0] == '\0')
    return rv_error_usage (err, "%s= needs same-directory, none or a folder",
                           key);
  if (!(o->given & 1ull << find_option (key)))
    forget_references (o);
  o->references_given = true;
  if (strcasecmp (value, "none") == 0)
    return 0;
  if (strcasecmp (value, "same-directory") == 0) {
    o->same_directory = true;
    return 0;
  }
  return add_directory (o, value, err);
}

static int
set_parent (rawview_options *o, const char *key, const char *value,
            rawview_error *err)
{
  return set_path (&o->parent, value, err);
}

static int
set_parent_format (rawview_options *o, const char *key, const char *value,
                   rawview_error *err)
{
  return set_driver (&o->parent_format, key, value, err);
}

static int
set_data_file (rawview_options *o, const char *key, const char *value,
               rawview_error *err)
{
  return set_path (&o->data_file, value, err);
}

/* The one replaces the other, as it was set in the original of a copy. */
static int
set_either (rawview_options *o, const char *key, const char *value,
            char **field, const char *other_key, char **other,
            rawview_error *err)
{
  if (o->given & 1ull << find_option (other_key))
    return rv_error_usage (err, "give %s= or %s=, not both", other_key, key);
  if (set_local_path (field, key, value, err) == -1)
    return -1;
  free (*other);
  *other = NULL;
  return 0;
}

static int
set_overlay (rawview_options *o, const char *key, const char *value,
             rawview_error *err)
{
  return set_either (o, key, value, &o->overlay, "overlay-dir", &o->overlay_dir,
                     err);
}

static int
set_overlay_dir (rawview_options *o, const char *key, const char *value,
                 rawview_error *err)
{
  return set_either (o, key, value, &o->overlay_dir, "overlay", &o->overlay,
                     err);
}

static int
set_check (rawview_options *o, const char *key, const char *value,
           rawview_error *err)
{
  if (strcasecmp (value, "lazy") == 0)
    o->check = RV_CHECK_LAZY;
  else if (strcasecmp (value, "full") == 0)
    o->check = RV_CHECK_FULL;
  else
    return rv_error_usage (err, "%s=%s: use lazy or full", key, value);
  return 0;
}

static int
set_allow_devices (rawview_options *o, const char *key, const char *value,
                   rawview_error *err)
{
  return set_bool (&o->allow_devices, key, value, err);
}

static int
set_allow_truncated (rawview_options *o, const char *key, const char *value,
                     rawview_error *err)
{
  return set_bool (&o->allow_truncated, key, value, err);
}

static int
set_rescue (rawview_options *o, const char *key, const char *value,
            rawview_error *err)
{
  return set_bool (&o->rescue, key, value, err);
}

static int
set_max_size (rawview_options *o, const char *key, const char *value,
              rawview_error *err)
{
  return set_size (&o->max_size, key, value, INT64_MAX, err);
}

static int
set_cache (rawview_options *o, const char *key, const char *value,
           rawview_error *err)
{
  uint64_t n;

  if (set_size (&n, key, value, RV_MAX_CACHE, err) == -1)
    return -1;
  o->cache = n;
  return 0;
}

static int
set_workers (rawview_options *o, const char *key, const char *value,
             rawview_error *err)
{
  return set_number (&o->workers, key, value, 0, RV_WORKERS_MAX, err);
}

static int
set_connections (rawview_options *o, const char *key, const char *value,
                 rawview_error *err)
{
  return set_number (&o->connections, key, value, 1, RV_MAX_CONNECTIONS, err);
}

static int
set_locking (rawview_options *o, const char *key, const char *value,
             rawview_error *err)
{
  bool on;

  if (strcasecmp (value, "auto") == 0)
    o->locking = RV_LOCKING_AUTO;
  else if (rv_text_parse_bool (value, &on))
    o->locking = on ? RV_LOCKING_ON : RV_LOCKING_OFF;
  else
    return rv_error_usage (err, "%s=%s: use auto, on or off", key, value);
  return 0;
}

static int
set_sandbox (rawview_options *o, const char *key, const char *value,
             rawview_error *err)
{
  bool on;

  if (strcasecmp (value, "auto") == 0)
    o->sandbox = RV_SANDBOX_AUTO;
  else if (rv_text_parse_bool (value, &on))
    o->sandbox = on ? RV_SANDBOX_ON : RV_SANDBOX_OFF;
  else
    return rv_error_usage (err, "%s=%s: use auto, on or off", key, value);
  return 0;
}

static int
set_fd (rawview_options *o, const char *key, const char *value,
        rawview_error *err)
{
  unsigned fd;

  if (set_number (&fd, key, value, 0, INT32_MAX, err) == -1)
    return -1;
  o->fd = fd;
  return 0;
}

/*--- The table ----------------------------------------------------------*/

static const struct option {
  rawview_option_info info;
  bool repeatable;
  int (*set) (rawview_options *o, const char *key, const char *value,
              rawview_error *err);
} options[] = {
  { { "format", "auto|qcow2|vmdk|raw",
      "format of the image; auto never takes anything for raw" },
    false,
    set_format },
  { { "snapshot", "ID|NAME", "show an internal snapshot of a QCOW2 image" },
    false,
    set_snapshot },
  { { "disk", "N|NAME",
      "which disk of an OVA: its number from 1 on, or member name" },
    false,
    set_disk },
  { { "references", "same-directory|none|DIR",
      "where files that the image names may lie (repeatable)" },
    true,
    set_references },
  { { "parent", "FILE",
      "the backing file or parent, whatever the image calls it" },
    false,
    set_parent },
  { { "parent-format", "qcow2|vmdk|raw",
      "format of the backing file where the image does not record it" },
    false,
    set_parent_format },
  { { "data-file", "FILE", "the external data file of a QCOW2 image" },
    false,
    set_data_file },
  { { "overlay", "FILE",
      "write into this QCOW2 file, made if it is not there" },
    false,
    set_overlay },
  { { "overlay-dir", "DIR", "the same, with a file per disk in this folder" },
    false,
    set_overlay_dir },
  { { "check", "lazy|full", "how much to check before writing (default lazy)" },
    false,
    set_check },
  { { "allow-devices", "yes|no",
      "open block devices too, not only regular files" },
    false,
    set_allow_devices },
  { { "allow-truncated", "yes|no",
      "open flat files that are too short; what is missing fails to read" },
    false,
    set_allow_truncated },
  { { "rescue", "yes|no",
      "open damaged images too; what is lost fails to read" },
    false,
    set_rescue },
  { { "max-size", "SIZE", "refuse disks larger than this (default 64T)" },
    false,
    set_max_size },
  { { "cache", "SIZE", "memory for decompressed clusters (default 64M)" },
    false,
    set_cache },
  { { "workers", "N", "threads for decompression (default: one per CPU)" },
    false,
    set_workers },
  { { "connections", "N",
      "connections to an NBD server that has the image (default 4)" },
    false,
    set_connections },
  { { "locking", "auto|on|off",
      "lock out programs that would write the image" },
    false,
    set_locking },
  { { "sandbox", "auto|on|off",
      "give up what is not needed before anybody is served (default auto)" },
    false,
    set_sandbox },
  { { "fd", "N", "the image is already open as this file descriptor" },
    false,
    set_fd },
};

#define NR_OPTIONS (sizeof options / sizeof options[0])

const rawview_option_info *
rawview_option_get (size_t i)
{
  return i < NR_OPTIONS ? &options[i].info : NULL;
}

static size_t
find_option (const char *key)
{
  size_t i;

  for (i = 0; i < NR_OPTIONS; i++)
    if (strcmp (options[i].info.name, key) == 0)
      break;
  return i;
}

int
rawview_options_set (rawview_options *o, const char *key, const char *value,
                     rawview_error *err)
{
  size_t i = find_option (key);

  if (i == NR_OPTIONS)
    return rv_error_usage (err, "%s: there is no such option", key);
  if (o->given & 1ull << i && !options[i].repeatable)
    return rv_error_usage (err, "%s is given twice", key);
  if (options[i].set (o, key, value, err) == -1)
    return -1;
  o->given |= 1ull << i;
  return 0;
}

void
rawview_options_set_writable (rawview_options *o, bool writable)
{
  o->writable = writable;
}

int
rawview_options_ignore_child (rawview_options *o, const char *file,
                              rawview_error *err)
{
  struct stat st;

  if (stat (file, &st) == -1)
    return rv_error_errno (err, errno, "%s", file);
  o->ignored_child = (struct rv_file_id){ true, st.st_dev, st.st_ino };
  return 0;
}

/*--- Making and copying -------------------------------------------------*/

static unsigned
number_of_cpus (void)
{
  long n = sysconf (_SC_NPROCESSORS_ONLN);

  return n < 1 ? 1 : n > RV_WORKERS_MAX ? RV_WORKERS_MAX : n;
}

rawview_options *
rawview_options_new (void)
{
  rawview_options *o = calloc (1, sizeof *o);

  if (o == NULL)
    return NULL;
  o->same_directory = true;
  o->max_size = RV_DEFAULT_MAX_SIZE;
  o->cache = RV_DEFAULT_CACHE;
  o->workers = number_of_cpus ();
  o->connections = RV_DEFAULT_CONNECTIONS;
  o->fd = -1;
  return o;
}

void
rawview_options_free (rawview_options *o)
{
  if (o == NULL)
    return;
  free (o->snapshot);
  free (o->disk);
  free (o->parent);
  free (o->data_file);
  free (o->overlay);
  free (o->overlay_dir);
  for (size_t i = 0; i < o->directories.len; i++)
    free (o->directories.ptr[i]);
  rv_strings_release (&o->directories);
  free (o);
}

static bool
dup_text (char **field)
{
  if (*field == NULL)
    return true;
  *field = strdup (*field);
  return *field != NULL;
}

/* What was given to the original may be given to the copy again. */
rawview_options *
rawview_options_dup (const rawview_options *o)
{
  rawview_options *copy = malloc (sizeof *copy);
  bool ok;

  if (copy == NULL)
    return NULL;
  *copy = *o;
  copy->given = 0;
  copy->directories = (struct rv_strings){ 0 };
  ok = dup_text (&copy->snapshot);
  ok = dup_text (&copy->disk) && ok;
  ok = dup_text (&copy->parent) && ok;
  ok = dup_text (&copy->data_file) && ok;
  ok = dup_text (&copy->overlay) && ok;
  ok = dup_text (&copy->overlay_dir) && ok;
  for (size_t i = 0; ok && i < o->directories.len; i++)
    ok = add_directory (copy, o->directories.ptr[i], NULL) == 0;
  if (!ok) {
    rawview_options_free (copy);
    return NULL;
  }
  return copy;
}
