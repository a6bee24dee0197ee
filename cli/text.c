/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes, names and lists as people write and read them. */

#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static void __attribute__ ((noreturn)) out_of_memory (void)
{
  exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
}

void
cli_list_add (struct cli_list *list, const char *item)
{
  const char **items =
      realloc (list->items, (list->len + 1) * sizeof *list->items);

  if (items == NULL)
    out_of_memory ();
  items[list->len++] = item;
  list->items = items;
}

void
cli_list_free (struct cli_list *list)
{
  for (size_t i = 0; i < list->len; i++)
    free ((char *) list->items[i]);
  free (list->items);
}

char *
cli_format (const char *fmt, ...)
{
  char *text;
  va_list args;
  int r;

  va_start (args, fmt);
  r = vasprintf (&text, fmt, args);
  va_end (args);
  if (r < 0)
    out_of_memory ();
  return text;
}

bool
cli_parse_size (const char *text, uint64_t *size)
{
  static const char suffixes[] = "bkmgtpe";
  const char *suffix;
  double value;
  char *end;

  if (!isdigit ((unsigned char) *text))
    return false;
  errno = 0;
  value = strtod (text, &end);
  if (errno != 0)
    return false;
  if (*end != '\0') {
    suffix = strchr (suffixes, tolower ((unsigned char) *end));
    if (suffix == NULL || end[1] != '\0')
      return false;
    for (; suffix > suffixes; suffix--)
      value *= 1024;
  }
  if (!(value < (double) INT64_MAX))
    return false;
  *size = (uint64_t) value;
  return true;
}

char *
cli_format_size (uint64_t bytes, char buf[CLI_SIZE_MAX])
{
  static const char *const units[] = { "B",   "KiB", "MiB", "GiB",
                                       "TiB", "PiB", "EiB" };
  double value = (double) bytes;
  size_t unit = 0;

  /* Three digits: what would round to 1000 goes to the next unit. */
  while (value >= 999.5 && unit + 1 < CLI_COUNT (units)) {
    value /= 1024;
    unit++;
  }
  snprintf (buf, CLI_SIZE_MAX, "%.3g %s", value, units[unit]);
  return buf;
}

void
cli_write_xml (FILE *out, const char *text)
{
  for (; *text != '\0'; text++)
    switch (*text) {
    case '&':
      fputs ("&amp;", out);
      break;
    case '<':
      fputs ("&lt;", out);
      break;
    case '>':
      fputs ("&gt;", out);
      break;
    case '\'':
      fputs ("&apos;", out);
      break;
    case '"':
      fputs ("&quot;", out);
      break;
    default:
      putc (*text, out);
    }
}

const char *
cli_base_name (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash != NULL ? slash + 1 : path;
}

char *
cli_folder_of (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash == NULL   ? cli_format (".")
         : slash == path ? cli_format ("/")
                         : cli_format ("%.*s", (int) (slash - path), path);
}

char *
cli_absolute_path (const char *path, rawview_error *err)
{
  CLEANUP_FREE char *cwd = NULL;

  if (*path == '/')
    return cli_format ("%s", path);
  cwd = getcwd (NULL, 0);
  if (cwd != NULL)
    return cli_format ("%s/%s", cwd, path);
  cli_error_errno (err, errno, "working directory");
  return NULL;
}

void
cli_print_xml (const char *text)
{
  cli_write_xml (stdout, text);
}

char *
cli_percent_encode (const char *text, const char *keep)
{
  char *out = malloc (strlen (text) * 3 + 1), *p = out;

  if (out == NULL)
    out_of_memory ();
  for (; *text != '\0'; text++) {
    const unsigned char c = (unsigned char) *text;

    if ((isascii (c) && isalnum (c)) || strchr (keep, c) != NULL)
      *p++ = (char) c;
    else
      p += sprintf (p, "%%%02X", c);
  }
  *p = '\0';
  return out;
}

char *
cli_nbd_unix_uri (const char *socket, const char *name)
{
  CLEANUP_FREE char *path = cli_percent_encode (socket, "-._~/");
  CLEANUP_FREE char *export = cli_percent_encode (name, "-._~");

  return cli_format ("nbd+unix:///%s?socket=%s", export, path);
}

size_t
cli_utf8_length (const char *s)
{
  const unsigned char *p = (const unsigned char *) s;
  const size_t len = p[0] < 0x80   ? 1
                     : p[0] < 0xc2 ? 0
                     : p[0] < 0xe0 ? 2
                     : p[0] < 0xf0 ? 3
                     : p[0] < 0xf5 ? 4
                                   : 0;

  for (size_t i = 1; i < len; i++)
    if ((p[i] & 0xc0) != 0x80)
      return 0;
  /* Overlong forms, surrogates, and beyond the last one. */
  if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
      (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))
    return 0;
  return len;
}

/* Controls, those of C1, marks that reverse the direction of text, invisible
 * ones, and what XML cannot have.
 */
bool
cli_is_printable (const char *s, size_t len)
{
  const unsigned char *p = (const unsigned char *) s;
  const unsigned c =
      len == 2   ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
      : len == 3 ? (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu)
      : len == 1 ? p[0]
                 : 0x10000;

  return c >= 0x20 && (c < 0x7f || c > 0x9f) && c != 0x61c &&
         (c < 0x200b || c > 0x200f) && (c < 0x2028 || c > 0x202e) &&
         (c < 0x2060 || c > 0x206f) && c != 0xfeff && c != 0xfffe &&
         c != 0xffff;
}

void
cli_make_printable (char *text)
{
  while (*text != '\0') {
    const size_t len = cli_utf8_length (text);

    if (len > 0 && cli_is_printable (text, len))
      text += len;
    else
      *text++ = '?';
  }
}

const char *
cli_disk_letters (size_t i, char buf[CLI_DISK_LETTERS_MAX])
{
  char *p = buf + CLI_DISK_LETTERS_MAX - 1;

  *p = '\0';
  for (i++; i > 0; i = (i - 1) / 26)
    *--p = (char) ('a' + (i - 1) % 26);
  return p;
}

bool
cli_is_nbd_uri (const char *text)
{
  static const char *const schemes[] = {
    "nbd:", "nbds:", "nbd+unix:", "nbds+unix:", "nbd+vsock:", "nbds+vsock:"
  };

  for (size_t i = 0; i < CLI_COUNT (schemes); i++)
    if (strncmp (text, schemes[i], strlen (schemes[i])) == 0)
      return true;
  return false;
}

const rawview_fact *
cli_fact (const rawview_image *image, unsigned depth, const char *key)
{
  const rawview_fact *fact;

  for (size_t i = 0; (fact = rawview_get_fact (image, depth, i)) != NULL; i++)
    if (strcmp (fact->key, key) == 0)
      return fact;
  return NULL;
}

const char *
cli_fact_text (const rawview_image *image, unsigned depth, const char *key)
{
  const rawview_fact *fact = cli_fact (image, depth, key);

  return fact != NULL && fact->type == RAWVIEW_FACT_TEXT ? fact->text : "";
}
