/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which kind of source is it? */

#include <config.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source-parts.h"

struct source {
  struct machine machine;
};

/*--- Operands -----------------------------------------------------------*/

static char *
absolute_path (const char *path, rawview_error *err)
{
  CLEANUP_FREE char *cwd = NULL;

  if (*path == '/')
    return cli_format ("%s", path);
  cwd = getcwd (NULL, 0);
  if (cwd == NULL) {
    cli_error_errno (err, errno, "working directory");
    return NULL;
  }
  return cli_format ("%s/%s", cwd, path);
}

static bool
is_folder (const char *path)
{
  struct stat st;

  return stat (path, &st) == 0 && S_ISDIR (st.st_mode);
}

/* A folder's own name, also where it is "." or ends in a slash. */
static char *
name_of_folder (const char *path)
{
  CLEANUP_FREE char *real = realpath (path, NULL);
  const char *slash = real != NULL ? strrchr (real, '/') : NULL;

  return machine_clean_name (slash != NULL ? slash + 1 : path, "guest");
}

/* The export of an NBD URI, if it has a name: "vm" of "nbd://host/vm". */
static char *
name_of_uri (const char *uri)
{
  const char *path = strstr (uri, "://");
  CLEANUP_FREE char *export = NULL;

  path = path != NULL ? strchr (path + 3, '/') : NULL;
  if (path == NULL)
    return cli_format ("disk");
  export = cli_format ("%.*s", (int) strcspn (path, "?#"), path);
  return strspn (export, "/") == strlen (export)
             ? cli_format ("disk")
             : machine_name_of_file (export);
}

/*--- Adding one ---------------------------------------------------------*/

static int
add_uri (struct machine *m, const char *uri, const rawview_options *options,
         rawview_error *err)
{
  CLEANUP_FREE char *name = name_of_uri (uri);

  if (source_add_image (m, uri, options, err) == -1)
    return -1;
  for (size_t i = 0; i < m->n_disks; i++)
    if (m->disks[i].options.len == 0) {
      free (m->disks[i].name);
      m->disks[i].name = cli_format ("%s", name);
    }
  if (m->name == NULL)
    m->name = cli_format ("%s", name);
  return 0;
}

static int
add_path (struct machine *m, const char *path, const rawview_options *options,
          rawview_error *err)
{
  int r;

  if (is_folder (path)) {
    m->name = name_of_folder (path);
    r = source_add_folder (m, path, options, err);
  }
  else if (source_is_description (path))
    r = source_add_described (m, path, options, err);
  else
    r = source_add_image (m, path, options, err);
  if (r == 0 && m->name == NULL)
    m->name = machine_name_of_file (path);
  return r;
}

static int
add_operand (struct machine *m, const char *operand,
             const rawview_options *options, rawview_error *err)
{
  CLEANUP_FREE char *path = NULL;
  int r;

  if (strcmp (operand, "-") == 0)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, ESPIPE,
                          "-: a guest's disks are read more than once, so they "
                          "cannot come from a pipe");
  if (cli_is_nbd_uri (operand))
    r = add_uri (m, operand, options, err);
  else {
    path = absolute_path (operand, err);
    r = path != NULL ? add_path (m, path, options, err) : -1;
  }
  if (r == 0 && m->n_disks == 0)
    return cli_error_set (err, RAWVIEW_ERROR_FORMAT, ENOENT,
                          "%s: there is no disk image in it", operand);
  return r;
}

/*--- Several ------------------------------------------------------------*/

/* Moves the only disk of one to the end of all. */
static void
take_disk (struct machine *all, struct machine *one)
{
  *machine_add_disk (all) = one->disks[0];
  one->disks[0] = (struct machine_disk){ 0 };
  if (all->name == NULL) {
    all->name = one->name;
    one->name = NULL;
  }
}

static int
add_one_of_several (struct machine *all, const char *operand,
                    const rawview_options *options, rawview_error *err)
{
  struct machine one = { 0 };
  int r = add_operand (&one, operand, options, err);

  if (r == 0 && one.n_disks != 1)
    r = cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                       "%s: has %zu disks, and each of several sources must "
                       "be one: name it alone",
                       operand, one.n_disks);
  if (r == 0)
    take_disk (all, &one);
  machine_clear (&one);
  return r;
}

static int
open_all (struct source *s, char *const *operands, size_t n,
          const rawview_options *options, rawview_error *err)
{
  struct machine *m = &s->machine;
  int r = 0;

  if (n == 1)
    r = add_operand (m, operands[0], options, err);
  for (size_t i = 0; n > 1 && r == 0 && i < n; i++)
    r = add_one_of_several (m, operands[i], options, err);
  if (r == -1)
    return -1;
  machine_name_disks (m);
  return source_find_sizes (m, options, err);
}

/*--- The handle ---------------------------------------------------------*/

int
source_open (char *const *operands, size_t n, const rawview_options *options,
             const char *password_file, struct source **source,
             rawview_error *err)
{
  struct source *s = calloc (1, sizeof *s);

  if (s == NULL)
    return cli_error_errno (err, ENOMEM, "source");
  if (open_all (s, operands, n, options, err) == -1) {
    source_close (s);
    return -1;
  }
  *source = s;
  return 0;
}

const struct machine *
source_machine (const struct source *source)
{
  return &source->machine;
}

int
source_check (struct source *source, rawview_error *err)
{
  return 0;
}

void
source_close (struct source *source)
{
  if (source == NULL)
    return;
  machine_clear (&source->machine);
  free (source);
}
