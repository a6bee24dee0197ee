/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "checksum.h"

enum { RAW_LEN = CHECKSUM_HEX / 2, PIECE = 1024 * 1024 };

/*--- Files --------------------------------------------------------------*/

static int
add_file (gnutls_hash_hd_t hash, int fd, const char *name, char *buf,
          rawview_error *err)
{
  off_t off = 0;
  ssize_t n;

  while ((n = pread (fd, buf, PIECE, off)) != 0) {
    if (n == -1 && errno == EINTR)
      continue;
    if (n == -1)
      return cli_error_errno (err, errno, "%s", name);
    if (gnutls_hash (hash, buf, (size_t) n) < 0)
      return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, 0,
                            "%s: GnuTLS cannot sum this", name);
    off += n;
  }
  return 0;
}

static void
to_hex (const uint8_t raw[RAW_LEN], struct checksum *sum)
{
  for (size_t i = 0; i < RAW_LEN; i++)
    snprintf (sum->hex + 2 * i, 3, "%02x", raw[i]);
}

int
checksum_of_file (int fd, const char *name, struct checksum *sum,
                  rawview_error *err)
{
  CLEANUP_FREE char *buf = malloc (PIECE);
  uint8_t raw[RAW_LEN];
  gnutls_hash_hd_t hash;
  int r;

  if (buf == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
  if (gnutls_hash_init (&hash, GNUTLS_DIG_SHA256) < 0)
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, 0,
                          "%s: this machine permits no SHA-256", name);
  r = add_file (hash, fd, name, buf, err);
  gnutls_hash_deinit (hash, raw);
  to_hex (raw, sum);
  return r;
}

bool
checksum_equal (const struct checksum *a, const struct checksum *b)
{
  return strcmp (a->hex, b->hex) == 0;
}

/*--- Lists --------------------------------------------------------------*/

/* Is the line "HEX  NAME" or "HEX *NAME" for this name? */
static bool
line_names (const char *line, size_t len, const char *name)
{
  size_t name_len = strlen (name);

  if (len > 0 && line[len - 1] == '\r')
    len--;
  if (len != CHECKSUM_HEX + 2 + name_len)
    return false;
  for (size_t i = 0; i < CHECKSUM_HEX; i++)
    if (!isxdigit ((unsigned char) line[i]))
      return false;
  return line[CHECKSUM_HEX] == ' ' &&
         (line[CHECKSUM_HEX + 1] == ' ' || line[CHECKSUM_HEX + 1] == '*') &&
         memcmp (line + CHECKSUM_HEX + 2, name, name_len) == 0;
}

static void
take_sum (const char *line, struct checksum *sum)
{
  for (size_t i = 0; i < CHECKSUM_HEX; i++)
    sum->hex[i] = (char) tolower ((unsigned char) line[i]);
  sum->hex[CHECKSUM_HEX] = '\0';
}

int
checksum_find (const char *text, const char *list, const char *name,
               struct checksum *sum, rawview_error *err)
{
  unsigned found = 0;
  size_t len;

  for (const char *line = text; *line != '\0'; line += len) {
    len = strcspn (line, "\n");
    if (line_names (line, len, name)) {
      take_sum (line, sum);
      found++;
    }
    len += line[len] == '\n';
  }
  if (found == 1)
    return 0;
  return cli_error_set (
      err, RAWVIEW_ERROR_REFUSED, 0, "%s: %s checksum of %s, one is needed",
      list, found == 0 ? "there is no" : "there is more than one", name);
}
