/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is the destination somebody's disk?
 *
 * QEMU and librawview say how they use a file by read locks on single bytes:
 * byte 100+p for a permission used, byte 200+p for one that others must not
 * have (p: 0 read, 1 write, 2 write unchanged, 3 resize).  A writer has to find
 * nobody at 200+write and 200+resize, and keeps everyone else away by the same
 * means.  This also finds a destination that is a backing file or an extent of
 * the source, as the library holds such locks on each of them.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"

enum { USED = 100, UNSHARED = 200 };

static const int permissions[] = { 0 /* read */, 1 /* write */,
                                   3 /* resize */ };

static int
lock_byte (int fd, int byte)
{
  struct flock l = {
    .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
  };

  return fcntl (fd, F_OFD_SETLK, &l);
}

/* Does another open file hold a lock on the byte? */
static bool
is_locked (int fd, int byte)
{
  struct flock l = {
    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
  };

  return fcntl (fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

static int
compare (const struct stat *dest, const struct stat *st, const char *name,
         rawview_error *err)
{
  bool same = dest->st_dev == st->st_dev && dest->st_ino == st->st_ino;

  if (S_ISBLK (dest->st_mode) && S_ISBLK (st->st_mode))
    same = same || dest->st_rdev == st->st_rdev;
  if (!same)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EBUSY,
                        "%s: is what is to be copied", name);
}

/* Plain comparison gives the clearer message, and works with locking off. */
static int
compare_with_source (int fd, const char *name, const rawview_image *source,
                     rawview_error *err)
{
  struct stat dest, st;

  if (fstat (fd, &dest) == -1)
    return cli_error_errno (err, errno, "%s", name);
  if (source == NULL)
    return fstat (STDIN_FILENO, &st) == 0 ? compare (&dest, &st, name, err) : 0;
  for (unsigned d = 0; d < rawview_get_depth (source); d++)
    if (stat (cli_fact_text (source, d, "filename"), &st) == 0 &&
        compare (&dest, &st, name, err) == -1)
      return -1;
  return 0;
}

int
copy_lock_destination (int fd, const char *name, const rawview_image *source,
                       rawview_error *err)
{
  bool busy = false;

  if (compare_with_source (fd, name, source, err) == -1)
    return -1;
  /* First ours, then look: two of us cannot both see nothing. */
  for (size_t i = 0; i < CLI_COUNT (permissions); i++) {
    const int p = permissions[i];

    /* A file system without locks protects nobody; cp would go on too. */
    if (lock_byte (fd, USED + p) == -1 || lock_byte (fd, UNSHARED + p) == -1)
      return 0;
  }
  for (size_t i = 0; i < CLI_COUNT (permissions); i++)
    busy = busy || is_locked (fd, USED + permissions[i]) ||
           is_locked (fd, UNSHARED + permissions[i]);
  if (busy)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EBUSY,
                          "%s: is in use by another program, or part of the "
                          "image to be copied",
                          name);
  return 0;
}
