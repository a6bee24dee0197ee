/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the numbers of a QCOW2 file lie.  Follows what the file says, as far as
 * that makes sense.
 */

#include "fuzz.h"

#define AT_L1_SIZE    36u
#define AT_L1         40u
#define AT_REFTABLE   48u
#define AT_SNAPSHOTS  64u
#define AT_ORDER      96u
#define AT_HEADER_LEN 100u
#define SNAPSHOT_LEN  56u

static const struct {
  uint8_t off, width;
} header[] = {
  { 4, 4 },  { 8, 8 },  { 16, 4 }, { 20, 4 }, { 24, 8 },  { 32, 4 },
  { 36, 4 }, { 40, 8 }, { 48, 8 }, { 56, 4 }, { 60, 4 },  { 64, 8 },
  { 72, 8 }, { 80, 8 }, { 88, 8 }, { 96, 4 }, { 100, 4 }, { 104, 1 },
};

static const struct {
  uint8_t off, width;
} snapshot[] = {
  { 0, 8 },  { 8, 4 },  { 12, 2 }, { 14, 2 }, { 32, 4 },
  { 36, 4 }, { 40, 8 }, { 48, 8 }, { 56, 1 },
};

static uint64_t
get64 (const struct fuzz_file *f, uint64_t off)
{
  return fuzz_get (f, off, 8, true);
}

static unsigned
cluster_bits (const struct fuzz_file *f)
{
  uint64_t bits = fuzz_get (f, 20, 4, true);

  return bits >= 9 && bits <= 21 ? bits : 16;
}

static bool
is_extended (const struct fuzz_file *f)
{
  return get64 (f, 72) & 16;
}

static uint64_t
offset_in (uint64_t entry)
{
  return entry & 0x00fffffffffffe00u;
}

/* An entry of the n that are at off, mostly one that is used. */
static uint64_t
choose_entry (const struct fuzz_file *f, struct fuzz_rng *rng, uint64_t off,
              uint64_t n, unsigned step)
{
  uint64_t i = fuzz_random (rng, n ? n : 1);

  for (unsigned tries = 0; tries < 16; tries++) {
    if (get64 (f, off + i * step) != 0)
      break;
    i = fuzz_random (rng, n ? rv_min_u64 (n, 4ull << 2 * (tries % 4)) : 1);
  }
  return off + i * step;
}

static uint64_t
l1_entry (const struct fuzz_file *f, struct fuzz_rng *rng)
{
  uint64_t n = rv_min_u64 (fuzz_get (f, AT_L1_SIZE, 4, true), 1 << 16);
  uint64_t at = get64 (f, AT_L1), snapshots = get64 (f, AT_SNAPSHOTS);

  if (snapshots && fuzz_random (rng, 4) == 0) {
    at = get64 (f, snapshots);
    n = rv_min_u64 (fuzz_get (f, snapshots + 8, 4, true), 1 << 16);
  }
  return choose_entry (f, rng, at, n, 8);
}

static bool
l2_field (const struct fuzz_file *f, struct fuzz_rng *rng,
          struct fuzz_field *field)
{
  uint64_t table = offset_in (get64 (f, l1_entry (f, rng)));
  unsigned step = is_extended (f) ? 16 : 8;
  uint64_t n = (1ull << cluster_bits (f)) / step;
  uint64_t at = choose_entry (f, rng, table, n, step);

  if (step == 16 && fuzz_random (rng, 2))
    at += 8;
  return fuzz_field_set (field, at, 8);
}

static bool
refcount_field (const struct fuzz_file *f, struct fuzz_rng *rng,
                struct fuzz_field *field)
{
  uint64_t table = get64 (f, AT_REFTABLE), block;
  uint64_t order = fuzz_get (f, AT_ORDER, 4, true);
  unsigned width = order >= 3 && order <= 6 ? 1u << (order - 3) : 1;
  uint64_t clusters = (f->len >> cluster_bits (f)) + 2;

  if (fuzz_get (f, 4, 4, true) == 2)
    width = 2;
  if (fuzz_random (rng, 4) == 0)
    return fuzz_field_set (field, table + fuzz_random (rng, 3) * 8, 8);
  block = offset_in (get64 (f, table));
  return fuzz_field_set (field, block + fuzz_random (rng, clusters) * width,
                         width);
}

static bool
snapshot_field (const struct fuzz_file *f, struct fuzz_rng *rng,
                struct fuzz_field *field)
{
  unsigned i = fuzz_random (rng, sizeof snapshot / sizeof snapshot[0]);
  uint64_t at = get64 (f, AT_SNAPSHOTS);

  if (at == 0)
    return false;
  return fuzz_field_set (field, at + snapshot[i].off, snapshot[i].width);
}

/* The type or the length of an extension, or some bytes of it. */
static bool
extension_field (const struct fuzz_file *f, struct fuzz_rng *rng,
                 struct fuzz_field *field)
{
  uint64_t at = fuzz_get (f, AT_HEADER_LEN, 4, true);
  unsigned skip = fuzz_random (rng, 4);

  for (; skip > 0 && get64 (f, at) != 0; skip--)
    at += 8 + (fuzz_get (f, at + 4, 4, true) + 7) / 8 * 8;
  at += fuzz_random (rng, 3) ? fuzz_random (rng, 2) * 4
                             : 8 + fuzz_random (rng, 6) * 4;
  return fuzz_field_set (field, at, 4);
}

/* The directory of bitmaps and their tables. */
static bool
bitmap_field (const struct fuzz_file *f, struct fuzz_rng *rng,
              struct fuzz_field *field)
{
  uint64_t at = fuzz_get (f, AT_HEADER_LEN, 4, true);

  for (unsigned i = 0; i < 8; i++) {
    uint64_t directory = get64 (f, at + 24);

    if (fuzz_get (f, at, 4, true) == 0x23852875) {
      if (fuzz_random (rng, 3) == 0)
        directory = get64 (f, directory);
      return fuzz_field_set (field, directory + fuzz_random (rng, 6) * 4, 4);
    }
    at += 8 + (fuzz_get (f, at + 4, 4, true) + 7) / 8 * 8;
  }
  return false;
}

bool
fuzz_qcow2_field (const struct fuzz_file *f, struct fuzz_rng *rng,
                  struct fuzz_field *field)
{
  unsigned what = fuzz_random (rng, 20), i;

  if (fuzz_get (f, 0, 4, true) != 0x514649fb)
    return false;
  *field = (struct fuzz_field){ .big_endian = true,
                                .unit = 1ull << cluster_bits (f),
                                .per = 1 };
  if (what < 5) {
    i = fuzz_random (rng, sizeof header / sizeof header[0]);
    return fuzz_field_set (field, header[i].off, header[i].width);
  }
  if (what < 7)
    return fuzz_field_set (field, l1_entry (f, rng), 8);
  if (what < 13)
    return l2_field (f, rng, field);
  if (what < 16)
    return refcount_field (f, rng, field);
  if (what == 16)
    return snapshot_field (f, rng, field);
  if (what == 17)
    return bitmap_field (f, rng, field);
  return extension_field (f, rng, field);
}
