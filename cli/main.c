/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview COMMAND [OPTION...] [OPERAND...] */

#include <config.h>

#include <locale.h>
#include <string.h>

#include "dispatch.h"

static const struct cli_command *const items[] = {
  &cmd_info,    &cmd_map,    &cmd_check,  &cmd_copy, &cmd_serve, &cmd_mount,
#ifdef HAVE_GUEST
  &cmd_inspect, &cmd_inject, &cmd_import,
#endif
};

static const struct cli_commands commands = { items, CLI_COUNT (items) };

static void
print_usage (void)
{
  fputs ("rawview COMMAND [OPTION...] [OPERAND...]\n"
         "Views VMDK and QCOW2 disk images as raw disks.\n\n"
         "Commands:\n",
         stdout);
  for (size_t i = 0; i < commands.n; i++)
    printf ("  %-10s%s\n", items[i]->name, items[i]->summary);
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
  for (size_t i = 0; i < commands.n; i++)
    printf ("%s%s", i > 0 ? " " : "", items[i]->name);
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
#ifdef HAVE_GUEST
  printf ("guest=yes\n");
#else
  printf ("guest=no\n");
#endif
  rawview_sandbox_probe (&sandbox);
  printf ("sandbox=%s\n", sandbox.text);
  return cli_finish_output ();
}

static int
help (int argc, char **argv)
{
  if (argc > 1)
    return cli_help_command (&commands, argc, argv);
  print_usage ();
  return cli_finish_output ();
}

int
main (int argc, char *argv[])
{
  const struct cli_command *cmd;

  /* Names print as they are, but numbers keep their point. */
  setlocale (LC_CTYPE, "");
  rawview_allow_many_files ();

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
  cmd = cli_find_command (&commands, argv[1]);
  if (cmd == NULL)
    return cli_unknown_command (argv[1]);
  return cli_run_command (cmd, argc - 1, argv + 1);
}
