/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* createcheck NAME FORMAT BYTES [replace] [preallocate]
 *
 * Makes an image through librawview.
 */

#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rawview.h>

#include "checktool.h"

const char checktool_name[] = "createcheck";

int
main (int argc, char *argv[])
{
  unsigned flags = 0;
  rawview_error err;

  if (argc < 4)
    die ("usage: createcheck NAME FORMAT BYTES [replace] [preallocate]");
  for (int i = 4; i < argc; i++)
    if (strcmp (argv[i], "replace") == 0)
      flags |= RAWVIEW_CREATE_REPLACE;
    else if (strcmp (argv[i], "preallocate") == 0)
      flags |= RAWVIEW_CREATE_PREALLOCATE;
    else
      die ("%s: no such flag", argv[i]);
  if (rawview_create (argv[1], argv[2], strtoull (argv[3], NULL, 10), flags,
                      &err) == -1)
    die ("%s", err.msg);
  return 0;
}
