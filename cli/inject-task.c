/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the overlays of an injection lie, and what comes of them. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd-inject.h"
#include "commit.h"
#include "inject-contract.h"
#include "json.h"

/*--- Planning -----------------------------------------------------------*/

/* Beside the image, which is a file: in /dev there is no room. */
static char *
path_beside (const struct machine_disk *disk, rawview_error *err)
{
  struct stat st;

  if (*disk->source == '/' && stat (disk->source, &st) == 0 &&
      S_ISREG (st.st_mode))
    return cli_format ("%s.inject.qcow2", disk->source);
  cli_error_set (err, RAWVIEW_ERROR_USAGE, EINVAL,
                 "%s: is no file, so say with --overlay-dir where its changes "
                 "are kept until the commit",
                 disk->source);
  return NULL;
}

static char *
plan_overlay (const struct task *t, size_t i, rawview_error *err)
{
  const struct machine_disk *disk = &t->machine->disks[i];
  CLEANUP_FREE char *dir = NULL;

  if (t->v->overlay != NULL)
    return cli_absolute_path (t->v->overlay, err);
  if (t->v->overlay_dir == NULL)
    return path_beside (disk, err);
  dir = cli_absolute_path (t->v->overlay_dir, err);
  return dir != NULL ? inject_overlay_path (dir, disk) : NULL;
}

static int
plan_overlays (struct task *t, rawview_error *err)
{
  const size_t n = t->machine->n_disks;

  if (t->v->overlay != NULL && n > 1)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, EINVAL,
                          "%s has %zu disks: use --overlay-dir instead of "
                          "--overlay",
                          t->machine->name, n);
  t->overlays = calloc (n + 1, sizeof *t->overlays);
  if (t->overlays == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  for (size_t i = 0; i < n; i++) {
    t->overlays[i] = plan_overlay (t, i, err);
    if (t->overlays[i] == NULL)
      return -1;
  }
  return 0;
}

static char *
plan_log (const struct task *t, rawview_error *err)
{
  const char *first = t->overlays[0];
  const char *slash = strrchr (first, '/');

  if (t->v->log != NULL)
    return cli_absolute_path (t->v->log, err);
  return cli_format ("%.*s/%s.virt-v2v.log", (int) (slash - first), first,
                     t->machine->name);
}

static struct commit_disk *
commit_disks (const struct task *t)
{
  const struct machine *m = t->machine;
  struct commit_disk *disks = calloc (m->n_disks, sizeof *disks);

  if (disks == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  for (size_t i = 0; i < m->n_disks; i++)
    disks[i] = (struct commit_disk){ .image = m->disks[i].source,
                                     .options = &t->args->passed,
                                     .options2 = &m->disks[i].options,
                                     .overlay = t->overlays[i] };
  return disks;
}

static int
plan_commit (struct task *t, rawview_error *err)
{
  CLEANUP_FREE struct commit_disk *disks = commit_disks (t);

  t->journal = t->v->journal != NULL ? cli_absolute_path (t->v->journal, err)
                                     : commit_journal_path (disks[0].image);
  return t->journal == NULL
             ? -1
             : commit_check (disks, t->machine->n_disks, t->journal, err);
}

/* With --check alone, nobody has said yet where overlays will go. */
int
task_plan (struct task *t, rawview_error *err)
{
  for (size_t i = 0; i < t->machine->n_disks; i++)
    if (commit_check_finished (t->machine->disks[i].source, err) == -1)
      return -1;
  if (t->v->check && !t->v->commit && t->v->overlay == NULL &&
      t->v->overlay_dir == NULL)
    return 0;
  if (plan_overlays (t, err) == -1)
    return -1;
  t->log = plan_log (t, err);
  if (t->log == NULL)
    return -1;
  return t->v->commit ? plan_commit (t, err) : 0;
}

/*--- Beginning and ending -----------------------------------------------*/

/* A pipe that somebody has put there would be waited for. */
static int
open_log (const char *path, rawview_error *err)
{
  const int fd = open (path,
                       O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK |
                           O_NOCTTY | O_CLOEXEC,
                       0600);
  struct stat st;

  if (fd == -1)
    return cli_error_errno (err, errno, "%s", path);
  if (fstat (fd, &st) == 0 && S_ISREG (st.st_mode) && ftruncate (fd, 0) == 0)
    return fd;
  close (fd);
  return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EINVAL,
                        "%s: the log must be a file that can be replaced",
                        path);
}

int
task_make_place (struct task *t, rawview_error *err)
{
  if (inject_place_make (&t->place, t->overlays, t->machine->n_disks,
                         t->journal, err) == -1)
    return -1;
  t->log_fd = open_log (t->log, err);
  if (t->log_fd != -1)
    return 0;
  inject_place_remove (&t->place);
  return -1;
}

int
task_keep (struct task *t, rawview_error *err)
{
  return inject_place_keep (&t->place, err);
}

static void
show_commit (void *opaque, uint64_t done, uint64_t total)
{
  (void) done;
  (void) total;
  inject_progress_show (opaque, "Putting the changes into the images", 99);
}

/* The marker names the journal: until that is there, what a kill leaves is
 * removed by the next run; from then on it is kept for --recover.
 */
int
task_commit (struct task *t, rawview_error *err)
{
  CLEANUP_FREE struct commit_disk *disks = commit_disks (t);
  rawview_error ignored;

  if (commit_run (disks, t->machine->n_disks, t->journal, show_commit,
                  &t->progress, &t->decided, err) == 0) {
    /* A marker that a crash brings back lists nothing that is there. */
    inject_place_keep (&t->place, &ignored);
    return 0;
  }
  if (!t->decided)
    inject_place_remove (&t->place);
  return -1;
}

void
task_clear (struct task *t)
{
  for (size_t i = 0; t->overlays != NULL && t->overlays[i] != NULL; i++)
    free (t->overlays[i]);
  free (t->overlays);
  free (t->journal);
  free (t->log);
  if (t->log_fd != -1)
    close (t->log_fd);
  vault_close (t->vault);
  source_close (t->source);
  cli_list_free (&t->env);
}

/*--- Telling ------------------------------------------------------------*/

static void
report_json (const struct task *t)
{
  struct cli_json *o = cli_json_object (), *disks = cli_json_array ();

  for (size_t i = 0; i < t->machine->n_disks; i++) {
    struct cli_json *disk = cli_json_object ();

    cli_json_set_text (disk, "image", t->machine->disks[i].source);
    if (!t->v->commit)
      cli_json_set_text (disk, "overlay", t->overlays[i]);
    cli_json_append (disks, disk);
  }
  cli_json_set_text (o, "name", t->machine->name);
  cli_json_set_text (o, "system", inspect_system_name (t->system));
  cli_json_set_bool (o, "committed", t->v->commit);
  cli_json_set (o, "disks", disks);
  cli_json_set_text (o, "log", t->log);
  cli_json_print_line (stdout, o);
  putchar ('\n');
}

int
task_report (struct task *t)
{
  inject_progress_show (&t->progress, "Done", 100);
  inject_progress_end (&t->progress);
  if (t->v->json)
    report_json (t);
  else if (!t->v->commit)
    for (size_t i = 0; i < t->machine->n_disks; i++)
      puts (t->overlays[i]);
  return cli_finish_output ();
}

/*--- Recovering ---------------------------------------------------------*/

static char *
find_journal (const struct task *t, rawview_error *err)
{
  CLEANUP_FREE char *image = NULL;

  if (t->v->journal != NULL)
    return cli_absolute_path (t->v->journal, err);
  image = cli_absolute_path (t->args->operands[0], err);
  return image != NULL ? commit_journal_path (image) : NULL;
}

int
task_recover (struct task *t)
{
  enum commit_recovered what;
  rawview_error err;
  sigset_t signals;

  t->journal = find_journal (t, &err);
  if (t->journal == NULL)
    return cli_fail (&err);
  cli_block_signals (&signals);
  inject_progress_start (&t->progress, t->mode);
  if (commit_recover (t->journal, show_commit, &t->progress, &what, &err) ==
      -1) {
    inject_progress_end (&t->progress);
    return cli_failf (err.kind, "inject: %s", err.msg);
  }
  inject_progress_end (&t->progress);
  /* What nobody has decided, or is done with, goes. */
  for (size_t i = 0; i < t->args->n_operands; i++)
    inject_place_clean (t->args->operands[i]);
  if (!t->v->json)
    puts (what == COMMIT_DONE ? "the commit is finished"
                              : "there was no commit to finish");
  return cli_finish_output ();
}
