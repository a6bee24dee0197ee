/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder is BASE/rawview-keys-XXXXXX.  Its lock is taken right after it was
 * made; who finds it unlocked between those two removes it, and its maker,
 * seeing that it is gone, makes another.
 */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "key-folder.h"

#define PREFIX "rawview-keys-"

/* How often another process may remove a folder between mkdir and flock. */
enum { TRIES = 20 };

struct key_folder {
  char *path;
  int fd; /* locked */
  unsigned files;
};

/*--- Places -------------------------------------------------------------*/

static bool
is_memory (const char *base)
{
  struct statfs fs;

  return base[0] == '/' && statfs (base, &fs) == 0 &&
         (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC) &&
         access (base, W_OK | X_OK) == 0;
}

/* The places for such folders, the best first; NULL ends them. */
struct bases {
  const char *items[5];
};

static struct bases
find_bases (void)
{
  const char *runtime = getenv ("XDG_RUNTIME_DIR"), *tmp = getenv ("TMPDIR");
  struct bases bases = { 0 };
  size_t n = 0;

  if (runtime != NULL && is_memory (runtime))
    bases.items[n++] = runtime;
  if (is_memory ("/run"))
    bases.items[n++] = "/run";
  if (is_memory ("/dev/shm"))
    bases.items[n++] = "/dev/shm";
  bases.items[n] = tmp != NULL && tmp[0] == '/' ? tmp : "/tmp";
  return bases;
}

/*--- Removing -----------------------------------------------------------*/

/* Empties the folder; there are only files in ours.  Takes the descriptor. */
static void
empty_folder (int fd)
{
  const struct dirent *entry;
  DIR *dir = fdopendir (fd);

  if (dir == NULL) {
    close (fd);
    return;
  }
  rewinddir (dir);
  while ((entry = readdir (dir)) != NULL)
    if (entry->d_name[0] != '.')
      unlinkat (dirfd (dir), entry->d_name, 0);
  closedir (dir);
}

/* Removes base/name if it is this user's and nobody uses it. */
static void
sweep_one (int base, const char *name)
{
  int fd = openat (base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat st;

  if (fd == -1)
    return;
  if (fstat (fd, &st) == 0 && st.st_uid == geteuid () &&
      flock (fd, LOCK_EX | LOCK_NB) == 0) {
    empty_folder (dup (fd));
    unlinkat (base, name, AT_REMOVEDIR);
  }
  close (fd);
}

static void
sweep (const char *base)
{
  const struct dirent *entry;
  DIR *dir = opendir (base);

  if (dir == NULL)
    return;
  while ((entry = readdir (dir)) != NULL)
    if (strncmp (entry->d_name, PREFIX, strlen (PREFIX)) == 0)
      sweep_one (dirfd (dir), entry->d_name);
  closedir (dir);
}

void
key_folder_free (struct key_folder *folder)
{
  if (folder == NULL)
    return;
  if (folder->fd >= 0) {
    empty_folder (dup (folder->fd));
    rmdir (folder->path);
    close (folder->fd);
  }
  free (folder->path);
  free (folder);
}

/*--- Making -------------------------------------------------------------*/

/* A locked descriptor of the folder at path, or -1 with EAGAIN if somebody
 * removed it before it was locked.
 */
static int
lock_folder (const char *path)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat st;
  int saved;

  if (fd == -1) {
    errno = errno == ENOENT ? EAGAIN : errno;
    return -1;
  }
  if (flock (fd, LOCK_EX | LOCK_NB) == 0) {
    if (fstat (fd, &st) == 0 && st.st_nlink > 0)
      return fd;
    errno = EAGAIN;
  }
  saved = errno;
  close (fd);
  errno = saved;
  return -1;
}

static int
make_in (const char *base, struct key_folder *folder)
{
  errno = EAGAIN;
  for (int i = 0; i < TRIES && errno == EAGAIN; i++) {
    free (folder->path);
    folder->path = cli_format ("%s/%sXXXXXX", base, PREFIX);
    if (mkdtemp (folder->path) == NULL)
      return -1;
    folder->fd = lock_folder (folder->path);
    if (folder->fd >= 0)
      return 0;
  }
  return -1;
}

struct key_folder *
key_folder_new (rawview_error *err)
{
  struct key_folder *folder = calloc (1, sizeof *folder);
  struct bases bases = find_bases ();
  int r = -1;

  if (folder == NULL) {
    cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
    return NULL;
  }
  folder->fd = -1;
  for (const char **base = bases.items; *base != NULL; base++)
    sweep (*base);
  for (const char **base = bases.items; *base != NULL && r == -1; base++)
    r = make_in (*base, folder);
  if (r == 0)
    return folder;
  cli_error_errno (err, errno, "%s: a private folder for keys", folder->path);
  key_folder_free (folder);
  return NULL;
}

static int
write_all (int fd, const char *text)
{
  size_t len = strlen (text);
  ssize_t n;

  while (len > 0) {
    n = write (fd, text, len);
    if (n == -1 && errno == EINTR)
      continue;
    if (n == -1)
      return -1;
    text += n;
    len -= (size_t) n;
  }
  return 0;
}

char *
key_folder_add (struct key_folder *folder, const char *text, rawview_error *err)
{
  char *name = cli_format ("%u", folder->files);
  char *path = cli_format ("%s/%s", folder->path, name);
  int fd = openat (folder->fd, name,
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  int r;

  free (name);
  r = fd == -1 ? -1 : write_all (fd, text);
  if (r == -1)
    cli_error_errno (err, errno, "%s", path);
  if (fd >= 0)
    close (fd);
  folder->files++;
  if (r == 0)
    return path;
  free (path);
  return NULL;
}
