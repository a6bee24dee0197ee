/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "format/ova-manifest.h"
#include "util/checked.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/text.h"

#define MAX_LINES 4096u

/*--- One line -----------------------------------------------------------*/

struct text {
  const char *p;
  size_t len;
};

static struct text
trim (const char *p, size_t len)
{
  while (len > 0 && isspace ((unsigned char) *p)) {
    p++;
    len--;
  }
  while (len > 0 && isspace ((unsigned char) p[len - 1]))
    len--;
  return (struct text){ p, len };
}

/* "SHA256", "sha-256" */
static bool
parse_kind (struct text t, enum rv_digest_kind *kind)
{
  static const char *const names[] = { "SHA1",    "SHA-1",  "SHA256",
                                       "SHA-256", "SHA512", "SHA-512" };

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strlen (names[i]) == t.len && strncasecmp (names[i], t.p, t.len) == 0) {
      *kind = (enum rv_digest_kind) (i / 2);
      return true;
    }
  return false;
}

static int
hex_value (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char) tolower ((unsigned char) c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
parse_digest (struct text t, size_t len, uint8_t *digest)
{
  if (t.len != 2 * len)
    return false;
  for (size_t i = 0; i < len; i++) {
    int high = hex_value (t.p[2 * i]), low = hex_value (t.p[2 * i + 1]);

    if (high == -1 || low == -1)
      return false;
    digest[i] = (uint8_t) (high << 4 | low);
  }
  return true;
}

static struct text
without_dot (struct text t)
{
  while (t.len >= 2 && t.p[0] == '.' && t.p[1] == '/') {
    t.p += 2;
    t.len -= 2;
  }
  return t;
}

/* Returns NULL or what is wrong.  The caller frees line->name. */
static const char *
parse_line (struct text t, struct rv_ova_line *line)
{
  const char *open = memchr (t.p, '(', t.len);
  const char *close = memrchr (t.p, ')', t.len);
  struct text name, value;

  if (open == NULL || close == NULL || close < open)
    return "is not of the form \"SHA256(NAME)= CHECKSUM\"";
  if (!parse_kind (trim (t.p, open - t.p), &line->kind))
    return "has another checksum than SHA1, SHA256 or SHA512";
  name = without_dot ((struct text){ open + 1, close - open - 1 });
  value = trim (close + 1, t.p + t.len - close - 1);
  if (value.len == 0 || value.p[0] != '=' || name.len == 0)
    return "is not of the form \"SHA256(NAME)= CHECKSUM\"";
  value = trim (value.p + 1, value.len - 1);
  if (!parse_digest (value, rv_digest_len (line->kind), line->digest))
    return "has a checksum of the wrong length or not in hex digits";
  line->name = strndup (name.p, name.len);
  return line->name ? NULL : "finds no memory";
}

/*--- The whole ----------------------------------------------------------*/

static int
add_line (struct rv_ova_manifest *m, struct text t, unsigned n,
          const char *file, rawview_error *err)
{
  struct rv_ova_line line = { 0 };
  const char *wrong;

  if (t.len == 0)
    return 0;
  if (m->len == MAX_LINES)
    return rv_error_limit (err, "%s: more than %u lines in the manifest", file,
                           MAX_LINES);
  wrong = parse_line (t, &line);
  if (wrong)
    return rv_error_corrupt (err, "%s: line %u of the manifest %s", file, n,
                             wrong);
  if (rv_ova_manifest_append (m, line) == -1) {
    free (line.name);
    return rv_error_nomem (err);
  }
  return 0;
}

int
rv_ova_manifest_parse (struct rv_view text, const char *file,
                       struct rv_ova_manifest *manifest, rawview_error *err)
{
  struct rv_ova_manifest m = { 0 };
  const char *p = (const char *) text.p, *end = p + text.len;

  for (unsigned n = 1; p < end; n++) {
    const char *nl = memchr (p, '\n', end - p);
    const char *stop = nl ? nl : end;

    if (add_line (&m, trim (p, stop - p), n, file, err) == -1) {
      rv_ova_manifest_free (&m);
      return -1;
    }
    p = nl ? nl + 1 : end;
  }
  *manifest = m;
  return 0;
}

void
rv_ova_manifest_free (struct rv_ova_manifest *m)
{
  for (size_t i = 0; i < m->len; i++)
    free (m->ptr[i].name);
  rv_ova_manifest_release (m);
}

unsigned
rv_ova_manifest_kinds (const struct rv_ova_manifest *m, const char *name)
{
  unsigned kinds = 0;

  for (size_t i = 0; i < m->len; i++)
    if (strcmp (m->ptr[i].name, name) == 0)
      kinds |= RV_DIGEST_BIT (m->ptr[i].kind);
  return kinds;
}

int
rv_ova_manifest_compare (struct rv_ova_manifest *m, const char *name,
                         const struct rv_digest_values *values,
                         const char *file, rawview_error *err)
{
  for (size_t i = 0; i < m->len; i++) {
    struct rv_ova_line *line = &m->ptr[i];

    if (strcmp (line->name, name) != 0 ||
        !(values->kinds & RV_DIGEST_BIT (line->kind)))
      continue;
    if (memcmp (line->digest, values->bytes[line->kind],
                rv_digest_len (line->kind)) != 0)
      return rv_error_corrupt (
          err,
          "%s: the checksum of \"%s\" is not the one in the manifest: it "
          "was changed or damaged on its way",
          file, name);
    line->verified = true;
  }
  return 0;
}

int
rv_ova_manifest_verify (const struct rv_ova_manifest *m, const char *file,
                        rawview_error *err)
{
  for (size_t i = 0; i < m->len; i++)
    if (!m->ptr[i].verified)
      return rv_error_corrupt (
          err, "%s: the manifest names \"%s\", which has not come", file,
          m->ptr[i].name);
  return 0;
}
