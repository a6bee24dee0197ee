/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "format/format.h"
#include "format/vmdk-descriptor.h"
#include "util/checked.h"
#include "util/cleanup.h"
#include "util/error.h"

struct parser {
  const char *file;
  unsigned line_no;
  unsigned seen; /* one bit per element of keys[] */
  struct rv_vmdk_descriptor *d;
  rawview_error *err;
};

#define LINE_ERROR(p, fmt, ...) \
  rv_error_format ((p)->err, "%s: line %u of the descriptor: " fmt, (p)->file, \
                   (p)->line_no, __VA_ARGS__)

/*--- Keys ---------------------------------------------------------------*/

static int
set_cid (struct parser *p, struct rv_vmdk_span value)
{
  p->d->has_cid = true;
  if (!rv_vmdk_parse_hex (value, &p->d->cid))
    return LINE_ERROR (p, "CID is not a number of 1 to %d hex digits", 8);
  return 0;
}

static int
set_parent_cid (struct parser *p, struct rv_vmdk_span value)
{
  if (!rv_vmdk_parse_hex (value, &p->d->parent_cid))
    return LINE_ERROR (p, "parentCID is not a number of 1 to %d hex digits", 8);
  return 0;
}

static int
set_version (struct parser *p, struct rv_vmdk_span value)
{
  uint32_t n = 0;

  if (value.len < 1 || value.len > 4)
    return LINE_ERROR (p, "version has %zu digits, not 1 to 4", value.len);
  for (size_t i = 0; i < value.len; i++) {
    if (!isdigit ((unsigned char) value.p[i]))
      return LINE_ERROR (p, "%s is not a decimal number", "version");
    n = n * 10 + (value.p[i] - '0');
  }
  p->d->version = n;
  return 0;
}

static int
set_text (struct parser *p, struct rv_vmdk_span value, char **text)
{
  if (value.len == 0)
    return 0;
  if (value.len > RV_VMDK_NAME_MAX)
    return LINE_ERROR (p, "a value is longer than %u bytes", RV_VMDK_NAME_MAX);
  *text = strndup (value.p, value.len);
  return *text ? 0 : rv_error_nomem (p->err);
}

static int
set_create_type (struct parser *p, struct rv_vmdk_span value)
{
  if (rv_vmdk_span_is (value, "vsanSparse"))
    return rv_error_unsupported (
        p->err,
        "%s: createType vsanSparse is a snapshot on vSAN; export the disk "
        "from vSphere instead",
        p->file);
  return set_text (p, value, &p->d->create_type);
}

static int
set_parent_hint (struct parser *p, struct rv_vmdk_span value)
{
  return set_text (p, value, &p->d->parent_hint);
}

static int
set_encoding (struct parser *p, struct rv_vmdk_span value)
{
  return set_text (p, value, &p->d->encoding);
}

static int
set_change_track (struct parser *p, struct rv_vmdk_span value)
{
  return set_text (p, value, &p->d->change_track);
}

/* Kept apart: with encryption there are no extent lines to be found, and what
 * the extents hold must not be shown as if it were the guest's.
 */
static int
refuse_encryption (struct parser *p, struct rv_vmdk_span value)
{
  return rv_error_unsupported (
      p->err,
      "%s: the disk is encrypted, which rawview cannot read; decrypt it "
      "where it was made",
      p->file);
}

/* ddb.iofilters names the filters that vSphere put between guest and disk. */
static int
check_filters (struct parser *p, struct rv_vmdk_span value)
{
  for (size_t i = 0; i + 5 <= value.len; i++)
    if (strncasecmp (value.p + i, "crypt", 5) == 0)
      return refuse_encryption (p, value);
  return 0;
}

static const struct {
  const char *name;
  int (*set) (struct parser *p, struct rv_vmdk_span value);
} keys[] = {
  { "version", set_version },
  { "CID", set_cid },
  { "parentCID", set_parent_cid },
  { "createType", set_create_type },
  { "parentFileNameHint", set_parent_hint },
  { "encoding", set_encoding },
  { "changeTrackPath", set_change_track },
  { "encryption.keySafe", refuse_encryption },
  { "encryption.data", refuse_encryption },
  { "ddb.iofilters", check_filters },
};
#define NR_KEYS (sizeof keys / sizeof keys[0])

static int
parse_key (struct parser *p, struct rv_vmdk_span key, struct rv_vmdk_span value)
{
  for (size_t i = 0; i < NR_KEYS; i++) {
    if (!rv_vmdk_span_is (key, keys[i].name))
      continue;
    if (p->seen & 1u << i)
      return LINE_ERROR (p, "%s is given a second time", keys[i].name);
    p->seen |= 1u << i;
    if (!rv_vmdk_unquote (&value))
      return LINE_ERROR (p, "the quotes of %s do not match", keys[i].name);
    return keys[i].set (p, value);
  }
  return 0;
}

/*--- The whole text -----------------------------------------------------*/

static int
parse_extent (struct parser *p, struct rv_vmdk_span text)
{
  struct rv_vmdk_descriptor *d = p->d;
  struct rv_vmdk_line line;

  if (d->extents.len == RV_MAX_EXTENTS)
    return rv_error_limit (p->err, "%s: more than %u extents", p->file,
                           RV_MAX_EXTENTS);
  if (rv_vmdk_extent_line_parse (text, p->file, p->line_no, &line, p->err) ==
      -1)
    return -1;
  if (!rv_add_u64 (d->size, line.len, &d->size) || d->size > INT64_MAX) {
    free (line.name);
    return rv_error_limit (p->err, "%s: the extents together pass 2^63 bytes",
                           p->file);
  }
  if (rv_vmdk_lines_append (&d->extents, line) == -1) {
    free (line.name);
    return rv_error_nomem (p->err);
  }
  return 0;
}

static int
check_characters (struct parser *p, struct rv_vmdk_span line)
{
  for (size_t i = 0; i < line.len; i++) {
    unsigned char c = line.p[i];

    if ((c < 0x20 && c != '\t') || c == 0x7f)
      return LINE_ERROR (p, "has the control character 0x%02x", c);
  }
  return 0;
}

static int
parse_line (struct parser *p, struct rv_vmdk_span line)
{
  struct rv_vmdk_span key, value;

  if (check_characters (p, line) == -1)
    return -1;
  if (line.len == 0 || line.p[0] == '#')
    return 0;
  if (rv_vmdk_is_extent_line (line))
    return parse_extent (p, line);
  if (rv_vmdk_split_key (line, &key, &value))
    return parse_key (p, key, value);
  return LINE_ERROR (p, "\"%.*s\" is no comment, key=value or extent",
                     (int) (line.len < 40 ? line.len : 40), line.p);
}

/* Programs that treat the text as a C string put a NUL behind it and leave what
 * was there before.  Such a rest is a copy of the text's own end, because
 * programs change something near the beginning and the rest moves up.  Anything
 * else behind a NUL is refused: part of the disk might be described there.
 */
static int
cut_at_nul (struct parser *p, struct rv_vmdk_span *text)
{
  const char *end = text->p + text->len;
  const char *nul = text->len ? memchr (text->p, '\0', text->len) : NULL;

  if (nul == NULL)
    return 0;
  text->len = nul - text->p;
  for (const char *at = nul; at < end;) {
    size_t len = strnlen (at, end - at);

    if (len > text->len || memcmp (nul - len, at, len) != 0)
      return rv_error_format (
          p->err, "%s: the descriptor goes on after a NUL byte at offset %zu",
          p->file, text->len);
    at += len + 1;
  }
  return 0;
}

static int
check_whole (struct parser *p)
{
  struct rv_vmdk_descriptor *d = p->d;

  if (d->create_type == NULL)
    return rv_error_format (p->err, "%s: the descriptor has no createType",
                            p->file);
  if (d->extents.len == 0)
    return rv_error_format (p->err, "%s: the descriptor has no extents",
                            p->file);
  if (d->parent_cid == RV_VMDK_NO_PARENT && d->parent_hint != NULL)
    return rv_error_corrupt (
        p->err,
        "%s: parentFileNameHint names a parent, but parentCID says that there "
        "is none; one of both lines is wrong",
        p->file);
  return 0;
}

static int
parse_text (struct parser *p, struct rv_vmdk_span text)
{
  if (cut_at_nul (p, &text) == -1)
    return -1;
  while (text.len > 0) {
    p->line_no++;
    if (parse_line (p, rv_vmdk_take_line (&text)) == -1)
      return -1;
  }
  return check_whole (p);
}

int
rv_vmdk_descriptor_parse (struct rv_view text, const char *file,
                          struct rv_vmdk_descriptor *descriptor,
                          rawview_error *err)
{
  struct rv_vmdk_descriptor d = { .version = 1,
                                  .parent_cid = RV_VMDK_NO_PARENT };
  struct parser p = { .file = file, .d = &d, .err = err };

  if (text.len > RV_MAX_DESCRIPTOR)
    return rv_error_limit (err, "%s: a descriptor of %zu bytes, at most %u",
                           file, text.len, RV_MAX_DESCRIPTOR);
  if (parse_text (&p, rv_vmdk_skip_byte_order_mark (text)) == -1) {
    rv_vmdk_descriptor_release (&d);
    return -1;
  }
  *descriptor = d;
  return 0;
}

void
rv_vmdk_descriptor_release (struct rv_vmdk_descriptor *d)
{
  for (size_t i = 0; i < d->extents.len; i++)
    free (d->extents.ptr[i].name);
  rv_vmdk_lines_release (&d->extents);
  free (d->create_type);
  free (d->parent_hint);
  free (d->encoding);
  free (d->change_track);
  *d = (struct rv_vmdk_descriptor){ 0 };
}
