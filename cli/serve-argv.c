/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line of nbdkit. */

#include <config.h>

#include <string.h>
#include <sys/stat.h>

#include "serve.h"

/*--- Sources ------------------------------------------------------------*/

bool
serve_is_folder (const char *source)
{
  struct stat st;

  return !cli_is_nbd_uri (source) && stat (source, &st) == 0 &&
         S_ISDIR (st.st_mode);
}

const char *
serve_given_name (const struct cli_args *args, size_t i)
{
  const struct serve_values *v = args->values;

  return i < v->names.len ? v->names.items[i] : NULL;
}

/*--- nbdkit's command line ----------------------------------------------*/

static void
add (struct cli_list *argv, const char *text)
{
  cli_list_add (argv, cli_format ("%s", text));
}

static void
add_option (struct cli_list *argv, const char *option, const char *value)
{
  if (value != NULL)
    cli_list_add (argv, cli_format ("%s=%s", option, value));
}

static void
add_number (struct cli_list *argv, const char *option, unsigned value)
{
  if (value != 0)
    cli_list_add (argv, cli_format ("%s=%u", option, value));
}

static void
add_flag (struct cli_list *argv, const char *option, bool given)
{
  if (given)
    add (argv, option);
}

/* Options come before the plugin, parameters after it. */
static void
add_verbatim (struct cli_list *argv, const struct cli_list *from, bool want)
{
  for (size_t i = 0; i < from->len; i++)
    if ((from->items[i][0] == '-') == want)
      add (argv, from->items[i]);
}

/* One of several sources: nbdkit's plugin wants each disk by itself then. */
static void
add_disks (struct cli_list *argv, const char *source, const char **names,
           size_t n)
{
  for (size_t i = 0; i < n; i++) {
    cli_list_add (argv, cli_format ("export=%s:%s", names[i], source));
    if (n > 1)
      cli_list_add (argv, cli_format ("disk=%zu", i + 1));
  }
}

static void
add_sources (struct cli_list *argv, const struct cli_args *args,
             const struct serve_exports *exports)
{
  const char *source = args->operands[0];
  size_t first = 0;

  if (args->n_operands == 1 && serve_given_name (args, 0) == NULL) {
    cli_list_add (argv, cli_format ("%s=%s",
                                    serve_is_folder (source) ? "dir" : "file",
                                    source));
    return;
  }
  for (size_t i = 0; i < args->n_operands; i++) {
    add_disks (argv, args->operands[i], exports->names.items + first,
               exports->counts[i] - first);
    first = exports->counts[i];
  }
}

void
serve_make_argv (struct cli_list *argv, const struct cli_args *args,
                 const struct serve_exports *exports,
                 const struct serve_place *place)
{
  const struct serve_values *v = args->values;

  add (argv, "nbdkit");
  add_flag (argv, "--exit-with-parent", !v->daemon && v->run == NULL);
  add_option (argv, "--pidfile", place->pid_file);
  add_option (argv, "--unix",
              v->run != NULL && place->socket == NULL && v->port == 0
                  ? "-"
                  : place->socket);
  add_number (argv, "--port", v->port);
  add_option (argv, "--ipaddr", v->ipaddr);
  add_flag (argv, "--readonly", !exports->writes);
  add_option (argv, "--run", v->run);
  add_option (argv, "--selinux-label", v->selinux_label);
  add_number (argv, "--threads", v->threads);
  add_option (argv, "--tls", v->tls);
  add_option (argv, "--tls-certificates", v->tls_certificates);
  add_option (argv, "--tls-psk", v->tls_psk);
  add_flag (argv, "--tls-verify-peer", v->tls_verify_peer);
  add_flag (argv, "--verbose", v->verbose);
  for (size_t i = 0; i < v->filters.len; i++)
    add_option (argv, "--filter", v->filters.items[i]);
  add_verbatim (argv, &v->nbdkit, true);
  add (argv, "rawview");
  /* Before the sources: what follows an export belongs to it alone. */
  for (size_t i = 0; i < args->passed.len; i++)
    add (argv, args->passed.items[i]);
  add_sources (argv, args, exports);
  add_verbatim (argv, &v->nbdkit, false);
  cli_list_add (argv, NULL);
}
