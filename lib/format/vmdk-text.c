/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "format/vmdk-text.h"

bool
rv_vmdk_span_is (struct rv_vmdk_span text, const char *word)
{
  return text.len == strlen (word) && strncasecmp (text.p, word, text.len) == 0;
}

struct rv_vmdk_span
rv_vmdk_trim (const char *p, size_t len)
{
  while (len > 0 && (*p == ' ' || *p == '\t' || *p == '\r'))
    p++, len--;
  while (len > 0 &&
         (p[len - 1] == ' ' || p[len - 1] == '\t' || p[len - 1] == '\r'))
    len--;
  return (struct rv_vmdk_span){ p, len };
}

struct rv_vmdk_span
rv_vmdk_take_line (struct rv_vmdk_span *text)
{
  const char *newline = memchr (text->p, '\n', text->len);
  size_t len = newline ? (size_t) (newline - text->p) : text->len;
  struct rv_vmdk_span line = rv_vmdk_trim (text->p, len);

  len += newline != NULL;
  text->p += len;
  text->len -= len;
  return line;
}

bool
rv_vmdk_split_key (struct rv_vmdk_span line, struct rv_vmdk_span *key,
                   struct rv_vmdk_span *value)
{
  const char *equals = line.len ? memchr (line.p, '=', line.len) : NULL;

  if (equals == NULL)
    return false;
  *key = rv_vmdk_trim (line.p, equals - line.p);
  *value = rv_vmdk_trim (equals + 1, line.p + line.len - (equals + 1));
  for (size_t i = 0; i < key->len; i++)
    if (!isalnum ((unsigned char) key->p[i]) && !memchr ("._-:", key->p[i], 4))
      return false;
  return key->len > 0;
}

struct rv_vmdk_span
rv_vmdk_skip_byte_order_mark (struct rv_view head)
{
  struct rv_vmdk_span text = { (const char *) head.p, head.len };

  if (text.len >= 3 && memcmp (text.p, "\xef\xbb\xbf", 3) == 0)
    text.p += 3, text.len -= 3;
  return text;
}

bool
rv_vmdk_unquote (struct rv_vmdk_span *value)
{
  if (value->len >= 2 && value->p[0] == '"' &&
      value->p[value->len - 1] == '"') {
    value->p++;
    value->len -= 2;
  }
  return value->len == 0 || memchr (value->p, '"', value->len) == NULL;
}

bool
rv_vmdk_parse_hex (struct rv_vmdk_span text, uint32_t *n)
{
  static const char digits[] = "0123456789abcdef";

  *n = 0;
  for (size_t i = 0; i < text.len; i++) {
    const char *d = memchr (digits, tolower ((unsigned char) text.p[i]), 16);

    if (d == NULL)
      return false;
    *n = *n << 4 | (uint32_t) (d - digits);
  }
  return text.len >= 1 && text.len <= 8;
}
