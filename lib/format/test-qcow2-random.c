/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random writes, zeros, trims and flushes into images of every kind, against a
 * model that is an array of bytes; afterwards the image has no errors and no
 * leaks.
 */

#include <config.h>

#include "format/test-qcow2-random.h"

/*--- Random requests ----------------------------------------------------*/

static int
random_write (struct test_writer *w, uint8_t *model)
{
  uint64_t size = w->t.format->size, off = random_below (size);
  uint64_t most = 1ull << random_below (w->t.bits + 4);
  uint64_t len = 1 + random_below (rv_min_u64 (most, size - off));
  uint8_t first = random_below (256);

  if (random_below (2) && len > 512) {
    off = rv_align_down (off, 512);
    len = rv_align_down (len, 512);
  }
  for (uint64_t i = 0; i < len; i++)
    model[off + i] = first + i;
  return writer_write (w, off, len, model + off);
}

static int
random_drop (struct test_writer *w, uint8_t *model)
{
  uint64_t size = w->t.format->size, cluster = test_qcow2_cluster (&w->t);
  uint64_t off = rv_align_down (random_below (size), cluster);
  uint64_t len = (1 + random_below (6)) * cluster;
  enum rv_drop how = random_below (3);
  int r;

  len = rv_min_u64 (len, size - off);
  r = writer_drop (w, off, len, how);
  if (r == -1)
    return -1;
  CHECK (r == 0 || !writer_ops (w)->can_drop (w->t.format, off, len, how));
  if (how != RV_DROP_TRIM && r == 0)
    memset (model + off, 0, len);
  else if (how == RV_DROP_TRIM) {
    CLEANUP_FREE uint8_t *now = malloc (len);

    if (writer_read (w, off, len, now) == -1)
      return -1;
    for (uint64_t i = 0; i < len; i++)
      if (!CHECK (now[i] == 0 || now[i] == model[off + i]))
        break;
    memcpy (model + off, now, len);
  }
  return 0;
}

static int
random_request (struct test_writer *w, uint8_t *model)
{
  switch (random_below (8)) {
  case 0:
    return writer_flush (w);
  case 1:
  case 2:
    return random_drop (w, model);
  default:
    return random_write (w, model);
  }
}

static bool
same (struct test_writer *w, const uint8_t *model)
{
  uint64_t size = w->t.format->size;
  CLEANUP_FREE uint8_t *now = malloc (size);

  return CHECK_OK (writer_read (w, 0, size, now), err) &&
         CHECK_MEM_EQ (now, model, size);
}

/* What the snapshot has: its L2 table and all that it names. */
static void
check_snapshot (struct test_writer *w)
{
  struct test_qcow2 *t = &w->t;

  for (uint64_t c = AT_L2; c << t->bits < t->len; c++)
    CHECK_MEM_EQ (w->disk + (c << t->bits), test_qcow2_at (t, c),
                  test_qcow2_cluster (t));
}

static void
run (const struct kind *k, uint64_t seed)
{
  CLEANUP_WRITER struct test_writer w;
  CLEANUP_FREE uint8_t *model = NULL;

  state = seed;
  random_image (&w, k);
  REQUIRE_OK (writer_open (&w), err);
  if (k->parent)
    writer_add_parent (&w);
  model = malloc (w.t.format->size);
  REQUIRE_OK (writer_read (&w, 0, w.t.format->size, model), err);
  for (unsigned i = 0; i < 150; i++) {
    REQUIRE_OK (random_request (&w, model), err);
    REQUIRE (i % 8 != 0 || same (&w, model));
  }
  REQUIRE (same (&w, model));
  writer_check (&w);
  REQUIRE (same (&w, model));
  if (k->snapshot)
    check_snapshot (&w);
}

static void
random_requests_equal_the_model (void)
{
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    for (uint64_t seed = 1; seed <= 12; seed++) {
      unsigned before = atomic_load (&test_failures);

      run (&kinds[i], seed * 0x9e3779b97f4a7c15);
      if (atomic_load (&test_failures) != before)
        TEST_FAIL ("in %s, seed %u", kinds[i].name, (unsigned) seed);
    }
}

int
main (void)
{
  TEST (random_requests_equal_the_model);
  return test_result ();
}
