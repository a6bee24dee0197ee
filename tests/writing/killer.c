/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preloaded into a server, kills it at its n-th call, of all threads together,
 * that changes a file: KILL_AT=n.  KILL_TORN=1: a write does its first half
 * before.  strace can do nearly the same (inject=...:signal=SIGKILL:when=n),
 * but counts each thread for itself.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long count;

static bool
is_time (void)
{
  const char *at = getenv ("KILL_AT");

  return at && atomic_fetch_add (&count, 1) + 1 == atol (at);
}

static void
die (void)
{
  kill (getpid (), SIGKILL);
  for (;;)
    pause ();
}

static bool
torn (void)
{
  return getenv ("KILL_TORN") != NULL;
}

#define REAL(name) ((__typeof__ (&name)) dlsym (RTLD_NEXT, #name))

static ssize_t
write_half (int fd, const void *buf, size_t len, off64_t off)
{
  /* A kernel stops between pages, or blocks. */
  if (torn () && len / 2 >= 512)
    REAL (pwrite64) (fd, buf, len / 2 / 512 * 512, off);
  die ();
  return -1;
}

ssize_t
pwrite64 (int fd, const void *buf, size_t len, off64_t off)
{
  if (is_time ())
    return write_half (fd, buf, len, off);
  return REAL (pwrite64) (fd, buf, len, off);
}

ssize_t
pwrite (int fd, const void *buf, size_t len, off_t off)
{
  return pwrite64 (fd, buf, len, off);
}

ssize_t
pwritev64 (int fd, const struct iovec *iov, int n, off64_t off)
{
  if (is_time ())
    return write_half (fd, iov->iov_base, iov->iov_len, off);
  return REAL (pwritev64) (fd, iov, n, off);
}

ssize_t
pwritev (int fd, const struct iovec *iov, int n, off_t off)
{
  return pwritev64 (fd, iov, n, off);
}

int
fallocate64 (int fd, int mode, off64_t off, off64_t len)
{
  if (is_time ())
    die ();
  return REAL (fallocate64) (fd, mode, off, len);
}

int
fallocate (int fd, int mode, off_t off, off_t len)
{
  return fallocate64 (fd, mode, off, len);
}

int
ftruncate64 (int fd, off64_t len)
{
  if (is_time ())
    die ();
  return REAL (ftruncate64) (fd, len);
}

int
ftruncate (int fd, off_t len)
{
  return ftruncate64 (fd, len);
}

int
fdatasync (int fd)
{
  if (is_time ())
    die ();
  return REAL (fdatasync) (fd);
}

int
fsync (int fd)
{
  if (is_time ())
    die ();
  return REAL (fsync) (fd);
}

int
rename (const char *from, const char *to)
{
  if (is_time ())
    die ();
  return REAL (rename) (from, to);
}

int
unlink (const char *path)
{
  if (is_time ())
    die ();
  return REAL (unlink) (path);
}
