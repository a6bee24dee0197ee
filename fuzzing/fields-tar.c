/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the numbers of a tar archive lie. */

#include "fuzz.h"

#include "format/tar.h"

static bool
is_header (const struct fuzz_file *f, uint64_t at)
{
  return rv_range_fits (at, RV_TAR_BLOCK, f->len) &&
         memcmp (f->bytes + at + 257, "ustar", 5) == 0;
}

/* A header: the first ones are looked for where the sizes say, the rest block
 * by block, because sizes may be wrong by now.
 */
static bool
find_header (const struct fuzz_file *f, struct fuzz_rng *rng, uint64_t *at)
{
  unsigned skip = fuzz_random (rng, 6);

  *at = 0;
  if (!is_header (f, 0))
    return false;
  for (uint64_t next = 0; skip > 0 && next < f->len;) {
    struct rv_tar_header h;

    if (!is_header (f, next)) {
      next += RV_TAR_BLOCK;
      continue;
    }
    *at = next;
    skip--;
    next += RV_TAR_BLOCK;
    if (rv_tar_header_parse (f->bytes + *at, &h) == NULL &&
        h.size < f->len - next)
      next += rv_div_up (h.size, RV_TAR_BLOCK) * RV_TAR_BLOCK;
  }
  return true;
}

bool
fuzz_tar_field (const struct fuzz_file *f, struct fuzz_rng *rng,
                struct fuzz_field *field)
{
  static const struct {
    uint16_t off, width;
  } fields[] = {
    { 124, 8 }, { 128, 8 }, { 134, 1 }, { 135, 1 }, { 156, 1 }, { 0, 1 },
    { 4, 1 },   { 157, 1 }, { 257, 8 }, { 345, 1 }, { 148, 8 },
  };
  unsigned i = fuzz_random (rng, sizeof fields / sizeof fields[0]);
  uint64_t at;

  if (!find_header (f, rng, &at))
    return false;
  /* pax records follow their header. */
  if (f->bytes[at + 156] == 'x' && fuzz_random (rng, 2))
    at += RV_TAR_BLOCK + fuzz_random (rng, 40) - fields[i].off;
  *field =
      (struct fuzz_field){ .off = at + fields[i].off,
                           .width = fields[i].width,
                           .unit = RV_TAR_BLOCK,
                           .per = 1,
                           .is_tar = fields[i].off != 148 && is_header (f, at),
                           .block = at };
  return true;
}
