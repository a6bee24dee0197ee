/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "child.h"
#include "copy.h"
#include "expose.h"
#include "run-dir.h"

/* To write what is dirty may take long, and must not be cut off. */
#define STOP_MS 600000

/* Nobody has written anything yet. */
#define START_FAILED_MS 5000

struct server {
  struct child child;
  char *path;     /* of the file or socket */
  char *pid_file; /* which appears when it serves */
  char *uri;      /* of what is written on a socket; NULL otherwise */
  struct copy_target *flusher; /* there; NULL: none */
};

struct expose {
  struct run_dir dir;
  enum expose_how how;
  struct server *servers;
  size_t n;
  int log_fd;
};

/*--- Command lines ------------------------------------------------------*/

static void
add (struct cli_list *argv, const char *text)
{
  cli_list_add (argv, cli_format ("%s", text));
}

/* Does the list set the option that an item, "NAME=VALUE", sets? */
static bool
is_set (const struct cli_list *options, const char *item)
{
  const size_t len = strcspn (item, "=");

  for (size_t i = 0; options != NULL && i < options->len; i++)
    if (strncmp (options->items[i], item, len) == 0 &&
        options->items[i][len] == '=')
      return true;
  return false;
}

static void
add_options (struct cli_list *argv, const char *prefix,
             const struct cli_list *options, const struct cli_list *instead)
{
  for (size_t i = 0; options != NULL && i < options->len; i++)
    if (!is_set (instead, options->items[i]))
      cli_list_add (argv, cli_format ("%s%s", prefix, options->items[i]));
}

static void
add_image_options (struct cli_list *argv, const char *prefix,
                   const struct expose_disk *disk)
{
  add_options (argv, prefix, disk->options, disk->options2);
  add_options (argv, prefix, disk->options2, NULL);
  if (disk->overlay != NULL)
    cli_list_add (argv, cli_format ("%soverlay=%s", prefix, disk->overlay));
}

static void
make_rawviewfs (struct cli_list *argv, const struct server *s,
                const struct expose_disk *disk)
{
  add (argv, "rawviewfs");
  add (argv, "--foreground");
  cli_list_add (argv, cli_format ("--pid-file=%s", s->pid_file));
  add_image_options (argv, "--", disk);
  add (argv, "--");
  add (argv, disk->source);
  add (argv, s->path);
}

static void
make_nbdkit (struct cli_list *argv, const struct server *s,
             const struct expose_disk *disk)
{
  add (argv, "nbdkit");
  add (argv, "--foreground");
  cli_list_add (argv, cli_format ("--pidfile=%s", s->pid_file));
  cli_list_add (argv, cli_format ("--unix=%s", s->path));
  if (disk->overlay == NULL)
    add (argv, "--readonly");
  add (argv, "rawview");
  add_image_options (argv, "", disk);
  cli_list_add (argv, cli_format ("file=%s", disk->source));
}

/*--- Starting -----------------------------------------------------------*/

static int
make_mountpoint (const char *path, rawview_error *err)
{
  const int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

  if (fd == -1)
    return cli_error_errno (err, errno, "%s", path);
  close (fd);
  return 0;
}

static int
check_socket (const char *path, rawview_error *err)
{
  if (strlen (path) < sizeof ((struct sockaddr_un *) NULL)->sun_path)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_USAGE, ENAMETOOLONG,
                        "%s: too long for a socket; set XDG_RUNTIME_DIR or "
                        "TMPDIR to a shorter name",
                        path);
}

static int
missing (const struct expose *e, const rawview_error *why, rawview_error *err)
{
  if (why->kind != RAWVIEW_ERROR_UNSUPPORTED) {
    *err = *why;
    return -1;
  }
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, why->errnum,
                        "%s is not installed%s",
                        e->how == EXPOSE_FILES ? "rawviewfs" : "nbdkit",
                        e->how == EXPOSE_FILES ? "" : " (package nbdkit)");
}

static int
start (struct expose *e, size_t i, const struct expose_disk *disk,
       rawview_error *err)
{
  const bool files = e->how == EXPOSE_FILES;
  struct server *s = &e->servers[i];
  struct cli_list argv = { 0 };
  struct child_wishes wishes = { .death_signal = SIGTERM, .session = true };
  rawview_error why;
  int r;

  s->path =
      cli_format ("%s/disk%zu.%s", e->dir.path, i, files ? "raw" : "sock");
  s->pid_file = cli_format ("%s/disk%zu.pid", e->dir.path, i);
  if (!files && disk->overlay != NULL)
    s->uri = cli_nbd_unix_uri (s->path, "");
  if ((files ? make_mountpoint (s->path, err) : check_socket (s->path, err)) ==
      -1)
    return -1;
  (files ? make_rawviewfs : make_nbdkit) (&argv, s, disk);
  cli_list_add (&argv, NULL);
  wishes.argv = (char *const *) argv.items;
  r = child_start (&s->child, &wishes, &why);
  cli_list_free (&argv);
  return r == -1 ? missing (e, &why, err) : 0;
}

/*--- Watching -----------------------------------------------------------*/

/* Called for one that ended although nobody has asked it to. */
static int
ended (struct server *s, rawview_error *err)
{
  if (child_result (&s->child, err) == -1)
    return -1;
  return cli_error_set (err, RAWVIEW_ERROR_IO, EIO, "%s ended too early",
                        s->child.name);
}

static bool
is_ready (const struct server *s)
{
  struct stat st;

  return stat (s->pid_file, &st) == 0 && st.st_size > 0;
}

/* Who has blocked the signals that end a program would wait in vain for a
 * server that waits itself, for storage that does not answer.
 */
static bool
is_to_end (void)
{
  sigset_t set;

  return sigpending (&set) == 0 &&
         (sigismember (&set, SIGHUP) || sigismember (&set, SIGINT) ||
          sigismember (&set, SIGTERM));
}

static int
wait_until_ready (struct expose *e, struct server *s, rawview_error *err)
{
  struct stat st;

  while (!is_ready (s)) {
    if (is_to_end ())
      return cli_error_set (err, RAWVIEW_ERROR_IO, EINTR,
                            "stopped while %s was starting", s->child.name);
    const bool gone = child_wait (&s->child, 10);

    child_relay (&s->child, e->log_fd);
    if (gone)
      return ended (s, err);
  }
  /* rawviewfs may still fail; who asks it anything waits until it is clear. */
  if (stat (s->path, &st) == 0)
    return 0;
  cli_error_errno (err, errno, "%s", s->path);
  if (child_wait (&s->child, 10000)) {
    child_relay (&s->child, e->log_fd);
    return ended (s, err);
  }
  return -1;
}

int
expose_check (struct expose *e, rawview_error *err)
{
  for (size_t i = 0; i < e->n; i++) {
    struct server *s = &e->servers[i];
    const bool runs = child_runs (&s->child);

    child_relay (&s->child, e->log_fd);
    if (!runs)
      return ended (s, err);
  }
  return 0;
}

/*--- Flushing -----------------------------------------------------------*/

/* nbdkit's exit status does not tell whether its last flush was one.  So there
 * is a client of our own, from the beginning: as long as it is there, the
 * plugin ends no writing by itself.
 */
static int
open_flusher (struct server *s, rawview_error *err)
{
  const struct copy_target_options options = { .lanes = 1 };

  if (s->uri == NULL)
    return 0;
  s->flusher = copy_nbd_open (s->uri, &options, err);
  return s->flusher != NULL ? 0 : -1;
}

static int
flush (struct expose *e, rawview_error *err)
{
  rawview_error ignored;
  int r = 0;

  for (size_t i = 0; i < e->n; i++) {
    struct server *s = &e->servers[i];

    if (s->flusher == NULL)
      continue;
    if (r == 0)
      r = s->flusher->ops->flush (s->flusher, err);
    s->flusher->ops->close (s->flusher, true, &ignored);
    s->flusher = NULL;
  }
  return r;
}

/*--- Ending -------------------------------------------------------------*/

/* All are asked first, so that they flush side by side. */
static int
stop_servers (struct expose *e, unsigned ms, rawview_error *err)
{
  rawview_error ignored;
  int r = 0;

  for (size_t i = 0; i < e->n; i++)
    if (child_runs (&e->servers[i].child))
      child_ask (&e->servers[i].child);
  for (size_t i = 0; i < e->n; i++) {
    struct server *s = &e->servers[i];

    if (s->child.name == NULL)
      continue;
    child_stop (&s->child, ms);
    child_relay (&s->child, e->log_fd);
    if (child_result (&s->child, r == 0 ? err : &ignored) == -1)
      r = -1;
  }
  return r;
}

static void
free_expose (struct expose *e)
{
  for (size_t i = 0; i < e->n; i++) {
    child_free (&e->servers[i].child);
    free (e->servers[i].path);
    free (e->servers[i].pid_file);
    free (e->servers[i].uri);
  }
  run_dir_remove (&e->dir);
  free (e->servers);
  free (e);
}

int
expose_stop (struct expose *e, rawview_error *err)
{
  rawview_error ignored;
  int early, r;

  if (e == NULL)
    return 0;
  early = expose_check (e, err);
  if (flush (e, early == 0 ? err : &ignored) == -1)
    early = -1;
  r = stop_servers (e, STOP_MS, early == 0 ? err : &ignored);
  free_expose (e);
  return early == 0 ? r : early;
}

/*--- The interface ------------------------------------------------------*/

static int
start_all (struct expose *e, const struct expose_disk *disks,
           rawview_error *err)
{
  if (run_dir_make (&e->dir, err) == -1)
    return -1;
  for (size_t i = 0; i < e->n; i++)
    if (start (e, i, &disks[i], err) == -1)
      return -1;
  for (size_t i = 0; i < e->n; i++)
    if (wait_until_ready (e, &e->servers[i], err) == -1 ||
        open_flusher (&e->servers[i], err) == -1)
      return -1;
  return 0;
}

int
expose_start (const struct expose_disk *disks, size_t n, enum expose_how how,
              int log_fd, struct expose **expose, rawview_error *err)
{
  struct expose *e = calloc (1, sizeof *e);
  struct server *servers = calloc (n + 1, sizeof *servers);
  rawview_error ignored;

  if (e == NULL || servers == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  *e = (struct expose){ .how = how,
                        .servers = servers,
                        .n = n,
                        .log_fd = log_fd != -1 ? log_fd : STDERR_FILENO };
  if (start_all (e, disks, err) == 0) {
    *expose = e;
    return 0;
  }
  flush (e, &ignored);
  stop_servers (e, START_FAILED_MS, &ignored);
  free_expose (e);
  return -1;
}

const char *
expose_path (const struct expose *e, size_t i)
{
  return e->servers[i].path;
}
