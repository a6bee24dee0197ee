/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One extent line:
 *
 *   ACCESS SECTORS TYPE ["NAME" [OFFSET [partitionUUID [deviceIdentifier]]]]
 */

#include <config.h>

#include <string.h>
#include <strings.h>

#include "format/vmdk-descriptor.h"
#include "util/cleanup.h"
#include "util/error.h"

#define MAX_FIELDS  7u
#define MAX_SECTORS ((uint64_t) INT64_MAX / RV_VMDK_SECTOR)

static const char *const access_names[] = {
  [RV_VMDK_RW] = "RW",
  [RV_VMDK_RDONLY] = "RDONLY",
  [RV_VMDK_NOACCESS] = "NOACCESS",
};

static const char *const type_names[] = {
  [RV_VMDK_FLAT] = "FLAT",
  [RV_VMDK_SPARSE] = "SPARSE",
  [RV_VMDK_ZERO] = "ZERO",
  [RV_VMDK_VMFS] = "VMFS",
  [RV_VMDK_VMFSSPARSE] = "VMFSSPARSE",
  [RV_VMDK_SESPARSE] = "SESPARSE",
};

/* Types that exist and cannot be read from files. */
static const char *const device_types[] = {
  "VMFSRDM", "VMFSRDMP", "VMFSRAW", "RAWDEVICEMAP", "PASSTHROUGHRAWDEVICEMAP",
};

/* What is being read, for messages. */
struct context {
  const char *file;
  unsigned line_no;
  rawview_error *err;
};

#define LINE_ERROR(c, fmt, ...) \
  rv_error_format ((c)->err, "%s: line %u of the descriptor: " fmt, (c)->file, \
                   (c)->line_no, __VA_ARGS__)

static bool
is_blank (char c)
{
  return c == ' ' || c == '\t';
}

const char *
rv_vmdk_type_name (enum rv_vmdk_type type)
{
  return type_names[type];
}

/* Index of the word in a list, -1 if it is not there. */
static int
find_word (struct rv_vmdk_span word, const char *const *list, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (rv_vmdk_span_is (word, list[i]))
      return i;
  return -1;
}
#define FIND_WORD(word, list) \
  find_word ((word), (list), sizeof (list) / sizeof (list)[0])

/* Takes one field off the text; quotes are not part of it.  False if a quote
 * is not closed or something sticks to it.
 */
static bool
take_field (struct rv_vmdk_span *text, struct rv_vmdk_span *field)
{
  const char *p = text->p, *end = text->p + text->len, *start = p;
  bool quoted = *p == '"';

  if (quoted)
    start = ++p;
  while (p < end && (quoted ? *p != '"' : !is_blank (*p) && *p != '"'))
    p++;
  *field = (struct rv_vmdk_span){ start, p - start };
  if (quoted && p++ == end)
    return false;
  if (p < end && !is_blank (*p))
    return false;
  while (p < end && is_blank (*p))
    p++;
  *text = (struct rv_vmdk_span){ p, end - p };
  return true;
}

bool
rv_vmdk_is_extent_line (struct rv_vmdk_span line)
{
  struct rv_vmdk_span word = { line.p, 0 };

  while (word.len < line.len && !is_blank (line.p[word.len]))
    word.len++;
  return FIND_WORD (word, access_names) >= 0;
}

static int
split_fields (struct context *c, struct rv_vmdk_span text,
              struct rv_vmdk_span fields[MAX_FIELDS], size_t *n)
{
  for (*n = 0; text.len > 0; ++*n) {
    if (*n == MAX_FIELDS)
      return LINE_ERROR (c, "an extent has at most %u fields", MAX_FIELDS);
    if (!take_field (&text, &fields[*n]))
      return LINE_ERROR (c, "the quotes of field %zu do not match", *n + 1);
  }
  if (*n < 3)
    return LINE_ERROR (c, "an extent has at least 3 fields, here are %zu", *n);
  return 0;
}

/* A count of sectors, as bytes. */
static int
parse_sectors (struct context *c, struct rv_vmdk_span text, const char *what,
               uint64_t *bytes)
{
  uint64_t n = 0;

  for (size_t i = 0; i < text.len; i++) {
    if (text.p[i] < '0' || text.p[i] > '9')
      return LINE_ERROR (c, "the extent's %s is not a decimal number", what);
    n = n * 10 + (text.p[i] - '0');
    if (n > MAX_SECTORS)
      return LINE_ERROR (c, "the extent's %s is above %ju sectors", what,
                         (uintmax_t) MAX_SECTORS);
  }
  if (text.len == 0)
    return LINE_ERROR (c, "the extent's %s is empty", what);
  *bytes = n * RV_VMDK_SECTOR;
  return 0;
}

static int
parse_type (struct context *c, struct rv_vmdk_span text,
            enum rv_vmdk_type *type)
{
  int i = FIND_WORD (text, type_names);

  if (i >= 0) {
    *type = i;
    return 0;
  }
  if (FIND_WORD (text, device_types) >= 0)
    return rv_error_unsupported (
        c->err,
        "%s: line %u of the descriptor: type %.*s is a device of the ESX "
        "host, not a file; convert the disk there first",
        c->file, c->line_no, (int) text.len, text.p);
  return rv_error_unsupported (
      c->err, "%s: line %u of the descriptor: unknown extent type \"%.*s\"",
      c->file, c->line_no, (int) (text.len < 40 ? text.len : 40), text.p);
}

static int
parse_name (struct context *c, const struct rv_vmdk_span *fields, size_t n,
            char **name)
{
  if (n < 4 || fields[3].len == 0)
    return LINE_ERROR (c, "a %.*s extent needs a file name",
                       (int) fields[2].len, fields[2].p);
  if (fields[3].len > RV_VMDK_NAME_MAX)
    return LINE_ERROR (c, "the file name is longer than %u bytes",
                       RV_VMDK_NAME_MAX);
  *name = strndup (fields[3].p, fields[3].len);
  return *name ? 0 : rv_error_nomem (c->err);
}

/* Only FLAT has an offset that means something, and must have one: a guess
 * would show other bytes.
 */
static int
parse_offset (struct context *c, const struct rv_vmdk_span *fields, size_t n,
              struct rv_vmdk_line *line)
{
  if (n < 5 && line->type == RV_VMDK_FLAT)
    return LINE_ERROR (c, "a FLAT extent needs an offset in \"%s\"",
                       line->name);
  if (n < 5)
    return 0;
  if (parse_sectors (c, fields[4], "offset", &line->host_off) == -1)
    return -1;
  if (line->host_off != 0 && line->type != RV_VMDK_FLAT)
    return LINE_ERROR (c, "a %s extent must not have an offset",
                       type_names[line->type]);
  return 0;
}

int
rv_vmdk_extent_line_parse (struct rv_vmdk_span text, const char *file,
                           unsigned line_no, struct rv_vmdk_line *line,
                           rawview_error *err)
{
  struct context c = { file, line_no, err };
  struct rv_vmdk_span fields[MAX_FIELDS];
  struct rv_vmdk_line l = { 0 };
  CLEANUP_FREE char *name = NULL;
  size_t n;

  if (split_fields (&c, text, fields, &n) == -1)
    return -1;
  l.access = FIND_WORD (fields[0], access_names);
  if (parse_sectors (&c, fields[1], "size", &l.len) == -1 ||
      parse_type (&c, fields[2], &l.type) == -1)
    return -1;
  if (l.len == 0)
    return LINE_ERROR (&c, "the extent's size is %d", 0);
  if (l.type != RV_VMDK_ZERO) {
    if (parse_name (&c, fields, n, &name) == -1)
      return -1;
    l.name = name;
    if (parse_offset (&c, fields, n, &l) == -1)
      return -1;
  }
  name = NULL;
  *line = l;
  return 0;
}
