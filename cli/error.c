/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One line on stderr, and an exit status that says what kind of failure.  Other
 * programs and servers have a part in what is said, and what they say may come
 * from an image.
 */

#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cli.h"

int
cli_fail (const rawview_error *err)
{
  fflush (stdout);
  fprintf (stderr, "rawview: %s\n", err->msg);
  return err->kind;
}

int
cli_failf (rawview_error_kind kind, const char *fmt, ...)
{
  va_list args;

  fflush (stdout);
  fputs ("rawview: ", stderr);
  va_start (args, fmt);
  vfprintf (stderr, fmt, args);
  va_end (args);
  fputc ('\n', stderr);
  return kind;
}

int
cli_error_set (rawview_error *err, rawview_error_kind kind, int errnum,
               const char *fmt, ...)
{
  va_list args;

  err->kind = kind;
  err->errnum = errnum != 0 ? errnum : EINVAL;
  va_start (args, fmt);
  vsnprintf (err->msg, sizeof err->msg, fmt, args);
  va_end (args);
  cli_make_printable (err->msg);
  return -1;
}

int
cli_error_errno (rawview_error *err, int errnum, const char *fmt, ...)
{
  size_t len;
  va_list args;

  err->kind = errnum == ENOMEM ? RAWVIEW_ERROR_NOMEM : RAWVIEW_ERROR_IO;
  err->errnum = errnum;
  va_start (args, fmt);
  vsnprintf (err->msg, sizeof err->msg, fmt, args);
  va_end (args);
  len = strlen (err->msg);
  snprintf (err->msg + len, sizeof err->msg - len, ": %s", strerror (errnum));
  cli_make_printable (err->msg);
  return -1;
}

int
cli_finish_output (void)
{
  if (fflush (stdout) == 0 && !ferror (stdout))
    return EXIT_SUCCESS;
  return cli_failf (RAWVIEW_ERROR_IO, "standard output: %s", strerror (errno));
}
