/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "json.h"
#include "v2v.h"

#define PROGRAM "virt-v2v-in-place"

/* It obeys between two calls of libguestfs, which may take minutes. */
#define STOP_MS 5000

struct v2v {
  struct child child;
  char *output_xml; /* that it may write; NULL */
  int log_fd;
  int messages; /* a file in memory: one JSON object per line */
  off_t read;   /* so far, of that */
  char line[2048];
  size_t line_len;
  char phase[256];
  unsigned percent;
  char failure[400]; /* its last message that is an error */
};

/*--- Finding ------------------------------------------------------------*/

/* "virt-v2v-in-place 2.2.0", or with more behind it. */
static bool
parse_version (struct v2v_program *p, const char *words)
{
  const char *space = strchr (words, ' ');

  return space != NULL && sscanf (space, " %u.%u", &p->major, &p->minor) == 2;
}

static int
ask_version (struct v2v_program *p, rawview_error *err)
{
  char *argv[] = { (char *) p->path, (char *) "--version", NULL };
  const struct child_wishes wishes = { .argv = argv, .death_signal = SIGTERM };
  struct child child;
  int r = 0;

  if (child_start (&child, &wishes, err) == -1)
    return -1;
  child_wait (&child, 60000);
  child_stop (&child, 0);
  child_relay (&child, -1);
  if (child_result (&child, err) == -1)
    r = -1;
  else if (!parse_version (p, child_last_words (&child)))
    r = cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, EINVAL,
                       "%s: what it says of its version is not understood: %s",
                       p->path, child_last_words (&child));
  child_free (&child);
  return r;
}

int
v2v_find (struct v2v_program *p, rawview_error *err)
{
  const char *other = getenv ("RAWVIEW_VIRT_V2V_IN_PLACE");

  *p =
      (struct v2v_program){ .path = other != NULL && *other != '\0' ? other
                                                                    : PROGRAM };
  if (ask_version (p, err) == -1) {
    if (err->errnum == ENOENT)
      cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOENT,
                     "%s is not installed (package virt-v2v)", p->path);
    return -1;
  }
  p->sockets = p->major > 2 || (p->major == 2 && p->minor >= 12);
  return 0;
}

/*--- Starting -----------------------------------------------------------*/

static void
add (struct cli_list *argv, const char *text)
{
  cli_list_add (argv, cli_format ("%s", text));
}

/* A single file needs no XML, unless there is something to say of the guest. */
static int
add_source (struct cli_list *argv, const struct v2v_wishes *w,
            rawview_error *err)
{
  CLEANUP_FREE char *xml = NULL;

  if (w->machine->n_disks == 1 && !w->program->sockets) {
    add (argv, "-i");
    add (argv, "disk");
    add (argv, "-if");
    add (argv, "raw");
    add (argv, w->disks[0]);
    return 0;
  }
  xml = cli_format ("%s/guest.xml", w->dir);
  if (v2v_write_xml (xml, w, err) == -1)
    return -1;
  add (argv, "-i");
  add (argv, "libvirtxml");
  add (argv, xml);
  return 0;
}

static int
make_argv (struct v2v *v, struct cli_list *argv, const struct v2v_wishes *w,
           rawview_error *err)
{
  add (argv, w->program->path);
  cli_list_add (argv, cli_format ("--machine-readable=fd:%d", v->messages));
  add (argv, "--root");
  add (argv, w->root);
  for (size_t i = 0; w->args != NULL && i < w->args->len; i++)
    add (argv, w->args->items[i]);
  if (v->output_xml != NULL) {
    add (argv, "-O");
    add (argv, v->output_xml);
  }
  if (add_source (argv, w, err) == -1)
    return -1;
  cli_list_add (argv, NULL);
  return 0;
}

/* The log begins with what is run, which holds no secret. */
static void
log_command (int fd, const struct cli_list *argv)
{
  for (size_t i = 0; i + 1 < argv->len; i++)
    dprintf (fd, "%s%s", i > 0 ? " " : "+ ", argv->items[i]);
  dprintf (fd, "\n");
}

static int
start (struct v2v *v, const struct v2v_wishes *w, struct cli_list *argv,
       rawview_error *err)
{
  struct cli_list env = { 0 };
  /* For the same reason; libguestfs sees to its appliance itself. */
  struct child_wishes wishes = { .death_signal = SIGKILL,
                                 .session = true,
                                 .keep_fd = &v->messages };
  int r;

  if (make_argv (v, argv, w, err) == -1)
    return -1;
  for (size_t i = 0; w->env != NULL && i < w->env->len; i++)
    cli_list_add (&env, w->env->items[i]);
  cli_list_add (&env, NULL);
  wishes.argv = (char *const *) argv->items;
  wishes.env = env.items;
  log_command (w->log_fd, argv);
  r = child_start (&v->child, &wishes, err);
  free (env.items);
  return r;
}

int
v2v_start (const struct v2v_wishes *w, struct v2v **v2v, rawview_error *err)
{
  struct v2v *v = calloc (1, sizeof *v);
  struct cli_list argv = { 0 };
  int r = -1;

  if (v == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  v->log_fd = w->log_fd;
  if (w->program->sockets)
    v->output_xml = cli_format ("%s/converted.xml", w->dir);
  v->messages = memfd_create ("messages", MFD_CLOEXEC);
  if (v->messages == -1 || fcntl (v->messages, F_SETFL, O_APPEND) == -1)
    cli_error_errno (err, errno, PROGRAM);
  else
    r = start (v, w, &argv, err);
  cli_list_free (&argv);
  if (r == 0)
    *v2v = v;
  else
    v2v_end (v);
  return r;
}

/*--- Understanding ------------------------------------------------------*/

/* How far it has come when it says so: of a guest that takes minutes, most of
 * which are the conversion itself.  In the order of its versions 2.2 to 2.8.
 */
static unsigned
guess_percent (const char *message)
{
  static const struct {
    const char *begins;
    unsigned percent;
  } phases[] = {
    { "Setting up", 1 },  { "Opening the source", 3 },
    { "Inspecting", 12 }, { "Detecting", 18 },
    { "Checking", 20 },   { "Converting", 25 },
    { "Mapping", 85 },    { "Closing", 95 },
    { "Assigning", 96 },  { "Creating output", 98 },
    { "Finishing", 99 },
  };

  for (size_t i = 0; i < CLI_COUNT (phases); i++)
    if (strncmp (message, phases[i].begins, strlen (phases[i].begins)) == 0)
      return phases[i].percent;
  return 0;
}

static void
take_message (struct v2v *v, const char *type, const char *message)
{
  const unsigned percent = guess_percent (message);

  if (strcmp (type, "error") == 0)
    snprintf (v->failure, sizeof v->failure, "%s", message);
  if (strcmp (type, "message") != 0)
    return;
  snprintf (v->phase, sizeof v->phase, "%s", message);
  cli_make_printable (v->phase);
  if (percent > v->percent)
    v->percent = percent;
}

/* Lines that are no objects, such as bars of libguestfs, say nothing of the
 * whole.
 */
static void
take_line (struct v2v *v)
{
  rawview_error ignored;
  struct cli_json *o;
  const char *type, *message;

  if (v->line[0] != '{')
    return;
  o = cli_json_parse (v->line, v->line_len, "message", &ignored);
  if (o == NULL)
    return;
  type = cli_json_get_text (o, "type");
  message = cli_json_get_text (o, "message");
  if (type != NULL && message != NULL)
    take_message (v, type, message);
  cli_json_free (o);
}

static void
take_messages (struct v2v *v)
{
  char buf[4096];
  ssize_t n;

  while ((n = pread (v->messages, buf, sizeof buf, v->read)) > 0) {
    v->read += n;
    for (ssize_t i = 0; i < n; i++)
      if (buf[i] == '\n') {
        v->line[v->line_len] = '\0';
        take_line (v);
        v->line_len = 0;
      }
      else if (v->line_len < sizeof v->line - 1)
        v->line[v->line_len++] = buf[i];
  }
}

static void
log_output_xml (struct v2v *v)
{
  char buf[4096];
  ssize_t n;
  int fd =
      v->output_xml != NULL ? open (v->output_xml, O_RDONLY | O_CLOEXEC) : -1;

  if (fd == -1)
    return;
  while ((n = read (fd, buf, sizeof buf)) > 0)
    if (write (v->log_fd, buf, (size_t) n) != n)
      break;
  close (fd);
}

int
v2v_watch (struct v2v *v, rawview_error *err)
{
  const bool runs = child_runs (&v->child);

  child_relay (&v->child, v->log_fd);
  take_messages (v);
  if (runs)
    return 1;
  if (child_result (&v->child, err) == 0) {
    log_output_xml (v);
    v->percent = 100;
    return 0;
  }
  dprintf (v->log_fd, "+ %s\n", err->msg);
  if (v->failure[0] != '\0')
    cli_error_set (err, RAWVIEW_ERROR_IO, EIO, PROGRAM ": %s", v->failure);
  return -1;
}

const char *
v2v_phase (const struct v2v *v)
{
  return v->phase;
}

unsigned
v2v_percent (const struct v2v *v)
{
  return v->percent;
}

void
v2v_end (struct v2v *v)
{
  if (v == NULL)
    return;
  child_stop (&v->child, STOP_MS);
  child_relay (&v->child, v->log_fd);
  child_free (&v->child);
  if (v->messages != -1)
    close (v->messages);
  free (v->output_xml);
  free (v);
}
