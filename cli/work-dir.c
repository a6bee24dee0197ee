/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "work-dir.h"

#define PREFIX ".rawview-import-"
#define STATE  "state"

/* Between two signs of life, and for the last write to end. */
#define GRACE_S 2

/* As "dev:ino path" on a line each.  The path alone could be another file's by
 * the time that somebody reads it.
 */
#define NOTE_FORMAT "%llx:%llx %n"

/*--- Removing -----------------------------------------------------------*/

/* Its folders have files only, and it has few folders. */
#define MAX_DEPTH 4u

/* Nobody else can put anything into the folder, but those who may write where
 * it is can give its name to another one: so it is known by its descriptor.
 * The notes stay: until the end a folder is known by them as one of ours.
 * Takes fd.
 */
static void
empty (int fd, unsigned depth)
{
  DIR *dir = fdopendir (fd);
  const struct dirent *entry;
  int inner;

  if (dir == NULL) {
    close (fd);
    return;
  }
  rewinddir (dir);
  while ((entry = readdir (dir)) != NULL) {
    const char *name = entry->d_name;

    if (strcmp (name, ".") == 0 || strcmp (name, "..") == 0 ||
        (depth == 0 && strcmp (name, STATE) == 0) ||
        unlinkat (dirfd (dir), name, 0) == 0 || depth >= MAX_DEPTH)
      continue;
    inner = openat (dirfd (dir), name,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner != -1)
      empty (inner, depth + 1);
    unlinkat (dirfd (dir), name, AT_REMOVEDIR);
  }
  closedir (dir);
}

/* Takes fd, which is of the folder at path. */
static void
remove_all (int fd, const char *path)
{
  const int again = openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (again != -1)
    empty (again, 0);
  unlinkat (fd, STATE, 0);
  close (fd);
  rmdir (path);
}

/*--- Leftovers ----------------------------------------------------------*/

/* What somebody has written since, or made with the number of what was removed,
 * is theirs.
 */
static bool
is_touched_since (const struct stat *file, const struct stat *state)
{
  return file->st_ctim.tv_sec > state->st_ctim.tv_sec + GRACE_S;
}

static void
remove_noted (const char *line, const struct stat *state)
{
  unsigned long long dev, ino;
  struct stat st;
  int path = 0;

  if (sscanf (line, NOTE_FORMAT, &dev, &ino, &path) != 2 || path == 0)
    return;
  if (lstat (line + path, &st) == 0 && S_ISREG (st.st_mode) &&
      st.st_dev == dev && st.st_ino == ino && !is_touched_since (&st, state))
    unlink (line + path);
}

/* Closes fd. */
static void
remove_all_noted (int fd)
{
  FILE *notes = fdopen (fd, "r");
  CLEANUP_FREE char *line = NULL;
  struct stat state;
  size_t room = 0;
  ssize_t len;

  if (notes == NULL) {
    close (fd);
    return;
  }
  while (fstat (fd, &state) == 0 && (len = getline (&line, &room, notes)) > 0)
    /* One that was cut may be the beginning of another path. */
    if (line[len - 1] == '\n') {
      line[len - 1] = '\0';
      remove_noted (line, &state);
    }
  fclose (notes);
}

/* Is the file of notes unlocked, and as we make it? */
static bool
is_dead (int state)
{
  struct stat st;

  return fstat (state, &st) == 0 && S_ISREG (st.st_mode) &&
         st.st_uid == geteuid () && (st.st_mode & 077) == 0 &&
         flock (state, LOCK_EX | LOCK_NB) == 0;
}

/* Takes dir, which is of the folder at path. */
static void
remove_if_dead (int dir, const char *path)
{
  struct stat st;
  int fd, lock;

  if (fstat (dir, &st) == -1 || st.st_uid != geteuid () ||
      (st.st_mode & 077) != 0) {
    close (dir);
    return;
  }
  fd = openat (dir, STATE, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd == -1 || !is_dead (fd)) {
    /* Killed before it had notes; of no use to anybody if it is empty. */
    if (fd == -1)
      rmdir (path);
    else
      close (fd);
    close (dir);
    return;
  }
  lock = fcntl (fd, F_DUPFD_CLOEXEC, 0);
  remove_all_noted (fd);
  remove_all (dir, path);
  if (lock >= 0)
    close (lock);
}

void
work_dir_remove_leftovers (const char *parent)
{
  DIR *dir = opendir (parent);
  const struct dirent *entry;

  if (dir == NULL)
    return;
  while ((entry = readdir (dir)) != NULL)
    if (strncmp (entry->d_name, PREFIX, strlen (PREFIX)) == 0) {
      CLEANUP_FREE char *path = cli_format ("%s/%s", parent, entry->d_name);
      const int fd =
          open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

      if (fd != -1)
        remove_if_dead (fd, path);
    }
  closedir (dir);
}

/*--- Making -------------------------------------------------------------*/

/* 1: another import has taken it for a leftover before it was locked. */
static int
make_state (struct work_dir *dir, rawview_error *err)
{
  CLEANUP_FREE char *state = cli_format ("%s/" STATE, dir->path);
  struct stat st;

  dir->state =
      open (state, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
  if (dir->state == -1)
    return errno == ENOENT ? 1 : cli_error_errno (err, errno, "%s", state);
  if (flock (dir->state, LOCK_EX | LOCK_NB) == 0 &&
      fstat (dir->state, &st) == 0 && st.st_nlink > 0)
    return 0;
  close (dir->state);
  return 1;
}

int
work_dir_make (const char *parent, struct work_dir *dir, rawview_error *err)
{
  int r;

  do {
    dir->path = cli_format ("%s/" PREFIX "XXXXXX", parent);
    if (mkdtemp (dir->path) == NULL)
      r = cli_error_errno (err, errno, "%s", dir->path);
    else {
      r = make_state (dir, err);
      if (r != 0)
        rmdir (dir->path);
    }
    if (r != 0) {
      free (dir->path);
      dir->path = NULL;
    }
  } while (r == 1);
  return r;
}

void
work_dir_note_created (struct work_dir *dir, const char *path)
{
  struct stat st;

  if (dir->path == NULL || strchr (path, '\n') != NULL ||
      lstat (path, &st) == -1)
    return;
  /* Without the note, only a rerun after a kill would have to be told. */
  dprintf (dir->state, "%llx:%llx %s\n", (unsigned long long) st.st_dev,
           (unsigned long long) st.st_ino, path);
}

/* A descriptor of the folder, or -1 if another one has its name now. */
static int
open_again (const struct work_dir *dir)
{
  const int fd =
      open (dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat ours, there;

  if (fd == -1 || (fstat (dir->state, &ours) == 0 &&
                   fstatat (fd, STATE, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
                   there.st_dev == ours.st_dev && there.st_ino == ours.st_ino))
    return fd;
  close (fd);
  return -1;
}

void
work_dir_show_life (const struct work_dir *dir)
{
  if (dir->path != NULL)
    futimens (dir->state, NULL);
}

void
work_dir_remove (struct work_dir *dir)
{
  int fd;

  if (dir->path == NULL)
    return;
  fd = open_again (dir);
  if (fd != -1)
    remove_all (fd, dir->path);
  close (dir->state);
  free (dir->path);
  dir->path = NULL;
}
