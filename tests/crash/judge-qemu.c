/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "qemu-img check" makes of a state.  Where the format has leaks, both
 * checkers must count the same.
 */

#include "crash.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "util/text.h"

extern char **environ;

static void
save (const char *dir, const char *name, const uint8_t *bytes, uint64_t len)
{
  CLEANUP_FREE char *path = rv_text_format ("%s/%s", dir, name);
  CLEANUP_CLOSE int fd =
      open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

  if (fd == -1)
    crash_die ("%s: %m", path);
  while (len > 0) {
    ssize_t n = write (fd, bytes, len);

    if (n <= 0)
      crash_die ("%s: %m", path);
    bytes += n;
    len -= n;
  }
}

void
crash_state_save (const struct crash_state *state, const char *dir, bool all)
{
  const struct crash_image *image = state->run->image;

  if (mkdir (dir, 0777) == -1 && errno != EEXIST)
    crash_die ("%s: %m", dir);
  for (unsigned i = 0; i < image->nr_files; i++)
    if (all || image->files[i].writable)
      save (dir, image->files[i].name, state->bytes[i], state->len[i]);
}

/* Its exit status; the result goes to the file "said", each finding, of which
 * there may be hundreds, to "findings".
 */
static int
run_check (const char *dir, const struct crash_image *image)
{
  CLEANUP_FREE char *path = rv_text_format ("%s/%s", dir, image->files[0].name);
  CLEANUP_FREE char *said = rv_text_format ("%s/said", dir);
  CLEANUP_FREE char *findings = rv_text_format ("%s/findings", dir);
  const char *argv[] = { "qemu-img",      "check", "-f", image->format->name,
                         "--output=json", path,    NULL };
  posix_spawn_file_actions_t actions;
  int status;
  pid_t pid;

  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_addopen (&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen (&actions, 1, said,
                                    O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_addopen (&actions, 2, findings,
                                    O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (posix_spawnp (&pid, argv[0], &actions, NULL, (char **) argv, environ) !=
      0)
    crash_die ("cannot run qemu-img");
  posix_spawn_file_actions_destroy (&actions);
  if (waitpid (pid, &status, 0) != pid || !WIFEXITED (status))
    crash_die ("qemu-img died");
  return WEXITSTATUS (status);
}

/* The beginning of a file in dir. */
static void
slurp (const char *dir, const char *name, char *buf, size_t len)
{
  CLEANUP_FREE char *path = rv_text_format ("%s/%s", dir, name);
  FILE *f = fopen (path, "r");

  buf[f ? fread (buf, 1, len - 1, f) : 0] = 0;
  if (f)
    fclose (f);
}

static uint64_t
leaks_said (const char *dir)
{
  char said[4096];
  const char *leaks;

  slurp (dir, "said", said, sizeof said);
  leaks = strstr (said, "\"leaks\": ");
  return leaks ? strtoull (leaks + 9, NULL, 10) : 0;
}

bool
crash_judge_qemu (const char *dir, const struct crash_state *state,
                  struct crash_verdict *v)
{
  const struct crash_image *image = state->run->image;
  char findings[400];
  uint64_t leaks;
  int status;

  crash_state_save (state, dir, false);
  status = run_check (dir, image);
  leaks = leaks_said (dir);
  if (status != 0 && status != 3) {
    v->good = false;
    slurp (dir, "findings", findings, sizeof findings);
    snprintf (v->why, sizeof v->why, "qemu-img check: exit %d: %s", status,
              findings);
  }
  else if (image->format == &rv_format_qcow2 && leaks != v->leaks) {
    v->good = false;
    snprintf (v->why, sizeof v->why,
              "qemu-img check sees %ju leaks, our check %ju", (uintmax_t) leaks,
              (uintmax_t) v->leaks);
  }
  return v->good;
}
