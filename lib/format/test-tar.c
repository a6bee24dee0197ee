/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>

#include "format/test-tar.h"

static struct test_tar t;
static rawview_error err;

static void
begin (void)
{
  memset (&t, 0, sizeof t);
}

/*--- One header ---------------------------------------------------------*/

static struct rv_tar_header h;

static const char *
parse (const uint8_t *block)
{
  return rv_tar_header_parse (block, &h);
}

static void
a_header_has_name_type_and_size (void)
{
  uint8_t b[RV_TAR_BLOCK];

  test_tar_block (b, "disk.vmdk", '0', 0123456);
  CHECK_STR_EQ (parse (b), NULL);
  CHECK_STR_EQ (h.name, "disk.vmdk");
  CHECK_EQ_INT (h.type, '0');
  CHECK_EQ_U64 (h.size, 0123456);
  test_tar_block (b, "dir/", '5', 0);
  CHECK_STR_EQ (parse (b), NULL);
  CHECK_EQ_INT (h.type, '5');
}

static void
old_files_have_type_nul (void)
{
  uint8_t b[RV_TAR_BLOCK];

  test_tar_block (b, "x", '\0', 1);
  CHECK_STR_EQ (parse (b), NULL);
  CHECK_EQ_INT (h.type, '0');
}

static void
names_need_no_end_and_may_have_a_prefix (void)
{
  uint8_t b[RV_TAR_BLOCK];
  char want[257];

  test_tar_block (b, "", '0', 1);
  memset (b, 'n', 100);
  memset (b + 345, 'p', 155);
  test_tar_sum (b);
  CHECK_STR_EQ (parse (b), NULL);
  memset (want, 'p', 155);
  want[155] = '/';
  memset (want + 156, 'n', 100);
  want[256] = '\0';
  CHECK_STR_EQ (h.name, want);
}

static void
gnu_headers_have_other_things_than_a_prefix (void)
{
  uint8_t b[RV_TAR_BLOCK];

  test_tar_block (b, "disk.vmdk", '0', 1);
  memcpy (b + 257, "ustar  ", 8);
  memcpy (b + 345, "12345670123", 11); /* atime */
  test_tar_sum (b);
  CHECK_STR_EQ (parse (b), NULL);
  CHECK_STR_EQ (h.name, "disk.vmdk");
}

static void
a_wrong_checksum_or_signature_is_damage (void)
{
  uint8_t b[RV_TAR_BLOCK];

  test_tar_block (b, "disk.vmdk", '0', 1);
  for (size_t i = 0; i < RV_TAR_BLOCK; i++) {
    b[i] ^= 0x02;
    CHECK (parse (b) != NULL);
    b[i] ^= 0x02;
  }
  memcpy (b + 257, "tar  ", 5);
  test_tar_sum (b);
  CHECK_STR_EQ (parse (b), "no ustar signature");
}

/* Sets the size field to these 12 bytes. */
static const char *
parse_size (const char *field)
{
  uint8_t b[RV_TAR_BLOCK];

  test_tar_block (b, "x", '0', 0);
  memcpy (b + 124, field, 12);
  test_tar_sum (b);
  return parse (b);
}

static void
sizes_are_octal (void)
{
  CHECK_STR_EQ (parse_size ("00000000010\0"), NULL);
  CHECK_EQ_U64 (h.size, 8);
  CHECK_STR_EQ (parse_size ("777777777777"), NULL);
  CHECK_EQ_U64 (h.size, 0777777777777);
  CHECK_STR_EQ (parse_size ("      10  \0\0"), NULL);
  CHECK_EQ_U64 (h.size, 8);
  CHECK_STR_EQ (parse_size ("\0\0\0\0\0\0\0\0\0\0\0\0"), NULL);
  CHECK_EQ_U64 (h.size, 0);
  CHECK_STR_EQ (parse_size ("00000000018\0"), "an impossible size");
  CHECK_STR_EQ (parse_size ("0000-000010\0"), "an impossible size");
  CHECK_STR_EQ (parse_size ("00000 00010\0"), "an impossible size");
  CHECK_STR_EQ (parse_size ("\0"
                            "0000000010\0"),
                "an impossible size");
}

static void
large_sizes_are_base_256 (void)
{
  CHECK_STR_EQ (parse_size ("\x80\0\0\0\0\0\0\x02\0\0\0\x05"), NULL);
  CHECK_EQ_U64 (h.size, 0x0200000005);
  CHECK_STR_EQ (parse_size ("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"),
                NULL);
  CHECK_EQ_U64 (h.size, INT64_MAX);
}

static void
negative_and_huge_sizes_are_impossible (void)
{
  CHECK_STR_EQ (parse_size ("\x80\0\0\0\x80\0\0\0\0\0\0\0"),
                "an impossible size");
  CHECK_STR_EQ (parse_size ("\x80\0\0\x01\0\0\0\0\0\0\0\0"),
                "an impossible size");
  CHECK_STR_EQ (parse_size ("\x81\0\0\0\0\0\0\0\0\0\0\0"),
                "an impossible size");
  CHECK_STR_EQ (parse_size ("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
                "an impossible size");
  CHECK_STR_EQ (parse_size ("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0"),
                "an impossible size");
}

/*--- Pax records --------------------------------------------------------*/

static const char *
find (const char *records, const char *key, const char *want)
{
  CLEANUP_FREE uint8_t *copy = malloc (strlen (records) + 1);
  struct rv_view v;
  const char *wrong;

  memcpy (copy, records, strlen (records));
  wrong = rv_tar_pax_find ((struct rv_view){ copy, strlen (records) }, key, &v);
  if (wrong == NULL && want == NULL)
    CHECK (v.p == NULL);
  if (wrong == NULL && want && CHECK (v.p != NULL && v.len == strlen (want)))
    CHECK_MEM_EQ (v.p, want, v.len);
  return wrong;
}

static void
records_are_found_by_their_whole_key (void)
{
  CHECK_STR_EQ (find ("13 path=a b=\n9 size=7\n", "size", "7"), NULL);
  CHECK_STR_EQ (find ("13 path=a b=\n9 size=7\n", "path", "a b="), NULL);
  CHECK_STR_EQ (find ("13 path=a b=\n9 size=7\n", "siz", NULL), NULL);
  CHECK_STR_EQ (find ("9 size=7\n9 size=8\n", "size", "8"), NULL);
  CHECK_STR_EQ (find ("8 size=\n", "size", ""), NULL);
  CHECK_STR_EQ (find ("", "size", NULL), NULL);
}

static void
broken_records_are_damage (void)
{
  static const char *const broken[] = {
    "9 size=77",
    "9 size=7",
    "11 size=7\n",
    "8 size=7\n",
    "0 size=7\n",
    "size=7\n",
    " 9 size=7\n",
    "-9 size=7\n",
    "9",
    "9 ",
    "2 ",
    "3 \n",
    "7 size\n",
    "9size=70\n",
    "\n",
    "9 size=7\nx",
    "99999999999999999999 size=7\n",
    "65545 size=7\n",
  };

  for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
    if (!CHECK_STR_EQ (find (broken[i], "size", "7"), "broken pax records"))
      TEST_FAIL ("\"%s\"", broken[i]);
}

/*--- Archives -----------------------------------------------------------*/

/* What a walk has seen. */
static char seen[4096];

/* Walks the first len bytes: "NAME OFF+LEN" of each member in seen, with a '*'
 * for sparse ones.
 */
static int
walk_len (size_t len)
{
  CLEANUP_IO struct rv_io *io = NULL;
  struct rv_tar_walk w = { 0 };
  struct rv_tar_member m;
  int r;

  seen[0] = '\0';
  err = (rawview_error){ 0 };
  if (rv_io_mem_new (t.p, len, "ova", &io, &err) == -1)
    return -1;
  w.io = io;
  while ((r = rv_tar_next (&w, &m, &err)) == 1) {
    size_t n = strlen (seen);

    CHECK (m.off + m.len <= len);
    snprintf (seen + n, sizeof seen - n, "%s%s%s %ju+%ju", n ? ", " : "",
              m.sparse ? "*" : "", m.name, (uintmax_t) m.off,
              (uintmax_t) m.len);
    free (m.name);
  }
  return r;
}

static int
walk (void)
{
  return walk_len (t.len);
}

#define CHECK_WALK(want) \
  do { \
    CHECK_OK (walk (), err); \
    CHECK_STR_EQ (seen, (want)); \
  } while (0)

#define CHECK_WALK_FAILS(pattern) \
  do { \
    CHECK_EQ_INT (walk (), -1); \
    CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, (pattern)); \
  } while (0)

static void
members_come_one_after_the_other (void)
{
  begin ();
  test_tar_member (&t, "a", "");
  test_tar_member (&t, "b", "123");
  test_tar_header (&t, "dir/", '5', 0);
  test_tar_member (&t, "dir/c", "4");
  test_tar_end (&t);
  test_tar_member (&t, "behind the end", "x");
  CHECK_WALK ("a 512+0, b 1024+3, dir/ 2048+0, dir/c 2560+1");
}

static void
the_last_member_may_end_with_the_file (void)
{
  begin ();
  test_tar_member (&t, "a", "12345");
  CHECK_OK (walk_len (512 + 5), err);
  CHECK_STR_EQ (seen, "a 512+5");
}

/* Only padding may be missing. */
static void
every_cut_inside_a_member_is_damage (void)
{
  begin ();
  test_tar_member (&t, "a", "12345");
  test_tar_pax (&t, "size=7");
  test_tar_member (&t, "b", "1234567");
  for (size_t len = 1; len <= 2560 + 7; len++) {
    bool a = len >= 512 + 5 && len <= 1024;
    bool pax = len >= 1536 + 9 && len <= 2048;
    int want = a || pax || len == 2560 + 7 ? 0 : -1;

    if (!CHECK_EQ_INT (walk_len (len), want))
      TEST_FAIL ("%zu bytes", len);
    if (want == -1)
      CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "ova*");
  }
}

static void
members_larger_than_the_file_are_damage (void)
{
  begin ();
  test_tar_header (&t, "a", '0', 077777777777);
  CHECK_WALK_FAILS ("*truncated: member \"a\" of 8589934591 bytes*");
  begin ();
  memcpy (test_tar_header (&t, "a", '0', 0) + 124,
          "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12);
  test_tar_sum (t.p);
  CHECK_WALK_FAILS ("*truncated: member \"a\"*");
}

static void
gnu_long_names_are_taken (void)
{
  char name[300];

  begin ();
  memset (name, 'n', sizeof name);
  name[299] = '\0';
  test_tar_extended (&t, 'L', name, sizeof name);
  test_tar_member (&t, "short", "1");
  test_tar_member (&t, "next", "2");
  CHECK_OK (walk (), err);
  CHECK (strncmp (seen, name, 299) == 0);
  CHECK_STR_EQ (seen + 299, " 1536+1, next 2560+1");
}

static void
pax_records_speak_of_the_next_member_alone (void)
{
  begin ();
  test_tar_pax (&t, "path=longer\nsize=3");
  test_tar_header (&t, "a", '0', 0);
  test_tar_bytes (&t, "123", 3);
  test_tar_member (&t, "b", "1234");
  CHECK_WALK ("longer 1536+3, b 2560+4");
}

static void
of_two_extensions_the_last_counts (void)
{
  begin ();
  test_tar_pax (&t, "size=10");
  test_tar_pax (&t, "size=3");
  test_tar_member (&t, "a", "123");
  CHECK_WALK ("a 2560+3");
}

static void
an_empty_record_takes_back_what_was_said (void)
{
  begin ();
  test_tar_pax (&t, "size=9\npath=b\nsize=\npath=");
  test_tar_member (&t, "a", "123");
  CHECK_WALK ("a 1536+3");
}

static void
impossible_pax_sizes_are_damage (void)
{
  static const char *const sizes[] = {
    "size=-1",
    "size=0x1",
    "size= 1",
    "size=9223372036854775808",
    "size=18446744073709551616",
    "size=184467440737095516160",
  };

  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    begin ();
    test_tar_pax (&t, sizes[i]);
    test_tar_member (&t, "a", "123");
    CHECK_WALK_FAILS ("*an impossible pax size");
  }
}

static void
a_name_with_a_nul_is_damage (void)
{
  begin ();
  test_tar_extended (&t, 'x', "18 path=a.vmdk\0.x\n", 18);
  test_tar_member (&t, "a", "123");
  CHECK_WALK_FAILS ("*NUL*");
}

static void
global_records_may_not_move_members (void)
{
  static const char *const bad[] = { "size=3", "path=x", "GNU.sparse.major=1" };

  begin ();
  test_tar_records (&t, 'g', "comment=whatever");
  test_tar_member (&t, "a", "123");
  CHECK_WALK ("a 1536+3");
  for (size_t i = 0; i < 3; i++) {
    begin ();
    test_tar_records (&t, 'g', bad[i]);
    test_tar_member (&t, "a", "123");
    CHECK_WALK_FAILS ("*global*");
  }
}

static void
sparse_members_are_noticed_in_all_their_forms (void)
{
  static const char *const records[] = {
    "GNU.sparse.major=1", /* 1.0 */
    "GNU.sparse.map=0,1", /* 0.1 */
    "GNU.sparse.size=4",  /* 0.0 */
  };

  for (size_t i = 0; i < 3; i++) {
    begin ();
    test_tar_pax (&t, records[i]);
    test_tar_member (&t, "a", "123");
    test_tar_member (&t, "b", "4");
    CHECK_WALK ("*a 1536+3, b 2560+1");
  }
  begin ();
  test_tar_header (&t, "a", 'S', 0);
  CHECK_WALK ("*a 512+0");
}

static void
extensions_are_not_long (void)
{
  begin ();
  test_tar_header (&t, "x", 'x', (64 << 10) + 1);
  CHECK_WALK_FAILS ("*too long an extension");
  begin ();
  test_tar_header (&t, "x", 'L', 0777777777777);
  CHECK_WALK_FAILS ("*too long an extension");
}

static void
an_extension_without_a_member_is_the_end (void)
{
  begin ();
  test_tar_pax (&t, "size=3");
  test_tar_end (&t);
  CHECK_WALK ("");
}

static void
the_number_of_members_is_limited (void)
{
  CLEANUP_FREE uint8_t *p = calloc (70000, RV_TAR_BLOCK);
  CLEANUP_IO struct rv_io *io = NULL;
  struct rv_tar_walk w = { 0 };
  struct rv_tar_member m;
  unsigned n = 0;
  int r;

  for (size_t i = 0; i < 70000; i++)
    test_tar_block (p + i * RV_TAR_BLOCK, "x", i % 2 ? '0' : 'g', 0);
  REQUIRE_OK (
      rv_io_mem_new (p, (uint64_t) 70000 * RV_TAR_BLOCK, "ova", &io, &err),
      err);
  w.io = io;
  while ((r = rv_tar_next (&w, &m, &err)) == 1) {
    free (m.name);
    n++;
  }
  CHECK_EQ_INT (r, -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*more than * members*");
  CHECK (n > 1000);
}

static void
an_archive_without_an_end_is_noticed (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  struct rv_tar_walk w = { 0 };
  struct rv_tar_member m;

  begin ();
  test_tar_end (&t);
  REQUIRE_OK (rv_io_mem_new (t.p, t.len, "ova", &io, &err), err);
  w.io = io;
  CHECK_EQ_INT (rv_tar_next (&w, &m, &err), 0);
  CHECK (w.ended);
  w = (struct rv_tar_walk){ .io = io, .next = t.len };
  CHECK_EQ_INT (rv_tar_next (&w, &m, &err), 0);
  CHECK (!w.ended);
}

static void
every_failed_read_is_an_error_and_nothing_leaks (void)
{
  unsigned failures = 0;

  begin ();
  test_tar_pax (&t, "path=longer\nsize=3");
  test_tar_member (&t, "a", "123");
  test_tar_end (&t);
  for (unsigned n = 1; failures == n - 1 && n < 100; n++) {
    CLEANUP_IO struct rv_io *mem = NULL;
    CLEANUP_IO struct rv_io *io = NULL;
    atomic_uint countdown = n;
    struct rv_tar_walk w = { 0 };
    struct rv_tar_member m;
    int r;

    REQUIRE_OK (rv_io_mem_new (t.p, t.len, "ova", &mem, &err), err);
    REQUIRE_OK (rv_io_fault_new (mem, &countdown, &io, &err), err);
    w.io = io;
    while ((r = rv_tar_next (&w, &m, &err)) == 1)
      free (m.name);
    if (r == -1) {
      CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*injected*");
      failures++;
    }
  }
  CHECK_EQ_U64 (failures, 4);
}

int
main (void)
{
  TEST (a_header_has_name_type_and_size);
  TEST (old_files_have_type_nul);
  TEST (names_need_no_end_and_may_have_a_prefix);
  TEST (gnu_headers_have_other_things_than_a_prefix);
  TEST (a_wrong_checksum_or_signature_is_damage);
  TEST (sizes_are_octal);
  TEST (large_sizes_are_base_256);
  TEST (negative_and_huge_sizes_are_impossible);
  TEST (records_are_found_by_their_whole_key);
  TEST (broken_records_are_damage);
  TEST (members_come_one_after_the_other);
  TEST (the_last_member_may_end_with_the_file);
  TEST (every_cut_inside_a_member_is_damage);
  TEST (members_larger_than_the_file_are_damage);
  TEST (gnu_long_names_are_taken);
  TEST (pax_records_speak_of_the_next_member_alone);
  TEST (of_two_extensions_the_last_counts);
  TEST (an_empty_record_takes_back_what_was_said);
  TEST (impossible_pax_sizes_are_damage);
  TEST (a_name_with_a_nul_is_damage);
  TEST (global_records_may_not_move_members);
  TEST (sparse_members_are_noticed_in_all_their_forms);
  TEST (extensions_are_not_long);
  TEST (an_extension_without_a_member_is_the_end);
  TEST (the_number_of_members_is_limited);
  TEST (an_archive_without_an_end_is_noticed);
  TEST (every_failed_read_is_an_error_and_nothing_leaks);
  return test_result ();
}
