/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands about whole guests: rawview becomes rawview-guest, which lies
 * beside it in the build and in libexecdir when installed.
 */

#include <config.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "guest-commands.h"

#define PROGRAM "rawview-guest"

/* The path of PROGRAM beside our own executable; false: there is none. */
static bool
find_beside (char path[PATH_MAX])
{
  const ssize_t len = readlink ("/proc/self/exe", path, PATH_MAX - 1);
  char *slash;

  if (len == -1)
    return false;
  path[len] = '\0';
  slash = strrchr (path, '/');
  if (slash == NULL ||
      (size_t) (slash - path) + sizeof "/" PROGRAM > (size_t) PATH_MAX)
    return false;
  strcpy (slash + 1, PROGRAM);
  return access (path, X_OK) == 0;
}

static int
run_raw (int argc, char **argv)
{
  char path[PATH_MAX];
  struct cli_list list = { 0 };

  cli_list_add (&list, "rawview");
  for (int i = 0; i < argc; i++)
    cli_list_add (&list, argv[i]);
  cli_list_add (&list, NULL);
  if (!find_beside (path))
    strcpy (path, PKGLIBEXECDIR "/" PROGRAM);
  execv (path, (char *const *) list.items);
  free (list.items);
  return cli_failf (errno == ENOENT ? RAWVIEW_ERROR_UNSUPPORTED
                                    : RAWVIEW_ERROR_IO,
                    "%s: cannot run %s: %s", argv[0], path, strerror (errno));
}

const struct cli_command cmd_inspect = {
  .name = "inspect",
  .operands = INSPECT_OPERANDS,
  .summary = INSPECT_SUMMARY,
  .run_raw = run_raw,
};

const struct cli_command cmd_inject = {
  .name = "inject",
  .operands = INJECT_OPERANDS,
  .summary = INJECT_SUMMARY,
  .run_raw = run_raw,
};

const struct cli_command cmd_import = {
  .name = "import",
  .operands = IMPORT_OPERANDS,
  .summary = IMPORT_SUMMARY,
  .run_raw = run_raw,
};
