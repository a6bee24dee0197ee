/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview COMMAND [OPTION...] [OPERAND...] */

#include <config.h>

#include <locale.h>
#include <string.h>

#include "cli.h"

static const struct cli_command *const commands[] = {
  &cmd_info, &cmd_map, &cmd_check, &cmd_copy, &cmd_serve, &cmd_mount,
};

static const struct cli_command *
find_command (const char *name)
{
  for (size_t i = 0; i < CLI_COUNT (commands); i++)
    if (strcmp (commands[i]->name, name) == 0)
      return commands[i];
  return NULL;
}

static void
print_usage (void)
{
  fputs ("rawview COMMAND [OPTION...] [OPERAND...]\n"
         "Views VMDK and QCOW2 disk images as raw disks.\n\n"
         "Commands:\n",
         stdout);
  for (size_t i = 0; i < CLI_COUNT (commands); i++)
    printf ("  %-10s%s\n", commands[i]->name, commands[i]->summary);
  fputs ("  help      Explains a command\n\n"
         "Options:\n"
         "      --features  show what is built in\n"
         "  -h, --help      show this text\n"
         "  -V, --version   show the version\n\n"
         "rawview COMMAND --help lists the options of a command;\n"
         "read rawview(1) for more.\n",
         stdout);
}

/* Where the library lists the values of an option, "a|b|c", they are printed
 * with spaces between.
 */
static void
print_values (const char *key, const rawview_option_info *info)
{
  const char *start =
      strncmp (info->arg, "auto|", 5) == 0 ? info->arg + 5 : info->arg;

  printf ("%s=", key);
  for (const char *p = start; *p != '\0'; p++)
    putchar (*p == '|' ? ' ' : *p);
  putchar ('\n');
}

/* Lines of key=value, in the manner of "nbdkit --dump-config". */
static int
print_features (void)
{
  const rawview_option_info *info;
  rawview_sandbox sandbox;

  printf ("version=%s\n", rawview_version ());
  printf ("commands=");
  for (size_t i = 0; i < CLI_COUNT (commands); i++)
    printf ("%s%s", i > 0 ? " " : "", commands[i]->name);
  printf ("\noptions=");
  for (size_t i = 0; (info = rawview_option_get (i)) != NULL; i++)
    printf ("%s%s", i > 0 ? " " : "", info->name);
  putchar ('\n');
  for (size_t i = 0; (info = rawview_option_get (i)) != NULL; i++)
    if (strcmp (info->name, "format") == 0 && strchr (info->arg, '|') != NULL)
      print_values ("formats", info);
#ifdef HAVE_NBDKIT
  printf ("nbdkit-plugin=yes\n");
#else
  printf ("nbdkit-plugin=no\n");
#endif
#ifdef HAVE_FUSE
  printf ("fuse=yes\n");
#else
  printf ("fuse=no\n");
#endif
  rawview_sandbox_probe (&sandbox);
  printf ("sandbox=%s\n", sandbox.text);
  return cli_finish_output ();
}

static int
unknown_command (const char *name)
{
  return cli_failf (RAWVIEW_ERROR_USAGE,
                    "%s: no such command (rawview --help lists them)", name);
}

static int
help (int argc, char **argv)
{
  const struct cli_command *cmd;

  if (argc > 2)
    return cli_failf (RAWVIEW_ERROR_USAGE, "help: one too many: %s", argv[2]);
  if (argc < 2) {
    print_usage ();
    return cli_finish_output ();
  }
  cmd = find_command (argv[1]);
  if (cmd == NULL)
    return unknown_command (argv[1]);
  if (cmd->run_raw != NULL)
    return cmd->run_raw (2, (char *[]){ argv[1], (char *) "--help", NULL });
  cli_print_help (cmd);
  return cli_finish_output ();
}

static int
run (const struct cli_command *cmd, int argc, char **argv)
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

int
main (int argc, char *argv[])
{
  const struct cli_command *cmd;

  /* Names print as they are, but numbers keep their point. */
  setlocale (LC_CTYPE, "");

  if (argc < 2)
    return cli_failf (RAWVIEW_ERROR_USAGE,
                      "no command (rawview --help lists them)");
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0) {
    print_usage ();
    return cli_finish_output ();
  }
  if (strcmp (argv[1], "--version") == 0 || strcmp (argv[1], "-V") == 0) {
    printf ("rawview %s\n", rawview_version ());
    return cli_finish_output ();
  }
  if (strcmp (argv[1], "--features") == 0)
    return print_features ();
  if (strcmp (argv[1], "help") == 0)
    return help (argc - 1, argv + 1);
  cmd = find_command (argv[1]);
  if (cmd == NULL)
    return unknown_command (argv[1]);
  return run (cmd, argc - 1, argv + 1);
}
