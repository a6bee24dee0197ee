/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "commit-apply.h"
#include "commit-set.h"

static rawview_options *
options_of (const struct commit_entry *e, rawview_error *err)
{
  rawview_options *opts = rawview_options_new ();
  int r = 0;

  if (opts == NULL) {
    cli_error_errno (err, ENOMEM, "%s", e->image);
    return NULL;
  }
  for (size_t i = 0; r == 0 && i < e->options.len; i++) {
    CLEANUP_FREE char *key = cli_format ("%s", e->options.items[i]);
    char *value = strchr (key, '=');

    r = commit_check_option (e->image, key, err);
    if (r == 0 && value == NULL)
      r = cli_error_set (err, RAWVIEW_ERROR_USAGE, EINVAL, "%s: no option",
                         key);
    if (r == 0) {
      *value++ = '\0';
      r = rawview_options_set (opts, key, value, err);
    }
  }
  if (r == 0)
    return opts;
  rawview_options_free (opts);
  return NULL;
}

/* The library knows whether it is an overlay of that image. */
static int
verify_overlay (const struct commit_entry *e, rawview_error *err)
{
  rawview_options *opts = options_of (e, err);
  CLEANUP_IMAGE rawview_image *image = NULL;
  int r = -1;

  if (opts != NULL)
    r = rawview_options_set (opts, "overlay", e->overlay, err);
  if (r == 0)
    r = rawview_open (e->image, opts, &image, err);
  rawview_options_free (opts);
  return r;
}

/* Where the overlay lies beside it, that is no reason. */
static int
open_image (const struct commit_entry *e, rawview_image **image,
            rawview_error *err)
{
  rawview_options *opts = options_of (e, err);
  int r = -1;

  if (opts != NULL) {
    rawview_options_set_writable (opts, true);
    r = e->overlay == NULL || access (e->overlay, F_OK) == -1
            ? 0
            : rawview_options_ignore_child (opts, e->overlay, err);
  }
  if (r == 0)
    r = rawview_open (e->image, opts, image, err);
  rawview_options_free (opts);
  return r == 0 ? rawview_make_writable (*image, err) : -1;
}

/* Notes what the image is, or compares it with what was noted. */
static int
examine (struct commit_set *set, struct commit_entry *e,
         const rawview_image *image, rawview_error *err)
{
  const char *format = cli_fact_text (image, 0, "format");

  if (e->format == NULL) {
    e->format = cli_format ("%s", format);
    e->size = rawview_get_size (image);
    return 0;
  }
  if (strcmp (e->format, format) == 0 && e->size == rawview_get_size (image))
    return 0;
  return commit_refuse_other (e->image, set, err);
}

int
commit_set_open (struct commit_set *set, bool with_overlays, rawview_error *err)
{
  struct commit_journal *j = &set->journal;

  set->open = calloc (j->n, sizeof *set->open);
  if (set->open == NULL)
    return cli_error_errno (err, ENOMEM, "commit");
  for (size_t i = 0; i < j->n; i++) {
    struct commit_entry *e = &j->entries[i];
    struct commit_open *o = &set->open[i];

    if ((with_overlays && verify_overlay (e, err) == -1) ||
        open_image (e, &o->image, err) == -1 ||
        examine (set, e, o->image, err) == -1 ||
        (with_overlays &&
         commit_open_overlay (e->overlay, &e->options, &o->overlay, err) == -1))
      return -1;
  }
  return 0;
}

void
commit_set_close (struct commit_set *set)
{
  for (size_t i = 0; set->open != NULL && i < set->journal.n; i++) {
    rawview_close (set->open[i].overlay);
    rawview_close (set->open[i].image);
  }
  free (set->open);
  set->open = NULL;
}
