/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview info: what an image is, in the words of "qemu-img info". */

#include <config.h>

#include <string.h>
#include <time.h>

#include "json.h"

struct info_values {
  bool json;
  const char *output;
  bool backing_chain;
};

static const struct cli_option options[] = {
  { "json", 0, NULL, "print JSON", CLI_FLAG,
    offsetof (struct info_values, json) },
  { "output", 0, "json|human", "the same, as qemu-img has it", CLI_TEXT,
    offsetof (struct info_values, output) },
  { "backing-chain", 0, NULL, "show the backing files too", CLI_FLAG,
    offsetof (struct info_values, backing_chain) },
};

/*--- Text ---------------------------------------------------------------*/

static void
print_size_line (const char *label, const rawview_fact *fact, bool exact)
{
  char size[CLI_SIZE_MAX];

  if (fact == NULL)
    return;
  printf ("%s: %s", label, cli_format_size (fact->number, size));
  if (exact)
    printf (" (%llu bytes)", (unsigned long long) fact->number);
  putchar ('\n');
}

static void
print_text_line (const char *label, const rawview_fact *fact)
{
  if (fact != NULL)
    printf ("%s: %s\n", label, fact->text);
}

static void
print_backing (const rawview_image *image, unsigned depth)
{
  const char *name = cli_fact_text (image, depth, "backing-filename");
  const char *full = cli_fact_text (image, depth, "full-backing-filename");

  if (*name == '\0')
    return;
  printf ("backing file: %s", name);
  if (*full != '\0' && strcmp (name, full) != 0)
    printf (" (actual path: %s)", full);
  putchar ('\n');
  print_text_line ("backing file format",
                   cli_fact (image, depth, "backing-filename-format"));
}

static int
print_snapshot (void *opaque, const rawview_snapshot *s)
{
  bool *headed = opaque;
  char size[CLI_SIZE_MAX], date[32] = "";
  time_t when = (time_t) s->date_sec;
  uint64_t clock = s->vm_clock_nsec / 1000000;
  struct tm tm;

  if (!*headed)
    printf ("Snapshot list:\n%-8s  %-16s  %8s  %19s  %13s\n", "ID", "TAG",
            "VM SIZE", "DATE", "VM CLOCK");
  *headed = true;
  if (localtime_r (&when, &tm) != NULL)
    strftime (date, sizeof date, "%Y-%m-%d %H:%M:%S", &tm);
  printf ("%-8s  %-16s  %8s  %19s  %02u:%02u:%02u.%03u\n", s->id, s->name,
          cli_format_size (s->vm_state_size, size), date,
          (unsigned) (clock / 3600000), (unsigned) (clock / 60000 % 60),
          (unsigned) (clock / 1000 % 60), (unsigned) (clock % 1000));
  return 0;
}

/* "create-type" is printed as "create type". */
static void
print_words (const char *name, size_t len)
{
  for (size_t i = 0; i < len; i++)
    putchar (name[i] == '-' ? ' ' : name[i]);
}

static void
print_indent (unsigned levels)
{
  printf ("%*s", (int) (4 * levels), "");
}

/* Prints the parts of the key that lead to a value and that differ from those
 * of the line before, each on its line and one level deeper.  Returns the last
 * part.
 */
static const char *
print_parents (const char *key, const char *before, unsigned *level)
{
  const char *dot;
  bool same = before != NULL;

  for (*level = 1; (dot = strchr (key, '.')) != NULL; ++*level) {
    size_t len = (size_t) (dot - key) + 1;

    same = same && strncmp (key, before, len) == 0;
    if (same)
      before += len;
    else {
      print_indent (*level);
      fputs (*key >= '0' && *key <= '9' ? "[" : "", stdout);
      print_words (key, len - 1);
      puts (*key >= '0' && *key <= '9' ? "]:" : ":");
    }
    key = dot + 1;
  }
  return key;
}

static void
print_value (const rawview_fact *fact)
{
  if (fact->type == RAWVIEW_FACT_TEXT)
    printf (": %s\n", fact->text);
  else if (fact->type == RAWVIEW_FACT_BOOL)
    printf (": %s\n", fact->number != 0 ? "true" : "false");
  else
    printf (": %llu\n", (unsigned long long) fact->number);
}

static void
print_format_specific (const rawview_image *image, unsigned depth)
{
  static const char prefix[] = "format-specific.data.";
  const rawview_fact *fact;
  const char *before = NULL;
  unsigned level;

  for (size_t i = 0; (fact = rawview_get_fact (image, depth, i)) != NULL; i++) {
    const char *key = fact->key + strlen (prefix), *name;

    if (strncmp (fact->key, prefix, strlen (prefix)) != 0)
      continue;
    if (before == NULL)
      puts ("Format specific information:");
    name = print_parents (key, before, &level);
    print_indent (level);
    print_words (name, strlen (name));
    print_value (fact);
    before = key;
  }
}

static void
print_warnings (const rawview_image *image)
{
  const char *text;

  for (size_t i = 0; (text = rawview_get_warning (image, i)) != NULL; i++)
    printf ("Warning: %s\n", text);
}

static int
print_image (rawview_image *image, unsigned depth, rawview_error *err)
{
  bool headed = false;

  print_text_line ("image", cli_fact (image, depth, "filename"));
  print_text_line ("file format", cli_fact (image, depth, "format"));
  print_size_line ("virtual size", cli_fact (image, depth, "virtual-size"),
                   true);
  if (cli_fact (image, depth, "actual-size") == NULL)
    puts ("disk size: unavailable");
  print_size_line ("disk size", cli_fact (image, depth, "actual-size"), false);
  if (cli_fact (image, depth, "cluster-size") != NULL)
    printf (
        "cluster_size: %llu\n",
        (unsigned long long) cli_fact (image, depth, "cluster-size")->number);
  print_backing (image, depth);
  if (depth == 0 &&
      rawview_snapshots (image, print_snapshot, &headed, err) == -1)
    return -1;
  print_format_specific (image, depth);
  if (depth == 0)
    print_warnings (image);
  return 0;
}

/* How far this process was confined while it read the image. */
static void
print_sandbox (const rawview_sandbox *sandbox)
{
  printf ("sandbox: %s\n", sandbox->text);
}

/*--- One disk, or its chain ---------------------------------------------*/

static int
show_text (rawview_image *image, size_t depth, const rawview_sandbox *sandbox,
           rawview_error *err)
{
  for (unsigned d = 0; d < depth; d++) {
    if (d > 0)
      putchar ('\n');
    if (print_image (image, d, err) == -1)
      return -1;
    if (d == 0)
      print_sandbox (sandbox);
  }
  return 0;
}

static struct cli_json *
image_to_json (rawview_image *image, unsigned depth,
               const rawview_sandbox *sandbox, rawview_error *err)
{
  struct cli_json *one = cli_json_image (image, depth, err);

  if (one != NULL && depth == 0)
    cli_json_set_text (one, "sandbox", sandbox->text);
  return one;
}

static struct cli_json *
chain_to_json (rawview_image *image, const rawview_sandbox *sandbox,
               rawview_error *err)
{
  struct cli_json *chain = cli_json_array (), *one;

  for (unsigned d = 0; d < rawview_get_depth (image); d++) {
    one = image_to_json (image, d, sandbox, err);
    if (one == NULL) {
      cli_json_free (chain);
      return NULL;
    }
    cli_json_append (chain, one);
  }
  return chain;
}

static int
show_disk (rawview_image *image, const struct info_values *v,
           const rawview_sandbox *sandbox, rawview_error *err)
{
  struct cli_json *value;

  if (!v->json)
    return show_text (image, v->backing_chain ? rawview_get_depth (image) : 1,
                      sandbox, err);
  value = v->backing_chain ? chain_to_json (image, sandbox, err)
                           : image_to_json (image, 0, sandbox, err);
  if (value == NULL)
    return -1;
  cli_json_print (value);
  return 0;
}

/*--- Appliances: several disks ------------------------------------------*/

static int
add_name (void *opaque, const rawview_export *e)
{
  cli_list_add (opaque, cli_format ("%s", e->name));
  return 0;
}

static int
add_disk_json (rawview_image *image, const char *name, struct cli_json *disks,
               rawview_error *err)
{
  struct cli_json *disk = cli_json_image (image, 0, err);

  if (disk == NULL)
    return -1;
  cli_json_set_text (disk, "name", name);
  cli_json_append (disks, disk);
  return 0;
}

static int
show_named_disk (rawview_exports *exports, const char *name,
                 struct cli_json *disks, rawview_error *err)
{
  CLEANUP_IMAGE rawview_image *image = NULL;

  if (rawview_exports_open (exports, name, &image, err) == -1)
    return -1;
  if (disks != NULL)
    return add_disk_json (image, name, disks, err);
  printf ("\ndisk: %s\n", name);
  return print_image (image, 0, err);
}

static int
show_disks (rawview_exports *exports, const char *source,
            const struct cli_list *names, bool json,
            const rawview_sandbox *sandbox, rawview_error *err)
{
  struct cli_json *appliance = json ? cli_json_object () : NULL;
  struct cli_json *disks = json ? cli_json_array () : NULL;

  if (json) {
    cli_json_set_text (appliance, "filename", source);
    cli_json_set_text (appliance, "format", "ova");
    cli_json_set (appliance, "disks", disks);
    cli_json_set_text (appliance, "sandbox", sandbox->text);
  }
  else {
    printf ("image: %s\nfile format: ova\ndisks: %zu\n", source, names->len);
    print_sandbox (sandbox);
  }

  for (size_t i = 0; i < names->len; i++)
    if (show_named_disk (exports, names->items[i], disks, err) == -1) {
      cli_json_free (appliance);
      return -1;
    }
  if (json)
    cli_json_print (appliance);
  return 0;
}

/*--- The command --------------------------------------------------------*/

/* A set of exports is asked rather than the image alone, as it tells an
 * appliance of several disks from one disk.
 */
static int
show (const struct cli_args *args, struct cli_list *names, rawview_error *err)
{
  CLEANUP_EXPORTS rawview_exports *exports = rawview_exports_new ();
  CLEANUP_IMAGE rawview_image *image = NULL;
  const struct info_values *v = args->values;
  const char *source = args->operands[0];
  rawview_sandbox sandbox;

  if (exports == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
  if (rawview_exports_add_source (exports, NULL, source, args->options, err) ==
          -1 ||
      cli_enter_sandbox (args->options, NULL, exports, NULL, &sandbox, err) ==
          -1 ||
      rawview_exports_list (exports, add_name, names, err) == -1)
    return -1;
  if (names->len > 1)
    return show_disks (exports, source, names, v->json, &sandbox, err);
  if (rawview_exports_open (exports, "", &image, err) == -1)
    return -1;
  return show_disk (image, v, &sandbox, err);
}

static int
run (const struct cli_args *args)
{
  struct info_values *v = args->values;
  struct cli_list names = { 0 };
  rawview_error err;
  int status;

  if (v->output != NULL && strcmp (v->output, "json") == 0)
    v->json = true;
  else if (v->output != NULL && strcmp (v->output, "human") != 0)
    return cli_failf (RAWVIEW_ERROR_USAGE,
                      "info: --output=%s: use json or human", v->output);
  status =
      show (args, &names, &err) == -1 ? cli_fail (&err) : cli_finish_output ();

  cli_list_free (&names);
  return status;
}

const struct cli_command cmd_info = {
  .name = "info",
  .operands = "IMAGE",
  .summary = "Shows what an image is: format, sizes, backing files, snapshots",
  .options = options,
  .n_options = CLI_COUNT (options),
  .values_size = sizeof (struct info_values),
  .min_operands = 1,
  .max_operands = 1,
  .run = run,
};
