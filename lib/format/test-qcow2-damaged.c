/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images whose tables say something else than they should are written to. */

#include <config.h>

#include "format/test-qcow2-random.h"

/* A few bits of the tables, or a whole entry, are something else.  What entries
 * name then is a table as often as not.
 */
static void
damage (struct test_writer *w)
{
  struct test_qcow2 *t = &w->t;
  uint64_t clusters = t->len >> t->bits;

  for (unsigned n = 1 + random_below (6); n > 0; n--) {
    uint64_t c = random_below (2) ? AT_L2 : AT_REFTABLE + random_below (4);
    uint64_t in = random_below (c == AT_L2 ? 320 : test_qcow2_cluster (t));
    uint8_t *p = test_qcow2_at (t, c) + in;
    uint64_t named = random_below (2)
                         ? random_below (clusters)
                         : (clusters - 2 + random_below (7)) % clusters;

    if (random_below (3) == 0)
      *p ^= 1u << random_below (8);
    else
      put_be64 (p - in % 16, named << t->bits | (2 + random_below (8) / 7)
                                                    << 62);
  }
}

#define GUEST_BYTE 0x99

static bool
has_guest_bytes (const uint8_t *p, const uint8_t *end)
{
  static const uint8_t bytes[] = { GUEST_BYTE, GUEST_BYTE, GUEST_BYTE,
                                   GUEST_BYTE, GUEST_BYTE, GUEST_BYTE };

  return memmem (p, end - p, bytes, sizeof bytes) != NULL;
}

/* What no request may change: the header but for its bits and the pointer to
 * the refcount table; what belongs to the snapshot, in the last two clusters.
 * Guest bytes are in no table.
 */
static void
check_untouched (struct test_writer *w, const struct kind *k)
{
  struct test_qcow2 *t = &w->t;
  uint64_t last = (t->len >> t->bits) - 2;

  CHECK_MEM_EQ (w->disk, t->p, 48);
  CHECK_MEM_EQ (w->disk + 60, t->p + 60, 12);
  CHECK_MEM_EQ (w->disk + 96, t->p + 96, test_qcow2_cluster (t) - 96);
  CHECK (!has_guest_bytes (w->disk, w->disk + (AT_FREE << t->bits)));
  if (k->snapshot)
    CHECK_MEM_EQ (w->disk + (last << t->bits), test_qcow2_at (t, last),
                  2 * test_qcow2_cluster (t));
}

static int
damaged_request (struct test_writer *w)
{
  uint64_t size = w->t.format->size, off = random_below (size);
  uint64_t cluster = rv_align_down (off, test_qcow2_cluster (&w->t));

  switch (random_below (16)) {
  case 0:
    return writer_flush (w);
  case 1:
  case 2:
  case 3:
  case 4:
    return writer_drop (w, cluster,
                        rv_min_u64 (test_qcow2_cluster (&w->t), size - cluster),
                        random_below (3));
  default:
    return writer_write_byte (
        w, off, 1 + random_below (rv_min_u64 (9000, size - off)), GUEST_BYTE);
  }
}

/* Whatever is wrong with it: it is refused, or a request is, or it is written.
 */
static bool
run_damaged (const struct kind *k, uint64_t seed)
{
  CLEANUP_WRITER struct test_writer w;

  state = seed;
  random_image (&w, k);
  damage (&w);
  if (writer_open (&w) == -1) {
    CHECK (err.kind == RAWVIEW_ERROR_CORRUPT ||
           err.kind == RAWVIEW_ERROR_LIMIT ||
           err.kind == RAWVIEW_ERROR_REFUSED);
    return false;
  }
  if (k->parent)
    writer_add_parent (&w);
  for (unsigned i = 0; i < 40 && damaged_request (&w) != -1; i++)
    ;
  writer_flush (&w);
  check_untouched (&w, k);
  return true;
}

static void
damaged_images_are_not_made_worse (void)
{
  unsigned opened = 0;

  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    for (uint64_t seed = 1; seed <= 40; seed++) {
      unsigned before = atomic_load (&test_failures);

      opened += run_damaged (&kinds[i], seed * 0x9e3779b97f4a7c15);
      if (atomic_load (&test_failures) != before)
        TEST_FAIL ("in %s, seed %u: %s", kinds[i].name, (unsigned) seed,
                   err.msg);
    }
  CHECK (opened > 80);
}

int
main (void)
{
  TEST (damaged_images_are_not_made_worse);
  return test_result ();
}
