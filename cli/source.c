/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which kind of source is it? */

#include <config.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "source-parts.h"
#include "source-remote.h"

struct source {
  struct machine machine;
  const rawview_options *options; /* the user's, while it is being opened */
  char *password_file;            /* absolute, or NULL */
  struct remote **remotes;
  size_t n_remotes;
};

/*--- Operands -----------------------------------------------------------*/

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

/* Of disks that are no members of an archive, which have names. */
static void
name_disks (struct machine *m, const char *name)
{
  for (size_t i = 0; i < m->n_disks; i++)
    if (m->disks[i].options.len == 0) {
      free (m->disks[i].name);
      m->disks[i].name = cli_format ("%s", name);
    }
}

static int
add_uri (struct source *s, struct machine *m, const char *uri,
         rawview_error *err)
{
  CLEANUP_FREE char *name = name_of_uri (uri);

  if (source_add_image (m, uri, s->options, err) == -1)
    return -1;
  name_disks (m, name);
  if (m->name == NULL)
    m->name = cli_format ("%s", name);
  return 0;
}

static int
add_path (struct source *s, struct machine *m, const char *path,
          rawview_error *err)
{
  int r;

  if (is_folder (path)) {
    m->name = name_of_folder (path);
    r = source_add_folder (m, path, s->options, err);
  }
  else if (source_is_description (path))
    r = source_add_described (m, path, s->options, err);
  else
    r = source_add_image (m, path, s->options, err);
  if (r == 0 && m->name == NULL)
    m->name = machine_name_of_file (path);
  return r;
}

/*--- Behind servers of our own ------------------------------------------*/

static struct remote *
start_remote (struct source *s, const char *uri, rawview_error *err)
{
  struct remote **grown =
      reallocarray (s->remotes, s->n_remotes + 1, sizeof *grown);

  if (grown == NULL) {
    cli_error_errno (err, ENOMEM, "%s", uri);
    return NULL;
  }
  s->remotes = grown;
  if (remote_start (uri, s->password_file, &grown[s->n_remotes], err) == -1)
    return NULL;
  return grown[s->n_remotes++];
}

static int
look_at_remote (struct source *s, struct machine *m, struct remote *remote,
                rawview_error *err)
{
  const struct machine_disk how = {
    .options = { .items = (const char *[]){ remote_option (remote) },
                 .len = remote_option (remote) != NULL }
  };
  rawview_options *options = machine_disk_options (&how, s->options, err);
  int r;

  if (options == NULL)
    return -1;
  r = source_add_image (m, remote_source (remote), options, err);
  rawview_options_free (options);
  if (r == -1)
    remote_explain (remote, err);
  return r;
}

static int
add_remote (struct source *s, struct machine *m, const char *uri,
            rawview_error *err)
{
  struct remote *remote;

  if (source_is_description (uri))
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOTSUP,
                          "%s: the files that a description behind a server "
                          "names are not looked for; name the disks",
                          uri);
  remote = start_remote (s, uri, err);
  if (remote == NULL || look_at_remote (s, m, remote, err) == -1)
    return -1;
  name_disks (m, remote_name (remote));
  for (size_t i = 0; remote_option (remote) != NULL && i < m->n_disks; i++)
    cli_list_add (&m->disks[i].options,
                  cli_format ("%s", remote_option (remote)));
  if (m->name == NULL)
    m->name = machine_name_of_file (remote_name (remote));
  return 0;
}

static int
add_operand (struct source *s, struct machine *m, const char *operand,
             rawview_error *err)
{
  CLEANUP_FREE char *path = NULL;
  int r;

  if (strcmp (operand, "-") == 0)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, ESPIPE,
                          "-: a guest's disks are read more than once, so they "
                          "cannot come from a pipe");
  if (cli_is_nbd_uri (operand))
    r = add_uri (s, m, operand, err);
  else if (remote_is_uri (operand))
    r = add_remote (s, m, operand, err);
  else {
    path = cli_absolute_path (operand, err);
    r = path != NULL ? add_path (s, m, path, err) : -1;
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
add_one_of_several (struct source *s, const char *operand, rawview_error *err)
{
  struct machine one = { 0 };
  int r = add_operand (s, &one, operand, err);

  if (r == 0 && one.n_disks != 1)
    r = cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                       "%s: has %zu disks, and each of several sources must "
                       "be one: name it alone",
                       operand, one.n_disks);
  if (r == 0)
    take_disk (&s->machine, &one);
  machine_clear (&one);
  return r;
}

static int
open_all (struct source *s, char *const *operands, size_t n, rawview_error *err)
{
  struct machine *m = &s->machine;
  int r = 0;

  if (n == 1)
    r = add_operand (s, m, operands[0], err);
  for (size_t i = 0; n > 1 && r == 0 && i < n; i++)
    r = add_one_of_several (s, operands[i], err);
  if (r == -1)
    return -1;
  machine_name_disks (m);
  return source_find_sizes (m, s->options, err);
}

/*--- The handle ---------------------------------------------------------*/

int
source_open (char *const *operands, size_t n, const rawview_options *options,
             const char *password_file, struct source **source,
             rawview_error *err)
{
  struct source *s = calloc (1, sizeof *s);
  int r = 0;

  if (s == NULL)
    return cli_error_errno (err, ENOMEM, "source");
  s->options = options;
  if (password_file != NULL) {
    s->password_file = cli_absolute_path (password_file, err);
    r = s->password_file != NULL ? 0 : -1;
  }
  if (r == -1 || open_all (s, operands, n, err) == -1) {
    source_close (s);
    return -1;
  }
  s->options = NULL;
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
  for (size_t i = 0; i < source->n_remotes; i++)
    if (remote_check (source->remotes[i], err) == -1)
      return -1;
  return 0;
}

void
source_close (struct source *source)
{
  if (source == NULL)
    return;
  for (size_t i = 0; i < source->n_remotes; i++)
    remote_stop (source->remotes[i]);
  machine_clear (&source->machine);
  free (source->remotes);
  free (source->password_file);
  free (source);
}
