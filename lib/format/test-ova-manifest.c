/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/ova-manifest.h"
#include "util/test.h"

#define ZEROS_20 "0000000000000000000000000000000000000000"

static struct rv_ova_manifest m;
static rawview_error err;

static int
parse (const char *text)
{
  return rv_ova_manifest_parse (
      (struct rv_view){ (const uint8_t *) text, strlen (text) }, "x.ova", &m,
      &err);
}

static void
spellings_of_all_writers_are_read (void)
{
  REQUIRE_OK (parse ("SHA1(a.ovf)= " ZEROS_20 "\r\n\n"
                     "sha-1 (./b (1).vmdk) = " ZEROS_20 "\n"
                     "SHA256(a.ovf)=" ZEROS_20 "aaaaaaaaAAAAAAAAffffffff"),
              err);
  CHECK_EQ_U64 (m.len, 3);
  CHECK_STR_EQ (m.ptr[0].name, "a.ovf");
  CHECK_STR_EQ (m.ptr[1].name, "b (1).vmdk");
  CHECK_EQ_INT (m.ptr[1].kind, RV_SHA1);
  CHECK_EQ_INT (m.ptr[2].kind, RV_SHA256);
  CHECK_EQ_INT (m.ptr[2].digest[24], 0xaa);
  CHECK_EQ_U64 (rv_ova_manifest_kinds (&m, "a.ovf"),
                RV_DIGEST_BIT (RV_SHA1) | RV_DIGEST_BIT (RV_SHA256));
  CHECK_EQ_U64 (rv_ova_manifest_kinds (&m, "c"), 0);
  rv_ova_manifest_free (&m);
}

static void
lines_that_say_nothing_are_refused (void)
{
  CHECK_EQ_INT (parse ("SHA1(a)= " ZEROS_20 "\nrubbish\n"), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "x.ova: line 2 of the manifest*");
  CHECK_EQ_INT (parse ("MD5(a)= 00"), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*another checksum*");
  CHECK_EQ_INT (parse ("SHA1(a)= " ZEROS_20 "0"), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*wrong length*");
  CHECK_EQ_INT (parse ("SHA1(a)= x" ZEROS_20), -1);
  CHECK_EQ_INT (parse ("SHA1()= " ZEROS_20), -1);
  CHECK_EQ_INT (parse ("SHA1(a) " ZEROS_20), -1);
  CHECK_EQ_INT (parse (")SHA1(a= " ZEROS_20), -1);
}

static void
members_are_compared (void)
{
  struct rv_digest_values v = { .kinds = RV_DIGEST_ALL };

  REQUIRE_OK (parse ("SHA1(a)= " ZEROS_20), err);
  CHECK_OK (rv_ova_manifest_compare (&m, "b", &v, "x.ova", &err), err);
  CHECK_EQ_INT (rv_ova_manifest_verify (&m, "x.ova", &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*\"a\", which has not come*");
  CHECK_OK (rv_ova_manifest_compare (&m, "a", &v, "x.ova", &err), err);
  CHECK_OK (rv_ova_manifest_verify (&m, "x.ova", &err), err);
  v.bytes[RV_SHA1][19] = 1;
  CHECK_EQ_INT (rv_ova_manifest_compare (&m, "a", &v, "x.ova", &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*checksum of \"a\"*");
  rv_ova_manifest_free (&m);
}

int
main (void)
{
  TEST (spellings_of_all_writers_are_read);
  TEST (lines_that_say_nothing_are_refused);
  TEST (members_are_compared);
  return test_result ();
}
