/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "rawview inject" as a process beside the one that copies. */

#include <config.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "import-inject.h"
#include "json.h"

#define STOP_MS 120000
#define PREFIX  "rawview: "

/*--- Its command line ---------------------------------------------------*/

/* We are the same program. */
static char *
own_program (void)
{
  char path[PATH_MAX];
  const ssize_t len = readlink ("/proc/self/exe", path, sizeof path - 1);

  if (len == -1)
    exit (cli_failf (RAWVIEW_ERROR_IO, "/proc/self/exe: %s", strerror (errno)));
  return cli_format ("%.*s", (int) len, path);
}

/* All texts are ours. */
static void
make_argv (const struct import *im, const char *overlay_dir, const char *log,
           struct cli_list *argv)
{
  const struct import_wishes *w = im->wishes;

  cli_list_add (argv, own_program ());
  cli_list_add (argv, cli_format ("inject"));
  if (overlay_dir) {
    cli_list_add (argv, cli_format ("--overlay-dir=%s", overlay_dir));
    cli_list_add (argv, cli_format ("--progress=json"));
    cli_list_add (argv, cli_format ("--log=%s", log));
  }
  else
    cli_list_add (argv, cli_format ("--check"));
  for (size_t i = 0; i < w->inject.len; i++)
    cli_list_add (argv, cli_format ("%s", w->inject.items[i]));
  for (size_t i = 0; i < w->passed->len; i++)
    cli_list_add (argv, cli_format ("--%s", w->passed->items[i]));
  if (w->password_file)
    cli_list_add (argv, cli_format ("--password-file=%s", w->password_file));
  cli_list_add (argv, cli_format ("--"));
  for (size_t i = 0; i < w->n_operands; i++)
    cli_list_add (argv, cli_format ("%s", w->operands[i]));
  cli_list_add (argv, NULL);
}

static void
release (struct injection *j)
{
  child_free (&j->child);
  free (j->log);
  j->log = NULL;
  j->started = false;
}

static int
start (struct injection *j, const struct import *im, const char *overlay_dir,
       rawview_error *err)
{
  struct cli_list argv = { 0 };
  struct child_wishes wishes = { .death_signal = SIGTERM, .session = true };
  int r;

  *j = (struct injection){ .is_ours = im->wishes->log == NULL,
                           .overlay_dir = overlay_dir };
  j->log = j->is_ours ? cli_format ("%s/%s.virt-v2v.log", im->work_parent,
                                    im->machine.disks[0].name)
                      : cli_format ("%s", im->wishes->log);
  make_argv (im, overlay_dir, j->log, &argv);
  wishes.argv = (char *const *) argv.items;
  r = child_start (&j->child, &wishes, err);
  cli_list_free (&argv);
  j->started = r == 0;
  if (r == -1)
    release (j);
  return r;
}

/*--- What it says -------------------------------------------------------*/

/* The last line is kept back: it is the reason if it fails. */
static void
take_words (struct injection *j)
{
  /* "K" of the terminal clears a bar. */
  if (*j->words != '\0')
    fprintf (stderr, "%s%s\n", isatty (STDERR_FILENO) ? "\r\033[K" : "",
             j->words);
  strcpy (j->words, j->line);
}

static void
take_progress (struct injection *j)
{
  rawview_error ignored;
  struct cli_json *o = cli_json_parse (j->line, j->len, "inject", &ignored);
  double percent;

  if (cli_json_get_number (o, "percent", &percent) && percent >= 0 &&
      percent <= 100)
    j->percent = percent;
  cli_json_free (o);
}

/* They are no news to us. */
static bool
names_overlay (const struct injection *j)
{
  return j->overlay_dir &&
         strncmp (j->line, j->overlay_dir, strlen (j->overlay_dir)) == 0;
}

static void
take_line (struct injection *j)
{
  j->line[j->len] = '\0';
  if (*j->line == '{')
    take_progress (j);
  else if (j->len > 0 && !names_overlay (j))
    take_words (j);
  j->len = 0;
}

static void
listen (struct injection *j)
{
  char buf[4096];
  ssize_t n;

  while ((n = pread (j->child.said, buf, sizeof buf, j->heard)) > 0) {
    j->heard += n;
    for (ssize_t i = 0; i < n; i++)
      if (buf[i] == '\n')
        take_line (j);
      else if (j->len < sizeof j->line - 1)
        j->line[j->len++] = buf[i];
  }
}

/*--- Its end ------------------------------------------------------------*/

static int
failed (const struct injection *j, rawview_error *err)
{
  const char *words = j->words;
  const int status = j->child.status;
  rawview_error_kind kind = RAWVIEW_ERROR_IO;

  if (strncmp (words, PREFIX, strlen (PREFIX)) == 0)
    words += strlen (PREFIX);
  if (WIFEXITED (status) && WEXITSTATUS (status) <= RAWVIEW_ERROR_NOMEM)
    kind = (rawview_error_kind) WEXITSTATUS (status);
  if (WIFSIGNALED (status))
    return cli_error_set (err, RAWVIEW_ERROR_IO, EIO,
                          "import: the injection was killed by a signal: %s",
                          strsignal (WTERMSIG (status)));
  if (*words == '\0')
    return cli_error_set (err, kind, EIO,
                          "import: the injection ended with status %d",
                          WEXITSTATUS (status));
  if (access (j->log, F_OK) == 0)
    return cli_error_set (err, kind, EIO, "%s (log: %s)", words, j->log);
  return cli_error_set (err, kind, EIO, "%s", words);
}

static int
result (struct injection *j, rawview_error *err)
{
  int r = 0;

  listen (j);
  if (j->len > 0)
    take_line (j);
  if (j->child.status != 0)
    r = failed (j, err);
  else if (*j->words != '\0')
    fprintf (stderr, "%s\n", j->words);
  if (r == 0 && j->is_ours && j->overlay_dir)
    unlink (j->log);
  release (j);
  return r;
}

/*--- The interface ------------------------------------------------------*/

int
injection_check (const struct import *im, rawview_error *err)
{
  struct injection j;

  if (start (&j, im, NULL, err) == -1)
    return -1;
  while (!child_wait (&j.child, 1000))
    continue;
  return result (&j, err);
}

int
injection_start (struct injection *j, const struct import *im,
                 const char *overlay_dir, rawview_error *err)
{
  return start (j, im, overlay_dir, err);
}

int
injection_watch (struct injection *j, rawview_error *err)
{
  if (!j->started || j->done)
    return 0;
  listen (j);
  if (child_runs (&j->child))
    return 0;
  if (result (j, err) == -1)
    return -1;
  j->done = true;
  j->percent = 100;
  return 0;
}

void
injection_stop (struct injection *j)
{
  if (!j->started)
    return;
  child_stop (&j->child, STOP_MS);
  if (j->is_ours)
    unlink (j->log);
  release (j);
}
