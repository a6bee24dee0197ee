/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "vmx-text.h"

#define MAX_LINES 4000u /* some hundred are usual */

/*--- Lines --------------------------------------------------------------*/

static int
hex (char c)
{
  return isdigit ((unsigned char) c)    ? c - '0'
         : isxdigit ((unsigned char) c) ? tolower ((unsigned char) c) - 'a' + 10
                                        : -1;
}

/* "|22" is a quote. */
static void
unescape (char *text)
{
  char *out = text;

  for (const char *s = text; *s != '\0'; s++)
    if (*s == '|' && hex (s[1]) > -1 && hex (s[2]) > -1 &&
        (s[1] != '0' || s[2] != '0')) {
      *out++ = (char) (hex (s[1]) << 4 | hex (s[2]));
      s += 2;
    }
    else
      *out++ = *s;
  *out = '\0';
}

static char *
trim (char *s)
{
  char *end;

  while (isspace ((unsigned char) *s))
    s++;
  end = s + strlen (s);
  while (end > s && isspace ((unsigned char) end[-1]))
    end--;
  *end = '\0';
  return s;
}

/* Of "VALUE" with what follows it, or of what has no quotes. */
static char *
parse_value (char *s)
{
  char *end;

  s = trim (s);
  if (*s != '"')
    return s;
  end = strchr (++s, '"');
  if (end != NULL)
    *end = '\0';
  return s;
}

static int
add_line (struct vmx *v, char *line, rawview_error *err)
{
  char *equals = strchr (line, '='), *key = trim (line);
  struct vmx_entry *grown;

  if (*key == '#' || equals == NULL)
    return 0;
  if (v->len >= MAX_LINES)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0,
                          "%s: more than %u settings", v->name, MAX_LINES);
  grown = reallocarray (v->entries, v->len + 1, sizeof *grown);
  if (grown == NULL)
    return cli_error_errno (err, ENOMEM, "%s", v->name);
  v->entries = grown;
  *equals = '\0';
  grown[v->len].key = trim (line);
  grown[v->len].value = parse_value (equals + 1);
  unescape (grown[v->len++].value);
  return 0;
}

/* text is changed, and entries point into it. */
static int
parse_lines (struct vmx *v, char *text, rawview_error *err)
{
  for (char *line = text, *end; line != NULL; line = end) {
    end = strpbrk (line, "\r\n");
    if (end != NULL)
      *end++ = '\0';
    if (add_line (v, line, err) == -1)
      return -1;
  }
  return 0;
}

/*--- Encoding -----------------------------------------------------------*/

/* Windows-1252, 0x80 to 0x9f; what is not assigned stays what it is. */
static const unsigned short high[32] = {
  0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
  0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
  0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
  0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178,
};

static char *
put_utf8 (char *out, unsigned c)
{
  if (c < 0x80)
    *out++ = (char) c;
  else if (c < 0x800) {
    *out++ = (char) (0xc0 | c >> 6);
    *out++ = (char) (0x80 | (c & 0x3f));
  }
  else {
    *out++ = (char) (0xe0 | c >> 12);
    *out++ = (char) (0x80 | (c >> 6 & 0x3f));
    *out++ = (char) (0x80 | (c & 0x3f));
  }
  return out;
}

static char *
from_windows_1252 (const char *text)
{
  char *result = calloc (strlen (text) + 1, 3), *out = result;

  if (result == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  for (; *text != '\0'; text++) {
    const unsigned char c = (unsigned char) *text;

    out = put_utf8 (out, c >= 0x80 && c < 0xa0 ? high[c - 0x80] : c);
  }
  return result;
}

static char *
to_utf8 (const char *text)
{
  if (strncmp (text, "\xef\xbb\xbf", 3) == 0)
    text += 3; /* a byte order mark */
  return machine_is_utf8 (text) ? cli_format ("%s", text)
                                : from_windows_1252 (text);
}

/*--- Settings -----------------------------------------------------------*/

const char *
vmx_get (const struct vmx *v, const char *key)
{
  for (size_t i = v->len; i-- > 0;)
    if (strcasecmp (v->entries[i].key, key) == 0)
      return v->entries[i].value;
  return NULL;
}

const char *
vmx_get_of (const struct vmx *v, const char *device, const char *property)
{
  CLEANUP_FREE char *key = cli_format ("%s.%s", device, property);

  return vmx_get (v, key);
}

int
vmx_text_parse (struct vmx *v, const char *text, rawview_error *err)
{
  v->text = to_utf8 (text);
  return parse_lines (v, v->text, err);
}

void
vmx_text_free (struct vmx *v)
{
  free (v->entries);
  free (v->text);
}
