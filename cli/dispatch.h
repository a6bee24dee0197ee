/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two programs have commands: rawview, and rawview-guest, which rawview becomes
 * for the commands about whole guests.  Those are linked with libraries that
 * take longer to load than an image to open.
 */

#ifndef CLI_DISPATCH_H
#define CLI_DISPATCH_H

#include "cli.h"

struct cli_commands {
  const struct cli_command *const *items;
  size_t n;
};

/* NULL: no such command. */
const struct cli_command *cli_find_command (const struct cli_commands *commands,
                                            const char *name);

/* argv[0] is the command's name.  Returns the exit status. */
int cli_run_command (const struct cli_command *cmd, int argc, char **argv);

/* What is said of "help COMMAND". */
int cli_help_command (const struct cli_commands *commands, int argc,
                      char **argv);

/* Said on stderr. */
int cli_unknown_command (const char *name);

#endif /* CLI_DISPATCH_H */
