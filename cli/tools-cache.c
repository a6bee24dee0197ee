/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The time of a file is when it was last known to be what the server has. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "download.h"
#include "tools-cache.h"
#include "tools-sums.h"

#define LOCK_NAME ".lock"

enum { SECONDS_PER_DAY = 24 * 60 * 60 };

enum state { ABSENT, OLD, CURRENT };

struct cache {
  const struct tools_config *config;
  int dir;
  struct tools_sums sums;
};

/*--- The folder ---------------------------------------------------------*/

static int
make_folders (const char *path, rawview_error *err)
{
  CLEANUP_FREE char *partial = cli_format ("%s/", path);

  for (char *p = partial + 1; *p != '\0'; p++) {
    if (*p != '/')
      continue;
    *p = '\0';
    if (mkdir (partial, 0755) == -1 && errno != EEXIST)
      return cli_error_errno (err, errno, "%s", partial);
    *p = '/';
  }
  return 0;
}

/* What is in it is run as a program by guests, so nobody else may change it. */
static int
check_folder (int dir, const char *path, rawview_error *err)
{
  struct stat st;

  if (fstat (dir, &st) == -1)
    return cli_error_errno (err, errno, "%s", path);
  if (st.st_uid != geteuid () && st.st_uid != 0)
    return cli_error_set (
        err, RAWVIEW_ERROR_REFUSED, EPERM,
        "%s: this cache belongs to somebody else (user %u), see --tools-cache",
        path, (unsigned) st.st_uid);
  if ((st.st_mode & 022) != 0)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EPERM,
                          "%s: group or others can write into this cache "
                          "(mode %04o): chmod go-w it",
                          path, (unsigned) st.st_mode & 07777);
  return 0;
}

static int
open_folder (struct cache *cache, rawview_error *err)
{
  const char *path = cache->config->cache;

  if (cache->config->url != NULL && make_folders (path, err) == -1)
    return -1;
  cache->dir = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (cache->dir == -1)
    return cli_error_errno (err, errno, "%s", path);
  return check_folder (cache->dir, path, err);
}

/* The lock is held until the returned descriptor is closed. */
static int
lock_cache (const struct cache *cache, rawview_error *err)
{
  int fd = openat (cache->dir, LOCK_NAME,
                   O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  int r;

  if (fd == -1)
    return cli_error_errno (err, errno, "%s/%s", cache->config->cache,
                            LOCK_NAME);
  if (flock (fd, LOCK_EX | LOCK_NB) == 0)
    return fd;
  fprintf (stderr, "rawview: waiting for another process that fills %s\n",
           cache->config->cache);
  while ((r = flock (fd, LOCK_EX)) == -1 && errno == EINTR)
    ;
  if (r == 0)
    return fd;
  cli_error_errno (err, errno, "%s/%s", cache->config->cache, LOCK_NAME);
  close (fd);
  return -1;
}

/*--- What is there ------------------------------------------------------*/

static bool
is_old (const struct cache *cache, const struct stat *st)
{
  time_t age = time (NULL) - st->st_mtime;

  return age < 0 || age / SECONDS_PER_DAY >= (time_t) cache->config->max_age;
}

/* A regular file's descriptor, or -1. */
static int
open_file (const struct cache *cache, const char *name, struct stat *st)
{
  int fd = openat (cache->dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

  if (fd == -1 || (fstat (fd, st) == 0 && S_ISREG (st->st_mode)))
    return fd;
  close (fd);
  return -1;
}

/* ABSENT with a message in *err if a checksum was the reason. */
static enum state
look_at (struct cache *cache, const char *name, rawview_error *err)
{
  enum state state;
  struct stat st;
  int fd = open_file (cache, name, &st);

  if (fd == -1)
    return ABSENT;
  if (cache->config->sha256 != NULL)
    state =
        tools_sums_verify (&cache->sums, fd, name, err) == 1 ? CURRENT : ABSENT;
  else
    state = is_old (cache, &st) ? OLD : CURRENT;
  close (fd);
  return state;
}

/*--- Fetching -----------------------------------------------------------*/

static int
fetch_into (struct cache *cache, const struct tools_cache_file *file, int fd,
            rawview_error *err)
{
  CLEANUP_FREE char *url = cli_format ("%s/%s", cache->config->url, file->name);
  const struct download what = { .url = url,
                                 .ca = cache->config->ca,
                                 .allow_http = cache->config->sha256 != NULL,
                                 .max = file->max };

  fprintf (stderr, "rawview: fetching %s\n", url);
  if (download_fetch (&what, fd, err) == -1 ||
      tools_sums_verify (&cache->sums, fd, file->name, err) != 1)
    return -1;
  if (fchmod (fd, 0644) == -1 || fsync (fd) == -1)
    return cli_error_errno (err, errno, "%s/%s", cache->config->cache,
                            file->name);
  return 0;
}

/* part: the name until it is complete. */
static int
fetch_as (struct cache *cache, const struct tools_cache_file *file,
          const char *part, rawview_error *err)
{
  int fd = openat (cache->dir, part,
                   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  int r;

  if (fd == -1)
    return cli_error_errno (err, errno, "%s/%s", cache->config->cache, part);
  r = fetch_into (cache, file, fd, err);
  close (fd);
  if (r == -1)
    return -1;
  if (renameat (cache->dir, part, cache->dir, file->name) == -1 ||
      fsync (cache->dir) == -1)
    return cli_error_errno (err, errno, "%s/%s", cache->config->cache,
                            file->name);
  return 0;
}

static char *
part_name (const struct tools_cache_file *file)
{
  return cli_format (".%s.part", file->name);
}

static void
remove_part (const struct cache *cache, const struct tools_cache_file *file)
{
  CLEANUP_FREE char *part = part_name (file);

  unlinkat (cache->dir, part, 0);
}

/* If the old file is what the server has, that is now known again. */
static bool
renew_time (struct cache *cache, const char *name, rawview_error *err)
{
  struct stat st;
  int fd = open_file (cache, name, &st);
  bool same;

  if (fd == -1)
    return false;
  same = tools_sums_verify (&cache->sums, fd, name, err) == 1 &&
         futimens (fd, NULL) == 0;
  close (fd);
  return same;
}

static int
fetch (struct cache *cache, const struct tools_cache_file *file,
       rawview_error *err)
{
  CLEANUP_FREE char *part = part_name (file);
  struct checksum sum;
  int r;

  /* Without a checksum there is no use in fetching. */
  if (tools_sums_find (&cache->sums, file->name, &sum, err) == -1)
    return -1;
  if (renew_time (cache, file->name, err))
    return 0;
  r = fetch_as (cache, file, part, err);
  if (r == -1)
    unlinkat (cache->dir, part, 0);
  return r;
}

/* With the lock held.  Tries all, and returns the first error. */
static int
fetch_all (struct cache *cache, const struct tools_cache_file *files, size_t n,
           rawview_error *err)
{
  rawview_error later;
  int r = 0;

  for (size_t i = 0; i < n; i++) {
    remove_part (cache, &files[i]);
    if (look_at (cache, files[i].name, r == 0 ? err : &later) != CURRENT &&
        fetch (cache, &files[i], r == 0 ? err : &later) == -1)
      r = -1;
  }
  return r;
}

/*--- All of it ----------------------------------------------------------*/

/* The worst of them. */
static enum state
look_at_all (struct cache *cache, const struct tools_cache_file *files,
             size_t n, rawview_error *err)
{
  enum state worst = CURRENT, state;

  for (size_t i = 0; i < n && worst != ABSENT; i++) {
    state = look_at (cache, files[i].name, err);
    worst = state < worst ? state : worst;
  }
  return worst;
}

static int
refresh (struct cache *cache, const struct tools_cache_file *files, size_t n,
         rawview_error *err)
{
  int lock = lock_cache (cache, err);
  int r;

  if (lock == -1)
    return -1;
  r = fetch_all (cache, files, n, err);
  close (lock);
  return r;
}

static int
fill (struct cache *cache, const struct tools_cache_file *files, size_t n,
      rawview_error *err)
{
  rawview_error ignored;

  if (look_at_all (cache, files, n, err) == CURRENT)
    return 0;
  if (refresh (cache, files, n, err) == 0)
    return 0;
  if (look_at_all (cache, files, n, &ignored) == ABSENT)
    return -1;
  fprintf (stderr,
           "rawview: warning: %s (the Windows drivers in %s are old, and used "
           "nevertheless)\n",
           err->msg, cache->config->cache);
  return 0;
}

/* Of what somebody put there, what has not its checksum is an error. */
static int
check_all (struct cache *cache, const struct tools_cache_file *files, size_t n,
           rawview_error *err)
{
  struct stat st;
  int r = 1;

  for (size_t i = 0; i < n && r == 1; i++) {
    int fd = open_file (cache, files[i].name, &st);

    if (fd == -1)
      continue;
    r = tools_sums_verify (&cache->sums, fd, files[i].name, err);
    close (fd);
  }
  return r == 1 ? 0 : -1;
}

static int
fill_or_check (struct cache *cache, const struct tools_cache_file *files,
               size_t n, rawview_error *err)
{
  if (open_folder (cache, err) == -1)
    return cache->config->url == NULL && err->errnum == ENOENT ? 0 : -1;
  if (cache->config->url != NULL)
    return fill (cache, files, n, err);
  if (cache->config->sha256 != NULL)
    return check_all (cache, files, n, err);
  return 0;
}

int
tools_cache_fill (const struct tools_config *config,
                  const struct tools_cache_file *files, size_t n,
                  rawview_error *err)
{
  struct cache cache = { .config = config,
                         .dir = -1,
                         .sums = { .config = config } };
  int r = fill_or_check (&cache, files, n, err);

  if (cache.dir >= 0)
    close (cache.dir);
  tools_sums_clear (&cache.sums);
  return r;
}
