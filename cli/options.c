/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines: the options of the command and those of the library, parsed
 * and explained from the same tables.
 */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>

#include "cli.h"

/* What getopt_long returns: a letter, '?' or ':', or one of these plus an
 * index into the table.
 */
enum { OWN = 0x1000, LIBRARY = 0x2000, HELP = 0x3000 };

static const struct cli_option *
find_own (const struct cli_command *cmd, const char *name)
{
  for (size_t i = 0; i < cmd->n_options; i++)
    if (strcmp (cmd->options[i].name, name) == 0)
      return &cmd->options[i];
  return NULL;
}

bool
cli_command_has_option (const struct cli_command *cmd, const char *name)
{
  const rawview_option_info *info;

  if (find_own (cmd, name) != NULL)
    return true;
  for (size_t i = 0; (info = rawview_option_get (i)) != NULL; i++)
    if (strcmp (info->name, name) == 0)
      return true;
  return false;
}

/*--- Help ---------------------------------------------------------------*/

static void
print_option (char letter, const char *name, const char *arg, bool optional,
              const char *help)
{
  char synopsis[64], short_form[8] = "    ";

  if (letter != 0)
    snprintf (short_form, sizeof short_form, "-%c, ", letter);
  snprintf (synopsis, sizeof synopsis, "--%s%s%s%s%s", name,
            optional ? "[" : "", arg != NULL ? "=" : "", arg != NULL ? arg : "",
            optional ? "]" : "");
  /* A long synopsis has its line to itself. */
  printf ("  %s%-26s", short_form, synopsis);
  printf ("%s%s\n",
          strlen (synopsis) > 25 ? "\n                                " : "",
          help);
}

void
cli_print_help (const struct cli_command *cmd)
{
  const rawview_option_info *info;

  printf ("rawview %s [OPTION...] %s\n%s.\n\nOptions:\n", cmd->name,
          cmd->operands, cmd->summary);
  for (size_t i = 0; i < cmd->n_options; i++) {
    const struct cli_option *o = &cmd->options[i];

    print_option (o->letter, o->name, o->arg, o->type == CLI_OPTIONAL, o->help);
  }
  print_option ('h', "help", NULL, false, "show this text");
  printf ("\nImage options:\n");
  for (size_t i = 0; (info = rawview_option_get (i)) != NULL; i++)
    if (find_own (cmd, info->name) == NULL)
      print_option (0, info->name, info->arg, false, info->help);
  printf ("\nRead rawview-%s(1) and rawview(1) for more.\n", cmd->name);
}

/*--- Tables for getopt --------------------------------------------------*/

struct tables {
  struct option *longs;
  char letters[64];
};

static size_t
count_library_options (void)
{
  size_t n = 0;

  while (rawview_option_get (n) != NULL)
    n++;
  return n;
}

static void
add_own (struct tables *t, size_t *n, const struct cli_option *o, size_t i)
{
  static const char *const colons[] = { "", "::", ":" };
  int has_arg = o->type == CLI_FLAG       ? no_argument
                : o->type == CLI_OPTIONAL ? optional_argument
                                          : required_argument;
  size_t len = strlen (t->letters);

  t->longs[(*n)++] = (struct option){ o->name, has_arg, NULL, OWN + (int) i };
  if (o->letter != 0)
    snprintf (t->letters + len, sizeof t->letters - len, "%c%s", o->letter,
              colons[has_arg == no_argument         ? 0
                     : has_arg == optional_argument ? 1
                                                    : 2]);
}

static void
make_tables (const struct cli_command *cmd, struct tables *t)
{
  const rawview_option_info *info;
  size_t n = 0;

  t->longs =
      calloc (cmd->n_options + count_library_options () + 2, sizeof *t->longs);
  if (t->longs == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  strcpy (t->letters, ":h");
  for (size_t i = 0; i < cmd->n_options; i++)
    add_own (t, &n, &cmd->options[i], i);
  for (size_t i = 0; (info = rawview_option_get (i)) != NULL; i++)
    if (find_own (cmd, info->name) == NULL)
      t->longs[n++] = (struct option){ info->name, required_argument, NULL,
                                       LIBRARY + (int) i };
  t->longs[n] = (struct option){ "help", no_argument, NULL, HELP };
}

/*--- Values -------------------------------------------------------------*/

static int
wrong_usage (const struct cli_command *cmd, const char *what, const char *text)
{
  return cli_failf (RAWVIEW_ERROR_USAGE,
                    "%s: %s%s%s (rawview %s --help explains)", cmd->name, what,
                    *text != '\0' ? ": " : "", text, cmd->name);
}

static bool
parse_number (const char *value, unsigned *number)
{
  char *end;
  unsigned long n;

  errno = 0;
  n = strtoul (value, &end, 10);
  if (errno != 0 || *value < '0' || *value > '9' || *end != '\0' || n == 0 ||
      n > INT_MAX)
    return false;
  *number = (unsigned) n;
  return true;
}

/* Puts the value into its field; false if it is not one. */
static bool
store (const struct cli_option *o, void *values, const char *value)
{
  void *field = (char *) values + o->offset;

  switch (o->type) {
  case CLI_FLAG:
    *(bool *) field = true;
    return true;
  case CLI_TEXT:
    *(const char **) field = value;
    return true;
  case CLI_OPTIONAL:
    *(const char **) field = value != NULL ? value : "";
    return true;
  case CLI_NUMBER:
    return parse_number (value, field);
  case CLI_SIZE:
    return cli_parse_size (value, field);
  case CLI_LIST:
    cli_list_add (field, value);
    return true;
  }
  return false;
}

static int
set_own (const struct cli_command *cmd, struct cli_args *args,
         const struct cli_option *o, const char *value)
{
  CLEANUP_FREE char *text = NULL;

  if (store (o, args->values, value))
    return 0;
  text = cli_format ("--%s=%s", o->name, value);
  return wrong_usage (cmd, "not a fitting value", text);
}

static int
set_library (struct cli_args *args, const char *name, const char *value)
{
  rawview_error err;

  if (rawview_options_set (args->options, name, value, &err) == -1)
    return cli_fail (&err);
  cli_list_add (&args->passed, cli_format ("%s=%s", name, value));
  return 0;
}

/*--- Parsing ------------------------------------------------------------*/

static int
set_option (const struct cli_command *cmd, int c, struct cli_args *args)
{
  if (c >= LIBRARY)
    return set_library (args, rawview_option_get (c - LIBRARY)->name, optarg);
  if (c >= OWN)
    return set_own (cmd, args, &cmd->options[c - OWN], optarg);
  for (size_t i = 0; i < cmd->n_options; i++)
    if (cmd->options[i].letter == c)
      return set_own (cmd, args, &cmd->options[i], optarg);
  return -1;
}

static enum cli_parsed
parse_options (const struct cli_command *cmd, int argc, char **argv,
               const struct tables *t, struct cli_args *args)
{
  char letter[3] = "-?";
  int c;

  opterr = 0;
  optind = 1;
  while ((c = getopt_long (argc, argv, t->letters, t->longs, NULL)) != -1) {
    if (c == HELP || c == 'h') {
      cli_print_help (cmd);
      return CLI_SHOWN_HELP;
    }
    if (c == '?' || c == ':') {
      /* For a wrong letter within "-xyz" there is no word to show. */
      bool is_letter = optopt > 0 && optopt < OWN && argv[optind - 1][1] != '-';

      letter[1] = (char) optopt;
      wrong_usage (cmd, c == ':' ? "needs a value" : "no such option",
                   is_letter ? letter : argv[optind - 1]);
      return CLI_WRONG_USAGE;
    }
    if (set_option (cmd, c, args) != 0)
      return CLI_WRONG_USAGE;
  }
  return CLI_RUN;
}

enum cli_parsed
cli_parse (const struct cli_command *cmd, int argc, char **argv,
           struct cli_args *args)
{
  struct tables t = { 0 };
  enum cli_parsed parsed;

  *args = (struct cli_args){ .cmd = cmd,
                             .options = rawview_options_new (),
                             .values = calloc (1, cmd->values_size) };
  if (args->options == NULL || args->values == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));

  make_tables (cmd, &t);
  parsed = parse_options (cmd, argc, argv, &t, args);
  free (t.longs);
  if (parsed != CLI_RUN)
    return parsed;

  args->operands = argv + optind;
  args->n_operands = (size_t) (argc - optind);
  if (args->n_operands < cmd->min_operands) {
    wrong_usage (cmd, "something is missing, expected", cmd->operands);
    return CLI_WRONG_USAGE;
  }
  if (args->n_operands > cmd->max_operands) {
    wrong_usage (cmd, "one too many", args->operands[cmd->max_operands]);
    return CLI_WRONG_USAGE;
  }
  return CLI_RUN;
}

static struct cli_list *
own_list (struct cli_args *args, const struct cli_option *o)
{
  return (struct cli_list *) ((char *) args->values + o->offset);
}

void
cli_args_free (struct cli_args *args)
{
  cli_list_free (&args->passed);
  for (size_t i = 0; i < args->cmd->n_options; i++)
    if (args->cmd->options[i].type == CLI_LIST)
      free (own_list (args, &args->cmd->options[i])->items);
  free (args->values);
  rawview_options_free (args->options);
}
