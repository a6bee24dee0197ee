/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <stdarg.h>
#include <stdio.h>

#include "util/text.h"
#include "util/warnings.h"

void
rv_warn (struct rv_warnings *w, const char *fmt, ...)
{
  va_list args;
  char *line;

  if (w->len >= RV_WARNINGS_MAX)
    return;
  va_start (args, fmt);
  if (vasprintf (&line, fmt, args) == -1)
    line = NULL;
  va_end (args);
  if (line == NULL)
    return;
  rv_text_make_printable (line);
  if (rv_warnings_append (w, line) == -1)
    free (line);
}

void
rv_warnings_free (struct rv_warnings *w)
{
  for (size_t i = 0; i < w->len; i++)
    free (w->ptr[i]);
  rv_warnings_release (w);
}
