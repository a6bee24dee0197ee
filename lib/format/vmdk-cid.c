/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content id: a child compares it with its parentCID, so it must change
 * before anything else of a disk does.  Only the digits are replaced: nothing
 * else in a descriptor is ours.
 */

#include <config.h>

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "format/vmdk-write.h"
#include "util/error.h"

#define CID_DIGITS      8u
#define LONG_CID_DIGITS 32u

/* These mean "no parent" and "no CID yet" in parentCID. */
#define RESERVED_1 "ffffffff"
#define RESERVED_2 "fffffffe"

ssize_t (*rv_vmdk_cid_random) (void *buf, size_t len,
                               unsigned flags) = getrandom;

static bool
is_hex (struct rv_vmdk_span text)
{
  uint32_t n;

  for (size_t i = 0; i < text.len; i++)
    if (!rv_vmdk_parse_hex ((struct rv_vmdk_span){ text.p + i, 1 }, &n))
      return false;
  return text.len > 0;
}

/* The value of the first line with this key; false if there is none. */
static bool
find_value (struct rv_vmdk_span text, const char *name,
            struct rv_vmdk_span *value)
{
  struct rv_vmdk_span key;

  text.len = strnlen (text.p, text.len);
  while (text.len > 0) {
    struct rv_vmdk_span line = rv_vmdk_take_line (&text);

    if (line.len > 0 && line.p[0] != '#' && !rv_vmdk_is_extent_line (line) &&
        rv_vmdk_split_key (line, &key, value) && rv_vmdk_span_is (key, name))
      return rv_vmdk_unquote (value);
  }
  return false;
}

void
rv_vmdk_cid_find (struct rv_view text, struct rv_vmdk_digits *cid,
                  struct rv_vmdk_digits *long_cid, char old[8])
{
  struct rv_vmdk_span all = rv_vmdk_skip_byte_order_mark (text), value;
  const char *start = (const char *) text.p, *tail;

  *cid = *long_cid = (struct rv_vmdk_digits){ 0 };
  if (!find_value (all, "CID", &value) || !is_hex (value) ||
      value.len > CID_DIGITS)
    return;
  memcpy (old, value.p, value.len);
  *cid = (struct rv_vmdk_digits){ value.p - start, value.len };
  if (cid->len != CID_DIGITS ||
      !find_value (all, "ddb.longContentID", &value) ||
      value.len != LONG_CID_DIGITS || !is_hex (value))
    return;
  tail = value.p + LONG_CID_DIGITS - CID_DIGITS;
  if (strncasecmp (tail, old, CID_DIGITS) == 0)
    *long_cid = (struct rv_vmdk_digits){ tail - start, CID_DIGITS };
}

/* One of the 15 digits that old is not. */
static char
other_digit (char old, uint8_t random)
{
  static const char hex[] = "0123456789abcdef";
  uint32_t n;

  rv_vmdk_parse_hex ((struct rv_vmdk_span){ &old, 1 }, &n);
  return hex[(n + 1 + random % 15) % 16];
}

int
rv_vmdk_cid_next (const char *old, unsigned len, char *digits,
                  rawview_error *err)
{
  uint8_t random[CID_DIGITS];

  do {
    if (rv_vmdk_cid_random (random, sizeof random, 0) != sizeof random)
      return rv_error_errno (err, errno, "no random number for a new CID");
    for (unsigned i = 0; i < len; i++)
      digits[i] = other_digit (old[i], random[i]);
  } while (len == CID_DIGITS && (memcmp (digits, RESERVED_1, len) == 0 ||
                                 memcmp (digits, RESERVED_2, len) == 0));
  return 0;
}
