/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

int
error_set (rawview_error *err, rawview_error_kind kind, int errnum,
           const char *fmt, ...)
{
  va_list ap;

  err->kind = kind;
  err->errnum = errnum;
  va_start (ap, fmt);
  vsnprintf (err->msg, sizeof err->msg, fmt, ap);
  va_end (ap);
  return -1;
}

int
error_system (rawview_error *err, const char *what)
{
  int errnum = errno;

  if (errnum == ENOMEM)
    return error_nomem (err);
  return error_set (err, RAWVIEW_ERROR_IO, errnum, "%s: %s", what,
                    strerror (errnum));
}

int
error_nomem (rawview_error *err)
{
  return error_set (err, RAWVIEW_ERROR_NOMEM, ENOMEM, "out of memory");
}
