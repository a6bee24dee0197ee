/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "nbd-address.h"

static int
hex (char c)
{
  return isdigit ((unsigned char) c)    ? c - '0'
         : isxdigit ((unsigned char) c) ? tolower ((unsigned char) c) - 'a' + 10
                                        : -1;
}

char *
nbd_address_decode (const char *s, size_t len)
{
  char *text = cli_format ("%.*s", (int) len, s), *out = text;

  for (const char *p = text; *p != '\0'; p++)
    if (*p == '%' && hex (p[1]) > -1 && hex (p[2]) > -1 &&
        (p[1] != '0' || p[2] != '0')) {
      *out++ = (char) (hex (p[1]) << 4 | hex (p[2]));
      p += 2;
    }
    else
      *out++ = *p;
  *out = '\0';
  return text;
}

char *
nbd_address_parameter (const char *query, const char *name)
{
  const size_t len = strlen (name);

  while (*query != '\0' && *query != '#') {
    const size_t part = strcspn (++query, "&#");

    if (strncmp (query, name, len) == 0 && query[len] == '=')
      return nbd_address_decode (query + len + 1, part - len - 1);
    query += part;
  }
  return NULL;
}

/* "user@[::1]:10809" */
static void
parse_authority (const char *s, size_t len, struct nbd_address *a)
{
  CLEANUP_FREE char *text = cli_format ("%.*s", (int) len, s);
  char *at = strrchr (text, '@'), *host = at != NULL ? at + 1 : text;
  char *bracket = *host == '[' ? strchr (host, ']') : NULL;
  char *colon = strchr (bracket != NULL ? bracket : host, ':');

  a->port = cli_format ("%s", colon != NULL && colon[1] != '\0' ? colon + 1
                                                                : "10809");
  if (colon != NULL)
    *colon = '\0';
  if (bracket != NULL) {
    *bracket = '\0';
    host++;
  }
  a->host = nbd_address_decode (*host != '\0' ? host : "localhost",
                                strlen (*host != '\0' ? host : "localhost"));
}

void
nbd_address_parse (const char *uri, struct nbd_address *a)
{
  const char *rest = strstr (uri, "://");
  const char *authority = rest != NULL ? rest + 3 : strchr (uri, '\0');
  const size_t len = strcspn (authority, "/?#");
  const char *path = authority + len;
  const size_t path_len = strcspn (path, "?#");

  *a = (struct nbd_address){ .tls = strncasecmp (uri, "nbds", 4) == 0 };
  parse_authority (authority, len, a);
  a->export =
      nbd_address_decode (path + (path_len > 0), path_len - (path_len > 0));
  a->socket = path[path_len] == '?'
                  ? nbd_address_parameter (path + path_len, "socket")
                  : NULL;
}

void
nbd_address_clear (struct nbd_address *a)
{
  free (a->socket);
  free (a->host);
  free (a->port);
  free (a->export);
  *a = (struct nbd_address){ 0 };
}
