/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview-guest COMMAND [OPTION...] [OPERAND...]: what rawview becomes for the
 * commands about whole guests.
 */

#include <config.h>

#include <locale.h>

#include "dispatch.h"

static const struct cli_command *const items[] = {
  &cmd_inspect,
  &cmd_inject,
  &cmd_import,
};

static const struct cli_commands commands = { items, CLI_COUNT (items) };

int
main (int argc, char *argv[])
{
  const struct cli_command *cmd;

  /* Names print as they are, but numbers keep their point. */
  setlocale (LC_CTYPE, "");
  rawview_allow_many_files ();

  cmd = argc > 1 ? cli_find_command (&commands, argv[1]) : NULL;
  if (cmd == NULL)
    return cli_failf (RAWVIEW_ERROR_USAGE,
                      "this program is run by rawview (see rawview --help)");
  return cli_run_command (cmd, argc - 1, argv + 1);
}
