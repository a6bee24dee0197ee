/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "download.h"
#include "tools-sums.h"

#define SUMS_NAME "SHA256SUMS"

enum { MAX_SUMS = 1024 * 1024 };

static char *
read_text (int fd, const char *name, rawview_error *err)
{
  char *text = calloc (1, MAX_SUMS + 1);
  off_t off = 0;
  ssize_t n;

  if (text == NULL) {
    cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
    return NULL;
  }
  while (off < MAX_SUMS &&
         (n = pread (fd, text + off, (size_t) (MAX_SUMS - off), off)) != 0) {
    if (n == -1 && errno == EINTR)
      continue;
    if (n == -1) {
      cli_error_errno (err, errno, "%s", name);
      free (text);
      return NULL;
    }
    off += n;
  }
  return text;
}

static int
fetch_sums (const struct tools_sums *sums, rawview_error *err)
{
  const struct download what = { .url = sums->name,
                                 .ca = sums->config->ca,
                                 .max = MAX_SUMS };
  int fd = memfd_create ("sums", MFD_CLOEXEC);

  if (fd == -1)
    return cli_error_errno (err, errno, "memory for checksums");
  if (download_fetch (&what, fd, err) == 0)
    return fd;
  close (fd);
  return -1;
}

static int
open_sums (const struct tools_sums *sums, rawview_error *err)
{
  int fd;

  if (sums->config->sha256 == NULL)
    return fetch_sums (sums, err);
  fd = open (sums->name, O_RDONLY | O_CLOEXEC);
  if (fd == -1)
    return cli_error_errno (err, errno, "%s", sums->name);
  return fd;
}

static int
load (struct tools_sums *sums, rawview_error *err)
{
  const struct tools_config *config = sums->config;
  int fd;

  free (sums->name);
  sums->name = config->sha256 != NULL
                   ? cli_format ("%s", config->sha256)
                   : cli_format ("%s/%s", config->url, SUMS_NAME);
  fd = open_sums (sums, err);
  if (fd == -1)
    return -1;
  sums->text = read_text (fd, sums->name, err);
  close (fd);
  return sums->text != NULL ? 0 : -1;
}

int
tools_sums_find (struct tools_sums *sums, const char *name,
                 struct checksum *sum, rawview_error *err)
{
  if (sums->text == NULL && load (sums, err) == -1)
    return -1;
  return checksum_find (sums->text, sums->name, name, sum, err);
}

int
tools_sums_verify (struct tools_sums *sums, int fd, const char *name,
                   rawview_error *err)
{
  struct checksum wanted, got;

  if (tools_sums_find (sums, name, &wanted, err) == -1 ||
      checksum_of_file (fd, name, &got, err) == -1)
    return -1;
  if (checksum_equal (&wanted, &got))
    return 1;
  cli_error_set (err, RAWVIEW_ERROR_CORRUPT, EILSEQ,
                 "%s: its checksum %.12s... is not %.12s... as in %s", name,
                 got.hex, wanted.hex, sums->name);
  return 0;
}

void
tools_sums_clear (struct tools_sums *sums)
{
  free (sums->text);
  free (sums->name);
}
