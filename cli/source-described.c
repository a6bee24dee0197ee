/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A description beside its disks: an OVF or VMX file.  Which of the files that
 * it names are opened is the library's to judge, as with an image's.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ovf.h"
#include "source-parts.h"
#include "vmx.h"

#define MAX_TEXT ((size_t) 4 << 20)

static bool
ends_with (const char *path, const char *suffix)
{
  const size_t n = strlen (path), s = strlen (suffix);

  return n >= s && strcasecmp (path + n - s, suffix) == 0;
}

bool
source_is_description (const char *path)
{
  return ends_with (path, ".ovf") || ends_with (path, ".vmx");
}

/*--- The text -----------------------------------------------------------*/

static int
read_all (int fd, const char *path, char **text, size_t *len,
          rawview_error *err)
{
  char *buf = malloc (MAX_TEXT + 1);
  size_t n = 0;
  ssize_t r;

  if (buf == NULL)
    return cli_error_errno (err, ENOMEM, "%s", path);
  while (n <= MAX_TEXT && (r = read (fd, buf + n, MAX_TEXT + 1 - n)) != 0) {
    if (r == -1 && errno == EINTR)
      continue;
    if (r == -1) {
      free (buf);
      return cli_error_errno (err, errno, "%s", path);
    }
    n += (size_t) r;
  }
  if (n > MAX_TEXT) {
    free (buf);
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, EFBIG,
                          "%s: a description of more than %zu bytes", path,
                          MAX_TEXT);
  }
  buf[n] = '\0';
  *text = buf;
  *len = n;
  return 0;
}

static int
read_text (const char *path, char **text, size_t *len, rawview_error *err)
{
  const int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  struct stat st;
  int r;

  if (fd == -1)
    return cli_error_errno (err, errno, "%s", path);
  if (fstat (fd, &st) == -1)
    r = cli_error_errno (err, errno, "%s", path);
  else if (!S_ISREG (st.st_mode))
    r = cli_error_set (err, RAWVIEW_ERROR_USAGE, 0, "%s: not a file", path);
  else
    r = read_all (fd, path, text, len, err);
  close (fd);
  return r;
}

/*--- Its disks ----------------------------------------------------------*/

/* What an OVF calls "my%20disk.vmdk" may be called so, or "my disk.vmdk". */
static int
find_disk (const char *path, const char *name, bool is_ovf,
           const rawview_options *options, char **source, rawview_error *err)
{
  CLEANUP_FREE char *decoded = is_ovf ? ovf_decode_reference (name) : NULL;
  rawview_error ignored;

  if (rawview_find_named_disk (path, name, options, source, err) == 0)
    return 0;
  if (err->errnum == ENOENT && decoded != NULL && strcmp (decoded, name) != 0 &&
      rawview_find_named_disk (path, decoded, options, source, &ignored) == 0)
    return 0;
  return -1;
}

static int
find_disks (struct machine *m, const char *path, bool is_ovf,
            const rawview_options *options, rawview_error *err)
{
  for (size_t i = 0; i < m->n_disks; i++) {
    struct machine_disk *d = &m->disks[i];

    if (find_disk (path, d->name, is_ovf, options, &d->source, err) == -1)
      return -1;
    free (d->name);
    d->name = cli_format ("%s", d->source);
  }
  if (m->n_disks == 0)
    return cli_error_set (err, RAWVIEW_ERROR_FORMAT, 0,
                          "%s: it describes a machine without a disk", path);
  return 0;
}

int
source_add_described (struct machine *m, const char *path,
                      const rawview_options *options, rawview_error *err)
{
  const bool is_ovf = ends_with (path, ".ovf");
  CLEANUP_FREE char *text = NULL;
  size_t len = 0;

  if (read_text (path, &text, &len, err) == -1)
    return -1;
  if ((is_ovf ? ovf_parse (path, text, len, m, err)
              : vmx_parse (path, text, len, m, err)) == -1)
    return -1;
  return find_disks (m, path, is_ovf, options, err);
}
