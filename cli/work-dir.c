/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _XOPEN_SOURCE 700 /* nftw */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
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

static int
remove_one (const char *path, const struct stat *st, int type,
            struct FTW *where)
{
  (void) st;
  (void) where;
  /* The notes go last: until then a folder is known as one of ours. */
  if (type == FTW_DP)
    return 0;
  if (strcmp (path + where->base, STATE) != 0 || where->level != 1)
    unlink (path);
  return 0;
}

static int
remove_folder (const char *path, const struct stat *st, int type,
               struct FTW *where)
{
  (void) st;
  if (type == FTW_DP && where->level > 0)
    rmdir (path);
  return 0;
}

static void
remove_all (const char *path)
{
  CLEANUP_FREE char *state = cli_format ("%s/" STATE, path);

  nftw (path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
  nftw (path, remove_folder, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
  unlink (state);
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

static void
remove_if_dead (const char *path)
{
  CLEANUP_FREE char *state = cli_format ("%s/" STATE, path);
  struct stat st;
  int fd, lock;

  if (lstat (path, &st) == -1 || !S_ISDIR (st.st_mode) ||
      st.st_uid != geteuid () || (st.st_mode & 077) != 0)
    return;
  fd = open (state, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd == -1) {
    /* Killed before it had notes; of no use to anybody if it is empty. */
    rmdir (path);
    return;
  }
  if (flock (fd, LOCK_EX | LOCK_NB) == -1) {
    close (fd);
    return;
  }
  lock = fcntl (fd, F_DUPFD_CLOEXEC, 0);
  remove_all_noted (fd);
  remove_all (path);
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

      remove_if_dead (path);
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

void
work_dir_show_life (const struct work_dir *dir)
{
  if (dir->path != NULL)
    futimens (dir->state, NULL);
}

void
work_dir_remove (struct work_dir *dir)
{
  if (dir->path == NULL)
    return;
  remove_all (dir->path);
  close (dir->state);
  free (dir->path);
  dir->path = NULL;
}
