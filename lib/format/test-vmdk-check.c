/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-vmdk.h"
#include "format/vmdk-claims.h"
#include "format/vmdk-ranges.h"

/*--- Claims -------------------------------------------------------------*/

/* Compares with one flag for each sector. */
static void
check_claims (uint64_t unit, uint64_t sectors)
{
  bool *taken = calloc (sectors + unit, sizeof *taken);
  struct rv_vmdk_claims c;
  rawview_error err;
  uint32_t random = 1;

  REQUIRE_OK (rv_vmdk_claims_init (&c, sectors * 512, unit, &err), err);
  for (unsigned n = 0; n < 5000; n++) {
    uint64_t at, i;

    random = random * 1103515245 + 12345;
    at = (random >> 8) % sectors;
    for (i = 0; i < unit && !taken[at + i]; i++)
      ;
    REQUIRE (CHECK_EQ_INT (rv_vmdk_claim (&c, at), i == unit));
    if (i == unit)
      memset (&taken[at], true, unit);
  }
  rv_vmdk_claims_release (&c);
  free (taken);
}

static void
pieces_that_overlap_are_found_exactly (void)
{
  static const uint64_t units[] = { 1, 2, 4, 8, 32, 128, 256, 4096 };

  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
    check_claims (units[i], 1);
    check_claims (units[i], units[i] * 20);
    check_claims (units[i], units[i] * 500 + 1);
  }
}

/*--- Ranges -------------------------------------------------------------*/

static void
ranges_of_metadata_are_found_in_any_order (void)
{
  enum { N = 2000 };
  struct rv_vmdk_ranges r = { .table_len = 1024 };
  uint32_t random = 1;

  r.tables = malloc (N * sizeof *r.tables);
  rv_vmdk_ranges_add_fixed (&r, 512, 1024);
  for (r.nr_tables = 0; r.nr_tables < N; r.nr_tables++) {
    random = random * 1103515245 + 12345;
    r.tables[r.nr_tables] = 100 + (r.nr_tables % 3 ? random : random >> 20);
  }
  rv_vmdk_ranges_sort (&r);
  for (size_t i = 1; i < N; i++)
    REQUIRE (r.tables[i - 1] <= r.tables[i]);
  CHECK_EQ_U64 (rv_vmdk_ranges_next (&r, 0), 512);
  CHECK_EQ_U64 (rv_vmdk_ranges_next (&r, 1024), 1024);
  CHECK_EQ_U64 (rv_vmdk_ranges_next (&r, 1536), r.tables[0] * 512ull);
  CHECK_EQ_U64 (rv_vmdk_ranges_next (&r, UINT64_C (1) << 50), UINT64_MAX);
  CHECK_EQ_U64 (rv_vmdk_ranges_next (&r, r.tables[N - 1] * 512ull + 512),
                r.tables[N - 1] * 512ull + 512);
  rv_vmdk_ranges_release (&r);
}

/*--- Check --------------------------------------------------------------*/

struct seen {
  rawview_check_result result;
  unsigned n;
  char first[512];
};

static void
remember (void *opaque, rawview_finding finding, const char *msg)
{
  struct seen *s = opaque;

  if (s->n++ == 0)
    snprintf (s->first, sizeof s->first, "%s", msg);
}

static void
check_image (const struct image *m, struct seen *s)
{
  struct disk d;
  rawview_error err;

  memset (s, 0, sizeof *s);
  REQUIRE_OK (disk_open (&d, m->b, m->len, &err), err);
  CHECK_OK (d.format->ops->check (d.format, remember, s, &s->result, &err),
            err);
  disk_close (&d);
}

/* Grains 0, 3 and the last one, nothing else in the file. */
static void
make_clean (struct image *m)
{
  make_sparse (m);
  put_gte (m, 0, 16);
  put_gte (m, 3, 32);
  put_gte (m, 256, 24);
  m->len = 40 * SECTOR;
}

static void
a_sound_image_has_no_findings (void)
{
  static struct image m;
  struct seen s;

  make_clean (&m);
  check_image (&m, &s);
  CHECK_STR_EQ (s.first, "");
  CHECK_EQ_U64 (s.result.total_clusters, GRAINS);
  CHECK_EQ_U64 (s.result.allocated_clusters, 3);
  CHECK_EQ_U64 (s.result.compressed_clusters, 0);
  CHECK_EQ_U64 (s.result.image_end_offset, 40 * SECTOR);
  CHECK_EQ_U64 (s.result.corruptions + s.result.leaks + s.result.check_errors,
                0);
}

#define CHECK_FINDING(m, counter, n, pattern) \
  do { \
    struct seen s_; \
    check_image ((m), &s_); \
    CHECK_EQ_U64 (s_.result.counter, (n)); \
    CHECK_EQ_U64 (s_.result.corruptions + s_.result.leaks + \
                      s_.result.check_errors, \
                  (n)); \
    CHECK_STR_MATCH (s_.first, (pattern)); \
  } while (0)

static void
what_reading_refuses_is_found (void)
{
  static struct image m;

  make_clean (&m);
  put_gte (&m, 1, 1);
  put_gte (&m, 2, SECTORS);
  CHECK_FINDING (&m, corruptions, 2, "t.vmdk: grain 1: *entry 0x1 *");
  make_clean (&m);
  put32 (m.b, AT_GD * SECTOR + 4, AT_RGD);
  put32 (m.b, AT_RGD * SECTOR + 4, AT_RGD);
  CHECK_FINDING (&m, corruptions, 1, "*directory entry 1, 0x9, points into*");
}

static void
overlaps_are_found (void)
{
  static struct image m;

  make_clean (&m);
  m.len -= 8 * SECTOR;
  put_gte (&m, 3, 24);
  CHECK_FINDING (&m, corruptions, 1, "*grain 256, at byte 12288*overlaps*");
  make_clean (&m);
  put_gte (&m, 3, 31);
  CHECK_FINDING (&m, corruptions, 1, "*grain 256*overlaps*");
  make_clean (&m);
  put32 (m.b, AT_GD * SECTOR + 4, AT_GT + 2);
  put32 (m.b, AT_RGD * SECTOR + 4, AT_RGT + 2);
  put_gte (&m, 256, 0);
  m.len = 40 * SECTOR;
  CHECK_FINDING (&m, corruptions + s_.result.leaks, 2, "*table 2*overlaps*");
}

static void
tables_that_differ_from_their_copies_are_found (void)
{
  static struct image m;

  make_clean (&m);
  put32 (m.b, AT_RGT * SECTOR + 4 * 3, 0);
  CHECK_FINDING (&m, corruptions, 1, "*table 0 differs*reads the first");
  make_clean (&m);
  put32 (m.b, AT_RGD * SECTOR + 4, 0);
  CHECK_FINDING (&m, corruptions, 1, "*table 1 differs*");
  make_clean (&m);
  put32 (m.b, AT_RGD * SECTOR + 8, UINT32_MAX);
  CHECK_FINDING (&m, corruptions, 1, "*table 2 differs*");
  make_clean (&m);
  put64 (m.b, 48, SECTORS);
  CHECK_FINDING (&m, corruptions, 1, "*redundant*outside*");
}

static void
leaks_and_unclean_ends_are_no_corruption (void)
{
  static struct image m;

  make_clean (&m);
  m.len += 16 * SECTOR;
  CHECK_FINDING (&m, leaks, 2, "*room for 2 grains*");
  make_clean (&m);
  m.len += 7 * SECTOR;
  CHECK_FINDING (&m, leaks, 0, "");
  make_clean (&m);
  m.b[72] = 1;
  CHECK_FINDING (&m, check_errors, 1, "*not closed cleanly*");
}

/*--- Streams ------------------------------------------------------------*/

static void
put_marker (struct image *m, unsigned sector, uint64_t lba, uint32_t size)
{
  put64 (m->b, sector * SECTOR, lba);
  put32 (m->b, sector * SECTOR + 8, size);
}

static void
make_stream (struct image *m)
{
  make_sparse (m);
  put32 (m->b, 8,
         RV_VMDK_FLAG_DEFLATE | RV_VMDK_FLAG_MARKERS | RV_VMDK_FLAG_RGD);
  put16 (m->b, 77, 1);
  put_gte (m, 0, 16);
  put_marker (m, 16, 0, 3 * SECTOR - 12);
  put_gte (m, 1, 19);
  put_marker (m, 19, 8, 1);
  put_gte (m, 256, 20);
  put_marker (m, 20, 2048, 600);
}

static void
markers_of_streams_are_checked (void)
{
  static struct image m;
  struct seen s;

  make_stream (&m);
  check_image (&m, &s);
  CHECK_STR_EQ (s.first, "");
  CHECK_EQ_U64 (s.result.compressed_clusters, 3);
  CHECK_EQ_U64 (s.result.image_end_offset, 20 * SECTOR + 612);

  put_marker (&m, 19, 16, 1);
  CHECK_FINDING (&m, corruptions, 1, "*that of sector 16*");
  put_marker (&m, 19, 8, 0);
  CHECK_FINDING (&m, corruptions, 1, "*another marker*");
  put_marker (&m, 19, 8, UINT32_MAX);
  CHECK_FINDING (&m, corruptions, 1, "*says 4294967295 bytes*");
  put_marker (&m, 19, 8, 501);
  CHECK_FINDING (&m, corruptions, 1, "*overlaps another");
  make_stream (&m);
  put_gte (&m, 2, 19);
  CHECK_FINDING (&m, corruptions, 1, "*not of sector 16");
}

/*--- Hostile and failing ------------------------------------------------*/

static void
findings_are_counted_without_end_and_told_with_one (void)
{
  static const char text[] =
      "CID=1\ncreateType=vmfsSparse\nRW 8192 VMFSSPARSE \"c\"\n";
  static uint8_t b[2048 + SECTOR + 2 * 16384];
  struct seen s = { 0 };
  struct disk d;
  rawview_error err;

  memcpy (b, "COWD", 4);
  put32 (b, 4, 1);
  put32 (b, 8, 3);
  put32 (b, 12, 8192);
  put32 (b, 16, 1);
  put32 (b, 20, 4);
  put32 (b, 24, 2);
  put32 (b, 2048, 5);
  put32 (b, 2052, 37);
  memset (b + 2048 + SECTOR, 0xff, 2 * 16384);
  REQUIRE_OK (disk_open (&d, text, strlen (text), &err), err);
  REQUIRE_OK (disk_attach (&d, 0, b, sizeof b, "c", &err), err);
  CHECK_OK (d.format->ops->check (d.format, remember, &s, &s.result, &err),
            err);
  CHECK_EQ_U64 (s.result.corruptions, 8192);
  CHECK_EQ_U64 (s.n, 1001);
  disk_close (&d);
}

static void
a_read_that_fails_is_a_finding (void)
{
  static struct image m;
  CLEANUP_IO struct rv_io *mem = NULL;
  atomic_uint countdown = 0;
  struct disk d;
  rawview_error err;

  make_stream (&m);
  disk_init (&d);
  REQUIRE_OK (rv_io_mem_new (m.b, m.len, "t", &mem, &err), err);
  REQUIRE_OK (rv_io_fault_new (mem, &countdown, &d.io, &err), err);
  REQUIRE_OK (rv_format_vmdk.open (d.io, &d.params, &d.format, &err), err);
  for (unsigned n = 1;; n++) {
    struct seen s = { 0 };

    atomic_store (&countdown, n);
    CHECK_OK (d.format->ops->check (d.format, remember, &s, &s.result, &err),
              err);
    CHECK_EQ_U64 (s.result.corruptions, 0);
    if (s.result.check_errors == 0)
      break;
    CHECK_STR_MATCH (s.first, "*injected*");
  }
  disk_close (&d);
}

int
main (void)
{
  TEST (pieces_that_overlap_are_found_exactly);
  TEST (ranges_of_metadata_are_found_in_any_order);
  TEST (a_sound_image_has_no_findings);
  TEST (what_reading_refuses_is_found);
  TEST (overlaps_are_found);
  TEST (tables_that_differ_from_their_copies_are_found);
  TEST (leaks_and_unclean_ends_are_no_corruption);
  TEST (markers_of_streams_are_checked);
  TEST (findings_are_counted_without_end_and_told_with_one);
  TEST (a_read_that_fails_is_a_finding);
  return test_result ();
}
