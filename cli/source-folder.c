/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder of images is one guest: each image is a disk of it, but for those
 * that are below another one in a backing chain.
 */

#include <config.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "source-parts.h"

#define MAX_DISKS 256u

struct folder {
  rawview_exports *exports;
  const char *dir;
  struct cli_list names;
  struct cli_list parents;  /* files below others, and */
  struct cli_list children; /* the disk that each is below */
};

static void
say (void *opaque, const char *msg)
{
  (void) opaque;
  fprintf (stderr, "rawview: warning: %s\n", msg);
}

static int
add_name (void *opaque, const rawview_export *e)
{
  cli_list_add (opaque, cli_format ("%s", e->name));
  return 0;
}

/*--- Which file it is ---------------------------------------------------*/

static bool
is_file (const char *path)
{
  struct stat st;

  return lstat (path, &st) == 0 && S_ISREG (st.st_mode);
}

/* Takes apart "vm.ova:disk1.vmdk", where files may have colons in their names.
 * *member is NULL for what is a file itself.
 */
static char *
split_member (const char *dir, const char *filename, const char **member)
{
  char *path = cli_format ("%s/%s", dir, filename);

  *member = NULL;
  for (const char *colon = strchr (filename, ':');
       colon != NULL && !is_file (path); colon = strchr (colon + 1, ':')) {
    free (path);
    path = cli_format ("%s/%.*s", dir, (int) (colon - filename), filename);
    *member = colon + 1;
  }
  return path;
}

static bool
is_same_file (const char *a, const char *b)
{
  struct stat sa, sb;

  return stat (a, &sa) == 0 && stat (b, &sb) == 0 && sa.st_dev == sb.st_dev &&
         sa.st_ino == sb.st_ino;
}

/*--- One image ----------------------------------------------------------*/

static void
note_parents (struct folder *f, const rawview_image *image, const char *path)
{
  for (unsigned d = 1; d < rawview_get_depth (image); d++) {
    const char *name = cli_fact_text (image, d, "filename");

    cli_list_add (&f->parents, cli_format ("%s%s%s", *name == '/' ? "" : f->dir,
                                           *name == '/' ? "" : "/", name));
    cli_list_add (&f->children, cli_format ("%s", path));
  }
}

static int
add_disk (struct machine *m, struct folder *f, const char *name,
          rawview_error *err)
{
  CLEANUP_IMAGE rawview_image *image = NULL;
  struct machine_disk *disk;
  const char *filename, *member;

  if (rawview_exports_open (f->exports, name, &image, err) == -1)
    return -1;
  filename = cli_fact_text (image, 0, "filename");
  disk = machine_add_disk (m);
  disk->source = split_member (f->dir, filename, &member);
  note_parents (f, image, disk->source);
  disk->name = cli_format ("%s", member != NULL ? member : filename);
  disk->size = rawview_get_size (image);
  if (member != NULL)
    cli_list_add (&disk->options, cli_format ("disk=%s", member));
  return 0;
}

/*--- Chains -------------------------------------------------------------*/

static bool
is_parent (const struct folder *f, const char *path)
{
  for (size_t i = 0; i < f->parents.len; i++)
    if (is_same_file (f->parents.items[i], path))
      return true;
  return false;
}

static bool
is_disk (const struct machine *m, const char *path)
{
  for (size_t i = 0; i < m->n_disks; i++)
    if (strcmp (m->disks[i].source, path) == 0)
      return true;
  return false;
}

static void
remove_disk (struct machine *m, size_t i)
{
  struct machine one = { .disks = malloc (sizeof *m->disks), .n_disks = 1 };

  if (one.disks == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  one.disks[0] = m->disks[i];
  memmove (&m->disks[i], &m->disks[i + 1],
           (m->n_disks - i - 1) * sizeof *m->disks);
  m->n_disks--;
  machine_clear (&one);
}

/* Two disks that have a file below them are two states of one. */
static int
check_branches (const struct machine *m, const struct folder *f,
                rawview_error *err)
{
  const struct cli_list *p = &f->parents, *c = &f->children;

  for (size_t i = 0; i < p->len; i++)
    for (size_t j = 0; is_disk (m, c->items[i]) && j < i; j++)
      if (strcmp (c->items[i], c->items[j]) != 0 && is_disk (m, c->items[j]) &&
          is_same_file (p->items[i], p->items[j]))
        return cli_error_set (err, RAWVIEW_ERROR_REFUSED, 0,
                              "%s and %s are states of one disk: name the one "
                              "that is meant, rather than the folder",
                              c->items[j], c->items[i]);
  return 0;
}

/* The newest of a chain is the disk. */
static int
remove_parents (struct machine *m, const struct folder *f, rawview_error *err)
{
  for (size_t i = m->n_disks; i-- > 0;)
    if (is_parent (f, m->disks[i].source))
      remove_disk (m, i);
  return check_branches (m, f, err);
}

/*--- All of them --------------------------------------------------------*/

static int
add_disks (struct machine *m, struct folder *f, const rawview_options *options,
           rawview_error *err)
{
  rawview_exports_set_log (f->exports, say, NULL);
  if (rawview_exports_add_folder (f->exports, f->dir, options, err) == -1 ||
      rawview_exports_list (f->exports, add_name, &f->names, err) == -1)
    return -1;
  if (f->names.len > MAX_DISKS)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0,
                          "%s: %zu images, more than a guest's %u disks; name "
                          "those that are meant",
                          f->dir, f->names.len, MAX_DISKS);
  for (size_t i = 0; i < f->names.len; i++)
    if (add_disk (m, f, f->names.items[i], err) == -1)
      return -1;
  return remove_parents (m, f, err);
}

int
source_add_folder (struct machine *m, const char *dir,
                   const rawview_options *options, rawview_error *err)
{
  struct folder f = { .exports = rawview_exports_new (), .dir = dir };
  int r;

  if (f.exports == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, ENOMEM, "out of memory");
  r = add_disks (m, &f, options, err);
  rawview_exports_free (f.exports);
  cli_list_free (&f.names);
  cli_list_free (&f.parents);
  cli_list_free (&f.children);
  return r;
}
