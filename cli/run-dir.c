/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "run-dir.h"

#define PREFIX "rawview-guest"
#define LOCK   "lock"

/*--- Where --------------------------------------------------------------*/

static const char *
find_parent (void)
{
  static const char *const names[] = { "XDG_RUNTIME_DIR", "TMPDIR" };

  for (size_t i = 0; i < CLI_COUNT (names); i++) {
    const char *dir = getenv (names[i]);

    if (dir != NULL && *dir == '/' && access (dir, W_OK | X_OK) == 0)
      return dir;
  }
  return "/tmp";
}

char *
run_dir_new (const char *prefix, rawview_error *err)
{
  char *path = cli_format ("%s/%s-XXXXXX", find_parent (), prefix);

  if (mkdtemp (path) != NULL)
    return path;
  cli_error_errno (err, errno, "%s", path);
  free (path);
  return NULL;
}

/*--- Removing -----------------------------------------------------------*/

/* Whoever is not root has mounted by fusermount3, and unmounts by it. */
static void
run_fusermount (const char *path)
{
  char *argv[] = {
    (char *) "fusermount3", (char *) "-u", (char *) "-q", (char *) "-z",
    (char *) "--",          (char *) path, NULL
  };
  const struct child_wishes wishes = { .argv = argv };
  struct child child;
  rawview_error err;

  if (child_start (&child, &wishes, &err) == -1)
    return;
  if (!child_wait (&child, 10000))
    child_stop (&child, 0);
  child_free (&child);
}

void
run_dir_unmount (const char *path)
{
  struct statx stx;

  /* What the kernel remembers of a file is no answer. */
  if (statx (AT_FDCWD, path, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_SIZE,
             &stx) == 0 ||
      (errno != ENOTCONN && errno != ECONNABORTED))
    return;
  if (geteuid () != 0 || umount2 (path, MNT_DETACH | UMOUNT_NOFOLLOW) == -1)
    run_fusermount (path);
}

static void
remove_content (const char *path)
{
  DIR *dir = opendir (path);
  struct dirent *entry;

  if (dir == NULL)
    return;
  while ((entry = readdir (dir)) != NULL) {
    CLEANUP_FREE char *name = cli_format ("%s/%s", path, entry->d_name);

    if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0 ||
        strcmp (entry->d_name, LOCK) == 0)
      continue;
    run_dir_unmount (name);
    unlink (name);
  }
  closedir (dir);
}

/* The lock goes last: until then a folder is known as one of ours. */
static void
remove_all (const char *path)
{
  CLEANUP_FREE char *lock = cli_format ("%s/" LOCK, path);

  remove_content (path);
  unlink (lock);
  rmdir (path);
}

/*--- Those of the dead --------------------------------------------------*/

/* Ours to remove, if nobody has its lock. */
static void
remove_if_dead (const char *path)
{
  CLEANUP_FREE char *name = cli_format ("%s/" LOCK, path);
  struct stat st;
  int fd;

  if (lstat (path, &st) == -1 || !S_ISDIR (st.st_mode) ||
      st.st_uid != geteuid ())
    return;
  fd = open (name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd == -1)
    return;
  if (flock (fd, LOCK_EX | LOCK_NB) == 0)
    remove_all (path);
  close (fd);
}

static void
remove_dead (void)
{
  const char *parent = find_parent ();
  DIR *dir = opendir (parent);
  struct dirent *entry;

  if (dir == NULL)
    return;
  while ((entry = readdir (dir)) != NULL) {
    CLEANUP_FREE char *path = cli_format ("%s/%s", parent, entry->d_name);

    if (strncmp (entry->d_name, PREFIX "-", strlen (PREFIX "-")) == 0)
      remove_if_dead (path);
  }
  closedir (dir);
}

/*--- The interface ------------------------------------------------------*/

/* 1: it was taken for a dead one's before we had locked it. */
static int
lock_it (struct run_dir *dir, rawview_error *err)
{
  CLEANUP_FREE char *name = cli_format ("%s/" LOCK, dir->path);
  struct stat st;

  dir->lock = open (name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (dir->lock == -1)
    return cli_error_errno (err, errno, "%s", name);
  if (flock (dir->lock, LOCK_EX | LOCK_NB) == 0 &&
      fstat (dir->lock, &st) == 0 && st.st_nlink == 1)
    return 0;
  close (dir->lock);
  return 1;
}

int
run_dir_make (struct run_dir *dir, rawview_error *err)
{
  int r;

  remove_dead ();
  do {
    *dir = (struct run_dir){ .path = run_dir_new (PREFIX, err) };
    if (dir->path == NULL)
      return -1;
    r = lock_it (dir, err);
    if (r != 0) {
      rmdir (dir->path);
      free (dir->path);
      dir->path = NULL;
    }
  } while (r == 1);
  return r;
}

void
run_dir_remove (struct run_dir *dir)
{
  if (dir->path == NULL)
    return;
  remove_all (dir->path);
  close (dir->lock);
  free (dir->path);
  dir->path = NULL;
}
