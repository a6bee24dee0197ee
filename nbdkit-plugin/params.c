/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parameters of the command line.  One file= or one dir=, or any number of
 * export=, say what is served.  Everything else is an option of librawview:
 * it belongs to the export= before it, or to all if there is none.
 */

#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "params.h"

/* The protocol's limit for strings. */
#define MAX_EXPORT_NAME 4096

struct source {
  enum source_kind { SOURCE_FILE, SOURCE_DIR, SOURCE_EXPORT } kind;
  const char *name;      /* of export=, NULL otherwise */
  bool fd_given;         /* after export=NAME: */
  bool overlay_given;    /* for it or for all */
  char *path;            /* absolute, or a URI; NULL: fd= is the image */
  rawview_options *opts; /* of export=; NULL: the common ones */
};

static const char *const kind_keys[] = {
  [SOURCE_FILE] = "file",
  [SOURCE_DIR] = "dir",
  [SOURCE_EXPORT] = "export",
};

int
params_init (struct params *params)
{
  *params = (struct params){ .common = rawview_options_new () };
  if (params->common == NULL) {
    nbdkit_error ("out of memory");
    return -1;
  }
  /* Whether -r was given is not known before the first client comes. */
  rawview_options_set_writable (params->common, true);
  return 0;
}

void
params_release (struct params *params)
{
  for (size_t i = 0; i < params->nr_sources; i++) {
    free (params->sources[i].path);
    rawview_options_free (params->sources[i].opts);
  }
  free (params->sources);
  rawview_options_free (params->common);
}

/*--- Sources ------------------------------------------------------------*/

/* Room for one more; NULL on failure. */
static struct source *
add_source (struct params *params, enum source_kind kind)
{
  struct source *p = params->sources;

  if (params->nr_sources > 0 &&
      (kind != SOURCE_EXPORT || p->kind != SOURCE_EXPORT)) {
    nbdkit_error ("%s= cannot be given after %s=: use one [file=]FILE, or one "
                  "dir=DIR, or export=NAME:FILE as often as needed",
                  kind_keys[kind], kind_keys[p->kind]);
    return NULL;
  }
  p = realloc (p, (params->nr_sources + 1) * sizeof *p);
  if (p == NULL) {
    nbdkit_error ("realloc: %m");
    return NULL;
  }
  params->sources = p;
  p += params->nr_sources++;
  *p = (struct source){ .kind = kind };
  return p;
}

/* Which URIs there are is for librawview to know. */
static bool
is_uri (const char *s)
{
  size_t scheme = strspn (s, "+ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "abcdefghijklmnopqrstuvwxyz");

  return scheme > 0 && strncmp (s + scheme, "://", 3) == 0;
}

/* Absolute, because nbdkit changes its directory and because messages should
 * be clear wherever they end up.
 */
static int
set_path (struct source *source, const char *path)
{
  if (!is_uri (path))
    source->path = nbdkit_absolute_path (path);
  else if ((source->path = strdup (path)) == NULL)
    nbdkit_error ("strdup: %m");
  return source->path ? 0 : -1;
}

static int
set_source (struct params *params, enum source_kind kind, const char *value)
{
  struct source *source = add_source (params, kind);

  return source ? set_path (source, value) : -1;
}

/* NAME:FILE, or NAME: with an fd= to follow. */
static int
set_export (struct params *params, const char *value)
{
  size_t len = strcspn (value, ":");
  struct source *source;

  if (len == 0 || value[len] == '\0') {
    nbdkit_error ("export=%s: use export=NAME:FILE", value);
    return -1;
  }
  if (len > MAX_EXPORT_NAME) {
    nbdkit_error ("export=: this name has %zu bytes, the limit is %d", len,
                  MAX_EXPORT_NAME);
    return -1;
  }

  source = add_source (params, SOURCE_EXPORT);
  if (source == NULL)
    return -1;
  source->name = nbdkit_strndup_intern (value, len);
  if (source->name == NULL)
    return -1;
  source->opts = rawview_options_dup (params->common);
  if (source->opts == NULL) {
    nbdkit_error ("out of memory");
    return -1;
  }
  source->overlay_given = params->overlay_given;
  value += len + 1;
  return *value ? set_path (source, value) : 0;
}

/*--- Options ------------------------------------------------------------*/

/* The export= that options belong to now, NULL for all. */
static struct source *
current_export (struct params *params)
{
  struct source *last = params->sources + params->nr_sources;

  return params->nr_sources > 0 && last[-1].kind == SOURCE_EXPORT ? last - 1
                                                                  : NULL;
}

static int
set_option (struct params *params, const char *key, const char *value)
{
  struct source *source = current_export (params);
  rawview_error err;

  if (source != NULL && strcmp (key, "sandbox") == 0) {
    nbdkit_error ("sandbox= is for the whole process: give it before the first "
                  "export=");
    return -1;
  }
  if (rawview_options_set (source ? source->opts : params->common, key, value,
                           &err) == -1) {
    nbdkit_error ("%s", err.msg);
    return -1;
  }
  if (strcmp (key, "fd") == 0)
    *(source ? &source->fd_given : &params->fd_given) = true;
  if (strcmp (key, "overlay") == 0 || strcmp (key, "overlay-dir") == 0)
    *(source ? &source->overlay_given : &params->overlay_given) = true;
  return 0;
}

int
params_set (struct params *params, const char *key, const char *value)
{
  for (int kind = SOURCE_FILE; kind <= SOURCE_DIR; kind++)
    if (strcmp (key, kind_keys[kind]) == 0)
      return set_source (params, kind, value);
  if (strcmp (key, kind_keys[SOURCE_EXPORT]) == 0)
    return set_export (params, value);
  return set_option (params, key, value);
}

/* Sources that could not be opened because of the way they are named. */
static int
check_source (const struct params *params, const struct source *s)
{
  struct stat st;

  if (s->path == NULL && !s->fd_given && !params->fd_given) {
    nbdkit_error ("export=%s:: no image is named: use export=NAME:FILE, or "
                  "fd=N after it",
                  s->name);
    return -1;
  }
  if (s->kind != SOURCE_DIR && s->path != NULL && stat (s->path, &st) == 0 &&
      S_ISDIR (st.st_mode)) {
    nbdkit_error ("%s is a folder: use dir= to serve every image in it",
                  s->path);
    return -1;
  }
  return 0;
}

int
params_complete (struct params *params)
{
  for (size_t i = 0; i < params->nr_sources; i++)
    if (check_source (params, &params->sources[i]) == -1)
      return -1;
  if (params->nr_sources > 0)
    return 0;
  if (!params->fd_given) {
    nbdkit_error ("an image is needed: use [file=]FILE, dir=DIR, "
                  "export=NAME:FILE or fd=N");
    return -1;
  }
  return add_source (params, SOURCE_FILE) ? 0 : -1;
}

/*--- Opening ------------------------------------------------------------*/

static int
open_source (const struct source *s, const rawview_options *common,
             rawview_exports *exports)
{
  const rawview_options *opts = s->opts ? s->opts : common;
  rawview_error err;
  int r;

  if (s->kind == SOURCE_DIR)
    r = rawview_exports_add_folder (exports, s->path, opts, &err);
  else
    r = rawview_exports_add_source (exports, s->name, s->path, opts, &err);
  if (r == -1)
    nbdkit_error ("%s", err.msg);
  return r;
}

int
params_open (const struct params *params, rawview_exports *exports)
{
  for (size_t i = 0; i < params->nr_sources; i++)
    if (open_source (&params->sources[i], params->common, exports) == -1)
      return -1;
  return 0;
}

/*--- Afterwards ---------------------------------------------------------*/

bool
params_has_overlay (const struct params *params, const char *name)
{
  for (size_t i = 0; i < params->nr_sources; i++)
    if (params->sources[i].kind == SOURCE_EXPORT &&
        strcmp (params->sources[i].name, name) == 0)
      return params->sources[i].overlay_given;
  return params->overlay_given;
}

bool
params_is_folder (const struct params *params)
{
  return params->nr_sources > 0 && params->sources[0].kind == SOURCE_DIR;
}
