/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "child.h"
#include "remote-uri.h"
#include "run-dir.h"
#include "source-remote.h"

/* It has nothing to write. */
#define STOP_MS  5000
#define PROBE_MS 60000

struct remote {
  char *shown; /* the URI, for messages */
  struct remote_uri uri;
  struct run_dir dir;
  struct child child;
  char *socket, *pid_file;
  char *source;
};

bool
remote_is_uri (const char *operand)
{
  return remote_kind_of (operand) != REMOTE_NONE;
}

const char *
remote_source (const struct remote *r)
{
  return r->source;
}

/* What VMware's library shows is the disk itself. */
const char *
remote_option (const struct remote *r)
{
  return r->uri.kind == REMOTE_VDDK ? "format=raw" : NULL;
}

const char *
remote_name (const struct remote *r)
{
  return r->uri.name;
}

/*--- Before it is started -----------------------------------------------*/

static int
check_password_file (const char *path, rawview_error *err)
{
  struct stat st;

  if (path == NULL)
    return 0;
  if (stat (path, &st) == -1)
    return cli_error_errno (err, errno, "%s", path);
  if (!S_ISREG (st.st_mode))
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, 0,
                          "%s: the password's file is not a file", path);
  if ((st.st_mode & 077) != 0)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EPERM,
                          "%s: others may read this password; chmod 600 it",
                          path);
  return 0;
}

/* Runs nbdkit and sees whether it succeeds; what it says is in *why. */
static bool
nbdkit_can (const struct cli_list *argv, rawview_error *why)
{
  const struct child_wishes wishes = { .argv = (char *const *) argv->items,
                                       .death_signal = SIGKILL,
                                       .session = true };
  struct child child = { 0 };
  bool can;

  if (child_start (&child, &wishes, why) == -1)
    return false;
  if (!child_wait (&child, PROBE_MS))
    child_stop (&child, 0);
  child_relay (&child, -1);
  can = child_result (&child, why) == 0;
  child_free (&child);
  return can;
}

static int
check_vddk (const struct remote *r, rawview_error *err)
{
  struct cli_list argv = { 0 };
  rawview_error why;
  bool can;

  cli_list_add (&argv, cli_format ("nbdkit"));
  cli_list_add (&argv, cli_format ("vddk"));
  if (r->uri.libdir != NULL)
    cli_list_add (&argv, cli_format ("libdir=%s", r->uri.libdir));
  cli_list_add (&argv, cli_format ("--dump-plugin"));
  cli_list_add (&argv, NULL);
  can = nbdkit_can (&argv, &why);
  cli_list_free (&argv);
  if (can)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOTSUP,
                        "%.100s: needs nbdkit-vddk-plugin, which is not usable "
                        "here (%.160s), and VMware's VDDK library, which is "
                        "proprietary and only VMware gives out",
                        r->shown, why.msg);
}

/*--- Starting -----------------------------------------------------------*/

/* The socket's name within a URI. */
static char *
make_source (const char *socket)
{
  char *text = cli_format ("nbd+unix:///?socket=%s", ""), *grown;

  for (const char *s = socket; *s != '\0'; s++) {
    const bool plain =
        isalnum ((unsigned char) *s) || strchr ("/-_.", *s) != NULL;

    grown = cli_format (plain ? "%s%c" : "%s%%%02X", text, (unsigned char) *s);
    free (text);
    text = grown;
  }
  return text;
}

static int
place (struct remote *r, rawview_error *err)
{
  if (run_dir_make (&r->dir, err) == -1)
    return -1;
  r->socket = cli_format ("%s/nbd.sock", r->dir.path);
  r->pid_file = cli_format ("%s/pid", r->dir.path);
  r->source = make_source (r->socket);
  if (strlen (r->socket) < sizeof ((struct sockaddr_un *) NULL)->sun_path)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_USAGE, ENAMETOOLONG,
                        "%s: too long for a socket; set XDG_RUNTIME_DIR or "
                        "TMPDIR to a shorter name",
                        r->socket);
}

static int
start_server (struct remote *r, const char *password_file, rawview_error *err)
{
  struct cli_list argv = { 0 };
  struct child_wishes wishes = { .death_signal = SIGTERM, .session = true };
  int status;

  cli_list_add (&argv, cli_format ("nbdkit"));
  cli_list_add (&argv, cli_format ("--foreground"));
  cli_list_add (&argv, cli_format ("--readonly"));
  cli_list_add (&argv, cli_format ("--pidfile=%s", r->pid_file));
  cli_list_add (&argv, cli_format ("--unix=%s", r->socket));
  remote_uri_add_argv (&r->uri, password_file, &argv);
  cli_list_add (&argv, NULL);
  wishes.argv = (char *const *) argv.items;
  status = child_start (&r->child, &wishes, err);
  cli_list_free (&argv);
  if (status == -1 && err->kind == RAWVIEW_ERROR_UNSUPPORTED)
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOENT,
                          "%.200s: needs nbdkit, which is not installed "
                          "(package nbdkit)",
                          r->shown);
  return status;
}

static bool
is_ready (const struct remote *r)
{
  struct stat st;

  return stat (r->pid_file, &st) == 0 && st.st_size > 0;
}

static int
wait_until_ready (struct remote *r, rawview_error *err)
{
  while (!is_ready (r))
    if (child_wait (&r->child, 10))
      return remote_check (r, err);
  return 0;
}

static int
start (struct remote *r, const char *password_file, rawview_error *err)
{
  if (remote_uri_parse (r->shown, &r->uri, err) == -1 ||
      check_password_file (password_file, err) == -1 ||
      (r->uri.kind == REMOTE_VDDK && check_vddk (r, err) == -1) ||
      place (r, err) == -1 || start_server (r, password_file, err) == -1)
    return -1;
  return wait_until_ready (r, err);
}

int
remote_start (const char *uri, const char *password_file,
              struct remote **remote, rawview_error *err)
{
  struct remote *r = calloc (1, sizeof *r);

  if (r == NULL)
    return cli_error_errno (err, ENOMEM, "%s", uri);
  r->shown = cli_format ("%s", uri);
  if (start (r, password_file, err) == -1) {
    remote_stop (r);
    return -1;
  }
  *remote = r;
  return 0;
}

/*--- While it runs ------------------------------------------------------*/

int
remote_check (struct remote *r, rawview_error *err)
{
  const bool runs = child_runs (&r->child);
  rawview_error why = { 0 };

  child_relay (&r->child, -1);
  if (runs)
    return 0;
  if (child_result (&r->child, &why) == 0)
    snprintf (why.msg, sizeof why.msg, "its server ended too early");
  return cli_error_set (err, RAWVIEW_ERROR_IO, EIO, "%.200s: %.300s", r->shown,
                        why.msg);
}

/* Without "nbdkit: ssh[1]: error: ". */
static const char *
without_prefix (const char *words)
{
  const char *error = strstr (words, "error: ");

  return strncmp (words, "nbdkit: ", 8) == 0 && error != NULL
             ? error + strlen ("error: ")
             : words;
}

/* What the library says, without the name of the socket in front of it. */
static char *
without_source (const struct remote *r, const char *msg)
{
  const size_t len = strlen (r->source);

  if (strncmp (msg, r->source, len) == 0 && msg[len] == ':')
    msg += len + 1;
  return cli_format ("%s", msg + strspn (msg, " "));
}

void
remote_explain (struct remote *r, rawview_error *err)
{
  CLEANUP_FREE char *said = without_source (r, err->msg);
  const char *words;

  child_relay (&r->child, -1);
  words = without_prefix (child_last_words (&r->child));
  if (err->kind == RAWVIEW_ERROR_REFUSED)
    cli_error_set (err, err->kind, err->errnum,
                   "%.150s: %.200s; an image behind a server has no folder "
                   "where files that it names could be: copy all of them here",
                   r->shown, said);
  else
    cli_error_set (err, err->kind, err->errnum, "%.150s: %.340s", r->shown,
                   err->kind == RAWVIEW_ERROR_IO && *words != '\0' ? words
                                                                   : said);
}

void
remote_stop (struct remote *r)
{
  if (r == NULL)
    return;
  if (r->child.name != NULL)
    child_stop (&r->child, STOP_MS);
  child_free (&r->child);
  run_dir_remove (&r->dir);
  remote_uri_clear (&r->uri);
  free (r->shown);
  free (r->socket);
  free (r->pid_file);
  free (r->source);
  free (r);
}
