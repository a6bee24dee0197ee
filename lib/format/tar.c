/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "format/tar.h"
#include "util/checked.h"
#include "util/error.h"

#define MAX_ENTRIES  4096u
#define MAX_EXTENDED (64u << 10) /* bytes of pax records or long name */

#define NAME_OFF     0u
#define NAME_LEN     100u
#define SIZE_OFF     124u
#define SIZE_LEN     12u
#define CHECKSUM_OFF 148u
#define CHECKSUM_LEN 8u
#define TYPE_OFF     156u
#define MAGIC_OFF    257u
#define PREFIX_OFF   345u
#define PREFIX_LEN   155u

/*--- Header blocks ------------------------------------------------------*/

/* Octal digits between optional spaces, ended by space or NUL. */
static bool
parse_octal (const uint8_t *p, size_t len, uint64_t *n)
{
  size_t i = 0;

  *n = 0;
  while (i < len && p[i] == ' ')
    i++;
  for (; i < len && p[i] >= '0' && p[i] <= '7'; i++)
    if (!rv_mul_u64 (*n, 8, n) || !rv_add_u64 (*n, p[i] - '0', n))
      return false;
  for (; i < len; i++)
    if (p[i] != ' ' && p[i] != '\0')
      return false;
  return true;
}

/* Big-endian binary after a first byte of 0x80; 0xff would be negative. */
static bool
parse_base256 (const uint8_t *p, size_t len, uint64_t *n)
{
  if (p[0] != 0x80)
    return false;
  *n = 0;
  for (size_t i = 1; i < len; i++) {
    if (*n >> 55)
      return false;
    *n = *n << 8 | p[i];
  }
  return true;
}

static bool
parse_size (const uint8_t *p, uint64_t *n)
{
  bool ok = p[0] & 0x80 ? parse_base256 (p, SIZE_LEN, n)
                        : parse_octal (p, SIZE_LEN, n);

  return ok && *n <= INT64_MAX;
}

static bool
checksum_is_right (const uint8_t *block)
{
  uint64_t recorded, sum = 0;

  if (!parse_octal (block + CHECKSUM_OFF, CHECKSUM_LEN, &recorded))
    return false;
  for (size_t i = 0; i < RV_TAR_BLOCK; i++)
    sum += i - CHECKSUM_OFF < CHECKSUM_LEN ? ' ' : block[i];
  return sum == recorded;
}

const char *
rv_tar_header_parse (const uint8_t block[RV_TAR_BLOCK], struct rv_tar_header *h)
{
  const char *prefix = (const char *) block + PREFIX_OFF;
  bool posix = memcmp (block + MAGIC_OFF, "ustar\0", 6) == 0;

  if (memcmp (block + MAGIC_OFF, "ustar", 5) != 0)
    return "no ustar signature";
  if (!checksum_is_right (block))
    return "a wrong checksum";
  if (!parse_size (block + SIZE_OFF, &h->size))
    return "an impossible size";
  h->type = block[TYPE_OFF] ? block[TYPE_OFF] : '0';
  if (posix && prefix[0])
    snprintf (h->name, sizeof h->name, "%.*s/%.*s", (int) PREFIX_LEN, prefix,
              (int) NAME_LEN, (const char *) block + NAME_OFF);
  else
    snprintf (h->name, sizeof h->name, "%.*s", (int) NAME_LEN,
              (const char *) block + NAME_OFF);
  return NULL;
}

/*--- Pax records --------------------------------------------------------*/

/* "LEN KEY=VALUE\n" at *records; moves past it. */
static bool
next_record (struct rv_view *records, struct rv_view *key,
             struct rv_view *value)
{
  uint64_t len = 0;
  size_t i = 0;
  const uint8_t *equals;

  for (; i < records->len && isdigit (records->p[i]) && len < MAX_EXTENDED; i++)
    len = len * 10 + (records->p[i] - '0');
  if (i == 0 || i >= records->len || records->p[i] != ' ' || len <= i + 1 ||
      len > records->len || records->p[len - 1] != '\n')
    return false;
  i++;
  equals = memchr (records->p + i, '=', len - 1 - i);
  if (equals == NULL)
    return false;
  *key = (struct rv_view){ records->p + i, equals - (records->p + i) };
  *value = (struct rv_view){ equals + 1, records->p + len - 1 - (equals + 1) };
  records->p += len;
  records->len -= len;
  return true;
}

const char *
rv_tar_pax_find (struct rv_view records, const char *key, struct rv_view *value)
{
  *value = (struct rv_view){ NULL, 0 };
  while (records.len > 0) {
    struct rv_view k, v;

    if (!next_record (&records, &k, &v))
      return "broken pax records";
    if (k.len == strlen (key) && memcmp (k.p, key, k.len) == 0)
      *value = v; /* the last one counts */
  }
  return NULL;
}

/*--- Walking ------------------------------------------------------------*/

/* What extended headers say about the member that follows them. */
struct extended {
  char *name;
  bool has_size, sparse;
  uint64_t size;
};

static void
extended_release (struct extended *x)
{
  free (x->name);
}

static int
damaged (const struct rv_tar_walk *w, uint64_t off, const char *wrong,
         rawview_error *err)
{
  return rv_error_corrupt (err, "%s: the tar header at %ju has %s", w->io->name,
                           (uintmax_t) off, wrong);
}

/* The next header; 0 at the end of the archive. */
static int
read_header (struct rv_tar_walk *w, struct rv_tar_header *h, rawview_error *err)
{
  static const uint8_t zeros[RV_TAR_BLOCK];
  uint8_t block[RV_TAR_BLOCK];
  uint64_t at = w->next;
  const char *wrong;

  if (at == w->io->size)
    return 0;
  if (++w->entries > MAX_ENTRIES)
    return rv_error_limit (err, "%s: more than %u members in the archive",
                           w->io->name, MAX_ENTRIES);
  if (!rv_range_fits (at, sizeof block, w->io->size))
    return rv_error_corrupt (err, "%s: the archive is truncated at %ju",
                             w->io->name, (uintmax_t) w->io->size);
  if (rv_io_pread (w->io, block, sizeof block, at, err) == -1)
    return -1;
  w->ended = memcmp (block, zeros, sizeof block) == 0;
  if (w->ended)
    return 0;
  wrong = rv_tar_header_parse (block, h);
  if (wrong)
    return damaged (w, at, wrong, err);
  w->next = at + RV_TAR_BLOCK;
  return 1;
}

/* Moves past len bytes of contents, which must be there. */
static int
skip (struct rv_tar_walk *w, const char *name, uint64_t len, rawview_error *err)
{
  if (!rv_range_fits (w->next, len, w->io->size))
    return rv_error_corrupt (err,
                             "%s: the archive is truncated: member \"%s\" of "
                             "%ju bytes at %ju does not fit into %ju bytes",
                             w->io->name, name, (uintmax_t) len,
                             (uintmax_t) w->next, (uintmax_t) w->io->size);
  len = (len + RV_TAR_BLOCK - 1) / RV_TAR_BLOCK * RV_TAR_BLOCK;
  w->next = rv_min_u64 (w->next + len, w->io->size);
  return 0;
}

static int
take_long_name (struct extended *x, struct rv_view v, rawview_error *err)
{
  free (x->name);
  x->name = strndup ((const char *) v.p, v.len);
  return x->name ? 0 : rv_error_nomem (err);
}

static bool
parse_decimal (struct rv_view v, uint64_t *n)
{
  *n = 0;
  for (size_t i = 0; i < v.len; i++)
    if (!isdigit (v.p[i]) || !rv_mul_u64 (*n, 10, n) ||
        !rv_add_u64 (*n, v.p[i] - '0', n))
      return false;
  return v.len > 0 && *n <= INT64_MAX;
}

/* The records that we know; an empty value takes back what was said before. */
struct pax {
  struct rv_view path, size;
  bool sparse; /* in any of the three ways that GNU tar has had */
};

static const char *
parse_pax (struct rv_view records, struct pax *pax)
{
  static const char *const sparse_keys[] = { "GNU.sparse.major",
                                             "GNU.sparse.map",
                                             "GNU.sparse.size" };
  const char *wrong = rv_tar_pax_find (records, "path", &pax->path);

  if (wrong == NULL)
    wrong = rv_tar_pax_find (records, "size", &pax->size);
  pax->sparse = false;
  for (size_t i = 0; i < 3 && wrong == NULL; i++) {
    struct rv_view v;

    wrong = rv_tar_pax_find (records, sparse_keys[i], &v);
    pax->sparse = pax->sparse || v.p;
  }
  if (wrong == NULL && pax->path.p && memchr (pax->path.p, '\0', pax->path.len))
    wrong = "a name with a NUL byte";
  return wrong;
}

static int
take_pax (const struct rv_tar_walk *w, struct extended *x, struct rv_view v,
          rawview_error *err)
{
  struct pax pax;
  const char *wrong = parse_pax (v, &pax);

  if (wrong)
    return damaged (w, w->next, wrong, err);
  if (pax.path.len > 0 && take_long_name (x, pax.path, err) == -1)
    return -1;
  x->sparse = x->sparse || pax.sparse;
  if (pax.size.p == NULL)
    return 0;
  x->has_size = pax.size.len > 0;
  if (x->has_size && !parse_decimal (pax.size, &x->size))
    return damaged (w, w->next, "an impossible pax size", err);
  return 0;
}

/* Records for all members to come: those that would change where members are
 * make no sense there.
 */
static int
take_global (const struct rv_tar_walk *w, struct rv_view v, rawview_error *err)
{
  struct pax pax;
  const char *wrong = parse_pax (v, &pax);

  if (wrong == NULL && (pax.path.p || pax.size.p || pax.sparse))
    wrong = "global pax records of name, size or holes";
  return wrong ? damaged (w, w->next, wrong, err) : 0;
}

/* An extended header: its contents speak of the next member. */
static int
read_extended (struct rv_tar_walk *w, const struct rv_tar_header *h,
               struct extended *x, rawview_error *err)
{
  CLEANUP_FREE uint8_t *bytes = NULL;
  struct rv_view v;

  if (h->size > MAX_EXTENDED)
    return damaged (w, w->next - RV_TAR_BLOCK, "too long an extension", err);
  bytes = malloc (h->size + 1);
  if (bytes == NULL)
    return rv_error_nomem (err);
  if (h->size > 0 && rv_io_pread (w->io, bytes, h->size, w->next, err) == -1)
    return -1;
  v = (struct rv_view){ bytes, h->size };
  if (h->type == 'L' && take_long_name (x, v, err) == -1)
    return -1;
  if (h->type == 'x' && take_pax (w, x, v, err) == -1)
    return -1;
  if (h->type == 'g' && take_global (w, v, err) == -1)
    return -1;
  return skip (w, h->name, h->size, err);
}

static int
next_member (struct rv_tar_walk *w, struct extended *x, struct rv_tar_member *m,
             rawview_error *err)
{
  struct rv_tar_header h;
  int r;

  for (;;) {
    r = read_header (w, &h, err);
    if (r != 1)
      return r;
    if (strchr ("xgLK", h.type) == NULL)
      break;
    if (read_extended (w, &h, x, err) == -1)
      return -1;
  }
  *m = (struct rv_tar_member){ .type = h.type,
                               .off = w->next,
                               .len = x->has_size ? x->size : h.size,
                               .sparse = x->sparse || h.type == 'S' };
  m->name = x->name ? STEAL (x->name) : strdup (h.name);
  if (m->name == NULL)
    return rv_error_nomem (err);
  if (skip (w, m->name, m->len, err) == -1) {
    free (m->name);
    return -1;
  }
  return 1;
}

int
rv_tar_next (struct rv_tar_walk *walk, struct rv_tar_member *member,
             rawview_error *err)
{
  struct extended x = { 0 };
  int r = next_member (walk, &x, member, err);

  extended_release (&x);
  return r;
}
