/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checktool.h"

void
die (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  fprintf (stderr, "%s: ", checktool_name);
  vfprintf (stderr, fmt, args);
  fputc ('\n', stderr);
  va_end (args);
  exit (1);
}

bool
touches (const struct ranges *ranges, uint64_t off, uint64_t len)
{
  for (size_t i = 0; i < ranges->n; i++)
    if (off < ranges->r[i].off + ranges->r[i].len &&
        ranges->r[i].off < off + len)
      return true;
  return false;
}

void
add_range (struct ranges *ranges, const char *arg)
{
  char *end;

  if (arg == NULL)
    die ("OFF:LEN is missing");
  if (ranges->n == MAX_RANGES)
    die ("too many ranges");
  ranges->r[ranges->n].off = strtoull (arg, &end, 0);
  if (*end != ':')
    die ("%s: OFF:LEN", arg);
  ranges->r[ranges->n++].len = strtoull (end + 1, NULL, 0);
}

void
set_option (rawview_options *opts, char *arg)
{
  char *equals = strchr (arg, '=');
  rawview_error err;

  if (equals == NULL)
    die ("%s: KEY=VALUE", arg);
  *equals = '\0';
  if (rawview_options_set (opts, arg, equals + 1, &err) == -1)
    die ("%s", err.msg);
}
