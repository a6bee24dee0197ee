/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview inspect: what system is on a guest's disks. */

#include <config.h>

#include <string.h>

#include "expose.h"
#include "guest-commands.h"
#include "inspect-show.h"
#include "source.h"

struct inspect_values {
  bool json;
  const char *output;
  bool full;
};

static const struct cli_option options[] = {
  { "json", 0, NULL, "print JSON", CLI_FLAG,
    offsetof (struct inspect_values, json) },
  { "output", 0, "json|human", "the same, as qemu-img has it", CLI_TEXT,
    offsetof (struct inspect_values, output) },
  { "full", 0, NULL, "look into the file systems, by libguestfs", CLI_FLAG,
    offsetof (struct inspect_values, full) },
};

/*--- What the images say ------------------------------------------------*/

static void
cleanup_options (rawview_options **opts)
{
  rawview_options_free (*opts);
}

#define CLEANUP_OPTIONS __attribute__ ((cleanup (cleanup_options)))

static char *
copy_fact (const rawview_image *image, const char *key)
{
  const char *text = cli_fact_text (image, 0, key);

  return *text != '\0' ? cli_format ("%s", text) : NULL;
}

static int
look_at_image (const struct machine_disk *disk, const rawview_options *user,
               struct inspect_image *in, rawview_error *err)
{
  CLEANUP_OPTIONS rawview_options *opts =
      machine_disk_options (disk, user, err);
  CLEANUP_IMAGE rawview_image *image = NULL;
  const rawview_fact *fact;

  if (opts == NULL || rawview_open (disk->source, opts, &image, err) == -1)
    return -1;
  in->filename = copy_fact (image, "filename");
  in->format = copy_fact (image, "format");
  in->virtual_size = rawview_get_size (image);
  fact = cli_fact (image, 0, "actual-size");
  in->has_actual_size = fact != NULL;
  in->actual_size = fact != NULL ? fact->number : 0;
  return 0;
}

static int
look_at_images (const struct cli_args *args, struct inspection *in,
                rawview_error *err)
{
  for (size_t i = 0; i < in->machine->n_disks; i++)
    if (look_at_image (&in->machine->disks[i], args->options, &in->images[i],
                       err) == -1)
      return -1;
  return 0;
}

/*--- What is in them ----------------------------------------------------*/

static int
look_into (const struct cli_args *args, struct inspection *in,
           const struct expose *expose, rawview_error *err)
{
  const size_t n = in->machine->n_disks;
  const char **sockets = calloc (n, sizeof *sockets);
  int r;

  if (sockets == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
  for (size_t i = 0; i < n; i++)
    sockets[i] = expose_path (expose, i);
  r = guest_inspect (sockets, n, args->options, &in->guest, err);
  free (sockets);
  return r;
}

static int
look_fully (const struct cli_args *args, struct inspection *in,
            rawview_error *err)
{
  struct expose *expose =
      inspect_expose (in->machine, &args->passed, EXPOSE_SOCKETS, err);
  rawview_error ended;
  int r;

  if (expose == NULL)
    return -1;
  r = look_into (args, in, expose, err);
  if (expose_stop (expose, r == 0 ? err : &ended) == -1)
    r = -1;
  return r;
}

static int
look (const struct cli_args *args, struct inspection *in, rawview_error *err)
{
  if (look_at_images (args, in, err) == -1 ||
      inspect_machine (in->machine, args->options, &args->passed, in->disks,
                       err) == -1)
    return -1;
  return in->full ? look_fully (args, in, err) : 0;
}

/*--- The command --------------------------------------------------------*/

static int
begin (const struct machine *machine, bool full, struct inspection *in,
       rawview_error *err)
{
  *in = (struct inspection){ .machine = machine, .full = full };
  in->images = calloc (machine->n_disks, sizeof *in->images);
  in->disks = calloc (machine->n_disks, sizeof *in->disks);
  if (in->images == NULL || in->disks == NULL) {
    free (in->images);
    free (in->disks);
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
  }
  return 0;
}

static void
end (struct inspection *in)
{
  for (size_t i = 0; i < in->machine->n_disks; i++) {
    free (in->images[i].filename);
    free (in->images[i].format);
    inspect_disk_clear (&in->disks[i]);
  }
  free (in->images);
  free (in->disks);
  guest_clear (&in->guest);
}

static int
inspect (const struct cli_args *args, const struct machine *machine,
         rawview_error *err)
{
  const struct inspect_values *v = args->values;
  struct inspection in;
  int r;

  if (begin (machine, v->full, &in, err) == -1)
    return -1;
  r = look (args, &in, err);
  if (r == 0 && v->json)
    inspect_show_json (&in);
  else if (r == 0)
    inspect_show_text (&in);
  end (&in);
  return r;
}

static int
inspect_source (const struct cli_args *args, rawview_error *err)
{
  struct source *source;
  int r;

  if (source_open (args->operands, args->n_operands, args->options, NULL,
                   &source, err) == -1)
    return -1;
  r = inspect (args, source_machine (source), err);
  source_close (source);
  return r;
}

static int
run (const struct cli_args *args)
{
  struct inspect_values *v = args->values;
  rawview_error err;

  if (v->output != NULL && strcmp (v->output, "json") == 0)
    v->json = true;
  else if (v->output != NULL && strcmp (v->output, "human") != 0)
    return cli_failf (RAWVIEW_ERROR_USAGE,
                      "inspect: --output=%s: use json or human", v->output);
  if (v->full && guest_check (&err) == -1)
    return cli_fail (&err);
  if (inspect_source (args, &err) == -1)
    return cli_fail (&err);
  return cli_finish_output ();
}

const struct cli_command cmd_inspect = {
  .name = "inspect",
  .operands = INSPECT_OPERANDS,
  .summary = INSPECT_SUMMARY,
  .options = options,
  .n_options = CLI_COUNT (options),
  .values_size = sizeof (struct inspect_values),
  .min_operands = 1,
  .max_operands = SIZE_MAX,
  .run = run,
};
