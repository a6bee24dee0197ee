/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <string.h>

#include "dispatch.h"

const struct cli_command *
cli_find_command (const struct cli_commands *commands, const char *name)
{
  for (size_t i = 0; i < commands->n; i++)
    if (strcmp (commands->items[i]->name, name) == 0)
      return commands->items[i];
  return NULL;
}

int
cli_unknown_command (const char *name)
{
  return cli_failf (RAWVIEW_ERROR_USAGE,
                    "%s: no such command (rawview --help lists them)", name);
}

int
cli_help_command (const struct cli_commands *commands, int argc, char **argv)
{
  const struct cli_command *cmd;

  if (argc > 2)
    return cli_failf (RAWVIEW_ERROR_USAGE, "help: one too many: %s", argv[2]);
  cmd = cli_find_command (commands, argv[1]);
  if (cmd == NULL)
    return cli_unknown_command (argv[1]);
  if (cmd->run_raw != NULL)
    return cmd->run_raw (2, (char *[]){ argv[1], (char *) "--help", NULL });
  cli_print_help (cmd);
  return cli_finish_output ();
}

int
cli_run_command (const struct cli_command *cmd, int argc, char **argv)
{
  struct cli_args args;
  int status = EXIT_SUCCESS;

  if (cmd->run_raw != NULL)
    return cmd->run_raw (argc, argv);
  switch (cli_parse (cmd, argc, argv, &args)) {
  case CLI_RUN:
    status = cmd->run (&args);
    break;
  case CLI_SHOWN_HELP:
    status = cli_finish_output ();
    break;
  case CLI_WRONG_USAGE:
    status = cmd->usage_status != 0 ? cmd->usage_status : RAWVIEW_ERROR_USAGE;
    break;
  }
  cli_args_free (&args);
  return status;
}
