/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backing-name.h"
#include "util/error.h"
#include "util/text.h"

/*--- Paths --------------------------------------------------------------*/

/* Not normalised: ".." behind a symbolic link is the operator's to use. */
static char *
absolute (const struct rv_source *s)
{
  CLEANUP_FREE char *cwd = NULL;

  if (s->name[0] == '/')
    return strdup (s->name);
  if (s->folder)
    return rv_text_format ("%s/%s", s->folder, s->name);
  cwd = getcwd (NULL, 0);
  return cwd ? rv_text_format ("%s/%s", cwd, s->name) : NULL;
}

static bool
is_file (int dirfd, const char *path, const struct rv_io *file)
{
  struct stat st;

  if (!file->has_id || fstatat (dirfd, path, &st, 0) == -1)
    return false;
  if (S_ISBLK (st.st_mode))
    return st.st_rdev == file->dev && file->ino == 0;
  return st.st_dev == file->dev && st.st_ino == file->ino;
}

/*--- Disks inside OVAs --------------------------------------------------*/

/* As a JSON string without its quotes.  False: not UTF-8, or it has characters
 * that only look right.
 */
static bool
escape_json (const char *s, char *out)
{
  CLEANUP_FREE char *printable = strdup (s);

  if (printable == NULL)
    return false;
  rv_text_make_printable (printable);
  if (strcmp (printable, s) != 0)
    return false;
  for (; *s; s++) {
    if (*s == '"' || *s == '\\')
      *out++ = '\\';
    *out++ = *s;
  }
  *out = '\0';
  return true;
}

static int
member_name (const struct rv_import *import, const char *path, char **name,
             rawview_error *err)
{
  CLEANUP_FREE char *escaped = malloc (2 * strlen (path) + 1);

  if (escaped == NULL)
    return rv_error_nomem (err);
  if (!escape_json (path, escaped))
    return rv_error_unsupported (err,
                                 "%s: an overlay cannot record this name, "
                                 "which is not printable UTF-8; rename the "
                                 "archive",
                                 path);
  *name = rv_text_format (
      "json:{\"driver\":\"vmdk\",\"file\":{\"driver\":\"raw\","
      "\"offset\":%ju,\"size\":%ju,\"file\":{\"driver\":\"file\","
      "\"filename\":\"%s\"}}}",
      (uintmax_t) import->off, (uintmax_t) import->len, escaped);
  return *name ? 0 : rv_error_nomem (err);
}

/*--- The interface ------------------------------------------------------*/

static int
file_name (const struct rv_import *import, char **name, rawview_error *err)
{
  CLEANUP_FREE char *path = absolute (import->source);

  if (path == NULL)
    return rv_error_nomem (err);
  if (!is_file (AT_FDCWD, path, import->file))
    return rv_error_usage (err,
                           "%s: an overlay must record where its image is, "
                           "and the file that was opened is not there",
                           path);
  if (import->is_member)
    return member_name (import, path, name, err);
  *name = STEAL (path);
  return 0;
}

static int
uri_name (const struct rv_import *import, char **name, rawview_error *err)
{
  if (import->is_member)
    return rv_error_unsupported (err,
                                 "%s: an overlay cannot record a disk inside "
                                 "an OVA on a server; serve the disk itself",
                                 import->file->name);
  *name = strdup (import->source->name);
  return *name ? 0 : rv_error_nomem (err);
}

int
rv_backing_name (const struct rv_import *import, char **name,
                 rawview_error *err)
{
  CLEANUP_FREE char *s = NULL;

  if (import->source->name == NULL)
    return rv_error_usage (err, "an overlay must record its image by name, and "
                                "only fd= was given");
  if ((import->file->has_id ? file_name : uri_name) (import, &s, err) == -1)
    return -1;
  if (strlen (s) > RV_BACKING_NAME_MAX)
    return rv_error_limit (err,
                           "an overlay has room for %u bytes of its image's "
                           "name, this takes %zu; move it to a shorter path: "
                           "%s",
                           RV_BACKING_NAME_MAX, strlen (s), s);
  *name = STEAL (s);
  return 0;
}

bool
rv_backing_name_is (const char *recorded, int dirfd,
                    const struct rv_import *import)
{
  CLEANUP_FREE char *name = NULL;

  if (!import->is_member && import->file->has_id)
    return !rv_text_has_scheme (recorded) &&
           is_file (dirfd, recorded, import->file);
  return rv_backing_name (import, &name, NULL) == 0 &&
         strcmp (recorded, name) == 0;
}
