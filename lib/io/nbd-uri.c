/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "io/nbd-uri.h"
#include "util/cleanup.h"
#include "util/text.h"

/* SCHEME://[USER@]HOST/EXPORT[?QUERY][#FRAGMENT], cut into pieces.  What does
 * not look like that is all rest.
 */
struct uri {
  const char *user; /* begins here; the scheme is before it */
  size_t user_len;  /* with the "@" */
  const char *rest;
  size_t rest_len;   /* host and export */
  const char *query; /* after the "?" */
  size_t query_len;
};

static struct uri
cut (const char *s)
{
  const char *slashes = strstr (s, "://");
  const char *from = slashes ? slashes + 3 : s;
  size_t authority = strcspn (from, "/?#");
  const char *at = memrchr (from, '@', authority);
  struct uri u = { .user = from, .user_len = at ? at + 1 - from : 0 };

  u.rest = from + u.user_len;
  u.rest_len = strcspn (u.rest, "?#");
  u.query = u.rest + u.rest_len;
  if (*u.query == '?')
    u.query_len = strcspn (++u.query, "#");
  return u;
}

/* Cuts the next NAME=VALUE off the query; false at its end. */
static bool
next_param (struct uri *u, const char **param, size_t *len)
{
  if (u->query_len == 0)
    return false;
  *param = u->query;
  *len = 0;
  while (*len < u->query_len && (*param)[*len] != '&' && (*param)[*len] != ';')
    ++*len;
  u->query += *len;
  u->query_len -= *len;
  if (u->query_len > 0) {
    u->query++;
    u->query_len--;
  }
  return true;
}

static bool
is_socket (const char *param, size_t len)
{
  return len >= 7 && strncasecmp (param, "socket=", 7) == 0;
}

char *
rv_nbd_uri_show (const char *uri)
{
  struct uri u = cut (uri);
  const char *param, *socket = "";
  size_t len, socket_len = 0;

  while (next_param (&u, &param, &len))
    if (socket_len == 0 && is_socket (param, len)) {
      socket = param;
      socket_len = len;
    }
  return rv_text_format ("%.*s%.*s%s%.*s", (int) (u.user - uri), uri,
                         (int) u.rest_len, u.rest, socket_len ? "?" : "",
                         (int) socket_len, socket);
}

static int
hex (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c = tolower ((unsigned char) c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes %41; NULL when out of memory. */
static char *
decode (const char *s, size_t len)
{
  char *out = strndup (s, len), *to = out;

  if (out == NULL)
    return NULL;
  for (char *p = out; *p; p++) {
    int high = *p == '%' ? hex (p[1]) : -1;
    int low = high >= 0 ? hex (p[2]) : -1;

    if (low >= 0) {
      *to++ = high << 4 | low;
      p += 2;
    }
    else
      *to++ = *p;
  }
  *to = '\0';
  return out;
}

static bool
quotes (const char *text, const char *secret, size_t len)
{
  CLEANUP_FREE char *plain = decode (secret, len);
  CLEANUP_FREE char *raw = strndup (secret, len);

  if (plain == NULL || raw == NULL)
    return true;
  return (*plain && strstr (text, plain)) || (*raw && strstr (text, raw));
}

bool
rv_nbd_uri_is_quoted (const char *uri, const char *text)
{
  struct uri u = cut (uri);
  const char *param, *value;
  size_t len;

  if (u.user_len > 1 && quotes (text, u.user, u.user_len - 1))
    return true;
  while (next_param (&u, &param, &len)) {
    if (is_socket (param, len))
      continue;
    value = memchr (param, '=', len);
    value = value ? value + 1 : param;
    if (quotes (text, value, param + len - value))
      return true;
  }
  return false;
}
