/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams in memory, with payloads that nobody decodes. */

#include <config.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/test-vmdk-stream.h"
#include "format/vmdk-pass.h"
#include "format/vmdk-stream.h"
#include "util/test.h"

#define MAX_SIZE (UINT64_C (1) << 46)

static struct test_stream t;
static rawview_error err;

/* What came out of the last run. */
static unsigned nr_grains;
static uint64_t disk_size, guest_off[8];
static size_t guest_len[8];

static int
run_pass (struct rv_vmdk_pass *pass, struct rv_pipe *pipe, uint64_t len)
{
  static uint8_t payload[2 * TEST_GRAIN + RV_VMDK_HEADER_LEN];
  struct rv_vmdk_grain g;
  int r;

  nr_grains = 0;
  if (rv_vmdk_pass_open (pass, pipe, "x.vmdk", len, MAX_SIZE, &err) == -1)
    return -1;
  disk_size = pass->size;
  while ((r = rv_vmdk_pass_next (pass, &g, payload, &err)) == 1) {
    if (nr_grains < 8) {
      guest_off[nr_grains] = g.off;
      guest_len[nr_grains] = g.len;
    }
    nr_grains++;
    CHECK (g.payload_len > 0 && payload[0] == (uint8_t) (g.off >> 16));
  }
  return r;
}

/* Reads the first n bytes of the stream.  len: of the VMDK in it. */
static int
pass_of (size_t n, uint64_t len)
{
  struct rv_vmdk_pass pass = { 0 };
  struct rv_pipe pipe;
  int fd = memfd_create ("stream", MFD_CLOEXEC), r;

  if (write (fd, t.p, n) != (ssize_t) n || lseek (fd, 0, SEEK_SET) != 0 ||
      rv_pipe_init (&pipe, fd, "x.vmdk", &err) == -1)
    abort ();
  r = run_pass (&pass, &pipe, len);
  rv_vmdk_pass_release (&pass);
  rv_pipe_release (&pipe);
  close (fd);
  return r;
}

static int
pass (void)
{
  return pass_of (t.len, UINT64_MAX);
}

/* Two tables, the second grain of the first one and the last of the disk. */
static void
with_footer (void)
{
  test_stream_begin (&t, RV_VMDK_GD_AT_END);
  test_stream_grain (&t, 1);
  test_stream_table (&t, 0);
  test_stream_grain (&t, 599);
  test_stream_table (&t, 1);
  test_stream_end (&t);
}

static void
with_directory_in_front (void)
{
  test_stream_begin (&t, TEST_GD_SECTOR);
  test_stream_grain (&t, 1);
  test_stream_grain (&t, 599);
  test_stream_tables_in_front (&t);
}

/*--- Reading ------------------------------------------------------------*/

static void
check_both_grains (void)
{
  CHECK_EQ_U64 (nr_grains, 2);
  CHECK_EQ_U64 (disk_size, TEST_CAPACITY * 512);
  CHECK_EQ_U64 (guest_off[0], TEST_GRAIN);
  CHECK_EQ_U64 (guest_len[0], TEST_GRAIN);
  CHECK_EQ_U64 (guest_off[1], 599 * TEST_GRAIN);
  CHECK_EQ_U64 (guest_len[1], 512);
}

static void
markers_and_a_footer_are_read (void)
{
  with_footer ();
  REQUIRE_OK (pass (), err);
  check_both_grains ();
}

static void
tables_in_front_are_read (void)
{
  with_directory_in_front ();
  REQUIRE_OK (pass (), err);
  check_both_grains ();
}

static void
a_member_of_an_archive_ends_where_it_ends (void)
{
  with_footer ();
  memset (t.p + t.len, 0xee, 512);
  REQUIRE_OK (pass_of (t.len + 512, t.len), err);
  check_both_grains ();
  with_directory_in_front ();
  memset (t.p + t.len, 0xee, 512);
  REQUIRE_OK (pass_of (t.len + 512, t.len), err);
  check_both_grains ();
}

static void
progress_markers_and_padding_are_skipped (void)
{
  test_stream_begin (&t, RV_VMDK_GD_AT_END);
  test_stream_marker (&t, 0, 4);
  test_stream_grain (&t, 3);
  test_stream_marker (&t, 1, 4);
  test_stream_zeros (&t, 1);
  test_stream_table (&t, 0);
  test_stream_end (&t);
  test_stream_zeros (&t, RV_VMDK_PADDING_MAX / 512);
  REQUIRE_OK (pass (), err);
  CHECK_EQ_U64 (nr_grains, 1);
}

static void
grains_come_in_any_order (void)
{
  test_stream_begin (&t, RV_VMDK_GD_AT_END);
  test_stream_grain (&t, 599);
  test_stream_grain (&t, 7);
  test_stream_table (&t, 1);
  test_stream_grain (&t, 0);
  test_stream_table (&t, 0);
  test_stream_end (&t);
  REQUIRE_OK (pass (), err);
  CHECK_EQ_U64 (nr_grains, 3);
}

static void
a_disk_without_grains_is_read (void)
{
  test_stream_begin (&t, RV_VMDK_GD_AT_END);
  test_stream_end (&t);
  REQUIRE_OK (pass (), err);
  CHECK_EQ_U64 (nr_grains, 0);
}

static void
the_last_sector_of_the_last_grain_may_be_short (void)
{
  with_directory_in_front ();
  REQUIRE_OK (pass_of (t.bare, UINT64_MAX), err);
  check_both_grains ();
}

/*--- Refusing -----------------------------------------------------------*/

static void
every_cut_is_noticed (void)
{
  with_footer ();
  for (size_t n = 0; n < t.len; n += n % 512 == 0 ? 1 : 511) {
    if (!CHECK (pass_of (n, UINT64_MAX) == -1))
      TEST_FAIL ("cut at %zu", n);
    if (!CHECK (pass_of (n, t.len) == -1))
      TEST_FAIL ("a member cut at %zu", n);
    CHECK (err.kind == RAWVIEW_ERROR_CORRUPT);
  }
  with_directory_in_front ();
  for (size_t n = 0; n < t.bare; n += n % 512 == 0 ? 1 : 511)
    if (!CHECK (pass_of (n, UINT64_MAX) == -1))
      TEST_FAIL ("cut at %zu", n);
}

static void
a_cut_says_where_it_is (void)
{
  with_footer ();
  CHECK_EQ_INT (pass_of (70000, UINT64_MAX), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT,
               "x.vmdk: ends at byte 70000, inside *");
}

static void
a_grain_that_came_twice_is_noticed (void)
{
  test_stream_begin (&t, RV_VMDK_GD_AT_END);
  test_stream_grain (&t, 1);
  test_stream_grain (&t, 1);
  test_stream_table (&t, 0);
  test_stream_end (&t);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT,
               "*grain table 0 does not agree with the grains that came*");
}

static void
a_grain_that_no_table_names_is_noticed (void)
{
  test_stream_begin (&t, RV_VMDK_GD_AT_END);
  test_stream_grain (&t, 1);
  test_stream_table (&t, 0);
  test_stream_grain (&t, 2);
  test_stream_end (&t);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*does not agree*");
}

static void
a_grain_that_never_came_is_noticed (void)
{
  with_footer ();
  rv_put_le32 (t.p + t.table_at[0] + 4 * 5, 128);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*grain table 0 does not agree*");
}

static void
tables_that_change_places_are_noticed (void)
{
  uint32_t first;

  with_footer ();
  first = rv_le32 (t.p + t.gd_at);
  memcpy (t.p + t.gd_at, t.p + t.gd_at + 4, 4);
  rv_put_le32 (t.p + t.gd_at + 4, first);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*does not agree*");
}

static void
an_entry_for_zeros_needs_the_flag (void)
{
  with_footer ();
  rv_put_le32 (t.p + t.table_at[0] + 4 * 9, 1);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*does not agree*");
  t.p[8] |= RV_VMDK_FLAG_ZERO;
  t.p[t.footer_at + 8] |= RV_VMDK_FLAG_ZERO;
  REQUIRE_OK (pass (), err);
}

static void
a_sector_that_is_no_grain_s_is_refused (void)
{
  with_footer ();
  rv_put_le64 (t.p + t.grain_at, 3 * 128 + 1);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*that of sector 385*");
  rv_put_le64 (t.p + t.grain_at, (TEST_CAPACITY + 127) / 128 * 128);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*has none*");
}

static void
unknown_markers_are_refused (void)
{
  test_stream_begin (&t, RV_VMDK_GD_AT_END);
  test_stream_marker (&t, 1, 5);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*(type 5)*");
  test_stream_begin (&t, RV_VMDK_GD_AT_END);
  test_stream_marker (&t, UINT64_MAX, 4);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*announces*");
}

static void
what_follows_the_end_is_refused (void)
{
  with_footer ();
  t.p[t.len++] = 1;
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*something follows*");
  with_footer ();
  test_stream_zeros (&t, RV_VMDK_PADDING_MAX / 512 + 1);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*something follows*");
}

static void
a_directory_that_has_passed_already_is_refused (void)
{
  with_directory_in_front ();
  rv_put_le64 (t.p + 56, 2);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_UNSUPPORTED, "*before its place was known*");
}

static void
kinds_that_need_the_file_are_refused (void)
{
  with_footer ();
  t.p[10] &= ~2; /* markers */
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_UNSUPPORTED, "*where they belong*");
  with_footer ();
  t.p[10] = t.p[77] = 0;
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_UNSUPPORTED, "*only streamOptimized*");
}

static void
a_directory_beyond_the_limit_is_refused (void)
{
  with_footer ();
  rv_put_le64 (t.p + 12, UINT64_C (1) << 40);
  CHECK_EQ_INT (pass (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*grain directory*");
}

/* No crash, no hang, and an answer, whatever the bytes. */
static void
damage_anywhere_gets_an_answer (void)
{
  uint32_t seed = 1;

  for (unsigned i = 0; i < 600; i++) {
    i % 2 ? with_footer () : with_directory_in_front ();
    for (unsigned n = 0; n < 1 + i % 3; n++) {
      size_t at;

      seed = seed * 1664525 + 1013904223;
      at = (seed >> 8) % t.len;
      /* Where there is something but payload. */
      at = at % 3 ? at % 2048 : at;
      t.p[at] ^= 1 << (seed >> 4) % 8;
    }
    err.msg[0] = '\0';
    if (pass () == -1)
      CHECK (err.msg[0] != '\0');
  }
}

int
main (void)
{
  TEST (markers_and_a_footer_are_read);
  TEST (tables_in_front_are_read);
  TEST (a_member_of_an_archive_ends_where_it_ends);
  TEST (progress_markers_and_padding_are_skipped);
  TEST (grains_come_in_any_order);
  TEST (a_disk_without_grains_is_read);
  TEST (the_last_sector_of_the_last_grain_may_be_short);
  TEST (every_cut_is_noticed);
  TEST (a_cut_says_where_it_is);
  TEST (a_grain_that_came_twice_is_noticed);
  TEST (a_grain_that_no_table_names_is_noticed);
  TEST (a_grain_that_never_came_is_noticed);
  TEST (tables_that_change_places_are_noticed);
  TEST (an_entry_for_zeros_needs_the_flag);
  TEST (a_sector_that_is_no_grain_s_is_refused);
  TEST (unknown_markers_are_refused);
  TEST (what_follows_the_end_is_refused);
  TEST (a_directory_that_has_passed_already_is_refused);
  TEST (kinds_that_need_the_file_are_refused);
  TEST (a_directory_beyond_the_limit_is_refused);
  TEST (damage_anywhere_gets_an_answer);
  return test_result ();
}
