/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/test-vmdk.h"
#include "format/vmdk-cowd.h"
#include "format/vmdk-sesparse.h"
#include "format/vmdk-stream.h"

#define FILE_SIZE (SECTORS * SECTOR)

#define FORMAT      RAWVIEW_ERROR_FORMAT
#define UNSUPPORTED RAWVIEW_ERROR_UNSUPPORTED
#define CORRUPT     RAWVIEW_ERROR_CORRUPT
#define LIMIT       RAWVIEW_ERROR_LIMIT

/* One changed field and what becomes of it. */
struct bad {
  size_t off;
  unsigned width; /* bytes */
  uint64_t value;
  rawview_error_kind kind;
  const char *pattern;
};

static void
put_field (uint8_t *p, const struct bad *bad)
{
  uint64_t v = htole64 (bad->value);

  memcpy (p + bad->off, &v, bad->width);
}

/* parse: 0 or -1 for these bytes */
static void
check_bad (const struct bad *bad, size_t n, const uint8_t *good, size_t len,
           int (*parse) (struct rv_view, rawview_error *))
{
  for (size_t i = 0; i < n; i++) {
    CLEANUP_FREE uint8_t *p = malloc (len);
    rawview_error err = { 0 };

    memcpy (p, good, len);
    put_field (p, &bad[i]);
    if (parse ((struct rv_view){ p, len }, &err) == 0)
      TEST_FAIL ("accepted: %#jx at %zu", (uintmax_t) bad[i].value, bad[i].off);
    else
      CHECK_ERROR (err, bad[i].kind, bad[i].pattern);
  }
}

/* Each shorter piece, and each byte changed, only has to return. */
static void
try_anything (const uint8_t *good, size_t len,
              int (*parse) (struct rv_view, rawview_error *))
{
  CLEANUP_FREE uint8_t *p = malloc (len);
  rawview_error err;

  for (size_t n = 0; n < len; n++) {
    CLEANUP_FREE uint8_t *cut = malloc (n + !n);

    memcpy (cut, good, n);
    CHECK_EQ_INT (parse ((struct rv_view){ cut, n }, &err), -1);
  }
  memcpy (p, good, len);
  for (size_t i = 0; i < len; i++) {
    for (unsigned bit = 0; bit < 8; bit++) {
      p[i] = good[i] ^ 1u << bit;
      parse ((struct rv_view){ p, len }, &err);
    }
    p[i] = ~good[i];
    parse ((struct rv_view){ p, len }, &err);
    p[i] = good[i];
  }
}

#define CHECK_BAD(list, good, len, parse) \
  check_bad (list, sizeof (list) / sizeof (list)[0], good, len, parse)

/*--- Hosted sparse ------------------------------------------------------*/

static int
parse_hosted (struct rv_view head, rawview_error *err)
{
  struct rv_vmdk_header h;
  struct rv_vmdk_layout l;

  if (rv_vmdk_header_parse (head, "t.vmdk", &h, err) == -1)
    return -1;
  return rv_vmdk_header_layout (&h, FILE_SIZE, "t.vmdk", &l, err);
}

static void
a_hosted_header_tells_the_layout (void)
{
  struct rv_vmdk_header h;
  struct rv_vmdk_layout l;
  uint8_t p[SECTOR];
  rawview_error err;

  put_header (p);
  REQUIRE_OK (
      rv_vmdk_header_parse ((struct rv_view){ p, sizeof p }, "t", &h, &err),
      err);
  REQUIRE_OK (rv_vmdk_header_layout (&h, FILE_SIZE, "t", &l, &err), err);
  CHECK_EQ_U64 (l.capacity, CAPACITY * SECTOR);
  CHECK_EQ_U64 (l.grain, GRAIN);
  CHECK_EQ_U64 (l.gd_entries, 3);
  CHECK_EQ_U64 (l.gd_off, AT_GD * SECTOR);
  CHECK_EQ_U64 (l.rgd_off, AT_RGD * SECTOR);
  CHECK_EQ_U64 (l.data_off, AT_DATA * SECTOR);
  CHECK_EQ_U64 (l.descriptor_off, SECTOR);
  CHECK_EQ_U64 (l.descriptor_len, 4 * SECTOR);
  CHECK (!l.compressed && !l.zero_entries && !l.unclean);
}

static void
hostile_hosted_headers_are_refused (void)
{
  static const struct bad bad[] = {
    { 0, 4, 0, FORMAT, "*no VMDK header*" },
    { 4, 4, 0, FORMAT, "*version 0" },
    { 4, 4, 4, UNSUPPORTED, "*version 4*" },
    { 8, 4, 0x40003, UNSUPPORTED, "*flags 0x00040000" },
    { 8, 4, 0x80000003, UNSUPPORTED, "*flags 0x80000000" },
    { 8, 4, 0x20003, FORMAT, "*markers without compression" },
    { 8, 4, 0x10003, CORRUPT, "*contradicts itself*" },
    { 77, 2, 1, CORRUPT, "*contradicts itself*" },
    { 77, 2, 2, UNSUPPORTED, "*algorithm 2" },
    { 73, 1, '\r', CORRUPT, "*transferred as text*" },
    { 12, 8, 0, UNSUPPORTED, "*only a descriptor*" },
    { 12, 8, UINT64_MAX, LIMIT, "*capacity*" },
    { 12, 8, UINT64_C (1) << 63, LIMIT, "*capacity*" },
    { 12, 8, UINT64_C (0x1efffffc1b000001), LIMIT, "*capacity*" },
    { 12, 8, UINT64_C (1) << 54, LIMIT, "*capacity*" },
    { 12, 8, UINT64_C (1) << 53, LIMIT, "*directory of*" },
    { 20, 8, 0, FORMAT, "*grains of 0 sectors*" },
    { 20, 8, 3, FORMAT, "*grains of 3 sectors*" },
    { 20, 8, 8192, FORMAT, "*grains of 8192 sectors*" },
    { 20, 8, UINT64_C (1) << 22, FORMAT, "*grains of*" },
    { 20, 8, UINT64_C (1) << 63, FORMAT, "*grains of*" },
    { 28, 8, 0x0f000001, CORRUPT, "*descriptor at sector 251658241*" },
    { 28, 8, UINT64_MAX, CORRUPT, "*descriptor at sector*" },
    { 36, 8, 2049, LIMIT, "*descriptor of 2049*" },
    { 36, 8, 100, CORRUPT, "*descriptor at sector 1, 100 long*" },
    { 36, 8, 5, CORRUPT, "*inside the descriptor" },
    { 44, 4, 0, FORMAT, "*tables of 0 entries*" },
    { 44, 4, 1, FORMAT, "*tables of 1 entries*" },
    { 44, 4, 513, FORMAT, "*tables of 513 entries*" },
    { 44, 4, 64, FORMAT, "*tables of 64 entries*" },
    { 44, 4, 32768, FORMAT, "*tables of 32768 entries*" },
    { 44, 4, UINT32_MAX, FORMAT, "*tables of*" },
    { 56, 8, 0, CORRUPT, "*directory is said to lie in the header" },
    { 56, 8, SECTORS, CORRUPT, "*directory at sector 64*is it complete?" },
    { 56, 8, UINT64_MAX, CORRUPT, "*directory at sector*" },
    { 56, 8, UINT64_C (1) << 55, CORRUPT, "*directory at sector*" },
    { 64, 8, SECTORS + 1, CORRUPT, "*is cut or still being written" },
    { 64, 8, UINT64_MAX, CORRUPT, "*is cut*" },
  };
  uint8_t p[SECTOR];

  put_header (p);
  CHECK_BAD (bad, p, sizeof p, parse_hosted);
}

static void
oddities_of_hosted_headers_are_accepted (void)
{
  uint8_t p[SECTOR];
  rawview_error err;

  for (unsigned version = 1; version <= 3; version++) {
    put_header (p);
    put32 (p, 4, version);
    put32 (p, 8, 0xff03); /* unknown, but compatible */
    put32 (p, 44, 16384);
    put64 (p, 48, UINT64_MAX); /* the redundant directory is not needed */
    p[72] = 1;
    CHECK_OK (parse_hosted ((struct rv_view){ p, sizeof p }, &err), err);
  }
  put_header (p);
  put32 (p, 8, 0);
  memset (p + 73, 0, 4); /* nothing said about line ends */
  CHECK_OK (parse_hosted ((struct rv_view){ p, sizeof p }, &err), err);
}

static void
any_bytes_as_hosted_header_do_no_harm (void)
{
  uint8_t p[SECTOR];

  put_header (p);
  try_anything (p, sizeof p, parse_hosted);
}

/*--- Footer -------------------------------------------------------------*/

/* Footer marker, footer and end-of-stream, with a grain before and padding
 * behind.
 */
struct tail {
  uint8_t b[8 * SECTOR];
};
#define AT_FOOTER (2 * SECTOR)

static void
make_tail (struct tail *t)
{
  memset (t, 0, sizeof *t);
  memset (t->b, 0xaa, SECTOR);
  put64 (t->b, SECTOR, 1);
  put32 (t->b, SECTOR + 12, 3);
  put_header (t->b + AT_FOOTER);
}

static int
parse_tail (struct rv_view tail, rawview_error *err)
{
  struct rv_vmdk_header h, f;
  uint8_t p[SECTOR];

  put_header (p);
  put64 (p, 56, RV_VMDK_GD_AT_END);
  CHECK_OK (
      rv_vmdk_header_parse ((struct rv_view){ p, sizeof p }, "t", &h, err),
      *err);
  if (rv_vmdk_footer_parse (tail, &h, "t.vmdk", &f, err) == -1)
    return -1;
  CHECK_EQ_U64 (f.gd_sector, AT_GD);
  return 0;
}

static void
a_footer_is_found_before_zeros (void)
{
  struct tail t;
  rawview_error err;

  make_tail (&t);
  for (size_t len = AT_FOOTER + 2 * SECTOR; len <= sizeof t.b; len++)
    CHECK_OK (parse_tail ((struct rv_view){ t.b, len }, &err), err);
  CHECK_OK (parse_tail ((struct rv_view){ t.b + SECTOR, 3 * SECTOR }, &err),
            err);
}

static void
a_footer_that_is_cut_is_not_one (void)
{
  struct tail t;

  make_tail (&t);
  for (size_t len = 0; len < AT_FOOTER + 2 * SECTOR; len++) {
    CLEANUP_FREE uint8_t *cut = malloc (len + !len);
    rawview_error err = { 0 };

    memcpy (cut, t.b, len);
    CHECK_EQ_INT (parse_tail ((struct rv_view){ cut, len }, &err), -1);
    CHECK_ERROR (err, CORRUPT, "t.vmdk: *");
  }
}

static void
hostile_footers_are_refused (void)
{
  static const struct bad bad[] = {
    { SECTOR + 8, 4, 1, CORRUPT, "*footer marker*size 1*" },
    { SECTOR + 12, 4, 2, CORRUPT, "*footer marker*type 2*" },
    { SECTOR + 16, 1, 1, CORRUPT, "*footer marker*" },
    { SECTOR + 511, 1, 1, CORRUPT, "*footer marker*" },
    { AT_FOOTER, 4, 0, CORRUPT, "*no VMDK footer*" },
    { AT_FOOTER + 4, 4, 2, CORRUPT, "*differ in their version*" },
    { AT_FOOTER + 8, 4, 1, CORRUPT, "*differ in their flags*" },
    { AT_FOOTER + 12, 8, 1, CORRUPT, "*differ in their capacity*" },
    { AT_FOOTER + 20, 8, 16, CORRUPT, "*differ in their grain size*" },
    { AT_FOOTER + 28, 8, 2, CORRUPT, "*differ in their descriptor*" },
    { AT_FOOTER + 36, 8, 2, CORRUPT, "*differ in their descriptor*" },
    { AT_FOOTER + 44, 4, 512, CORRUPT, "*differ in their table size*" },
    { AT_FOOTER + 56, 8, UINT64_MAX, CORRUPT, "*does not say where*" },
    { AT_FOOTER + 4, 4, 9, UNSUPPORTED, "*version 9*" },
    { sizeof (struct tail) - 1, 1, 1, CORRUPT, "*something was appended" },
    { sizeof (struct tail) - 2 * SECTOR, 1, 1, CORRUPT, "*was appended" },
  };
  struct tail t;

  make_tail (&t);
  CHECK_BAD (bad, t.b, sizeof t.b, parse_tail);
}

static void
nothing_but_zeros_is_no_footer (void)
{
  CLEANUP_FREE uint8_t *p = calloc (1, RV_VMDK_TAIL_MAX);
  rawview_error err;

  CHECK_EQ_INT (parse_tail ((struct rv_view){ p, RV_VMDK_TAIL_MAX }, &err), -1);
  CHECK_ERROR (err, CORRUPT, "*not written completely*");
}

/*--- COWD ---------------------------------------------------------------*/

static void
put_cowd (uint8_t *p)
{
  memset (p, 0, RV_VMDK_COWD_LEN);
  memcpy (p, "COWD", 4);
  put32 (p, 4, 1);
  put32 (p, 8, 3);
  put32 (p, 12, 5000);
  put32 (p, 16, 1);
  put32 (p, 20, 4);
  put32 (p, 24, 2);
}

static int
parse_cowd (struct rv_view head, rawview_error *err)
{
  struct rv_vmdk_layout l;

  return rv_vmdk_cowd_parse (head, FILE_SIZE, "t.vmdk", &l, err);
}

static void
a_cowd_header_tells_the_layout (void)
{
  uint8_t p[RV_VMDK_COWD_LEN];
  struct rv_vmdk_layout l;
  rawview_error err;

  put_cowd (p);
  p[1648] = 1;
  REQUIRE_OK (rv_vmdk_cowd_parse ((struct rv_view){ p, sizeof p }, FILE_SIZE,
                                  "t", &l, &err),
              err);
  CHECK_EQ_U64 (l.capacity, 5000 * SECTOR);
  CHECK_EQ_U64 (l.grain, SECTOR);
  CHECK_EQ_U64 (l.gd_entries, 2);
  CHECK_EQ_U64 (l.gd_off, 2048);
  CHECK (l.unclean);
}

static void
hostile_cowd_headers_are_refused (void)
{
  static const struct bad bad[] = {
    { 0, 4, 0, FORMAT, "*no COWD header*" },
    { 4, 4, 0, UNSUPPORTED, "*version 0*" },
    { 4, 4, 2, UNSUPPORTED, "*version 2*" },
    { 8, 4, 7, UNSUPPORTED, "*flags 0x00000007" },
    { 12, 4, 0, FORMAT, "*capacity 0" },
    { 12, 4, UINT32_MAX, CORRUPT, "*has 2 entries, needed are 1048576" },
    { 16, 4, 0, FORMAT, "*grains of 0*" },
    { 16, 4, 3, FORMAT, "*grains of 3*" },
    { 16, 4, 8192, FORMAT, "*grains of 8192*" },
    { 20, 4, 3, CORRUPT, "*directory at byte 1536*" },
    { 20, 4, SECTORS, CORRUPT, "*directory at byte 32768*" },
    { 20, 4, UINT32_MAX, CORRUPT, "*directory at byte*" },
    { 24, 4, 1, CORRUPT, "*has 1 entries, needed are 2" },
    { 24, 4, UINT32_MAX, LIMIT, "*directory of 4294967295 entries*" },
  };
  uint8_t p[RV_VMDK_COWD_LEN];

  put_cowd (p);
  CHECK_BAD (bad, p, sizeof p, parse_cowd);
}

static void
any_bytes_as_cowd_header_do_no_harm (void)
{
  uint8_t p[RV_VMDK_COWD_LEN];

  put_cowd (p);
  try_anything (p, sizeof p, parse_cowd);
}

/*--- seSparse -----------------------------------------------------------*/

static void
put_sesparse (uint8_t *p)
{
  static const uint64_t fields[] = {
    0xcafebabe, 0x200000001, 40000, 8, 64,  0, 0, 0, 0,
    0,          1,           1,     2, 1,   3, 1, 4, 1, /* directory at 4 */
    8,          128,                                    /* two tables */
    5,          1,           6,     1, 136, 8,
  };

  memset (p, 0, RV_VMDK_SESPARSE_LEN);
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    put64 (p, 8 * i, fields[i]);
}

static int
parse_sesparse (struct rv_view head, rawview_error *err)
{
  struct rv_vmdk_layout l;
  uint64_t off;

  return rv_vmdk_sesparse_parse (head, 200 * SECTOR, "t.vmdk", &l, &off, err);
}

static void
a_sesparse_header_tells_the_layout (void)
{
  uint8_t p[RV_VMDK_SESPARSE_LEN];
  struct rv_vmdk_layout l;
  rawview_error err;
  uint64_t off;

  put_sesparse (p);
  REQUIRE_OK (rv_vmdk_sesparse_parse ((struct rv_view){ p, sizeof p },
                                      200 * SECTOR, "t", &l, &off, &err),
              err);
  CHECK_EQ_U64 (off, SECTOR);
  CHECK_EQ_U64 (l.capacity, 40000 * SECTOR);
  CHECK_EQ_U64 (l.gd_entries, 2);
  CHECK_EQ_U64 (l.gd_off, 4 * SECTOR);
  CHECK_EQ_U64 (l.tables_off, 8 * SECTOR);
  CHECK_EQ_U64 (l.tables_len, 128 * SECTOR);
  CHECK_EQ_U64 (l.data_off, 136 * SECTOR);
}

static void
hostile_sesparse_headers_are_refused (void)
{
  static const struct bad bad[] = {
    { 0, 8, 0xcafebabf, FORMAT, "*no seSparse header*" },
    { 8, 8, 0x200000002, UNSUPPORTED, "*version is 0x200000002*" },
    { 16, 8, 0, LIMIT, "*capacity of 0*" },
    { 16, 8, UINT64_MAX, LIMIT, "*capacity*" },
    { 16, 8, UINT64_C (1) << 53, LIMIT, "*directory of*" },
    { 16, 8, 32768 * 65, CORRUPT, "*too few for 65 entries" },
    { 24, 8, 16, UNSUPPORTED, "*grain size is 0x10*" },
    { 32, 8, 32, UNSUPPORTED, "*table size is 0x20*" },
    { 40, 8, 1, UNSUPPORTED, "*flags is 0x1*" },
    { 48, 8, 1, UNSUPPORTED, "*reserved field 1*" },
    { 72, 8, 1, UNSUPPORTED, "*reserved field 4*" },
    { 80, 8, 0, CORRUPT, "*volatile header at sector 0*" },
    { 80, 8, 200, CORRUPT, "*volatile header at sector 200*" },
    { 128, 8, 0, CORRUPT, "*directory at sector 0*" },
    { 128, 8, 200, CORRUPT, "*directory at sector 200*" },
    { 128, 8, UINT64_C (1) << 55, CORRUPT, "*directory at sector*" },
    { 128, 8, 8, CORRUPT, "*overlap" },
    { 128, 8, 136, CORRUPT, "*overlap" },
    { 136, 8, 0, CORRUPT, "*too few for 2 entries" },
    { 136, 8, 5, CORRUPT, "*overlap" },
    { 136, 8, UINT64_C (1) << 63, CORRUPT, "*directory at sector 4*" },
    { 144, 8, 73, CORRUPT, "*table area*" },
    { 152, 8, 129, CORRUPT, "*overlap" },
    { 152, 8, UINT64_MAX, CORRUPT, "*table area*" },
    { 192, 8, 135, CORRUPT, "*overlap" },
    { 192, 8, 201, CORRUPT, "*grain area at sector 201*" },
    { 208, 1, 1, UNSUPPORTED, "*unknown bytes*" },
    { 511, 1, 1, UNSUPPORTED, "*unknown bytes*" },
  };
  uint8_t p[RV_VMDK_SESPARSE_LEN];

  put_sesparse (p);
  CHECK_BAD (bad, p, sizeof p, parse_sesparse);
}

static void
any_bytes_as_sesparse_header_do_no_harm (void)
{
  uint8_t p[RV_VMDK_SESPARSE_LEN];

  put_sesparse (p);
  try_anything (p, sizeof p, parse_sesparse);
}

static int
parse_volatile (struct rv_view head, rawview_error *err)
{
  return rv_vmdk_sesparse_parse_volatile (head, "t.vmdk", err);
}

static void
a_journal_that_must_be_replayed_is_refused (void)
{
  static const struct bad bad[] = {
    { 0, 8, 0xcafebabe, FORMAT, "*no seSparse volatile*" },
    { 24, 8, 1, UNSUPPORTED, "*journal*let ESX*" },
    { 32, 8, 1, UNSUPPORTED, "*unknown bytes" },
  };
  uint8_t p[RV_VMDK_SESPARSE_LEN] = { 0xfe, 0xca, 0xfe, 0xca };
  rawview_error err;

  put64 (p, 8, 77);
  put64 (p, 16, 78);
  CHECK_OK (parse_volatile ((struct rv_view){ p, sizeof p }, &err), err);
  CHECK_BAD (bad, p, sizeof p, parse_volatile);
  try_anything (p, sizeof p, parse_volatile);
}

/*--- Grain markers ------------------------------------------------------*/

/* unit: the first bytes, of which len were read. */
static int
payload (bool lba, const uint8_t *unit, size_t len, struct rv_view *found,
         size_t *need, rawview_error *err)
{
  struct rv_io io = { .name = (char *) "t.vmdk" };
  struct rv_map map = { .io = &io, .host_len = 8704, .unit_tag = 8 };
  CLEANUP_FREE uint8_t *copy = malloc (len + !len);
  int r;

  memcpy (copy, unit, len);
  r = (lba ? rv_vmdk_payload_lba : rv_vmdk_payload_size) (
      &map, (struct rv_view){ copy, len }, found, need, err);
  if (r == 0 && found->p)
    found->p = unit + (found->p - copy);
  return r;
}

static void
a_marker_says_where_the_stream_is (void)
{
  uint8_t unit[SECTOR] = { 0 };
  struct rv_view found;
  rawview_error err;
  size_t need;

  put64 (unit, 0, 8);
  put32 (unit, 8, 500);
  REQUIRE_OK (payload (true, unit, 512, &found, &need, &err), err);
  CHECK (found.p == unit + 12 && found.len == 500);
  put32 (unit, 8, 501);
  REQUIRE_OK (payload (true, unit, 512, &found, &need, &err), err);
  CHECK (found.p == NULL);
  CHECK_EQ_U64 (need, 513);
  put32 (unit, 0, 508);
  REQUIRE_OK (payload (false, unit, 512, &found, &need, &err), err);
  CHECK (found.p == unit + 4 && found.len == 508);
}

static void
hostile_markers_are_refused (void)
{
  uint8_t unit[SECTOR] = { 0 };
  struct rv_view found;
  rawview_error err;
  size_t need;

  put64 (unit, 0, 16);
  put32 (unit, 8, 500);
  CHECK_EQ_INT (payload (true, unit, 512, &found, &need, &err), -1);
  CHECK_ERROR (err, CORRUPT, "*is that of sector 16, not of sector 8");
  put64 (unit, 0, 8);
  for (uint32_t size = 8693; size != 0; size *= 2) {
    put32 (unit, 8, size);
    CHECK_EQ_INT (payload (true, unit, 512, &found, &need, &err), -1);
    CHECK_ERROR (err, CORRUPT, "*ends after 8692");
  }
  put32 (unit, 8, UINT32_MAX);
  CHECK_EQ_INT (payload (true, unit, 512, &found, &need, &err), -1);
  put32 (unit, 8, 0);
  CHECK_EQ_INT (payload (true, unit, 512, &found, &need, &err), -1);
  CHECK_ERROR (err, CORRUPT, "*another marker*");
  for (size_t len = 0; len < 12; len++) {
    CHECK_EQ_INT (payload (true, unit, len, &found, &need, &err), -1);
    CHECK_ERROR (err, CORRUPT, "*ends inside*");
  }
  for (size_t len = 0; len < 4; len++)
    CHECK_EQ_INT (payload (false, unit, len, &found, &need, &err), -1);
}

int
main (void)
{
  TEST (a_hosted_header_tells_the_layout);
  TEST (hostile_hosted_headers_are_refused);
  TEST (oddities_of_hosted_headers_are_accepted);
  TEST (any_bytes_as_hosted_header_do_no_harm);
  TEST (a_footer_is_found_before_zeros);
  TEST (a_footer_that_is_cut_is_not_one);
  TEST (hostile_footers_are_refused);
  TEST (nothing_but_zeros_is_no_footer);
  TEST (a_cowd_header_tells_the_layout);
  TEST (hostile_cowd_headers_are_refused);
  TEST (any_bytes_as_cowd_header_do_no_harm);
  TEST (a_sesparse_header_tells_the_layout);
  TEST (hostile_sesparse_headers_are_refused);
  TEST (any_bytes_as_sesparse_header_do_no_harm);
  TEST (a_journal_that_must_be_replayed_is_refused);
  TEST (a_marker_says_where_the_stream_is);
  TEST (hostile_markers_are_refused);
  return test_result ();
}
