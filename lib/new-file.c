/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* It is written without a name, made durable, then linked where it belongs, and
 * the folder is made durable.  Filesystems that have no files without names get
 * one with a temporary name, which a crash may leave behind and nobody looks
 * at; so does what replaces another, as links do not.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "new-file.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/text.h"

#define MODE (S_IRUSR | S_IWUSR)

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

struct creating {
  const struct rv_new_file *how;
  const char *name; /* the last part of its path */
  int dirfd;
  int fd;
  char temporary[40]; /* in dirfd; "" for a file without a name */
};

static int
failed (const struct creating *c, rawview_error *err)
{
  return rv_error_errno (err, errno, "cannot make %s %s", c->how->what,
                         c->how->path);
}

static int
open_folder (struct creating *c, rawview_error *err)
{
  const char *path = c->how->path;
  CLEANUP_FREE char *dir =
      c->name == path ? strdup (".") : strndup (path, c->name - path);

  if (dir == NULL)
    return rv_error_nomem (err);
  c->dirfd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (c->dirfd == -1)
    return rv_error_errno (err, errno, "cannot open the folder %s for %s", dir,
                           c->how->what);
  return 0;
}

/*--- The file -----------------------------------------------------------*/

static bool
has_proc (void)
{
  return access ("/proc/self/fd", X_OK) == 0;
}

static int
open_temporary (struct creating *c)
{
  uint64_t n;

  if (getrandom (&n, sizeof n, 0) != sizeof n)
    return -1;
  snprintf (c->temporary, sizeof c->temporary, ".rawview-%016" PRIx64 ".tmp",
            n);
  c->fd = openat (c->dirfd, c->temporary,
                  O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
  if (c->fd == -1)
    c->temporary[0] = '\0';
  return c->fd;
}

static int
open_file (struct creating *c, rawview_error *err)
{
  if (!c->how->replace && has_proc ())
    c->fd = openat (c->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, MODE);
  if (c->fd == -1 && open_temporary (c) == -1)
    return failed (c, err);
  return 0;
}

static int
fill (struct creating *c, rawview_error *err)
{
  if (c->how->fill (c->how->opaque, c->fd, err) == -1)
    return -1;
  return fsync (c->fd) == -1 ? failed (c, err) : 0;
}

/*--- Its name -----------------------------------------------------------*/

static int
link_nameless (const struct creating *c)
{
  char proc[40];

  snprintf (proc, sizeof proc, "/proc/self/fd/%d", c->fd);
  return linkat (AT_FDCWD, proc, c->dirfd, c->name, AT_SYMLINK_FOLLOW);
}

/* FAT has no links, and not every filesystem can rename without replacing. */
static int
rename_temporary (struct creating *c)
{
#ifdef SYS_renameat2
  if (syscall (SYS_renameat2, c->dirfd, c->temporary, c->dirfd, c->name,
               RENAME_NOREPLACE) == 0) {
    c->temporary[0] = '\0';
    return 0;
  }
  if (errno == EEXIST)
    return -1;
#endif
  return linkat (c->dirfd, c->temporary, c->dirfd, c->name, 0);
}

static int
replace (struct creating *c)
{
  if (renameat (c->dirfd, c->temporary, c->dirfd, c->name) == -1)
    return -1;
  c->temporary[0] = '\0';
  return 0;
}

static int
give_name (struct creating *c, bool *exists, rawview_error *err)
{
  int r = c->how->replace   ? replace (c)
          : c->temporary[0] ? rename_temporary (c)
                            : link_nameless (c);

  *exists = r == -1 && errno == EEXIST;
  if (r == -1)
    return failed (c, err);
  return fsync (c->dirfd) == -1 ? failed (c, err) : 0;
}

/*--- The interface ------------------------------------------------------*/

static int
create (struct creating *c, bool *exists, rawview_error *err)
{
  if (open_folder (c, err) == -1 || open_file (c, err) == -1 ||
      fill (c, err) == -1)
    return -1;
  return give_name (c, exists, err);
}

int
rv_new_file (const struct rv_new_file *how, bool *exists, rawview_error *err)
{
  struct creating c = {
    .how = how, .name = rv_text_basename (how->path), .dirfd = -1, .fd = -1
  };
  int r;

  *exists = false;
  r = create (&c, exists, err);
  if (c.temporary[0])
    unlinkat (c.dirfd, c.temporary, 0);
  if (c.fd != -1)
    close (c.fd);
  if (c.dirfd != -1)
    close (c.dirfd);
  return r;
}
