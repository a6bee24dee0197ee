/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/text.h"

/* Valid characters that would confuse whoever reads a line: C1 controls, marks
 * that reverse the direction of text, invisible and unassignable ones.
 */
static const struct {
  uint32_t first, last;
} unprintable[] = {
  { 0x80, 0x9f },       { 0x61c, 0x61c },   { 0x200b, 0x200f },
  { 0x2028, 0x202e },   { 0x2060, 0x206f }, { 0xd800, 0xdfff },
  { 0xfeff, 0xfeff },   { 0xfff9, 0xfffb }, { 0xfffe, 0xffff },
  { 0xe0000, 0xe007f },
};

static bool
is_printable (uint32_t c)
{
  for (size_t i = 0; i < sizeof unprintable / sizeof unprintable[0]; i++)
    if (c >= unprintable[i].first && c <= unprintable[i].last)
      return false;
  return true;
}

/* Length of the printable UTF-8 character at s, 0 if it is not one. */
static size_t
printable_char (const unsigned char *s)
{
  uint32_t c;
  size_t n;

  if (s[0] < 0x80)
    return s[0] >= 0x20 && s[0] != 0x7f;
  if (s[0] >= 0xc2 && s[0] <= 0xdf)
    c = s[0] & 0x1f, n = 2;
  else if ((s[0] & 0xf0) == 0xe0)
    c = s[0] & 0x0f, n = 3;
  else if (s[0] >= 0xf0 && s[0] <= 0xf4)
    c = s[0] & 0x07, n = 4;
  else
    return 0;
  for (size_t i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80)
      return 0;
    c = c << 6 | (s[i] & 0x3f);
  }
  if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)))
    return 0;
  return is_printable (c) ? n : 0;
}

void
rv_text_make_printable (char *s)
{
  while (*s) {
    size_t n = printable_char ((const unsigned char *) s);

    if (n == 0)
      *s++ = '?';
    else
      s += n;
  }
}

/* 2^0, 2^10, ... for b, k, M, ...; -1 for another letter. */
static int
suffix_shift (char c)
{
  static const char letters[] = "bkmgtpe";
  const char *p;

  if (c == '\0')
    return 0;
  p = strchr (letters, tolower ((unsigned char) c));
  return p ? (int) (p - letters) * 10 : -1;
}

bool
rv_text_parse_size (const char *s, uint64_t *size)
{
  uint64_t whole = 0, fraction = 0, scale = 1;
  const char *p = s;
  int shift;

  if (!isdigit ((unsigned char) *p))
    return false;
  for (; isdigit ((unsigned char) *p); p++)
    if (__builtin_mul_overflow (whole, 10, &whole) ||
        __builtin_add_overflow (whole, *p - '0', &whole))
      return false;
  if (*p == '.') {
    if (!isdigit ((unsigned char) *++p))
      return false;
    for (; isdigit ((unsigned char) *p); p++)
      if (scale < 1000000000) { /* further digits would not matter */
        fraction = fraction * 10 + (*p - '0');
        scale *= 10;
      }
  }
  shift = suffix_shift (*p);
  if (shift < 0 || (*p && p[1] != '\0') || (shift == 0 && fraction != 0))
    return false;
  if (shift > 0 && whole > UINT64_MAX >> shift)
    return false;
  *size = whole << shift;
  return !__builtin_add_overflow (*size,
                                  (uint64_t) ((unsigned __int128) fraction *
                                              ((uint64_t) 1 << shift) / scale),
                                  size);
}

bool
rv_text_parse_bool (const char *s, bool *value)
{
  static const char *const words[][2] = {
    { "0", "1" }, { "no", "yes" }, { "off", "on" }, { "false", "true" }
  };

  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    for (int v = 0; v <= 1; v++)
      if (strcasecmp (s, words[i][v]) == 0) {
        *value = v;
        return true;
      }
  return false;
}

bool
rv_text_has_scheme (const char *s)
{
  static const char scheme[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789+.-"
                               "_"; /* QEMU's host_device: */

  return isalpha ((unsigned char) s[0]) && s[strspn (s, scheme)] == ':';
}

bool
rv_text_is_foreign_path (const char *s)
{
  return strchr (s, '\\') != NULL || strncmp (s, "/vmfs/", 6) == 0 ||
         (isalpha ((unsigned char) s[0]) && s[1] == ':');
}

bool
rv_text_is_nbd_uri (const char *s)
{
  static const char *const schemes[] = {
    "nbd://",       "nbds://",      "nbd+unix://",
    "nbds+unix://", "nbd+vsock://", "nbds+vsock://",
  };

  for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
    if (strncasecmp (s, schemes[i], strlen (schemes[i])) == 0)
      return true;
  return false;
}

char *
rv_text_format (const char *fmt, ...)
{
  va_list args;
  char *s;

  va_start (args, fmt);
  if (vasprintf (&s, fmt, args) == -1)
    s = NULL;
  va_end (args);
  return s;
}

const char *
rv_text_basename (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash ? slash + 1 : path;
}

const char *
rv_text_foreign_basename (const char *path)
{
  const char *p = path;

  for (; *path; path++)
    if (*path == '/' || *path == '\\')
      p = path + 1;
  return p;
}
