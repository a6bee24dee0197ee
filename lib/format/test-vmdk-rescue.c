/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What recipes cannot have: storage that cannot read a table, and hostile
 * streams.
 */

#include <config.h>

#include <errno.h>

#include "format/test-vmdk.h"
#include "format/vmdk-found.h"
#include "util/checked.h"
#include "util/error.h"

static rawview_error err;

/*--- Bad sectors under tables -------------------------------------------*/

struct spotty {
  struct rv_io base;
  const uint8_t *bytes;
  uint64_t bad_off, bad_len;
};

static int
spotty_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
              rawview_error *e)
{
  struct spotty *s = (struct spotty *) io;

  if (rv_ranges_overlap (off, len, s->bad_off, s->bad_len))
    return rv_error_set (e, RAWVIEW_ERROR_IO, EIO, "bad sector");
  memcpy (buf, s->bytes + off, len);
  return 0;
}

static void
spotty_free (struct rv_io *io)
{
}

static const struct rv_io_ops spotty_ops = {
  .name = "spotty",
  .pread = spotty_pread,
  .free = spotty_free,
};

/* Opens m with rescue; n sectors from bad on cannot be read. */
static int
rescue (struct disk *d, struct spotty *s, const struct image *m, unsigned bad,
        unsigned n)
{
  disk_init (d);
  d->params.rescue = true;
  *s = (struct spotty){ .bytes = m->b,
                        .bad_off = bad * SECTOR,
                        .bad_len = n * SECTOR };
  CHECK (rv_io_init (&s->base, &spotty_ops, "t.vmdk", m->len) == 0);
  d->io = &s->base;
  return rv_format_vmdk.open (d->io, &d->params, &d->format, &err);
}

/* Grain 1 of the first table and grain 0 of the second.  The second directory
 * of the file is the primary one, as the first is in what opening looks at.
 */
static void
make_two_grains (struct image *m)
{
  make_sparse (m);
  put64 (m->b, 48, AT_GD);
  put64 (m->b, 56, AT_RGD);
  put_gte (m, 1, AT_DATA);
  put32 (m->b, (AT_GT + 1) * SECTOR, AT_DATA + 8);
  put32 (m->b, (AT_RGT + 1) * SECTOR, AT_DATA + 8);
}

static void
check_two_grains (struct disk *d)
{
  struct rv_map map;
  uint64_t damaged;

  CHECK_OK (disk_map (d, GRAIN, &map, &damaged, &err), err);
  CHECK (map.kind == RV_MAP_DATA && map.host_off == AT_DATA * SECTOR);
  CHECK_OK (disk_map (d, 128 * GRAIN, &map, &damaged, &err), err);
  CHECK (map.kind == RV_MAP_DATA && map.host_off == (AT_DATA + 8) * SECTOR);
  CHECK_OK (disk_map (d, 129 * GRAIN, &map, &damaged, &err), err);
  CHECK (map.kind == RV_MAP_PARENT);
}

static void
a_directory_or_table_that_cannot_be_read_has_a_copy (void)
{
  struct image m;

  make_two_grains (&m);
  for (unsigned at = AT_RGD - 1; at <= AT_RGT + 2; at++) {
    struct spotty s;
    struct disk d;

    CHECK_OK (rescue (&d, &s, &m, at, 1), err);
    if (d.format)
      check_two_grains (&d);
    disk_close (&d);
  }
}

static void
where_neither_can_be_read_all_of_it_is_lost (void)
{
  struct image m;
  struct spotty s;
  struct disk d;
  struct rv_map map;
  uint64_t damaged;

  make_two_grains (&m);
  put32 (m.b, AT_GD * SECTOR, AT_RGT + 3);
  CHECK_OK (rescue (&d, &s, &m, AT_RGT, 4), err);
  CHECK (disk_map (&d, GRAIN, &map, &damaged, &err) == -1);
  CHECK_EQ_U64 (damaged, 127 * GRAIN);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*both grain directories*");
  disk_close (&d);
}

static void
a_place_without_entries_is_no_better_than_a_table (void)
{
  struct image m;
  struct spotty s;
  struct disk d;
  struct rv_map map;
  uint64_t damaged;

  make_two_grains (&m);
  /* A grain of zeros, where the directory says that the table is. */
  put32 (m.b, AT_RGD * SECTOR, AT_DATA);
  CHECK_OK (rescue (&d, &s, &m, 0, 0), err);
  CHECK_OK (disk_map (&d, GRAIN, &map, &damaged, &err), err);
  CHECK (map.kind == RV_MAP_DATA && map.host_off == AT_DATA * SECTOR);
  disk_close (&d);
}

/*--- Streams ------------------------------------------------------------*/

static const struct rv_vmdk_layout layout = {
  .kind = RV_VMDK_HOSTED,
  .capacity = 1ull << 40,
  .grain = SECTOR,
  .table_entries = TABLE_ENTRIES,
  .entry_size = 4,
  .header_len = SECTOR,
  .grains_off = SECTOR,
  .compressed = true,
  .has_lba = true,
  .gd_entries = (1ull << 40) / SECTOR / TABLE_ENTRIES,
};

/* One grain of a sector each, every step sectors of the disk. */
static struct rv_io *
make_stream (uint8_t *bytes, unsigned n, uint64_t step)
{
  struct rv_io *io = NULL;

  memset (bytes, 0, (n + 1) * SECTOR);
  for (unsigned i = 1; i <= n; i++) {
    put64 (bytes, i * SECTOR, (i - 1) * step);
    put32 (bytes, i * SECTOR + 8, 100);
    put16 (bytes, i * SECTOR + 12, 0x0178);
  }
  CHECK_OK (rv_io_mem_new (bytes, (n + 1) * SECTOR, "s.vmdk", &io, &err), err);
  return io;
}

static void
what_lies_between_two_grains_was_zeros (void)
{
  uint8_t bytes[101 * SECTOR];
  CLEANUP_IO struct rv_io *io = make_stream (bytes, 100, 1000);
  struct rv_vmdk_found *f = NULL;
  uint64_t gd, n, off, grain = 0;

  REQUIRE_OK (rv_vmdk_found_new (io, &layout, &gd, &f, &err), err);
  CHECK (gd == 0 && f != NULL);
  while (grain < 99 * 1000 + 1) {
    enum rv_vmdk_find find = rv_vmdk_found_get (f, grain, &n, &off);

    CHECK_EQ_INT (find, grain % 1000 ? RV_VMDK_FIND_NONE : RV_VMDK_FIND_GRAIN);
    if (find == RV_VMDK_FIND_GRAIN)
      CHECK_EQ_U64 (off, (grain / 1000 + 1) * SECTOR);
    REQUIRE (n > 0);
    CHECK (n == 1 || grain % 1000 + n <= 1000);
    grain += n;
  }
  CHECK_EQ_INT (rv_vmdk_found_get (f, grain, &n, &off), RV_VMDK_FIND_LOST);
  rv_vmdk_found_free (f);
}

/* A table for each sector of the file would be much more than the file. */
static void
scattered_grains_take_no_more_than_the_limit (void)
{
  const unsigned n = RV_VMDK_FOUND_MAX / (TABLE_ENTRIES * 4) + 10;
  CLEANUP_FREE uint8_t *bytes = malloc ((n + 1) * (size_t) SECTOR);
  struct rv_vmdk_found *f = NULL;
  CLEANUP_IO struct rv_io *io = NULL;
  uint64_t gd;

  REQUIRE (bytes != NULL);
  io = make_stream (bytes, n, TABLE_ENTRIES);
  CHECK (rv_vmdk_found_new (io, &layout, &gd, &f, &err) == -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*tables*");
  CHECK (f == NULL);
}

static void
any_rubbish_comes_to_an_end (void)
{
  uint8_t bytes[101 * SECTOR];
  CLEANUP_IO struct rv_io *io = make_stream (bytes, 100, 3);
  struct rv_vmdk_layout small = layout;
  uint64_t seed = 1;

  small.capacity = 400 * SECTOR;
  small.gd_entries = 4;
  for (unsigned round = 0; round < 3000; round++) {
    struct rv_vmdk_found *f = NULL;
    uint64_t gd, n, off;

    seed = seed * 6364136223846793005u + 1442695040888963407u;
    bytes[SECTOR + (seed >> 33) % 100 * SECTOR + (seed >> 20) % 16] =
        seed >> 56;
    CHECK_OK (rv_vmdk_found_new (io, &small, &gd, &f, &err), err);
    for (uint64_t g = 0; f && g < 400; g += n) {
      rv_vmdk_found_get (f, g, &n, &off);
      REQUIRE (n > 0);
    }
    rv_vmdk_found_free (f);
  }
}

int
main (void)
{
  TEST (a_directory_or_table_that_cannot_be_read_has_a_copy);
  TEST (where_neither_can_be_read_all_of_it_is_lost);
  TEST (a_place_without_entries_is_no_better_than_a_table);
  TEST (what_lies_between_two_grains_was_zeros);
  TEST (scattered_grains_take_no_more_than_the_limit);
  TEST (any_rubbish_comes_to_an_end);
  return test_result ();
}
