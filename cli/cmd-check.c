/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview check: is the image consistent, in the words and with the exit
 * statuses of "qemu-img check".
 */

#include <config.h>

#include <string.h>

#include "json.h"

enum {
  STATUS_NOT_DONE = 1,
  STATUS_CORRUPT = 2,
  STATUS_LEAKS = 3,
  STATUS_UNSUPPORTED = 63,
};

/* How many findings go into JSON, which is put together in memory while a
 * hostile image may have a finding per cluster.
 */
#define MAX_JSON_FINDINGS 1000

struct check_values {
  bool json;
};

static const struct cli_option options[] = {
  { "json", 0, NULL, "print JSON", CLI_FLAG,
    offsetof (struct check_values, json) },
};

struct findings {
  struct cli_json *list; /* NULL: print them as they come */
  size_t n;
};

static void
add_finding (void *opaque, rawview_finding finding, const char *msg)
{
  static const char *const names[] = {
    [RAWVIEW_FINDING_CORRUPTION] = "corruption",
    [RAWVIEW_FINDING_LEAK] = "leak",
    [RAWVIEW_FINDING_ERROR] = "error",
  };
  struct findings *f = opaque;
  struct cli_json *o;

  if (f->list == NULL) {
    printf ("%s: %s\n", names[finding], msg);
    return;
  }
  if (f->n++ >= MAX_JSON_FINDINGS)
    return;
  o = cli_json_object ();
  cli_json_set_text (o, "type", names[finding]);
  cli_json_set_text (o, "message", msg);
  cli_json_append (f->list, o);
}

/* image: NULL if it could not be opened. */
static void
print_json (const rawview_image *image, const char *source,
            const rawview_check_result *r, struct findings *f)
{
  struct cli_json *o = cli_json_object ();

  if (image) {
    cli_json_set_text (o, "filename", cli_fact_text (image, 0, "filename"));
    cli_json_set_text (o, "format", cli_fact_text (image, 0, "format"));
  }
  else
    cli_json_set_text (o, "filename", source);
  cli_json_set_number (o, "check-errors", r->check_errors);
  cli_json_set_number (o, "corruptions", r->corruptions);
  cli_json_set_number (o, "leaks", r->leaks);
  cli_json_set_number (o, "image-end-offset", r->image_end_offset);
  cli_json_set_number (o, "total-clusters", r->total_clusters);
  cli_json_set_number (o, "allocated-clusters", r->allocated_clusters);
  cli_json_set_number (o, "compressed-clusters", r->compressed_clusters);
  cli_json_set (o, "findings", f->list);
  f->list = NULL;
  cli_json_print (o);
}

static double
percent (uint64_t part, uint64_t whole)
{
  return whole > 0 ? 100.0 * (double) part / (double) whole : 0;
}

static void
print_text (const rawview_check_result *r)
{
  if (r->corruptions > 0)
    printf ("%llu errors were found on the image: what is read may be wrong.\n",
            (unsigned long long) r->corruptions);
  if (r->leaks > 0)
    printf ("%llu leaked clusters were found on the image: space is wasted, "
            "no harm to data.\n",
            (unsigned long long) r->leaks);
  if (r->check_errors > 0)
    printf ("%llu parts of the image could not be checked.\n",
            (unsigned long long) r->check_errors);
  if (r->corruptions + r->leaks + r->check_errors == 0)
    puts ("No errors were found on the image.");
  if (r->total_clusters > 0)
    printf ("%llu/%llu = %.2f%% allocated, %.2f%% compressed clusters\n",
            (unsigned long long) r->allocated_clusters,
            (unsigned long long) r->total_clusters,
            percent (r->allocated_clusters, r->total_clusters),
            percent (r->compressed_clusters, r->allocated_clusters));
  if (r->image_end_offset > 0)
    printf ("Image end offset: %llu\n",
            (unsigned long long) r->image_end_offset);
}

static int
result_status (const rawview_check_result *r)
{
  return r->check_errors > 0  ? STATUS_NOT_DONE
         : r->corruptions > 0 ? STATUS_CORRUPT
         : r->leaks > 0       ? STATUS_LEAKS
                              : EXIT_SUCCESS;
}

/* An image that is too damaged to be opened is opened for rescue.  *why is what
 * opening said; its kind is NONE if nothing was wrong.
 */
static int
open_image (const struct cli_args *args, rawview_image **image,
            rawview_error *why)
{
  *why = (rawview_error){ 0 };
  if (rawview_open (args->operands[0], args->options, image, why) == 0) {
    why->kind = RAWVIEW_ERROR_NONE;
    return 0;
  }
  if (why->kind != RAWVIEW_ERROR_CORRUPT)
    return -1;
  if (rawview_options_set (args->options, "rescue", "yes", NULL) == 0 &&
      rawview_open (args->operands[0], args->options, image, NULL) == -1)
    *image = NULL;
  return 0;
}

/* why: as of open_image. */
static int
check_image (rawview_image *image, const rawview_error *why,
             struct findings *findings, rawview_check_result *result,
             rawview_error *err)
{
  if (image && rawview_check (image, add_finding, findings, result, err) == -1)
    return -1;
  /* Nothing that was found explains why it does not open. */
  if (why->kind == RAWVIEW_ERROR_CORRUPT && result->corruptions == 0) {
    result->corruptions++;
    add_finding (findings, RAWVIEW_FINDING_CORRUPTION, why->msg);
  }
  return 0;
}

static int
run (const struct cli_args *args)
{
  CLEANUP_IMAGE rawview_image *image = NULL;
  const struct check_values *v = args->values;
  struct findings findings = { 0 };
  rawview_check_result result = { 0 };
  rawview_error why, err;
  rawview_sandbox sandbox;

  if (open_image (args, &image, &why) == -1) {
    cli_fail (&why);
    return STATUS_NOT_DONE;
  }
  if (cli_enter_sandbox (args->options, image, NULL, NULL, &sandbox, &err) ==
      -1) {
    cli_fail (&err);
    return STATUS_NOT_DONE;
  }
  if (v->json)
    findings.list = cli_json_array ();
  if (check_image (image, &why, &findings, &result, &err) == -1) {
    cli_json_free (findings.list);
    cli_fail (&err);
    return err.kind == RAWVIEW_ERROR_UNSUPPORTED ? STATUS_UNSUPPORTED
                                                 : STATUS_NOT_DONE;
  }
  if (v->json)
    print_json (image, args->operands[0], &result, &findings);
  else
    print_text (&result);
  if (cli_finish_output () != 0)
    return STATUS_NOT_DONE;
  return result_status (&result);
}

const struct cli_command cmd_check = {
  .name = "check",
  .operands = "IMAGE",
  .summary = "Checks that the tables of an image are consistent",
  .options = options,
  .n_options = CLI_COUNT (options),
  .values_size = sizeof (struct check_values),
  .min_operands = 1,
  .max_operands = 1,
  .usage_status = STATUS_NOT_DONE,
  .run = run,
};
