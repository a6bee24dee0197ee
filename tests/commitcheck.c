/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* commitcheck check|run [-j JOURNAL] [-o NAME=VALUE]... IMAGE OVERLAY
 *   [[-o NAME=VALUE]... IMAGE OVERLAY]...
 * commitcheck recover JOURNAL
 *
 * Does what commit.h says.  Exit status: 0 done, 1 failed and nothing was
 * decided, 2 failed and to be recovered, 3 there is nothing to recover.
 */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "../cli/commit.h"
#include "checktool.h"

#define MAX_DISKS 16u

const char checktool_name[] = "commitcheck";

struct job {
  const char *journal;
  struct commit_disk disks[MAX_DISKS];
  struct cli_list options[MAX_DISKS];
  size_t n;
};

static void
parse (struct job *job, char **argv)
{
  for (; *argv != NULL; argv += 2) {
    if (argv[1] == NULL || job->n == MAX_DISKS)
      die ("%s: one too many or too few", *argv);
    if (strcmp (*argv, "-j") == 0)
      job->journal = argv[1];
    else if (strcmp (*argv, "-o") == 0)
      cli_list_add (&job->options[job->n], argv[1]);
    else {
      job->disks[job->n] =
          (struct commit_disk){ argv[0], &job->options[job->n], NULL, argv[1] };
      job->n++;
    }
  }
}

/* That it never goes back, and ends at the total. */
struct seen {
  uint64_t done, total;
};

static void
progress (void *opaque, uint64_t done, uint64_t total)
{
  struct seen *seen = opaque;

  if (done < seen->done || done > total)
    die ("progress went from %llu to %llu of %llu",
         (unsigned long long) seen->done, (unsigned long long) done,
         (unsigned long long) total);
  *seen = (struct seen){ done, total };
}

static int
end (int r, int status, const rawview_error *err)
{
  if (r == -1)
    fprintf (stderr, "%s: %s\n", checktool_name, err->msg);
  return r == -1 ? status : 0;
}

static int
run (const struct job *job, rawview_error *err)
{
  struct seen seen = { 0 };
  bool decided;
  int r = commit_run (job->disks, job->n, job->journal, progress, &seen,
                      &decided, err);

  if (r == 0 && seen.done != seen.total)
    die ("progress ended at %llu of %llu", (unsigned long long) seen.done,
         (unsigned long long) seen.total);
  return end (r, decided ? 2 : 1, err);
}

static int
recover (const char *journal, rawview_error *err)
{
  enum commit_recovered what;
  struct seen seen = { 0 };
  int r = commit_recover (journal, progress, &seen, &what, err);

  return r == 0 && what == COMMIT_NOTHING ? 3 : end (r, 2, err);
}

int
main (int argc, char *argv[])
{
  struct job job = { 0 };
  rawview_error err;
  int status;

  if (argc < 3)
    die ("usage: commitcheck check|run|recover ...");
  if (strcmp (argv[1], "recover") == 0)
    return recover (argv[2], &err);
  parse (&job, argv + 2);
  if (strcmp (argv[1], "run") == 0)
    status = run (&job, &err);
  else
    status = end (commit_check (job.disks, job.n, job.journal, &err), 1, &err);
  for (size_t i = 0; i < MAX_DISKS; i++)
    free (job.options[i].items);
  return status;
}
