/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inject-place.h"

#define SUFFIX     ".rawview-unfinished"
#define MAGIC      "rawview inject: unfinished"
#define MARKER_MAX (1 << 20)

/* For the servers of a run that was killed to end. */
#define WAIT_MS 30000

/*--- What is in a marker ------------------------------------------------*/

/* The number of the folder that the file is in, there or not; 0: none. */
static unsigned long long
folder_number (const char *path)
{
  CLEANUP_FREE char *folder = cli_folder_of (path);
  struct stat st;

  return stat (folder, &st) == 0 ? st.st_ino : 0;
}

/* Texts with a NUL behind each: MAGIC, the journal or "", the number of its
 * folder, the overlays.
 */
static int
write_marker (int fd, const struct inject_place *p, const char *journal)
{
  bool ok =
      dprintf (fd, "%s%c%s%c%llx%c", MAGIC, 0, journal != NULL ? journal : "",
               0, journal != NULL ? folder_number (journal) : 0, 0) > 0;

  for (size_t i = 0; i < p->n; i++)
    ok = ok && dprintf (fd, "%s%c", p->overlays[i], 0) > 0;
  return ok && fsync (fd) == 0 ? 0 : -1;
}

/* The file as a text with a NUL at its end; NULL if it is not one of ours: a
 * stranger's disk that we have copied is ours too, but others may read it.
 */
static char *
read_marker (int fd, size_t *len)
{
  struct stat st;
  char *text;

  if (fstat (fd, &st) == -1 || !S_ISREG (st.st_mode) ||
      st.st_uid != geteuid () || (st.st_mode & 077) != 0 ||
      st.st_size > MARKER_MAX)
    return NULL;
  text = calloc (1, (size_t) st.st_size + 1);
  if (text == NULL ||
      pread (fd, text, (size_t) st.st_size, 0) != (ssize_t) st.st_size ||
      ((size_t) st.st_size >= sizeof MAGIC && strcmp (text, MAGIC) != 0)) {
    free (text);
    return NULL;
  }
  *len = (size_t) st.st_size;
  return text;
}

/* Whoever may have put it there since: only what is ours. */
static void
remove_overlay (const char *path)
{
  struct stat st;

  if (*path == '/' && lstat (path, &st) == 0 && S_ISREG (st.st_mode) &&
      st.st_uid == geteuid ())
    unlink (path);
}

/* What cannot be looked at, or is on a disk that is not mounted now, may well
 * be there.
 */
static bool
is_gone (const char *journal, const char *folder)
{
  struct stat st;

  return lstat (journal, &st) == -1 && errno == ENOENT &&
         strtoull (folder, NULL, 16) == folder_number (journal);
}

/* -1: its commit was decided, so the overlays are needed. */
static int
remove_listed (const char *text, size_t len)
{
  const char *end = text + len, *journal = text + sizeof MAGIC, *folder, *p;

  /* It was cut off before anything was made. */
  if (len <= sizeof MAGIC)
    return 0;
  folder = journal + strlen (journal) + 1;
  if (folder >= end || folder + strlen (folder) >= end)
    return 0;
  if (*journal != '\0' && !is_gone (journal, folder))
    return -1;
  /* One that was cut off may be the beginning of another name. */
  for (p = folder + strlen (folder) + 1; p + strlen (p) < end;
       p += strlen (p) + 1)
    remove_overlay (p);
  return 0;
}

/*--- Those of dead runs -------------------------------------------------*/

static void
clean_marker (const char *path)
{
  CLEANUP_FREE char *text = NULL;
  size_t len;
  const int fd = open (path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

  if (fd == -1)
    return;
  if (flock (fd, LOCK_EX | LOCK_NB) == 0) {
    text = read_marker (fd, &len);
    if (text != NULL && remove_listed (text, len) == 0)
      unlink (path);
  }
  close (fd);
}

static bool
is_marker (const char *name)
{
  const size_t len = strlen (name), suffix = strlen (SUFFIX);

  return len > suffix && strcmp (name + len - suffix, SUFFIX) == 0;
}

void
inject_place_clean (const char *path)
{
  CLEANUP_FREE char *folder = cli_folder_of (path);
  DIR *dir = opendir (folder);
  struct dirent *entry;

  if (dir == NULL)
    return;
  while ((entry = readdir (dir)) != NULL) {
    CLEANUP_FREE char *name = cli_format ("%s/%s", folder, entry->d_name);

    if (is_marker (entry->d_name))
      clean_marker (name);
  }
  closedir (dir);
}

/*--- Our own ------------------------------------------------------------*/

static int
sync_folder (const char *path)
{
  CLEANUP_FREE char *folder = cli_folder_of (path);
  const int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int r;

  if (fd == -1)
    return -1;
  r = fsync (fd);
  close (fd);
  return r;
}

/* 1: somebody has one there.  The lock is for our children too. */
static int
create_marker (struct inject_place *p, rawview_error *err)
{
  struct stat st;

  p->lock = open (p->marker, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (p->lock == -1)
    return errno == EEXIST ? 1 : cli_error_errno (err, errno, "%s", p->marker);
  /* Until it is locked, another run may take it for a dead one's. */
  if (flock (p->lock, LOCK_EX | LOCK_NB) == 0 && fstat (p->lock, &st) == 0 &&
      st.st_nlink > 0)
    return 0;
  close (p->lock);
  return 1;
}

static int
lock_marker (struct inject_place *p, rawview_error *err)
{
  int r;

  for (unsigned ms = 0;; ms += 100) {
    for (size_t i = 0; i < p->n; i++)
      inject_place_clean (p->overlays[i]);
    r = create_marker (p, err);
    if (r != 1)
      return r;
    if (ms >= WAIT_MS)
      return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EBUSY,
                            "%s: another run is not finished, or its commit "
                            "is not (see --recover)",
                            p->marker);
    poll (NULL, 0, 100);
  }
}

static int
check_free (const struct inject_place *p, rawview_error *err)
{
  struct stat st;

  for (size_t i = 0; i < p->n; i++)
    if (lstat (p->overlays[i], &st) == 0)
      return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EEXIST,
                            "%s: exists already, and may be somebody's work; "
                            "remove it or name another",
                            p->overlays[i]);
  return 0;
}

static void
release (struct inject_place *p)
{
  if (p->marker == NULL)
    return;
  unlink (p->marker);
  close (p->lock);
  free (p->marker);
  p->marker = NULL;
}

int
inject_place_make (struct inject_place *p, char *const *overlays, size_t n,
                   const char *journal, rawview_error *err)
{
  *p = (struct inject_place){ .overlays = overlays, .n = n };
  p->marker = cli_format ("%s" SUFFIX, overlays[0]);
  if (lock_marker (p, err) == -1) {
    free (p->marker);
    p->marker = NULL;
    return -1;
  }
  if (check_free (p, err) == -1) {
    release (p);
    return -1;
  }
  if (write_marker (p->lock, p, journal) == -1 ||
      sync_folder (p->marker) == -1) {
    cli_error_errno (err, errno, "%s", p->marker);
    release (p);
    return -1;
  }
  return 0;
}

void
inject_place_remove (struct inject_place *p)
{
  if (p->marker == NULL)
    return;
  for (size_t i = 0; i < p->n; i++)
    remove_overlay (p->overlays[i]);
  release (p);
}

int
inject_place_keep (struct inject_place *p, rawview_error *err)
{
  CLEANUP_FREE char *marker = cli_format ("%s", p->marker);

  release (p);
  if (sync_folder (marker) == 0)
    return 0;
  cli_error_errno (err, errno, "%s", marker);
  for (size_t i = 0; i < p->n; i++)
    remove_overlay (p->overlays[i]);
  return -1;
}
