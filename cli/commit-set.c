/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "commit-set.h"

/*--- Names --------------------------------------------------------------*/

/* Of a file, there or not, in a folder that is; to be freed.  The name itself
 * may be a link: names inside an image count from the folder that it is in.
 */
static char *
canonical (const char *path, rawview_error *err)
{
  CLEANUP_FREE char *dir = cli_format ("%s", path), *real = NULL;
  char *slash = strrchr (dir, '/');
  const char *name = slash != NULL ? path + (slash + 1 - dir) : path;

  if (cli_is_nbd_uri (path)) {
    cli_error_set (err, RAWVIEW_ERROR_REFUSED, EROFS,
                   "%s: an image on a server cannot be written in place", path);
    return NULL;
  }
  if (slash != NULL)
    slash[1] = '\0';
  real = realpath (slash != NULL ? dir : ".", NULL);
  if (real == NULL || name[0] == '\0') {
    cli_error_errno (err, real == NULL ? errno : EISDIR, "%s", path);
    return NULL;
  }
  return cli_format ("%s/%s", strcmp (real, "/") == 0 ? "" : real, name);
}

static bool
is_option (const char *option, const char *name)
{
  const size_t len = strlen (name);

  return strncmp (option, name, len) == 0 && option[len] == '=';
}

int
commit_check_option (const char *image, const char *option, rawview_error *err)
{
  static const char *const wrong[] = { "overlay", "overlay-dir", "rescue",
                                       "snapshot", "fd" };

  for (size_t i = 0; i < CLI_COUNT (wrong); i++)
    if (is_option (option, wrong[i]))
      return cli_error_set (err, RAWVIEW_ERROR_USAGE, EINVAL,
                            "%s: changes cannot be put into an image that is "
                            "opened with %s",
                            image, option);
  return 0;
}

/* Who recovers may be in another folder. */
static char *
absolute_option (const char *option)
{
  CLEANUP_FREE char *cwd = getcwd (NULL, 0);
  const char *value = strchr (option, '=');

  if (cwd == NULL || value == NULL || value[1] == '/' ||
      cli_is_nbd_uri (value + 1) ||
      (!is_option (option, "parent") && !is_option (option, "data-file") &&
       !is_option (option, "references")) ||
      strcmp (option, "references=same-directory") == 0 ||
      strcmp (option, "references=none") == 0)
    return cli_format ("%s", option);
  return cli_format ("%.*s=%s/%s", (int) (value - option), option, cwd,
                     value + 1);
}

static int
add_options (struct commit_entry *e, const struct cli_list *options,
             rawview_error *err)
{
  for (size_t i = 0; options != NULL && i < options->len; i++) {
    if (commit_check_option (e->image, options->items[i], err) == -1)
      return -1;
    cli_list_add (&e->options, absolute_option (options->items[i]));
  }
  return 0;
}

/*--- Which files --------------------------------------------------------*/

static int
file_of (const char *path, bool follow, struct stat *st, rawview_error *err)
{
  if ((follow ? stat (path, st) : lstat (path, st)) == -1)
    return cli_error_errno (err, errno, "%s", path);
  if (S_ISREG (st->st_mode) || (follow && S_ISBLK (st->st_mode)))
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EINVAL,
                        "%s is not a regular file", path);
}

static bool
is_same (const struct commit_file *a, const struct commit_file *b)
{
  return a->dev == b->dev && a->ino == b->ino;
}

static int
refuse_same (const char *a, const char *b, rawview_error *err)
{
  return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EBUSY,
                        "%s and %s are the same file; each disk must have its "
                        "own",
                        a, b);
}

/* Is none of the first i entries the same image or overlay as entry i? */
static int
check_apart (const struct commit_journal *j, size_t i, bool with_overlays,
             rawview_error *err)
{
  const struct commit_entry *e = &j->entries[i];

  for (size_t k = 0; k < i; k++) {
    const struct commit_entry *o = &j->entries[k];

    if (is_same (&e->image_file, &o->image_file))
      return refuse_same (o->image, e->image, err);
    if (with_overlays && is_same (&e->overlay_file, &o->overlay_file))
      return refuse_same (o->overlay, e->overlay, err);
  }
  return 0;
}

static int
note_files (struct commit_journal *j, bool with_overlays, rawview_error *err)
{
  struct stat st;

  for (size_t i = 0; i < j->n; i++) {
    struct commit_entry *e = &j->entries[i];

    if (file_of (e->image, true, &st, err) == -1)
      return -1;
    e->image_file = commit_file_of (&st);
    if (with_overlays && file_of (e->overlay, false, &st, err) == -1)
      return -1;
    if (with_overlays)
      e->overlay_file = commit_file_of (&st);
    if (check_apart (j, i, with_overlays, err) == -1)
      return -1;
  }
  return 0;
}

int
commit_set_note_files (struct commit_set *set, rawview_error *err)
{
  return note_files (&set->journal, true, err);
}

/*--- Making a set -------------------------------------------------------*/

static int
add_disk (struct commit_set *set, const struct commit_disk *disk,
          bool with_overlays, rawview_error *err)
{
  struct commit_entry *e = commit_journal_add (&set->journal);

  e->image = canonical (disk->image, err);
  if (e->image == NULL || add_options (e, disk->options, err) == -1 ||
      add_options (e, disk->options2, err) == -1)
    return -1;
  /* Neither it nor its folder has to be there yet. */
  if (disk->overlay != NULL)
    e->overlay = canonical (disk->overlay, err);
  return with_overlays && e->overlay == NULL ? -1 : 0;
}

char *
commit_journal_path (const char *image)
{
  return cli_format ("%s.rawview-commit", image);
}

/* /dev is another one after each start of the machine. */
static int
find_place (const struct commit_disk *disks, const char *journal, char **path,
            rawview_error *err)
{
  CLEANUP_FREE char *usual = commit_journal_path (disks[0].image);
  struct stat st;

  if (journal == NULL && stat (disks[0].image, &st) == 0 &&
      S_ISBLK (st.st_mode))
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, EINVAL,
                          "%s is a device, beside which no journal can be; say "
                          "where it is to be",
                          disks[0].image);
  *path = canonical (journal != NULL ? journal : usual, err);
  return *path != NULL ? 0 : -1;
}

int
commit_set_init (struct commit_set *set, const struct commit_disk *disks,
                 size_t n, const char *journal, bool with_overlays,
                 rawview_error *err)
{
  CLEANUP_FREE char *path = NULL;

  *set = (struct commit_set){ 0 };
  if (n == 0)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, EINVAL,
                          "there is no disk to commit");
  if (find_place (disks, journal, &path, err) == -1)
    return -1;
  commit_journal_init (&set->journal, path);
  for (size_t i = 0; i < n; i++)
    if (add_disk (set, &disks[i], with_overlays, err) == -1)
      return -1;
  return note_files (&set->journal, with_overlays, err);
}

void
commit_set_clear (struct commit_set *set)
{
  commit_set_close (set);
  commit_journal_clear (&set->journal);
}

/*--- Still the same? ----------------------------------------------------*/

int
commit_refuse_other (const char *path, const struct commit_set *set,
                     rawview_error *err)
{
  return cli_error_set (err, RAWVIEW_ERROR_REFUSED, ESTALE,
                        "%s is not the file that the journal %s is about; put "
                        "that one back, or remove the journal if its changes "
                        "are not wanted any more",
                        path, set->journal.path);
}

/* Does the device number say nothing, or the same? */
static bool
dev_fits (const struct commit_journal *j, uint64_t dev, uint64_t noted)
{
  return dev == noted || !commit_journal_is_of_this_boot (j);
}

static int
compare_image (const struct commit_set *set, const struct commit_entry *e,
               rawview_error *err)
{
  struct commit_file now;
  struct stat st;

  if (file_of (e->image, true, &st, err) == -1)
    return -1;
  now = commit_file_of (&st);
  if (now.ino == e->image_file.ino &&
      dev_fits (&set->journal, now.dev, e->image_file.dev))
    return 0;
  return commit_refuse_other (e->image, set, err);
}

static int
compare_overlay (const struct commit_set *set, const struct commit_entry *e,
                 rawview_error *err)
{
  const struct commit_file *noted = &e->overlay_file;
  struct commit_file now;
  struct stat st;

  if (set->journal.applied && lstat (e->overlay, &st) == -1 && errno == ENOENT)
    return 0;
  if (file_of (e->overlay, false, &st, err) == -1)
    return -1;
  now = commit_file_of (&st);
  if (now.ino == noted->ino && now.size == noted->size &&
      now.mtime_sec == noted->mtime_sec &&
      now.mtime_nsec == noted->mtime_nsec &&
      dev_fits (&set->journal, now.dev, noted->dev))
    return 0;
  return commit_refuse_other (e->overlay, set, err);
}

int
commit_set_compare_files (const struct commit_set *set, rawview_error *err)
{
  const struct commit_journal *j = &set->journal;

  for (size_t i = 0; i < j->n; i++)
    if (compare_image (set, &j->entries[i], err) == -1 ||
        compare_overlay (set, &j->entries[i], err) == -1 ||
        check_apart (j, i, true, err) == -1)
      return -1;
  return 0;
}
