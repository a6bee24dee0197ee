/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The n-th operation of the storage fails, for each n: the request fails, what
 * it was not about is as it was, the next attempt succeeds, and there are no
 * errors and no leaks.
 */

#include <config.h>

#include <errno.h>

#include "format/test-qcow2-write.h"

#define BITS    9u
#define CLUSTER (1u << BITS)
#define PER_L2  (CLUSTER / 8) /* entries */
#define L1_SPAN ((uint64_t) PER_L2 * CLUSTER)
#define SIZE    (4 * L1_SPAN)

static struct rv_io_faults faults;
static uint8_t first[SIZE], model[SIZE];

/* Data, a compressed cluster, a table that a snapshot has too, others that are
 * missing.
 */
static void
begin (struct test_writer *w)
{
  writer_init (w, BITS, AT_FREE + 5, SIZE);
  put_be32 (w->t.p + 36, 4);
  writer_data (w, 0, AT_FREE, 1);
  writer_data (w, 1, AT_FREE + 1, 2);
  test_qcow2_compressed (&w->t, 2, (AT_FREE + 2) * CLUSTER + 1, 1);
  test_refcount (&w->t, AT_FREE + 2, 2);
  writer_snapshot (w, AT_FREE + 3, SIZE);
  faults = (struct rv_io_faults){ .kinds = RV_FAULT_READ | RV_FAULT_WRITE,
                                  .errnum = EIO,
                                  .once = true };
  w->faults = &faults;
}

struct request {
  bool drop;
  enum rv_drop how;
  uint64_t off, len;
};

static const struct request requests[] = {
  { .off = 100, .len = 2 * CLUSTER },
  { .off = L1_SPAN - 300, .len = 600 },
  { .drop = true, .how = RV_DROP_ZERO, .off = CLUSTER, .len = 2 * CLUSTER },
  { .drop = true, .how = RV_DROP_KEEP, .off = 0, .len = CLUSTER },
  { .off = 10, .len = 20 },
  { .off = 2 * L1_SPAN, .len = CLUSTER },
};
#define NR_REQUESTS (sizeof requests / sizeof requests[0])

static int
request (struct test_writer *w, const struct request *r)
{
  CLEANUP_FREE uint8_t *buf = malloc (r->len);

  if (r->drop) {
    if (writer_drop (w, r->off, r->len, r->how) != 0)
      return -1;
    memset (model + r->off, 0, r->len);
    return 0;
  }
  for (uint64_t i = 0; i < r->len; i++)
    buf[i] = r->off / 7 + i;
  if (writer_write (w, r->off, r->len, buf) == -1)
    return -1;
  memcpy (model + r->off, buf, r->len);
  return 0;
}

/* All but what r is about. */
static bool
same (struct test_writer *w, const struct request *r)
{
  static uint8_t now[SIZE];

  if (!CHECK_OK (writer_read (w, 0, SIZE, now), err))
    return false;
  memcpy (now + r->off, model + r->off, r->len);
  return CHECK_MEM_EQ (now, model, SIZE);
}

/* The n-th operation fails.  False: there were fewer. */
static bool
run (unsigned n)
{
  CLEANUP_WRITER struct test_writer w;
  bool failed = false;
  unsigned left = n;

  begin (&w);
  memcpy (model, first, SIZE);
  if (!CHECK_OK (writer_open (&w), err))
    return false;
  for (size_t i = 0; i < NR_REQUESTS; i++) {
    int r;

    atomic_store (&faults.countdown, left);
    r = request (&w, &requests[i]);
    left = atomic_exchange (&faults.countdown, 0);
    if (r == -1) {
      failed = true;
      left = 0;
      CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*");
      if (!same (&w, &requests[i]) ||
          !CHECK_OK (request (&w, &requests[i]), err))
        return false;
    }
    if (!same (&w, &(struct request){ .len = 0 }))
      return false;
  }
  writer_check (&w);
  for (unsigned c = AT_L2; c < AT_FREE + 5; c++)
    CHECK_MEM_EQ (w.disk + (c << BITS), test_qcow2_at (&w.t, c), CLUSTER);
  return failed;
}

static void
a_request_that_fails_changes_nothing_else (void)
{
  CLEANUP_WRITER struct test_writer w;
  unsigned n = 1;

  begin (&w);
  REQUIRE_OK (writer_open (&w), err);
  REQUIRE_OK (writer_read (&w, 0, SIZE, first), err);
  while (run (n) && n < 1000)
    n++;
  CHECK (n > 8 && n < 1000);
}

/* It is too large for the cache, so that it is read again to be copied. */
static void
a_table_that_cannot_be_copied_leaks_nothing (void)
{
  unsigned failures = 0;

  for (unsigned n = 1; n < 120; n += 13) {
    CLEANUP_WRITER struct test_writer w;

    writer_init (&w, 21, AT_FREE + 3, 1ull << 30);
    writer_data (&w, 0, AT_FREE, 1);
    writer_snapshot (&w, AT_FREE + 1, 1ull << 30);
    w.faults = &faults;
    faults = (struct rv_io_faults){ .kinds = RV_FAULT_READ,
                                    .errnum = EIO,
                                    .once = true };
    REQUIRE_OK (writer_open (&w), err);
    atomic_store (&faults.countdown, n);
    failures += writer_write_byte (&w, 512, 512, 7) == -1;
    atomic_store (&faults.countdown, 0);
    CHECK_GUEST (&w, 0, 512, 1);
    REQUIRE_OK (writer_write_byte (&w, 512, 512, 8), err);
    CHECK_GUEST (&w, 512, 512, 8);
    writer_check (&w);
  }
  CHECK (failures > 4);
}

int
main (void)
{
  TEST (a_request_that_fails_changes_nothing_else);
  TEST (a_table_that_cannot_be_copied_leaks_nothing);
  return test_result ();
}
