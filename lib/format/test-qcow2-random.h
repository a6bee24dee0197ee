/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random QCOW2 images of every kind, for tests that write to them. */

#ifndef RV_TEST_QCOW2_RANDOM_H
#define RV_TEST_QCOW2_RANDOM_H

#include "format/test-qcow2-write.h"
#include "util/checked.h"

static uint64_t state;

/* xorshift, so that a seed is the same everywhere. */
static TEST_UNUSED uint64_t
random_below (uint64_t n)
{
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (state >> 11) % n;
}

struct kind {
  const char *name;
  unsigned bits;
  uint64_t guest; /* clusters */
  uint64_t cut;   /* bytes less than that */
  bool extended, version_2, parent, snapshot;
};

static const struct kind kinds[] = {
  { "clusters of 512 bytes", 9, 64, 0, .extended = false },
  { "clusters of 4 KiB", 12, 40, 1024, .extended = false },
  { "clusters of 64 KiB", 16, 8, 512, .extended = false },
  { "a parent", 12, 40, 512, .parent = true },
  { "a snapshot", 12, 40, 512, .snapshot = true },
  { "a snapshot and a parent", 9, 64, 0, .snapshot = true, .parent = true },
  { "subclusters", 14, 12, 1536, .extended = true },
  { "subclusters and a parent", 14, 12, 512, .extended = true, .parent = true },
  { "subclusters and a snapshot", 14, 12, 512, .extended = true,
    .snapshot = true, .parent = true },
  { "version 2", 9, 64, 0, .version_2 = true },
  { "version 2 and a parent", 9, 64, 0, .version_2 = true, .parent = true },
  { "version 2 and a snapshot", 12, 20, 512, .version_2 = true,
    .snapshot = true },
};

#define HOST 80u /* clusters */

/*--- A random image -----------------------------------------------------*/

static void
random_bitmap (struct test_writer *w, unsigned i, bool host)
{
  uint32_t alloc = host ? random_below (1ull << 32) : 0;
  uint32_t zero = random_below (1ull << 32) & ~alloc;

  if (random_below (4) == 0)
    alloc = host ? UINT32_MAX : 0, zero &= ~alloc;
  test_qcow2_bitmap (&w->t, i, zero, alloc);
}

static void
random_plain (struct test_writer *w, const struct kind *k, unsigned i,
              uint64_t *next)
{
  unsigned what = random_below (4);
  bool host = what == 0 || what == 1;

  if (k->version_2 && what == 1)
    what = 0;
  if (host)
    writer_data (w, i, *next, 0x20 + *next % 16);
  if (what == 1 && !k->extended)
    test_qcow2_entry (&w->t, i,
                      QCOW2_OFLAG_COPIED | QCOW2_OFLAG_ZERO | *next << k->bits);
  else if (what == 2 && !k->version_2 && !k->extended)
    test_qcow2_entry (&w->t, i, QCOW2_OFLAG_ZERO);
  if (k->extended)
    random_bitmap (w, i, host);
  *next += host;
}

/* Two compressed clusters share a host cluster. */
static void
random_compressed (struct test_writer *w, const struct kind *k, unsigned i,
                   uint64_t *next)
{
  test_qcow2_compressed (&w->t, i, (*next << k->bits) + 17, 1);
  test_qcow2_compressed (&w->t, i + 1, ((*next + 1) << k->bits) - 300, 2);
  if (k->extended) {
    test_qcow2_bitmap (&w->t, i, 0, 0);
    test_qcow2_bitmap (&w->t, i + 1, 0, 0);
  }
  test_refcount (&w->t, *next, 2);
  test_refcount (&w->t, *next + 1, 1);
  *next += 2;
}

/* Writer_snapshot leaves those of compressed clusters to us. */
static void
share_compressed (struct test_writer *w)
{
  unsigned step = w->t.extended ? 16 : 8;

  for (uint8_t *e = test_qcow2_at (&w->t, AT_L2);
       e < test_qcow2_at (&w->t, AT_L2 + 1); e += step) {
    uint64_t off = rv_be64 (e) & ((1ull << (70 - w->t.bits)) - 1);
    uint8_t *count =
        test_qcow2_at (&w->t, AT_REFBLOCK) + (off >> w->t.bits) * 2;

    if (!(rv_be64 (e) & QCOW2_OFLAG_COMPRESSED))
      continue;
    put_be16 (count, rv_be16 (count) + 1);
    if (rv_be64 (e) >> (70 - w->t.bits) & 1)
      put_be16 (count + 2, rv_be16 (count + 2) + 1);
  }
}

static TEST_UNUSED void
random_image (struct test_writer *w, const struct kind *k)
{
  uint64_t next = AT_FREE, size = (k->guest << k->bits) - k->cut;

  writer_init (w, k->bits, HOST, size);
  if (k->version_2) {
    put_be32 (w->t.p + 4, 2);
    memset (w->t.p + 72, 0, 40);
  }
  if (k->extended)
    test_qcow2_make_extended (&w->t);
  for (unsigned i = 0; i < k->guest && next < HOST - 6; i++) {
    if (i + 1 < k->guest && random_below (6) == 0)
      random_compressed (w, k, i++, &next);
    else
      random_plain (w, k, i, &next);
  }
  if (k->snapshot) {
    writer_snapshot (w, next, size);
    share_compressed (w);
    next += 2;
  }
  w->t.len = next << k->bits;
}

#endif /* RV_TEST_QCOW2_RANDOM_H */
