/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview map: where the bytes of the disk are, in the words of "qemu-img
 * map".  Lines are printed as they are found: a map may be longer than memory.
 */

#include <config.h>

#include <string.h>

#include "json.h"

struct map_values {
  bool json;
};

static const struct cli_option options[] = {
  { "json", 0, NULL, "print JSON", CLI_FLAG,
    offsetof (struct map_values, json) },
};

/* The run that is being put together.  The library may cut a run where its
 * bounded work ended, so what continues is joined again here.
 */
struct map {
  bool json;
  bool any; /* something has been printed */
  rawview_extent run;
  char *filename; /* of the run, ours */
};

static void
print_json (const struct map *m)
{
  const rawview_extent *e = &m->run;
  struct cli_json *o = cli_json_object ();

  cli_json_set_number (o, "start", e->off);
  cli_json_set_number (o, "length", e->len);
  cli_json_set_number (o, "depth", e->depth);
  cli_json_set_bool (o, "present", !e->hole);
  cli_json_set_bool (o, "zero", e->zero);
  cli_json_set_bool (o, "data", !e->zero);
  cli_json_set_bool (o, "compressed", e->compressed);
  if (e->damaged)
    cli_json_set_bool (o, "damaged", true);
  if (e->has_host_off)
    cli_json_set_number (o, "offset", e->host_off);
  if (e->has_host_off && m->filename != NULL)
    cli_json_set_text (o, "filename", m->filename);
  fputs (m->any ? ",\n" : "[", stdout);
  cli_json_print_line (stdout, o);
}

/* As qemu-img does, text shows only what has data. */
static void
print_text (const struct map *m)
{
  const rawview_extent *e = &m->run;
  char start[24], len[24], where[24];

  if (e->zero)
    return;
  snprintf (start, sizeof start, "%#llx", (unsigned long long) e->off);
  snprintf (len, sizeof len, "%#llx", (unsigned long long) e->len);
  snprintf (where, sizeof where, "%#llx", (unsigned long long) e->host_off);
  printf ("%-16s%-16s%-16s%s\n", e->off == 0 ? "0" : start, len,
          e->damaged         ? "damaged"
          : e->compressed    ? "compressed"
          : !e->has_host_off ? "unknown"
          : e->host_off == 0 ? "0"
                             : where,
          m->filename != NULL ? m->filename : "");
}

static void
print_run (struct map *m)
{
  if (m->run.len == 0)
    return;
  if (m->json)
    print_json (m);
  else
    print_text (m);
  m->any = true;
}

static bool
same_text (const char *a, const char *b)
{
  return a == b || (a != NULL && b != NULL && strcmp (a, b) == 0);
}

static bool
continues (const struct map *m, const rawview_extent *e)
{
  const rawview_extent *run = &m->run;

  return run->len > 0 && run->zero == e->zero && run->hole == e->hole &&
         run->compressed == e->compressed && run->damaged == e->damaged &&
         run->depth == e->depth && run->has_host_off == e->has_host_off &&
         (!e->has_host_off || run->host_off + run->len == e->host_off) &&
         same_text (m->filename, e->filename);
}

static int
add_run (void *opaque, const rawview_extent *e)
{
  struct map *m = opaque;

  if (continues (m, e)) {
    m->run.len += e->len;
    return 0;
  }
  print_run (m);
  m->run = *e;
  free (m->filename);
  m->filename = e->filename != NULL ? cli_format ("%s", e->filename) : NULL;
  return 0;
}

static int
walk (rawview_image *image, struct map *m, rawview_error *err)
{
  const uint64_t size = rawview_get_size (image);
  uint64_t off = 0;

  while (off < size) {
    if (rawview_extents (image, size - off, off, RAWVIEW_EXTENTS_RUNS, add_run,
                         m, err) == -1)
      return -1;
    off = m->run.off + m->run.len;
  }
  print_run (m);
  return 0;
}

static int
run (const struct cli_args *args)
{
  CLEANUP_IMAGE rawview_image *image = NULL;
  const struct map_values *v = args->values;
  struct map m = { .json = v->json };
  rawview_sandbox sandbox;
  rawview_error err;
  int r;

  if (rawview_open (args->operands[0], args->options, &image, &err) == -1 ||
      cli_enter_sandbox (args->options, image, NULL, NULL, &sandbox, &err) ==
          -1)
    return cli_fail (&err);
  if (!v->json)
    printf ("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
  r = walk (image, &m, &err);
  if (v->json && r == 0)
    puts (m.any ? "]" : "[]");
  free (m.filename);
  return r == -1 ? cli_fail (&err) : cli_finish_output ();
}

const struct cli_command cmd_map = {
  .name = "map",
  .operands = "IMAGE",
  .summary = "Shows where the bytes of the disk are stored",
  .options = options,
  .n_options = CLI_COUNT (options),
  .values_size = sizeof (struct map_values),
  .min_operands = 1,
  .max_operands = 1,
  .run = run,
};
