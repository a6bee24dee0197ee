/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "policy.h"
#include "util/error.h"
#include "util/text.h"

void
rv_base_release (struct rv_base *base)
{
  if (base->dirfd >= 0)
    close (base->dirfd);
  free (base->path);
  *base = (struct rv_base){ .dirfd = -1 };
}

int
rv_base_dup (const struct rv_base *base, struct rv_base *copy,
             rawview_error *err)
{
  *copy = (struct rv_base){ .dirfd = -1 };
  if (base->dirfd == -1)
    return 0;
  copy->dirfd = fcntl (base->dirfd, F_DUPFD_CLOEXEC, 0);
  copy->path = strdup (base->path);
  if (copy->dirfd != -1 && copy->path != NULL)
    return 0;
  rv_base_release (copy);
  return rv_error_set (err, RAWVIEW_ERROR_NOMEM, 0,
                       "cannot keep the folder %s open: out of memory or "
                       "descriptors",
                       base->path);
}

void
rv_permit_release (struct rv_permit *permit)
{
  if (permit->dirfd >= 0)
    close (permit->dirfd);
  free (permit->name);
  free (permit->path);
  *permit = (struct rv_permit){ .dirfd = -1 };
}

static int
open_folder (int dirfd, const char *path, rawview_error *err)
{
  int fd = openat (dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

  if (fd == -1)
    rv_error_errno (err, errno, "cannot open the folder %s", path);
  return fd;
}

int
rv_base_of (int dirfd, const char *name, struct rv_base *base,
            rawview_error *err)
{
  CLEANUP_FREE char *dir = strdup (name);
  char *slash = dir ? strrchr (dir, '/') : NULL;

  *base = (struct rv_base){ .dirfd = -1 };
  if (dir == NULL)
    return rv_error_nomem (err);
  if (slash)
    slash[slash == dir] = '\0';
  base->dirfd = open_folder (dirfd, slash ? dir : ".", err);
  if (base->dirfd == -1)
    return -1;
  base->path = rv_path_absolute (slash ? dir : ".");
  if (base->path == NULL) {
    rv_base_release (base);
    return rv_error_nomem (err);
  }
  return 0;
}

/* The folder of name, which has no dot parts, through no link: a name that was
 * permitted could meanwhile have been made to lead elsewhere.
 */
static int
open_folder_below (int dirfd, const char *name, rawview_error *err)
{
  CLEANUP_FREE char *path = strdup (name);
  CLEANUP_CLOSE int fd = fcntl (dirfd, F_DUPFD_CLOEXEC, 0);
  char *part = path, *slash;

  if (path == NULL)
    return rv_error_nomem (err);
  for (; fd != -1 && (slash = strchr (part, '/')); part = slash + 1) {
    int up = fd;

    *slash = '\0';
    fd = openat (up, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    close (up);
  }
  if (fd == -1)
    return rv_error_errno (err, errno, "cannot open the folder of %s", name);
  return rv_steal_fd (&fd);
}

int
rv_base_of_permit (const struct rv_permit *permit, struct rv_base *base,
                   rawview_error *err)
{
  *base = (struct rv_base){ .dirfd = -1 };
  base->dirfd = open_folder_below (permit->dirfd, permit->name, err);
  if (base->dirfd == -1)
    return -1;
  base->path = rv_path_normalize (permit->path, "..");
  if (base->path == NULL) {
    rv_base_release (base);
    return rv_error_nomem (err);
  }
  return 0;
}

const char *
rv_policy_role_name (const struct rv_ref *ref)
{
  switch (ref->role) {
  case RV_REF_PARENT:
    return "backing file or parent";
  case RV_REF_EXTENT:
    return "extent";
  case RV_REF_DISK:
    return "disk";
  default:
    return "data file";
  }
}

/*--- Named by the operator ----------------------------------------------*/

/* Returns 1 if the operator named the file, 0 if not. */
static int
judge_named (const struct rv_policy *p, unsigned depth,
             const struct rv_ref *ref, struct rv_permit *permit)
{
  if (depth > 0)
    return 0;
  if (ref->role == RV_REF_PARENT)
    permit->source = p->opts->parent;
  else if (ref->role == RV_REF_DATA_FILE)
    permit->source = p->opts->data_file;
  return permit->source != NULL;
}

/*--- Named by the image -------------------------------------------------*/

/* Reasons to refuse whatever the folders allow; NULL if there is none. */
static const char *
refusal (const struct rv_policy *p, const struct rv_ref *ref)
{
  if (ref->role == RV_REF_DATA_FILE)
    return "an external data file is never opened by the image's own word; "
           "name it with data-file=";
  if (ref->name[0] == '\0')
    return ref->role == RV_REF_DISK ? "it has no name"
                                    : "the image does not name it; use parent=";
  if (!ref->foreign_path && rv_text_has_scheme (ref->name))
    return ref->role == RV_REF_DISK
               ? "it is not a plain file name"
               : "it is not a plain file name; if that is meant, name the file "
                 "with parent=";
  if (p->folder && !p->opts->references_given && ref->role == RV_REF_PARENT)
    return "backing files are not followed in a folder of imports; use "
           "references=same-directory";
  if (!p->opts->same_directory && p->opts->directories.len == 0)
    return "references=none";
  return NULL;
}

static bool
is_plain_name (const char *name)
{
  return name[0] != '\0' && strchr (name, '/') == NULL &&
         strcmp (name, ".") != 0 && strcmp (name, "..") != 0;
}

static int
permit_in_base (const struct rv_base *base, const char *name,
                struct rv_permit *permit, rawview_error *err)
{
  permit->dirfd = fcntl (base->dirfd, F_DUPFD_CLOEXEC, 0);
  if (permit->dirfd == -1)
    return rv_error_errno (err, errno, "cannot keep the folder %s open",
                           base->path);
  permit->name = strdup (name);
  permit->path = rv_path_normalize (base->path, name);
  if (permit->name == NULL || permit->path == NULL)
    return rv_error_nomem (err);
  return 0;
}

/* The part of path below dir, NULL if it is not below it. */
static const char *
below (const char *dir, const char *path)
{
  size_t n = strlen (dir);

  if (strcmp (dir, "/") == 0)
    return path[1] ? path + 1 : NULL;
  if (strncmp (dir, path, n) != 0 || path[n] != '/' || path[n + 1] == '\0')
    return NULL;
  return path + n + 1;
}

/* Returns 1 if one of the operator's folders has path, 0 if not, -1 on error.
 * Both are without dot parts, and no link is followed below the folder, so
 * comparing text is enough.
 */
static int
judge_folders (const struct rv_policy *p, const char *path,
               struct rv_permit *permit, rawview_error *err)
{
  for (size_t i = 0; i < p->opts->directories.len; i++) {
    const char *dir = p->opts->directories.ptr[i];
    const char *rest = below (dir, path);

    if (rest == NULL)
      continue;
    permit->dirfd = open_folder (AT_FDCWD, dir, err);
    if (permit->dirfd == -1)
      return -1;
    permit->name = strdup (rest);
    permit->path = strdup (path);
    if (permit->name == NULL || permit->path == NULL)
      return rv_error_nomem (err);
    return 1;
  }
  return 0;
}

/* A name from another system: its last part, wherever we may look. */
static int
judge_foreign (const struct rv_policy *p, const struct rv_base *base,
               const char *name, struct rv_permit *permit, rawview_error *err)
{
  if (!is_plain_name (name))
    return 0;
  if (p->opts->same_directory && base->dirfd >= 0 &&
      (p->opts->directories.len == 0 ||
       faccessat (base->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0))
    return permit_in_base (base, name, permit, err) == -1 ? -1 : 1;
  for (size_t i = 0; i < p->opts->directories.len; i++) {
    CLEANUP_FREE char *path =
        rv_path_normalize (p->opts->directories.ptr[i], name);

    if (path == NULL)
      return rv_error_nomem (err);
    if (access (path, F_OK) == 0)
      return judge_folders (p, path, permit, err);
  }
  return 0;
}

/* A name of this system: relative to the image, or absolute. */
static int
judge_local (const struct rv_policy *p, const struct rv_base *base,
             const char *name, struct rv_permit *permit, rawview_error *err)
{
  CLEANUP_FREE char *path = NULL;

  while (strncmp (name, "./", 2) == 0) {
    name += 2;
    name += strspn (name, "/"); /* ".//x" is "x", not "/x" */
  }
  if (p->opts->same_directory && base->dirfd >= 0 && is_plain_name (name))
    return permit_in_base (base, name, permit, err) == -1 ? -1 : 1;
  if (name[0] != '/' && base->path == NULL)
    return 0;
  path = rv_path_normalize (base->path ? base->path : "/", name);
  if (path == NULL)
    return rv_error_nomem (err);
  return judge_folders (p, path, permit, err);
}

int
rv_policy_judge (const struct rv_policy *p, const char *image, unsigned depth,
                 const struct rv_base *base, const struct rv_ref *ref,
                 struct rv_permit *permit, rawview_error *err)
{
  const char *reason;
  int r;

  *permit = (struct rv_permit){ .dirfd = -1 };
  if (judge_named (p, depth, ref, permit))
    return 0;
  reason = refusal (p, ref);
  if (reason)
    return rv_error_refused (err, "%s: its %s \"%s\" is not opened: %s", image,
                             rv_policy_role_name (ref), ref->name, reason);
  if (ref->foreign_path)
    r = judge_foreign (p, base, rv_text_foreign_basename (ref->name), permit,
                       err);
  else
    r = judge_local (p, base, ref->name, permit, err);
  if (r == 1)
    return 0;
  rv_permit_release (permit);
  if (r == -1)
    return -1;
  return rv_error_refused (err,
                           "%s: its %s \"%s\" is not opened: it is outside "
                           "the folders allowed; use references=DIR%s",
                           image, rv_policy_role_name (ref), ref->name,
                           ref->role == RV_REF_PARENT ? " or parent=FILE" : "");
}
