/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder with files that unit tests make and remove. */

#ifndef RV_TEST_FILES_H
#define RV_TEST_FILES_H

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/test.h"
#include "util/text.h"

static TEST_UNUSED char test_dir[4096];

static TEST_UNUSED void
test_files_begin (void)
{
  const char *tmp = getenv ("TMPDIR");

  snprintf (test_dir, sizeof test_dir, "%s/rawview-test-XXXXXX",
            tmp && tmp[0] == '/' ? tmp : "/tmp");
  CHECK (mkdtemp (test_dir) != NULL);
}

static TEST_UNUSED int
test_files_remove_one (const char *path, const struct stat *st, int type,
                       struct FTW *ftw)
{
  return ftw->level == 0 ? 0 : remove (path);
}

/* Removes what is in the folder. */
static TEST_UNUSED void
test_files_clear (void)
{
  nftw (test_dir, test_files_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static TEST_UNUSED void
test_files_end (void)
{
  test_files_clear ();
  rmdir (test_dir);
}

/* The absolute name of a file in the folder; to be freed. */
static TEST_UNUSED char *
test_path (const char *name)
{
  return rv_text_format ("%s/%s", test_dir, name);
}

static TEST_UNUSED void
test_file (const char *name, const void *bytes, size_t len)
{
  CLEANUP_FREE char *path = test_path (name);
  CLEANUP_CLOSE int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

  CHECK (fd != -1 && write (fd, bytes, len) == (ssize_t) len);
}

static TEST_UNUSED void
test_text_file (const char *name, const char *text)
{
  test_file (name, text, strlen (text));
}

static TEST_UNUSED void
test_folder (const char *name)
{
  CLEANUP_FREE char *path = test_path (name);

  CHECK (mkdir (path, 0700) == 0);
}

static TEST_UNUSED void
test_symlink (const char *to, const char *name)
{
  CLEANUP_FREE char *path = test_path (name);

  CHECK (symlink (to, path) == 0);
}

static TEST_UNUSED void
test_fifo (const char *name)
{
  CLEANUP_FREE char *path = test_path (name);

  CHECK (mkfifo (path, 0600) == 0);
}

#endif /* RV_TEST_FILES_H */
