/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* exposecheck files|sockets OVERLAY|- SOURCE...: shows the sources as raw disks
 * until its stdin ends, and prints where.  With an overlay there may be only
 * one.  "checked" is printed for every line of stdin, if all servers run.
 */

#include <config.h>

#include <string.h>

#include "../cli/expose.h"

static int
serve (struct expose *expose, size_t n, rawview_error *err)
{
  char line[16];

  for (size_t i = 0; i < n; i++)
    puts (expose_path (expose, i));
  fflush (stdout);
  while (fgets (line, sizeof line, stdin) != NULL) {
    if (expose_check (expose, err) == -1)
      return -1;
    puts ("checked");
    fflush (stdout);
  }
  return 0;
}

int
main (int argc, char *argv[])
{
  struct expose_disk disks[8] = { 0 };
  struct expose *expose;
  rawview_error err, late;
  size_t n = 0;
  int r;

  for (int i = 3; i < argc && n < CLI_COUNT (disks); i++)
    disks[n++] = (struct expose_disk){
      .source = argv[i],
      .overlay = strcmp (argv[2], "-") == 0 ? NULL : argv[2],
    };
  if (n == 0)
    return cli_failf (RAWVIEW_ERROR_USAGE, "nothing to expose");
  if (expose_start (disks, n,
                    strcmp (argv[1], "files") == 0 ? EXPOSE_FILES
                                                   : EXPOSE_SOCKETS,
                    -1, &expose, &err) == -1)
    return cli_fail (&err);
  r = serve (expose, n, &err);
  if (expose_stop (expose, &late) == -1 && r == 0) {
    err = late;
    r = -1;
  }
  return r == 0 ? 0 : cli_fail (&err);
}
