/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>

#include "util/bytes.h"
#include "util/checked.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/facts.h"
#include "util/test.h"
#include "util/text.h"
#include "util/vector.h"
#include "util/warnings.h"

/*--- Errors -------------------------------------------------------------*/

static void
every_error_kind_has_a_name_and_an_errno (void)
{
  for (int k = RAWVIEW_ERROR_IO; k <= RAWVIEW_ERROR_NOMEM; k++) {
    rawview_error err = { 0 };

    CHECK_EQ_INT (rv_error_set (&err, k, 0, "x"), -1);
    CHECK_EQ_INT (err.kind, k);
    CHECK (err.errnum != 0);
    CHECK (strcmp (rawview_error_kind_name (k), "unknown") != 0);
  }
  CHECK_STR_EQ (rawview_error_kind_name (RAWVIEW_ERROR_NONE), "none");
  CHECK_STR_EQ (rawview_error_kind_name (99), "unknown");
}

static void
nobody_needs_to_want_the_error (void)
{
  CHECK_EQ_INT (rv_error_corrupt (NULL, "x"), -1);
  CHECK_EQ_INT (rv_error_errno (NULL, EIO, "x"), -1);
  CHECK_EQ_INT (rv_error_nomem (NULL), -1);
}

static void
a_system_error_says_what_and_why (void)
{
  rawview_error err;

  CHECK_EQ_INT (rv_error_errno (&err, ENOENT, "cannot open %s", "x"), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "cannot open x: No such file*");
  CHECK_EQ_INT (err.errnum, ENOENT);
  rv_error_errno (&err, EMFILE, "cannot open x");
  CHECK_ERROR (err, RAWVIEW_ERROR_NOMEM, "cannot open x: *");
}

static void
a_long_message_is_cut_to_one_line (void)
{
  rawview_error err;
  char name[2000];

  memset (name, '\n', sizeof name);
  name[sizeof name - 1] = '\0';
  rv_error_errno (&err, ENOENT, "cannot open %s", name);
  CHECK_EQ_U64 (strlen (err.msg), sizeof err.msg - 1);
  CHECK (strchr (err.msg, '\n') == NULL);
}

static void
an_error_may_quote_itself (void)
{
  rawview_error err;

  rv_error_set (&err, RAWVIEW_ERROR_REFUSED, EBUSY, "in use");
  rv_error_set (&err, err.kind, err.errnum, "the backing file: %s", err.msg);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "the backing file: in use");
  CHECK_EQ_INT (err.errnum, EBUSY);
}

/*--- Text ---------------------------------------------------------------*/

static void
check_printable (const char *from, const char *to)
{
  char s[100];

  snprintf (s, sizeof s, "%s", from);
  rv_text_make_printable (s);
  CHECK_STR_EQ (s, to);
}

static void
printable_text_stays_as_it_is (void)
{
  check_printable ("", "");
  check_printable ("disk 1.vmdk", "disk 1.vmdk");
  check_printable ("Fa\xc3\xa7"
                   "ade \xe2\x82\xac \xf0\x9f\x92\xbe",
                   "Fa\xc3\xa7"
                   "ade \xe2\x82\xac \xf0\x9f\x92\xbe");
}

static void
control_characters_are_replaced (void)
{
  check_printable ("a\nb\rc\x1b[31m\x7f", "a?b?c?[31m?");
  check_printable ("\xc2\x85", "??"); /* U+0085 */
}

static void
broken_utf8_is_replaced (void)
{
  check_printable ("\xff\xfe", "??");
  check_printable ("a\xc3", "a?");
  check_printable ("a\xe2\x82", "a??");
  check_printable ("\xc0\xaf", "??");           /* overlong */
  check_printable ("\xe0\x80\xaf", "???");      /* overlong */
  check_printable ("\xed\xa0\x80", "???");      /* a surrogate */
  check_printable ("\xf4\x90\x80\x80", "????"); /* U+110000 */
  check_printable ("\xf8\x88\x80\x80\x80", "?????");
}

static void
marks_that_turn_text_around_are_replaced (void)
{
  check_printable ("a\xe2\x80\xae"
                   "b",
                   "a???b");
  check_printable ("\xe2\x81\xa6", "???");
  check_printable ("\xd8\x9c", "??");
  check_printable ("\xef\xbb\xbf", "???");
}

static void
check_size (const char *s, uint64_t want)
{
  uint64_t size = 0;

  if (rv_text_parse_size (s, &size))
    test_eq_u64 (__FILE__, __LINE__, s, size, want);
  else
    TEST_FAIL ("\"%s\" is not taken for a size", s);
}

static void
sizes_have_binary_suffixes (void)
{
  check_size ("0", 0);
  check_size ("512", 512);
  check_size ("10b", 10);
  check_size ("64k", 65536);
  check_size ("64K", 65536);
  check_size ("1M", 1 << 20);
  check_size ("3g", UINT64_C (3) << 30);
  check_size ("64T", UINT64_C (64) << 40);
  check_size ("1P", UINT64_C (1) << 50);
  check_size ("15E", UINT64_C (15) << 60);
  check_size ("18446744073709551615", UINT64_MAX);
}

static void
sizes_may_have_a_fraction (void)
{
  check_size ("1.5G", UINT64_C (3) << 29);
  check_size ("0.5k", 512);
  check_size ("1.0", 1);
  check_size ("0.1k", 102);
  check_size ("1.00000000000000000000k", 1024);
}

static void
other_text_is_not_a_size (void)
{
  static const char *const wrong[] = { "",
                                       "k",
                                       "-1",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "1x",
                                       "1kk",
                                       "1kb",
                                       "0x10",
                                       "1.k",
                                       ".5k",
                                       "1.5",
                                       "1e3",
                                       "1.5.1",
                                       "16E",
                                       "18446744073709551616",
                                       "99999999999999999999999" };
  uint64_t size;

  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    if (rv_text_parse_size (wrong[i], &size))
      TEST_FAIL ("\"%s\" is taken for a size", wrong[i]);
}

static void
switches_are_words_or_digits (void)
{
  static const char *const yes[] = { "1", "yes", "on", "true", "True", "ON" };
  static const char *const no[] = { "0", "no", "off", "false", "No", "OFF" };
  bool v;

  for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
    CHECK (rv_text_parse_bool (yes[i], &v) && v);
    CHECK (rv_text_parse_bool (no[i], &v) && !v);
  }
  CHECK (!rv_text_parse_bool ("", &v));
  CHECK (!rv_text_parse_bool ("2", &v));
  CHECK (!rv_text_parse_bool ("yess", &v));
}

static void
protocols_are_told_from_file_names (void)
{
  CHECK (rv_text_has_scheme ("nbd:localhost:10809"));
  CHECK (rv_text_has_scheme ("json:{}"));
  CHECK (rv_text_has_scheme ("nbd+unix:///x"));
  CHECK (rv_text_has_scheme ("C:\\disk.vmdk"));
  CHECK (rv_text_has_scheme ("host_device:/dev/sda"));
  CHECK (!rv_text_has_scheme (""));
  CHECK (!rv_text_has_scheme (":x"));
  CHECK (!rv_text_has_scheme ("disk.qcow2"));
  CHECK (!rv_text_has_scheme ("./nbd:x"));
  CHECK (!rv_text_has_scheme ("1nbd:x"));
  CHECK (!rv_text_has_scheme ("a b:x"));
}

static void
only_uris_that_start_no_program_are_nbd_uris (void)
{
  CHECK (rv_text_is_nbd_uri ("nbd://localhost"));
  CHECK (rv_text_is_nbd_uri ("NBDS+UNIX:///?socket=x"));
  CHECK (rv_text_is_nbd_uri ("nbds+vsock://2"));
  CHECK (!rv_text_is_nbd_uri ("nbd:localhost:10809"));
  CHECK (!rv_text_is_nbd_uri ("nbd+ssh://host"));
  CHECK (!rv_text_is_nbd_uri ("http://x"));
}

static void
a_base_name_follows_the_last_slash (void)
{
  CHECK_STR_EQ (rv_text_basename ("/a/b.vmdk"), "b.vmdk");
  CHECK_STR_EQ (rv_text_basename ("b.vmdk"), "b.vmdk");
  CHECK_STR_EQ (rv_text_basename ("/a/"), "");
}

static void
text_is_formatted_into_fresh_memory (void)
{
  CLEANUP_FREE char *s = rv_text_format ("%d %s", 7, "x");

  CHECK_STR_EQ (s, "7 x");
}

/*--- Numbers ------------------------------------------------------------*/

static void
integers_are_read_unaligned_in_both_orders (void)
{
  const uint8_t b[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };

  CHECK_EQ_U64 (rv_be16 (b + 1), 0x0102);
  CHECK_EQ_U64 (rv_be32 (b + 1), 0x01020304);
  CHECK_EQ_U64 (rv_be64 (b + 1), 0x0102030405060708);
  CHECK_EQ_U64 (rv_le16 (b + 1), 0x0201);
  CHECK_EQ_U64 (rv_le32 (b + 1), 0x04030201);
  CHECK_EQ_U64 (rv_le64 (b + 1), 0x0807060504030201);
}

static void
sums_and_products_that_overflow_are_noticed (void)
{
  uint64_t r;

  CHECK (rv_add_u64 (UINT64_MAX - 1, 1, &r) && r == UINT64_MAX);
  CHECK (!rv_add_u64 (UINT64_MAX, 1, &r));
  CHECK (rv_mul_u64 (UINT64_C (1) << 32, 1u << 31, &r));
  CHECK (!rv_mul_u64 (UINT64_C (1) << 32, UINT64_C (1) << 32, &r));
}

static void
a_range_fits_without_overflow (void)
{
  CHECK (rv_range_fits (0, 10, 10));
  CHECK (rv_range_fits (10, 0, 10));
  CHECK (!rv_range_fits (10, 1, 10));
  CHECK (!rv_range_fits (11, 0, 10));
  CHECK (!rv_range_fits (5, UINT64_MAX, 10));
  CHECK (!rv_range_fits (UINT64_MAX, UINT64_MAX, 10));
  CHECK (rv_range_fits (0, UINT64_MAX, UINT64_MAX));
}

static void
ranges_overlap_if_they_share_a_byte (void)
{
  CHECK (rv_ranges_overlap (0, 10, 9, 1));
  CHECK (!rv_ranges_overlap (0, 10, 10, 1));
  CHECK (rv_ranges_overlap (5, 1, 0, 10));
  CHECK (!rv_ranges_overlap (5, 0, 0, 10));
  CHECK (!rv_ranges_overlap (0, 10, 5, 0));
  CHECK (rv_ranges_overlap (1, UINT64_MAX, UINT64_MAX, 1));
}

static void
rounding_does_not_overflow (void)
{
  CHECK_EQ_U64 (rv_div_up (0, 512), 0);
  CHECK_EQ_U64 (rv_div_up (1, 512), 1);
  CHECK_EQ_U64 (rv_div_up (UINT64_MAX, 2), UINT64_C (1) << 63);
  CHECK_EQ_U64 (rv_align_down (1023, 512), 512);
  CHECK (rv_is_pow2 (1) && rv_is_pow2 (UINT64_C (1) << 63));
  CHECK (!rv_is_pow2 (0) && !rv_is_pow2 (3));
}

/*--- Containers ---------------------------------------------------------*/

DEFINE_VECTOR (numbers, unsigned);

static void
a_vector_grows_and_keeps_its_elements (void)
{
  struct numbers v = { 0 };

  for (unsigned i = 0; i < 1000; i++)
    REQUIRE (numbers_append (&v, i) == 0);
  CHECK_EQ_U64 (v.len, 1000);
  for (unsigned i = 0; i < v.len; i++)
    CHECK_EQ_U64 (v.ptr[i], i);
  numbers_release (&v);
  CHECK (v.ptr == NULL && v.len == 0);
}

static void
facts_keep_order_and_are_printable (void)
{
  struct rv_facts f = { 0 };

  REQUIRE (rv_facts_add_text (&f, "filename", "a\nb") == 0);
  REQUIRE (rv_facts_add_number (&f, "virtual-size", UINT64_MAX) == 0);
  REQUIRE (rv_facts_add_bool (&f, "dirty", true) == 0);
  REQUIRE (f.len == 3);
  CHECK_STR_EQ (f.ptr[0].key, "filename");
  CHECK_STR_EQ (f.ptr[0].text, "a?b");
  CHECK_EQ_U64 (f.ptr[1].number, UINT64_MAX);
  CHECK (f.ptr[2].type == RAWVIEW_FACT_BOOL && f.ptr[2].number == 1);
  rv_facts_free (&f);
}

static void
warnings_are_printable_and_bounded (void)
{
  struct rv_warnings w = { 0 };

  for (unsigned i = 0; i < 2 * RV_WARNINGS_MAX; i++)
    rv_warn (&w, "line %u\n", i);
  CHECK_EQ_U64 (w.len, RV_WARNINGS_MAX);
  CHECK_STR_EQ (w.ptr[0], "line 0?");
  rv_warnings_free (&w);
}

int
main (void)
{
  TEST (every_error_kind_has_a_name_and_an_errno);
  TEST (nobody_needs_to_want_the_error);
  TEST (a_system_error_says_what_and_why);
  TEST (a_long_message_is_cut_to_one_line);
  TEST (an_error_may_quote_itself);
  TEST (printable_text_stays_as_it_is);
  TEST (control_characters_are_replaced);
  TEST (broken_utf8_is_replaced);
  TEST (marks_that_turn_text_around_are_replaced);
  TEST (sizes_have_binary_suffixes);
  TEST (sizes_may_have_a_fraction);
  TEST (other_text_is_not_a_size);
  TEST (switches_are_words_or_digits);
  TEST (protocols_are_told_from_file_names);
  TEST (only_uris_that_start_no_program_are_nbd_uris);
  TEST (a_base_name_follows_the_last_slash);
  TEST (text_is_formatted_into_fresh_memory);
  TEST (integers_are_read_unaligned_in_both_orders);
  TEST (sums_and_products_that_overflow_are_noticed);
  TEST (a_range_fits_without_overflow);
  TEST (ranges_overlap_if_they_share_a_byte);
  TEST (rounding_does_not_overflow);
  TEST (a_vector_grows_and_keeps_its_elements);
  TEST (facts_keep_order_and_are_printable);
  TEST (warnings_are_printable_and_bounded);
  return test_result ();
}
