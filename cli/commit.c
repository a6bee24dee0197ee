/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order of a commit.  Each step is durable before the next one begins:
 *
 *   1 the overlays, as the guest has left them
 *   2 the journal "decided", by its name: until here no image has changed
 *   3 the images, with what the overlays say: done again after a crash
 *   4 the journal "applied": from here on overlays may be missing
 *   5 the overlays are removed
 *   6 the journal is removed
 *
 * Without 4 nobody could tell an overlay that was removed in 5 from one that
 * was lost.  The images are locked from before 2 until 3 is done.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "commit-apply.h"
#include "commit-set.h"
#include "commit.h"

struct progress_of {
  commit_progress_cb cb; /* NULL: nobody wants to know */
  void *opaque;
  uint64_t done, total;
};

static void
count (void *opaque, uint64_t bytes)
{
  struct progress_of *p = opaque;

  p->done += bytes;
  if (p->cb != NULL)
    p->cb (p->opaque, p->done, p->total);
}

/*--- Before the decision ------------------------------------------------*/

static int
check_finished (const char *journal, rawview_error *err)
{
  struct stat st;

  if (lstat (journal, &st) == -1)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EEXIST,
                        "%s is the journal of a commit that was not finished; "
                        "finish that first with \"rawview inject --recover\"",
                        journal);
}

int
commit_check_finished (const char *image, rawview_error *err)
{
  CLEANUP_FREE char *journal = commit_journal_path (image);

  return check_finished (journal, err);
}

static int
check_place (const struct commit_journal *j, rawview_error *err)
{
  CLEANUP_FREE char *dir = cli_format ("%s", j->path);

  if (check_finished (j->path, err) == -1)
    return -1;
  strrchr (dir, '/')[1] = '\0';
  if (access (dir, W_OK | X_OK) == -1)
    return cli_error_errno (
        err, errno, "there is no room for a journal in the folder %s", dir);
  return 0;
}

int
commit_check (const struct commit_disk *disks, size_t n, const char *journal,
              rawview_error *err)
{
  struct commit_set set;
  int r = commit_set_init (&set, disks, n, journal, false, err);

  if (r == 0)
    r = check_place (&set.journal, err);
  if (r == 0)
    r = commit_set_open (&set, false, err);
  commit_set_clear (&set);
  return r;
}

static int
sync_file (const char *path, rawview_error *err)
{
  const int fd = open (path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  int r = 0;

  if (fd == -1 || fsync (fd) == -1)
    r = cli_error_errno (err, errno, "cannot flush %s", path);
  if (fd != -1)
    close (fd);
  return r == 0 ? commit_sync_folder (path, err) : -1;
}

static int
measure (struct commit_set *set, struct progress_of *p, rawview_error *err)
{
  uint64_t bytes;

  for (size_t i = 0; i < set->journal.n; i++) {
    if (commit_measure (set->open[i].overlay, &bytes, err) == -1)
      return -1;
    p->total += bytes;
  }
  count (p, 0);
  return 0;
}

static int
decide (struct commit_set *set, struct progress_of *p, bool *decided,
        rawview_error *err)
{
  struct commit_journal *j = &set->journal;

  if (check_place (j, err) == -1 || commit_set_open (set, true, err) == -1 ||
      measure (set, p, err) == -1)
    return -1;
  for (size_t i = 0; i < j->n; i++)
    if (sync_file (j->entries[i].overlay, err) == -1)
      return -1;
  /* Opening may have changed what an overlay's file says of itself. */
  if (commit_set_note_files (set, err) == -1)
    return -1;
  return commit_journal_write (j, decided, err);
}

/*--- Afterwards ---------------------------------------------------------*/

/* All changes first, so that each image is closed only when every one has all
 * of them.
 */
static int
apply (struct commit_set *set, struct progress_of *p, rawview_error *err)
{
  const size_t n = set->journal.n;

  for (size_t i = 0; i < n; i++) {
    const struct commit_open *o = &set->open[i];

    /* So that changes go to disk as they come. */
    if (rawview_start (o->image, err) == -1 ||
        commit_apply (o->overlay, o->image, count, p, err) == -1 ||
        rawview_flush (o->image, err) == -1)
      return -1;
  }
  for (size_t i = 0; i < n; i++)
    if (rawview_finish (set->open[i].image, err) == -1)
      return -1;
  return 0;
}

static int
remove_overlays (const struct commit_set *set, rawview_error *err)
{
  const struct commit_journal *j = &set->journal;

  for (size_t i = 0; i < j->n; i++) {
    const char *overlay = j->entries[i].overlay;

    if (unlink (overlay) == -1 && errno != ENOENT)
      return cli_error_errno (err, errno, "cannot remove the overlay %s",
                              overlay);
    if (commit_sync_folder (overlay, err) == -1)
      return -1;
  }
  return 0;
}

/* From the decision on, or from "applied". */
static int
complete (struct commit_set *set, struct progress_of *p, rawview_error *err)
{
  bool there;

  if (!set->journal.applied) {
    if (apply (set, p, err) == -1)
      return -1;
    set->journal.applied = true;
    if (commit_journal_write (&set->journal, &there, err) == -1)
      return -1;
  }
  commit_set_close (set);
  if (remove_overlays (set, err) == -1)
    return -1;
  return commit_journal_remove (&set->journal, err);
}

/* Every failure after the decision ends with the way on. */
static int
tell_way_on (const struct commit_set *set, rawview_error *err)
{
  CLEANUP_FREE char *why = cli_format ("%s", err->msg);
  CLEANUP_FREE char *way = cli_format (
      "; the commit is not finished: leave the images and overlays alone%s and "
      "run \"rawview inject --recover\" (journal %s)",
      err->errnum == ENOSPC ? ", make room," : "", set->journal.path);
  const int room = (int) (sizeof err->msg - 1) - (int) strlen (way);

  return cli_error_set (err, err->kind, err->errnum, "%.*s%s",
                        room > 80 ? room : 80, why, way);
}

/*--- The interface ------------------------------------------------------*/

int
commit_run (const struct commit_disk *disks, size_t n, const char *journal,
            commit_progress_cb cb, void *opaque, bool *decided,
            rawview_error *err)
{
  struct progress_of p = { .cb = cb, .opaque = opaque };
  struct commit_set set;
  int r;

  *decided = false;
  r = commit_set_init (&set, disks, n, journal, true, err);
  if (r == 0)
    r = decide (&set, &p, decided, err);
  if (r == 0)
    r = complete (&set, &p, err);
  if (r == -1 && *decided)
    tell_way_on (&set, err);
  commit_set_clear (&set);
  return r;
}

static int
recover (struct commit_set *set, struct progress_of *p, rawview_error *err)
{
  if (commit_set_compare_files (set, err) == -1)
    return -1;
  if (!set->journal.applied &&
      (commit_set_open (set, true, err) == -1 || measure (set, p, err) == -1))
    return -1;
  if (complete (set, p, err) == 0)
    return 0;
  return tell_way_on (set, err);
}

int
commit_recover (const char *journal, commit_progress_cb cb, void *opaque,
                enum commit_recovered *what, rawview_error *err)
{
  CLEANUP_FREE char *path = cli_absolute_path (journal, err);
  struct progress_of p = { .cb = cb, .opaque = opaque };
  struct commit_set set = { 0 };
  int r;

  if (path == NULL)
    return -1;
  commit_journal_init (&set.journal, path);
  r = commit_journal_read (&set.journal, err);
  *what = r == 1 ? COMMIT_NOTHING : COMMIT_DONE;
  if (r == 0)
    r = recover (&set, &p, err);
  else if (r == 1) {
    commit_journal_remove_new (&set.journal);
    r = 0;
  }
  commit_set_clear (&set);
  return r;
}
