/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests/test-cli-tools-*.sh and test-cli-vault-*.sh: what the commands
 * about guests do before they start virt-v2v, without a guest.
 *
 *   guestcheck tools [OPTION...] [PROGRAM [ARG...]]
 *                                       prints the environment for virt-v2v, or
 *                                       runs PROGRAM in it
 *   guestcheck vault [--luks-keys-vault=FILE] GUEST PROGRAM
 *                                       runs PROGRAM with the keys' arguments
 *   guestcheck die [--luks-keys-vault=FILE] GUEST
 *                                       is killed while the keys are there
 */

#include <config.h>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "dispatch.h"
#include "vault.h"
#include "windows-tools.h"

extern char **environ;

/*--- tools --------------------------------------------------------------*/

static int
run_in (struct cli_list *env, char *const *argv, rawview_error *err)
{
  struct child_wishes wishes = { .argv = argv, .keep_streams = true };
  struct child child;

  cli_list_add (env, NULL);
  wishes.env = env->items;
  if (child_start (&child, &wishes, err) == -1)
    return -1;
  while (!child_wait (&child, 1000))
    ;
  child_free (&child);
  return 0;
}

static int
run_tools (const struct cli_args *args)
{
  struct cli_list env = { 0 };
  rawview_error err;
  int r = windows_tools_find (args->values, &env, &err);

  if (r == 0 && args->n_operands > 0)
    r = run_in (&env, args->operands, &err);
  else
    for (size_t i = 0; i < env.len; i++)
      puts (env.items[i]);
  cli_list_free (&env);
  return r == -1 ? cli_fail (&err) : cli_finish_output ();
}

struct tools_values {
  struct windows_tools_options tools;
};

static const struct cli_option tools_options[] = {
  WINDOWS_TOOLS_OPTIONS (struct tools_values, tools),
};

static const struct cli_command cmd_tools = {
  .name = "tools",
  .operands = "[PROGRAM [ARG...]]",
  .summary = "Finds what a Windows guest needs",
  .options = tools_options,
  .n_options = CLI_COUNT (tools_options),
  .values_size = sizeof (struct tools_values),
  .max_operands = SIZE_MAX,
  .run = run_tools,
};

/*--- vault, die ---------------------------------------------------------*/

struct vault_values {
  const char *vault;
};

static const struct cli_option vault_options[] = {
  { "luks-keys-vault", 0, "FILE", "passphrases of encrypted disks", CLI_TEXT,
    offsetof (struct vault_values, vault) },
};

static int
run_program (const char *program, const struct cli_list *keys)
{
  char **argv = calloc (keys->len + 2, sizeof *argv);
  int status = -1;
  pid_t pid;

  if (argv == NULL)
    return -1;
  argv[0] = (char *) program;
  for (size_t i = 0; i < keys->len; i++)
    argv[i + 1] = (char *) keys->items[i];
  if (posix_spawn (&pid, program, NULL, NULL, argv, environ) == 0)
    waitpid (pid, &status, 0);
  free (argv);
  return status;
}

static int
run_vault (const struct cli_args *args)
{
  const struct vault_values *values = args->values;
  const struct cli_list *keys = NULL;
  struct vault *vault;
  rawview_error err;
  int status = 0;

  if (vault_open (values->vault, &vault, &err) == 0)
    keys = vault_hand_on (vault, args->operands[0], &err);
  if (keys == NULL) {
    vault_close (vault);
    return cli_fail (&err);
  }
  if (args->n_operands > 1)
    status = run_program (args->operands[1], keys);
  else
    raise (SIGKILL);
  vault_close (vault);
  return status == 0 ? 0 : cli_failf (RAWVIEW_ERROR_IO, "the program failed");
}

static const struct cli_command cmd_vault = {
  .name = "vault",
  .operands = "GUEST PROGRAM",
  .summary = "Hands a guest's keys on",
  .options = vault_options,
  .n_options = CLI_COUNT (vault_options),
  .values_size = sizeof (struct vault_values),
  .min_operands = 2,
  .max_operands = 2,
  .run = run_vault,
};

static const struct cli_command cmd_die = {
  .name = "die",
  .operands = "GUEST",
  .summary = "Is killed while it hands keys on",
  .options = vault_options,
  .n_options = CLI_COUNT (vault_options),
  .values_size = sizeof (struct vault_values),
  .min_operands = 1,
  .max_operands = 1,
  .run = run_vault,
};

static const struct cli_command *const items[] = { &cmd_tools, &cmd_vault,
                                                   &cmd_die };
static const struct cli_commands commands = { items, CLI_COUNT (items) };

int
main (int argc, char *argv[])
{
  const struct cli_command *cmd =
      argc > 1 ? cli_find_command (&commands, argv[1]) : NULL;

  if (cmd == NULL)
    return cli_failf (RAWVIEW_ERROR_USAGE, "guestcheck tools|vault|die ...");
  return cli_run_command (cmd, argc - 1, argv + 1);
}
