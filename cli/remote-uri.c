/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>
#include <strings.h>

#include "machine.h"
#include "nbd-address.h"
#include "remote-uri.h"

enum remote_kind
remote_kind_of (const char *operand)
{
  static const struct {
    const char *scheme;
    enum remote_kind kind;
  } schemes[] = {
    { "ssh://", REMOTE_SSH },
    { "http://", REMOTE_HTTP },
    { "https://", REMOTE_HTTP },
    { "vddk://", REMOTE_VDDK },
  };

  for (size_t i = 0; i < CLI_COUNT (schemes); i++)
    if (strncasecmp (operand, schemes[i].scheme, strlen (schemes[i].scheme)) ==
        0)
      return schemes[i].kind;
  return REMOTE_NONE;
}

void
remote_uri_clear (struct remote_uri *u)
{
  free (u->user);
  free (u->host);
  free (u->port);
  free (u->path);
  free (u->rest);
  free (u->file);
  free (u->thumbprint);
  free (u->libdir);
  free (u->name);
  *u = (struct remote_uri){ 0 };
}

/*--- Parsing ------------------------------------------------------------*/

/* "user@host:port" */
static int
parse_authority (const char *uri, const char *s, size_t len,
                 struct remote_uri *u, rawview_error *err)
{
  const char *at = memrchr (s, '@', len);
  const char *host = at != NULL ? at + 1 : s, *end = s + len, *colon, *bracket;

  if (at != NULL && memchr (s, ':', (size_t) (at - s)) != NULL)
    return cli_error_set (
        err, RAWVIEW_ERROR_USAGE, 0,
        "%.*s//...: a password in a URI is seen by everybody; "
        "use --password-file",
        (int) strcspn (uri, "/"), uri);
  if (at != NULL)
    u->user = nbd_address_decode (s, (size_t) (at - s));
  bracket = *host == '[' ? memchr (host, ']', (size_t) (end - host)) : NULL;
  colon = memchr (bracket != NULL ? bracket : host, ':',
                  (size_t) (end - (bracket != NULL ? bracket : host)));
  if (colon != NULL)
    u->port = nbd_address_decode (colon + 1, (size_t) (end - colon - 1));
  end = bracket != NULL ? bracket : colon != NULL ? colon : end;
  host += bracket != NULL;
  u->host = nbd_address_decode (host, (size_t) (end - host));
  if (*u->host == '\0')
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0, "%s: no host in it",
                          uri);
  return 0;
}

static void
take_name (struct remote_uri *u, const char *path)
{
  u->name = machine_clean_name (cli_base_name (path), "disk");
}

/* ssh://host/~/path is below the user's home, as the plugin has it when it is
 * relative.
 */
static int
finish_ssh (const char *uri, struct remote_uri *u, rawview_error *err)
{
  if (strncmp (u->path, "/~/", 3) == 0)
    memmove (u->path, u->path + 3, strlen (u->path + 3) + 1);
  if (strcmp (u->path, "/") == 0 || *u->path == '\0')
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0, "%s: no file in it",
                          uri);
  take_name (u, u->path);
  return 0;
}

/* The plugin takes user and password apart from the rest. */
static void
finish_http (const char *uri, const char *authority, struct remote_uri *u)
{
  const char *end = authority + strcspn (authority, "/?#");
  const char *at = memrchr (authority, '@', (size_t) (end - authority));

  u->https = strncasecmp (uri, "https:", 6) == 0;
  u->rest = cli_format ("%s://%s", u->https ? "https" : "http",
                        at != NULL ? at + 1 : authority);
  take_name (u, u->path);
}

static int
finish_vddk (const char *uri, const char *query, struct remote_uri *u,
             rawview_error *err)
{
  u->file = nbd_address_parameter (query, "file");
  u->thumbprint = nbd_address_parameter (query, "thumbprint");
  u->libdir = nbd_address_parameter (query, "libdir");
  if (strlen (u->path) < 2 || u->file == NULL || *u->file == '\0')
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                          "%s: it must be vddk://[USER@]SERVER/VM?file=FILE, "
                          "with VM such as moref=vm-16 and FILE such as "
                          "[datastore] vm/vm.vmdk",
                          uri);
  take_name (u, u->file);
  return 0;
}

int
remote_uri_parse (const char *text, struct remote_uri *u, rawview_error *err)
{
  const char *authority = strstr (text, "://") + 3;
  const size_t len = strcspn (authority, "/?#");
  const char *path = authority + len;
  const size_t path_len = strcspn (path, "?#");

  *u = (struct remote_uri){ .kind = remote_kind_of (text) };
  if (parse_authority (text, authority, len, u, err) == -1)
    return -1;
  u->path = nbd_address_decode (path, path_len);
  if (u->kind == REMOTE_SSH)
    return finish_ssh (text, u, err);
  if (u->kind == REMOTE_VDDK)
    return finish_vddk (text, path + path_len, u, err);
  finish_http (text, authority, u);
  return 0;
}

/*--- Command lines ------------------------------------------------------*/

static void
add (struct cli_list *argv, const char *key, const char *value)
{
  if (value != NULL && *value != '\0')
    cli_list_add (argv, cli_format ("%s=%s", key, value));
}

/* A server that was away for a moment must not end an import that has taken
 * hours; opening is not tried again, so that a wrong name is told at once.
 */
static void
add_plugin (struct cli_list *argv, const char *plugin)
{
  cli_list_add (argv, cli_format ("--filter=retry"));
  cli_list_add (argv, cli_format ("%s", plugin));
}

void
remote_uri_add_argv (const struct remote_uri *u, const char *password_file,
                     struct cli_list *argv)
{
  switch (u->kind) {
  case REMOTE_NONE:
    break;
  case REMOTE_SSH:
    add_plugin (argv, "ssh");
    add (argv, "host", u->host);
    add (argv, "port", u->port);
    add (argv, "path", u->path);
    break;
  case REMOTE_HTTP:
    add_plugin (argv, "curl");
    add (argv, "url", u->rest);
    /* Also where it is sent on to: never file:, and never back to http. */
    add (argv, "protocols", u->https ? "https" : "http,https");
    break;
  case REMOTE_VDDK:
    cli_list_add (argv, cli_format ("vddk"));
    add (argv, "server", u->host);
    add (argv, "port", u->port);
    add (argv, "vm", u->path + 1);
    add (argv, "file", u->file);
    add (argv, "thumbprint", u->thumbprint);
    add (argv, "libdir", u->libdir);
    break;
  }
  add (argv, "user", u->user);
  if (password_file != NULL)
    cli_list_add (argv, cli_format ("password=+%s", password_file));
}
