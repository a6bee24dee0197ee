/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview serve: images as NBD exports, by running nbdkit with the plugin.
 *
 * The images are opened here first.  That says what is wrong with them in one
 * line and with the right exit status, and tells the exports' names, before
 * nbdkit opens them for good.
 */

#include <config.h>

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "serve.h"

#define FIELD(name) offsetof (struct serve_values, name)

static const struct cli_option options[] = {
  { "daemon", 0, NULL, "go into the background (needs --socket or --port)",
    CLI_FLAG, FIELD (daemon) },
  { "filter", 0, "FILTER", "put an nbdkit filter before the images", CLI_LIST,
    FIELD (filters) },
  { "ipaddr", 'i', "ADDRESS", "listen on this address only, see --port",
    CLI_TEXT, FIELD (ipaddr) },
  { "libvirt-xml", 0, NULL, "print libvirt disk elements instead of URIs",
    CLI_FLAG, FIELD (libvirt_xml) },
  { "name", 0, "EXPORT", "name of the first, second, ... source's export",
    CLI_LIST, FIELD (names) },
  { "nbdkit", 0, "ARG", "pass an option or parameter to nbdkit as it is",
    CLI_LIST, FIELD (nbdkit) },
  { "pid-file", 'P', "FILE", "write nbdkit's process ID when it is ready",
    CLI_TEXT, FIELD (pid_file) },
  { "port", 'p', "N", "listen on this TCP port", CLI_NUMBER, FIELD (port) },
  { "read-only", 'r', NULL, "do not offer to write, not even to an overlay",
    CLI_FLAG, FIELD (read_only) },
  { "run", 0, "COMMAND", "serve while this command runs, see nbdkit(1)",
    CLI_TEXT, FIELD (run) },
  { "rw", 0, NULL, "clients may write to the images themselves", CLI_FLAG,
    FIELD (rw) },
  { "selinux-label", 0, "LABEL", "label of the socket", CLI_TEXT,
    FIELD (selinux_label) },
  { "socket", 'U', "PATH", "listen on this Unix domain socket", CLI_TEXT,
    FIELD (socket) },
  { "threads", 't', "N", "requests served at a time per connection", CLI_NUMBER,
    FIELD (threads) },
  { "tls", 0, "off|on|require", "may or must clients use TLS", CLI_TEXT,
    FIELD (tls) },
  { "tls-certificates", 0, "DIR", "where the certificates are", CLI_TEXT,
    FIELD (tls_certificates) },
  { "tls-psk", 0, "FILE", "file of pre-shared keys", CLI_TEXT,
    FIELD (tls_psk) },
  { "tls-verify-peer", 0, NULL, "ask clients for certificates", CLI_FLAG,
    FIELD (tls_verify_peer) },
  { "verbose", 'v', NULL, "print nbdkit's debugging messages", CLI_FLAG,
    FIELD (verbose) },
};

/*--- Sources ------------------------------------------------------------*/

static int
add_name (void *opaque, const rawview_export *e)
{
  cli_list_add (opaque, cli_format ("%s", e->name));
  return 0;
}

static int
count (void *opaque, const rawview_export *e)
{
  ++*(size_t *) opaque;
  return 0;
}

static void
log_warning (void *opaque, const char *msg)
{
  fprintf (stderr, "rawview: warning: %s\n", msg);
}

static int
add_source (const struct cli_args *args, size_t i, rawview_exports *exports,
            rawview_error *err)
{
  const char *source = args->operands[i], *name = serve_given_name (args, i);

  if (!serve_is_folder (source))
    return rawview_exports_add_source (exports, name, source, args->options,
                                       err);
  if (name != NULL)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                          "serve: --name=%s: the exports of the folder %s are "
                          "called after its files",
                          name, source);
  return rawview_exports_add_folder (exports, source, args->options, err);
}

/* Asks each image whether it can be written, and forgets it again.  One that
 * cannot is an error, because it was asked for, but in a folder just read-only.
 */
static int
try_to_write (const struct cli_args *args, rawview_exports *exports,
              struct serve_exports *found, rawview_error *err)
{
  bool folder = serve_is_folder (args->operands[0]);

  found->readonly = calloc (found->names.len + 1, sizeof (bool));
  if (found->readonly == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, ENOMEM, "out of memory");
  for (size_t i = 0; i < found->names.len; i++) {
    CLEANUP_IMAGE rawview_image *image = NULL;

    if (rawview_exports_open (exports, found->names.items[i], &image, err) ==
            -1 ||
        rawview_make_writable (image, err) == -1) {
      if (!folder)
        return -1;
      found->readonly[i] = true;
    }
  }
  return 0;
}

/* Finds the exports' names, and after each source how many there are by then.
 */
static int
look_at_sources (const struct cli_args *args, struct serve_exports *found,
                 rawview_error *err)
{
  CLEANUP_EXPORTS rawview_exports *exports = rawview_exports_new ();

  if (exports == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
  rawview_exports_set_log (exports, log_warning, NULL);
  for (size_t i = 0; i < args->n_operands; i++)
    if (add_source (args, i, exports, err) == -1 ||
        rawview_exports_list (exports, count, &found->counts[i], err) == -1)
      return -1;
  if (rawview_exports_list (exports, add_name, &found->names, err) == -1)
    return -1;
  return found->writes ? try_to_write (args, exports, found, err) : 0;
}

/*--- Running ------------------------------------------------------------*/

struct server {
  struct serve_address address;
  struct serve_exports exports;
  bool libvirt_xml;
  bool been_ready;
  int output_status; /* of telling where the exports are */
};

static int
print_exports (void *opaque)
{
  struct server *s = opaque;

  s->been_ready = true;
  for (size_t i = 0; i < s->exports.names.len; i++)
    if (s->libvirt_xml)
      serve_print_disk (&s->address, s->exports.names.items[i],
                        !s->exports.writes || s->exports.readonly[i], i);
    else
      serve_print_uri (&s->address, s->exports.names.items[i]);
  /* A folder may be empty now and filled later. */
  if (s->exports.names.len == 0 && !s->libvirt_xml)
    serve_print_uri (&s->address, "");
  s->output_status = cli_finish_output ();
  return s->output_status;
}

static bool
has_overlay (const struct cli_args *args)
{
  for (size_t i = 0; i < args->passed.len; i++)
    if (strncmp (args->passed.items[i], "overlay=", 8) == 0 ||
        strncmp (args->passed.items[i], "overlay-dir=", 12) == 0)
      return true;
  return false;
}

static int
check_usage (const struct cli_args *args)
{
  const struct serve_values *v = args->values;
  const char *wrong = NULL;

  if (v->socket != NULL && v->port != 0)
    wrong = "--socket and --port exclude each other";
  else if (v->ipaddr != NULL && v->port == 0)
    wrong = "--ipaddr needs --port";
  else if (v->port > 65535)
    wrong = "--port must be from 1 to 65535";
  else if (v->daemon && v->socket == NULL && v->port == 0)
    wrong = "--daemon needs --socket or --port";
  else if (v->run != NULL && (v->daemon || v->libvirt_xml))
    wrong = "--run excludes --daemon and --libvirt-xml";
  else if (v->rw && v->read_only)
    wrong = "--rw and --read-only exclude each other";
  else if (v->rw && has_overlay (args))
    wrong = "--rw and --overlay exclude each other: writes go into the image "
            "or into its overlay";
  else if (v->names.len > args->n_operands)
    wrong = "more names than sources";
  return wrong == NULL ? 0
                       : cli_failf (RAWVIEW_ERROR_USAGE, "serve: %s", wrong);
}

/* nbdkit's plugin splits a name from its file at the first colon, and takes
 * folders alone.
 */
static int
check_names (const struct cli_args *args, const struct cli_list *names)
{
  if (args->n_operands == 1 && serve_given_name (args, 0) == NULL)
    return 0;
  for (size_t i = 0; i < args->n_operands; i++)
    if (serve_is_folder (args->operands[i]))
      return cli_failf (RAWVIEW_ERROR_USAGE,
                        "serve: %s: a folder must be the only source",
                        args->operands[i]);
  for (size_t i = 0; i < names->len; i++)
    if (strchr (names->items[i], ':') != NULL)
      return cli_failf (RAWVIEW_ERROR_USAGE,
                        "serve: %s: the name of an export must not contain a "
                        "colon (--name gives another)",
                        names->items[i]);
  return 0;
}

static int
serve (const struct cli_args *args, const struct serve_place *place,
       struct server *server)
{
  const struct serve_values *v = args->values;
  struct cli_list argv = { 0 };
  int status;

  server->libvirt_xml = v->libvirt_xml;
  server->address = (struct serve_address){
    .socket = place->socket,
    .host = v->ipaddr != NULL ? v->ipaddr : "localhost",
    .port = v->port,
    .tls = v->tls != NULL && strcmp (v->tls, "require") == 0,
  };
  serve_make_argv (&argv, args, &server->exports, place);
  if (v->daemon)
    status =
        serve_daemonize ((char *const *) argv.items, print_exports, server);
  else
    status = serve_supervise ((char *const *) argv.items, place->pid_file,
                              print_exports, server);
  cli_list_free (&argv);
  return status != 0 ? status : server->output_status;
}

/* The command tells its result, so nothing is printed and nothing watched. */
static int
serve_command (const struct cli_args *args, const struct server *server)
{
  const struct serve_values *v = args->values;
  const struct serve_place place = { .socket = (char *) v->socket,
                                     .pid_file = (char *) v->pid_file };
  struct cli_list argv = { 0 };
  int status;

  serve_make_argv (&argv, args, &server->exports, &place);
  status = serve_exec ((char *const *) argv.items);
  cli_list_free (&argv);
  return status;
}

static int
serve_at_place (const struct cli_args *args, struct server *server)
{
  const struct serve_values *v = args->values;
  const struct serve_wishes wishes = { .socket = v->socket,
                                       .pid_file = v->pid_file,
                                       .tcp = v->port != 0,
                                       .daemon = v->daemon };
  struct serve_place place = { 0 };
  rawview_error err;
  int status;

  /* Were the reader of our output to go, the files still had to be removed. */
  signal (SIGPIPE, SIG_IGN);
  if (serve_place_make (&place, &wishes, &err) == -1)
    status = cli_fail (&err);
  else
    status = serve (args, &place, server);
  if (!(v->daemon && server->been_ready))
    serve_place_remove (&place, server->been_ready);
  serve_place_free (&place);
  return status;
}

static int
look_and_serve (const struct cli_args *args, struct server *server)
{
  const struct serve_values *v = args->values;
  struct serve_exports *exports = &server->exports;
  rawview_error err;
  int status;

  exports->writes = v->rw || (has_overlay (args) && !v->read_only);
  rawview_options_set_writable (args->options, v->rw);
  if (look_at_sources (args, exports, &err) == -1)
    return cli_fail (&err);
  status = check_names (args, &exports->names);
  if (status != 0)
    return status;
  return v->run != NULL ? serve_command (args, server)
                        : serve_at_place (args, server);
}

static int
run (const struct cli_args *args)
{
  struct server server = { 0 };
  int status = check_usage (args);

  if (status != 0)
    return status;
  server.exports.counts = calloc (args->n_operands, sizeof (size_t));
  if (server.exports.counts == NULL)
    return cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory");
  status = look_and_serve (args, &server);
  cli_list_free (&server.exports.names);
  free (server.exports.counts);
  free (server.exports.readonly);
  return status;
}

const struct cli_command cmd_serve = {
  .name = "serve",
  .operands = "SOURCE...",
  .summary = "Serves images as NBD exports, with nbdkit",
  .options = options,
  .n_options = CLI_COUNT (options),
  .values_size = sizeof (struct serve_values),
  .min_operands = 1,
  .max_operands = SIZE_MAX,
  .run = run,
};
