/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/error.h"
#include "util/text.h"

static const struct {
  const char *name;
  int errnum; /* what a client is told unless a system call said more */
} kinds[] = {
  [RAWVIEW_ERROR_NONE] = { "none", 0 },
  [RAWVIEW_ERROR_IO] = { "io", EIO },
  [RAWVIEW_ERROR_USAGE] = { "usage", EINVAL },
  [RAWVIEW_ERROR_FORMAT] = { "format", EINVAL },
  [RAWVIEW_ERROR_UNSUPPORTED] = { "unsupported", ENOTSUP },
  [RAWVIEW_ERROR_CORRUPT] = { "corrupt", EIO },
  [RAWVIEW_ERROR_REFUSED] = { "refused", EPERM },
  [RAWVIEW_ERROR_LIMIT] = { "limit", EFBIG },
  [RAWVIEW_ERROR_NOMEM] = { "nomem", ENOMEM },
};

const char *
rawview_error_kind_name (rawview_error_kind kind)
{
  if ((size_t) kind >= sizeof kinds / sizeof kinds[0])
    return "unknown";
  return kinds[kind].name;
}

/* The message is made beside err, since its arguments may quote the old one:
 * rv_error_set (err, err->kind, err->errnum, "%s: %s", name, err->msg).
 */
static void
finish (rawview_error *err, rawview_error_kind kind, int errnum,
        const char *msg)
{
  err->kind = kind;
  err->errnum = errnum ? errnum : kinds[kind].errnum;
  memcpy (err->msg, msg, strlen (msg) + 1);
  rv_text_make_printable (err->msg);
}

void
rv_error_fill (rawview_error *err, rawview_error_kind kind, int errnum,
               const char *fmt, ...)
{
  char msg[sizeof err->msg];
  va_list args;

  if (err == NULL)
    return;
  va_start (args, fmt);
  vsnprintf (msg, sizeof msg, fmt, args);
  va_end (args);
  finish (err, kind, errnum, msg);
}

void
rv_error_fill_errno (rawview_error *err, int errnum, const char *fmt, ...)
{
  bool nomem = errnum == ENOMEM || errnum == EMFILE || errnum == ENFILE;
  char msg[sizeof err->msg];
  va_list args;
  size_t n;

  if (err == NULL)
    return;
  va_start (args, fmt);
  vsnprintf (msg, sizeof msg, fmt, args);
  va_end (args);
  n = strlen (msg);
  snprintf (msg + n, sizeof msg - n, ": %s%s", strerror (errnum),
            errnum == EMFILE ? " (ulimit -n raises the limit)" : "");
  finish (err, nomem ? RAWVIEW_ERROR_NOMEM : RAWVIEW_ERROR_IO, errnum, msg);
}
