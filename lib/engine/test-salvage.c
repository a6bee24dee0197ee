/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>

#include "engine/engine-internal.h"
#include "engine/test-chain.h"

#define ROOM   (1u << 20)
#define LOSSES 64u

static rawview_error err;

struct losses {
  size_t n;
  uint64_t off[LOSSES], len[LOSSES]; /* neighbours are one */
};

static void
note (void *opaque, uint64_t len, uint64_t off, const rawview_error *why)
{
  struct losses *l = opaque;

  CHECK (why->msg[0] != '\0');
  if (l->n > 0 && l->off[l->n - 1] + l->len[l->n - 1] == off) {
    l->len[l->n - 1] += len;
    return;
  }
  REQUIRE (l->n < LOSSES);
  l->off[l->n] = off;
  l->len[l->n++] = len;
}

static bool
is_lost (const struct losses *l, uint64_t off)
{
  for (size_t i = 0; i < l->n; i++)
    if (off >= l->off[i] && off - l->off[i] < l->len[i])
      return true;
  return false;
}

/* All of the chain: what is not lost is right, what is lost is zeros. */
static bool
salvage_all (struct test_chain *c, struct losses *l)
{
  size_t len = c->layers[0]->base.size;
  CLEANUP_FREE uint8_t *buf = malloc (len);

  *l = (struct losses){ 0 };
  memset (buf, 0xa5, len);
  if (rv_engine_salvage (c->engine, buf, len, 0, note, l, &err) == -1)
    return false;
  for (size_t i = 0; i < len; i++) {
    uint8_t want =
        is_lost (l, i) ? 0 : test_chain_byte (c->layers, c->chain.len, i);

    if (buf[i] != want)
      return TEST_FAIL ("byte %zu is %02x, not %02x", i, buf[i], want);
  }
  return true;
}

static void
check_losses (const struct losses *l, size_t n, const uint64_t (*want)[2])
{
  CHECK (l->n == n);
  for (size_t i = 0; i < n && i < l->n; i++)
    if (l->off[i] != want[i][0] || l->len[i] != want[i][1])
      TEST_FAIL ("loss %zu is %ju+%ju, not %ju+%ju", i, (uintmax_t) l->off[i],
                 (uintmax_t) l->len[i], (uintmax_t) want[i][0],
                 (uintmax_t) want[i][1]);
}

static void
a_wrong_entry_loses_what_it_concerns (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct losses l;

  test_layer_init (&a, 1, ROOM);
  test_layer_add_data (&a, 700);
  test_layer_add_damage (&a, 100);
  test_layer_add (&a, RV_MAP_ZERO, 200);
  test_layer_add_damage (&a, 24);
  test_layer_add_unit (&a);
  test_layer_done (&a);
  REQUIRE (test_chain_open (&c, 0, 0));
  REQUIRE (salvage_all (&c, &l));
  check_losses (&l, 2, (const uint64_t[][2]){ { 700, 100 }, { 1000, 24 } });
}

static void
a_unit_that_cannot_be_decoded_is_lost_as_a_whole (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct test_run *bad;
  struct losses l;

  test_layer_init (&a, 1, ROOM);
  test_layer_add_unit (&a);
  bad = test_layer_add_unit (&a);
  memset (a.bytes + bad->map.host_off, 0xff, bad->map.host_len);
  test_layer_add_unit (&a);
  test_layer_done (&a);
  REQUIRE (test_chain_open (&c, 1 << 20, 2));
  REQUIRE (salvage_all (&c, &l));
  check_losses (&l, 1, (const uint64_t[][2]){ { UNIT, UNIT } });
}

/*--- Storage that fails in places ---------------------------------------*/

struct spotty {
  struct rv_io base;
  struct rv_io *parent;
  uint64_t bad[4]; /* sectors of the file; ~0: none */
  bool gone;
  unsigned reads;
};

static int
spotty_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
              rawview_error *e)
{
  struct spotty *s = (struct spotty *) io;

  s->reads++;
  for (size_t i = 0; i < 4; i++)
    if (s->gone || (s->bad[i] != UINT64_MAX &&
                    rv_ranges_overlap (off, len, s->bad[i] * 512, 512)))
      return rv_error_set (e, RAWVIEW_ERROR_IO, EIO, "bad sector");
  return rv_io_pread (s->parent, buf, len, off, e);
}

static void
spotty_free (struct rv_io *io)
{
  rv_io_unref (((struct spotty *) io)->parent);
}

static const struct rv_io_ops spotty_ops = {
  .name = "spotty",
  .pread = spotty_pread,
  .free = spotty_free,
};

/* Puts it before the layer's memory. */
static void
spotty_init (struct spotty *s, struct test_layer *l)
{
  memset (s, 0, sizeof *s);
  memset (s->bad, 0xff, sizeof s->bad);
  CHECK (rv_io_init (&s->base, &spotty_ops, "spotty", l->mem->size) == 0);
  s->parent = l->base.io;
  l->base.io = &s->base;
}

/* One layer of plain data that begins at a sector of its file. */
static void
plain (struct test_layer *l, uint64_t len)
{
  test_layer_init (l, 1, ROOM);
  l->len = 1024 - 13;
  test_layer_add_data (l, len);
  test_layer_done (l);
}

static void
the_sectors_that_cannot_be_read_are_lost (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct spotty s;
  struct losses l;

  plain (&a, 300 * 512 + 100);
  spotty_init (&s, &a);
  s.bad[0] = 2;       /* the first */
  s.bad[1] = 2 + 100; /* two in a row */
  s.bad[2] = 2 + 101;
  s.bad[3] = 2 + 300; /* the last, which is short */
  REQUIRE (test_chain_open (&c, 0, 0));
  REQUIRE (salvage_all (&c, &l));
  check_losses (&l, 3,
                (const uint64_t[][2]){
                    { 0, 512 }, { 100 * 512, 1024 }, { 300 * 512, 100 } });
  CHECK (s.reads < 100);
}

static void
a_request_that_begins_within_a_sector_loses_no_more (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct losses l = { 0 };
  struct spotty s;
  uint8_t buf[4096];

  plain (&a, 64 * 512);
  spotty_init (&s, &a);
  s.bad[0] = 2 + 3;
  REQUIRE (test_chain_open (&c, 0, 0));
  CHECK_OK (rv_engine_salvage (c.engine, buf, sizeof buf, 3 * 512 + 100, note,
                               &l, &err),
            err);
  check_losses (&l, 1, (const uint64_t[][2]){ { 3 * 512 + 100, 412 } });
}

static void
storage_that_is_gone_is_no_loss_but_a_failure (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a } };
  struct spotty s;
  struct losses l;

  plain (&a, 64 * 512);
  spotty_init (&s, &a);
  s.gone = true;
  REQUIRE (test_chain_open (&c, 0, 0));
  CHECK (!salvage_all (&c, &l));
  CHECK (err.kind == RAWVIEW_ERROR_IO && l.n == 0);
}

/* In the file of a parent too. */
static void
losses_below_are_losses (void)
{
  CLEANUP_LAYER struct test_layer a;
  CLEANUP_LAYER struct test_layer b;
  CLEANUP_CHAIN struct test_chain c = { .layers = { &a, &b } };
  struct losses l;

  test_layer_init (&a, 1, ROOM);
  test_layer_add (&a, RV_MAP_PARENT, 1000);
  test_layer_add_data (&a, 1000);
  test_layer_add (&a, RV_MAP_PARENT, 1000);
  test_layer_done (&a);
  test_layer_init (&b, 2, ROOM);
  test_layer_add_data (&b, 500);
  test_layer_add_damage (&b, 2000);
  test_layer_done (&b);
  REQUIRE (test_chain_open (&c, 0, 0));
  REQUIRE (salvage_all (&c, &l));
  check_losses (&l, 2, (const uint64_t[][2]){ { 500, 500 }, { 2000, 500 } });
}

int
main (void)
{
  TEST (a_wrong_entry_loses_what_it_concerns);
  TEST (a_unit_that_cannot_be_decoded_is_lost_as_a_whole);
  TEST (the_sectors_that_cannot_be_read_are_lost);
  TEST (a_request_that_begins_within_a_sector_loses_no_more);
  TEST (storage_that_is_gone_is_no_loss_but_a_failure);
  TEST (losses_below_are_losses);
  return test_result ();
}
