/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <stdlib.h>

#include "format/format.h"
#include "format/vmdk-descriptor.h"
#include "util/cleanup.h"
#include "util/test.h"

#define HEAD "# Disk DescriptorFile\nversion=1\nCID=123abcde\n"
#define TYPE "createType=custom\n"
#define TAIL "ddb.adapterType = \"lsilogic\"\n"
#define ONE  "RW 2048 FLAT \"a-flat.vmdk\" 0\n"

/* A copy without a byte to spare, so that a sanitizer sees reads behind it. */
static int
parse_bytes (const char *text, size_t len, struct rv_vmdk_descriptor *d,
             rawview_error *err)
{
  CLEANUP_FREE uint8_t *copy = malloc (len + !len);

  memcpy (copy, text, len);
  return rv_vmdk_descriptor_parse ((struct rv_view){ copy, len }, "d.vmdk", d,
                                   err);
}

static int
parse (const char *text, struct rv_vmdk_descriptor *d, rawview_error *err)
{
  return parse_bytes (text, strlen (text), d, err);
}

/*--- Good ---------------------------------------------------------------*/

static void
a_descriptor_says_what_it_says (void)
{
  struct rv_vmdk_descriptor d;
  rawview_error err;

  REQUIRE_OK (parse (HEAD "parentCID=ffffffff\nisNativeSnapshot=\"no\"\n"
                          "createType=\"monolithicFlat\"\n\n"
                          "# Extent description\n" ONE "\n" TAIL,
                     &d, &err),
              err);
  CHECK (d.has_cid);
  CHECK_EQ_U64 (d.cid, 0x123abcde);
  CHECK_EQ_U64 (d.parent_cid, RV_VMDK_NO_PARENT);
  CHECK_EQ_U64 (d.version, 1);
  CHECK_STR_EQ (d.create_type, "monolithicFlat");
  CHECK (d.parent_hint == NULL);
  CHECK_EQ_U64 (d.extents.len, 1);
  CHECK_EQ_U64 (d.size, 1 << 20);
  CHECK_STR_EQ (d.extents.ptr[0].name, "a-flat.vmdk");
  rv_vmdk_descriptor_release (&d);
}

static void
spelling_does_not_matter (void)
{
  static const char text[] = "\xef\xbb\xbf#disk descriptorfile \r\n"
                             "ENCODING = \"UTF-8\"\r\n"
                             "\t\r\n"
                             "  cid\t=\t0123ABCD  \r\n"
                             "ParentCid=77\r\n"
                             "PARENTFILENAMEHINT=\"C:\\vm\\b = c.vmdk\"\r\n"
                             "CreateType=MONOLITHICFLAT\r\n"
                             "\r\n"
                             "\trw  8\tflat \"a b.vmdk\"   16 \t\r\n"
                             "rdonly 4 sparse \"s.vmdk\"";
  struct rv_vmdk_descriptor d;
  rawview_error err;

  REQUIRE_OK (parse (text, &d, &err), err);
  CHECK_EQ_U64 (d.cid, 0x123abcd);
  CHECK_EQ_U64 (d.parent_cid, 0x77);
  CHECK_STR_EQ (d.parent_hint, "C:\\vm\\b = c.vmdk");
  CHECK_STR_EQ (d.create_type, "MONOLITHICFLAT");
  CHECK_EQ_U64 (d.extents.len, 2);
  CHECK_STR_EQ (d.extents.ptr[0].name, "a b.vmdk");
  CHECK_EQ_U64 (d.extents.ptr[0].host_off, 16 * 512);
  CHECK_EQ_INT (d.extents.ptr[1].type, RV_VMDK_SPARSE);
  CHECK_EQ_INT (d.extents.ptr[1].access, RV_VMDK_RDONLY);
  rv_vmdk_descriptor_release (&d);
}

static void
no_extent_is_lost_or_doubled (void)
{
  static const char text[] =
      HEAD TYPE "\n\nRW 1 FLAT \"a\" 0\n\n\nRDONLY 2 ZERO\n\n"
                "NOACCESS 4 FLAT \"c\" 3 uuid \"device id\"\n"
                "RW 8 VMFS \"d\"\nRW 16 VMFS \"e\" 0\n"
                "RW 32 VMFSSPARSE \"f\"\nRW 64 SESPARSE \"g\"\n"
                "RW 128 ZERO\n";
  struct rv_vmdk_descriptor d;
  rawview_error err;

  REQUIRE_OK (parse (text, &d, &err), err);
  CHECK_EQ_U64 (d.extents.len, 8);
  CHECK_EQ_U64 (d.size, 255 * 512);
  for (size_t i = 0; i < d.extents.len; i++)
    CHECK_EQ_U64 (d.extents.ptr[i].len, UINT64_C (512) << i);
  CHECK_EQ_INT (d.extents.ptr[1].type, RV_VMDK_ZERO);
  CHECK (d.extents.ptr[1].name == NULL);
  CHECK_EQ_INT (d.extents.ptr[2].access, RV_VMDK_NOACCESS);
  CHECK_EQ_U64 (d.extents.ptr[2].host_off, 3 * 512);
  rv_vmdk_descriptor_release (&d);
}

static void
a_key_counts_only_at_the_start_of_its_line (void)
{
  struct rv_vmdk_descriptor d;
  rawview_error err;

  REQUIRE_OK (parse (HEAD TYPE
                     "# CID=1 parentCID=2 createType=vsanSparse\n"
                     "ddb.comment = \"parentFileNameHint=/etc/passwd\"\n"
                     "# RW 5 FLAT \"x\" 0\n" ONE,
                     &d, &err),
              err);
  CHECK_EQ_U64 (d.cid, 0x123abcde);
  CHECK (d.parent_hint == NULL);
  CHECK_STR_EQ (d.create_type, "custom");
  CHECK_EQ_U64 (d.extents.len, 1);
  rv_vmdk_descriptor_release (&d);
}

/*--- NUL bytes ----------------------------------------------------------*/

#define WITH_NUL(text) parse_bytes (text, sizeof (text) - 1, &d, &err)

static void
nul_bytes_may_only_pad_or_cut_off_a_copy_of_the_end (void)
{
  struct rv_vmdk_descriptor d;
  rawview_error err;

  REQUIRE_OK (WITH_NUL (HEAD TYPE ONE "\0\0\0\0\0\0"), err);
  CHECK_EQ_U64 (d.size, 1 << 20);
  rv_vmdk_descriptor_release (&d);

  /* What is left when a longer text is replaced by this one. */
  REQUIRE_OK (WITH_NUL (HEAD TYPE ONE TAIL "\0gic\"\n\0\0\0c\"\n\0\0"), err);
  CHECK_EQ_U64 (d.size, 1 << 20);
  rv_vmdk_descriptor_release (&d);

  CHECK_EQ_INT (WITH_NUL (HEAD TYPE ONE "\0RW 5 FLAT \"b\" 0\n"), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "d.vmdk: *after a NUL byte*");
  CHECK_EQ_INT (WITH_NUL (HEAD "RW 2048 FL\0AT \"a\" 0\n"), -1);
  CHECK_EQ_INT (WITH_NUL ("\0" HEAD ONE), -1);
}

/*--- Bad ----------------------------------------------------------------*/

struct bad {
  const char *text;
  rawview_error_kind kind;
  const char *pattern;
};

static void
check_bad (const struct bad *bad, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    struct rv_vmdk_descriptor d;
    rawview_error err = { 0 };

    if (parse (bad[i].text, &d, &err) == 0) {
      TEST_FAIL ("accepted: %s", bad[i].text);
      rv_vmdk_descriptor_release (&d);
    }
    else
      CHECK_ERROR (err, bad[i].kind, bad[i].pattern);
  }
}
#define CHECK_BAD(list) check_bad (list, sizeof (list) / sizeof (list)[0])

#define FORMAT      RAWVIEW_ERROR_FORMAT
#define UNSUPPORTED RAWVIEW_ERROR_UNSUPPORTED

static void
a_line_that_is_not_understood_is_refused (void)
{
  static const struct bad bad[] = {
    { "", FORMAT, "d.vmdk: *no createType" },
    { HEAD ONE, FORMAT, "d.vmdk: *no createType" },
    { HEAD "createType=\"\"\n" ONE, FORMAT, "d.vmdk: *no createType" },
    { HEAD TYPE TAIL, FORMAT, "*no extents" },
    { HEAD ONE "RV 8 FLAT \"a\" 0\n", FORMAT, "*line 5*\"RV 8 FLAT*" },
    { HEAD ONE "hello world\n", FORMAT, "*line 5*" },
    { HEAD ONE "=5\n", FORMAT, "*line 5*" },
    { HEAD "RW 8 FLAT \"a\" 0\rRW 8 FLAT \"b\" 0\n", FORMAT, "*0x0d*" },
    { HEAD ONE "a\vb=c\n", FORMAT, "*line 5*0x0b*" },
    { HEAD "CID=1\n" ONE, FORMAT, "*line 4*CID*second time" },
    { HEAD "createtype=a\ncreateType=a\n" ONE, FORMAT, "*second time" },
    { "CID=123456789\n" ONE, FORMAT, "*line 1*CID*" },
    { "CID=\n" ONE, FORMAT, "*CID*" },
    { "CID=xyz\n" ONE, FORMAT, "*CID*" },
    { "parentCID=-1\n" ONE, FORMAT, "*parentCID*" },
    { "version=1.0\n" ONE, FORMAT, "*version*" },
    { "version=99999\n" ONE, FORMAT, "*version*" },
    { "createType=\"a\n" ONE, FORMAT, "*quotes of createType*" },
  };

  CHECK_BAD (bad);
}

static void
an_extent_line_is_read_completely_or_refused (void)
{
  static const struct bad bad[] = {
    { "RW\n", FORMAT, "*line 1*at least 3 fields, here are 1" },
    { "RW 8\n", FORMAT, "*at least 3 fields*" },
    { "RW 8 FLAT\n", FORMAT, "*needs a file name" },
    { "RW 8 FLAT \"\" 0\n", FORMAT, "*needs a file name" },
    { "RW 8 FLAT \"a\"\n", FORMAT, "*needs an offset*" },
    { "RW 8 FLAT \"a 0\n", FORMAT, "*quotes*" },
    { "RW 8 FLAT \"a\"0\n", FORMAT, "*quotes*" },
    { "RW 8 FLAT a\"b\" 0\n", FORMAT, "*quotes*" },
    { "RW 8 FLAT \"a\" -1\n", FORMAT, "*offset is not a decimal*" },
    { "RW 8 FLAT \"a\" 36028797018963967\n", FORMAT, "*offset is above*" },
    { "RW 8 FLAT \"a\" 0 b c d\n", FORMAT, "*at most 7 fields" },
    { "RW 8 SPARSE \"a\" 8\n", FORMAT, "*must not have an offset" },
    { "RW 8 VMFS \"a\" 8\n", FORMAT, "*must not have an offset" },
    { "RW 0 FLAT \"a\" 0\n", FORMAT, "*size is 0" },
    { "RW -8 FLAT \"a\" 0\n", FORMAT, "*size is not a decimal*" },
    { "RW 0x8 FLAT \"a\" 0\n", FORMAT, "*size is not a decimal*" },
    { "RW \"\" FLAT \"a\" 0\n", FORMAT, "*size is empty" },
    { "RW 99999999999999999999 FLAT \"a\" 0\n", FORMAT, "*size is above*" },
    { "RW 8 VMFSRDM \"a\"\n", UNSUPPORTED, "*VMFSRDM is a device*" },
    { "RW 8 FLUT \"a\" 0\n", UNSUPPORTED, "*unknown extent type \"FLUT\"" },
    { "RW 8 ZERO\nRW 8 VMFSRAW \"a\"\n", UNSUPPORTED, "*line 2*" },
    { "RW 18014398509481983 ZERO\nRW 1 ZERO\n", RAWVIEW_ERROR_LIMIT,
      "*together*" },
  };

  CHECK_BAD (bad);
}

static void
what_cannot_be_read_is_named (void)
{
  static const struct bad bad[] = {
    { HEAD "createType=\"VSANSPARSE\"\n" ONE, UNSUPPORTED, "*vSAN*" },
    { "encryption.keySafe=\"vmware:key\"\n", UNSUPPORTED, "*encrypted*" },
    { "Encryption.Data=\"x\"\n" ONE, UNSUPPORTED, "*encrypted*" },
    { ONE "ddb.iofilters = \"vmwarevmcrypt\"\n", UNSUPPORTED, "*encrypted*" },
    { HEAD TYPE "parentCID=ffffffff\nparentFileNameHint=\"/etc/passwd\"\n" ONE,
      RAWVIEW_ERROR_CORRUPT, "*parentFileNameHint*parentCID*" },
    { HEAD TYPE "parentFileNameHint=\"a\"\n" ONE, RAWVIEW_ERROR_CORRUPT, "*" },
  };

  CHECK_BAD (bad);
}

static void
names_of_any_length_are_bounded (void)
{
  char text[8192], *p = text;
  struct rv_vmdk_descriptor d;
  rawview_error err;

  p += sprintf (p, TYPE "RW 8 SPARSE \"");
  memset (p, 'a', RV_VMDK_NAME_MAX + 1);
  sprintf (p + RV_VMDK_NAME_MAX, "\"\n");
  REQUIRE_OK (parse (text, &d, &err), err);
  rv_vmdk_descriptor_release (&d);
  sprintf (p + RV_VMDK_NAME_MAX, "a\"\n");
  CHECK_EQ_INT (parse (text, &d, &err), -1);
  CHECK_ERROR (err, FORMAT, "*longer than*");
}

static void
the_number_of_extents_is_bounded (void)
{
  static char text[(RV_MAX_EXTENTS + 3) * 12];
  struct rv_vmdk_descriptor d;
  rawview_error err;
  char *p = text;

  p += sprintf (p, TYPE);
  for (unsigned i = 0; i < RV_MAX_EXTENTS; i++)
    p += sprintf (p, "RW 1 ZERO\n");
  REQUIRE_OK (parse (text, &d, &err), err);
  CHECK_EQ_U64 (d.size, RV_MAX_EXTENTS * 512);
  rv_vmdk_descriptor_release (&d);
  sprintf (p, "RW 1 ZERO\n");
  CHECK_EQ_INT (parse (text, &d, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*more than 4096 extents");
}

static void
the_size_of_the_text_is_bounded (void)
{
  CLEANUP_FREE char *text = malloc (RV_MAX_DESCRIPTOR + 1);
  struct rv_vmdk_descriptor d;
  rawview_error err;

  memset (text, 'a', RV_MAX_DESCRIPTOR + 1);
  CHECK_EQ_INT (parse_bytes (text, RV_MAX_DESCRIPTOR, &d, &err), -1);
  CHECK_ERROR (err, FORMAT, "*line 1*");
  CHECK_EQ_INT (parse_bytes (text, RV_MAX_DESCRIPTOR + 1, &d, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*");
}

/*--- Any bytes ----------------------------------------------------------*/

static const char whole[] =
    HEAD "parentCID=00000001\ncreateType=\"custom\"\n"
         "parentFileNameHint=\"base.vmdk\"\n"
         "RW 8 FLAT \"a\" 0\nRDONLY 8 ZERO\nNOACCESS 8 SPARSE \"c\"\n" TAIL;

/* Only that it returns, and leaks nothing. */
static void
parse_anything (const char *text, size_t len)
{
  struct rv_vmdk_descriptor d;
  rawview_error err;

  if (parse_bytes (text, len, &d, &err) == 0)
    rv_vmdk_descriptor_release (&d);
  else
    CHECK (err.msg[0] != '\0' && err.errnum != 0);
}

static void
a_text_that_is_cut_anywhere_does_no_harm (void)
{
  for (size_t len = 0; len < sizeof whole; len++)
    parse_anything (whole, len);
}

static void
a_text_with_any_byte_changed_does_no_harm (void)
{
  static const char bytes[] = { 0, '\n', '\r', '"', '=', ' ', '#', '9', -1 };
  char text[sizeof whole];

  memcpy (text, whole, sizeof whole);
  for (size_t i = 0; i < sizeof whole - 1; i++) {
    for (size_t b = 0; b < sizeof bytes; b++) {
      text[i] = bytes[b];
      parse_anything (text, sizeof whole - 1);
    }
    text[i] = whole[i];
  }
}

/*--- Probe --------------------------------------------------------------*/

static bool
looks (const char *text)
{
  return rv_vmdk_descriptor_probe (
      (struct rv_view){ (const uint8_t *) text, strlen (text) });
}

static void
sloppy_descriptors_are_recognised (void)
{
  CHECK (looks ("# Disk DescriptorFile\nversion=1\n"));
  CHECK (looks ("\xef\xbb\xbf\r\n # comment\r\n#\tdisk descriptorFILE \r\n"));
  CHECK (looks ("encoding=\"UTF-8\"\nversion=4\nCID=fffffffe\n"));
  CHECK (looks ("RW 8 ZERO\n\ncreateType=\"custom\"\n"));
  CHECK (looks (" CreateType = \"vmfs\""));
}

static void
other_files_are_not (void)
{
  CHECK (!looks (""));
  CHECK (!looks ("# just a script\necho CID=5\n"));
  CHECK (!looks ("key=value\nother = value\n"));
  CHECK (!looks ("CID=hello\n"));
  CHECK (!looks ("[section]\nCID=5\n"));
  CHECK (!looks ("\x7f"
                 "ELF\nCID=5\n"));
  CHECK (!rv_vmdk_descriptor_probe (
      (struct rv_view){ (const uint8_t *) "\0\0CID=5\n", 8 }));
}

int
main (void)
{
  TEST (a_descriptor_says_what_it_says);
  TEST (spelling_does_not_matter);
  TEST (no_extent_is_lost_or_doubled);
  TEST (a_key_counts_only_at_the_start_of_its_line);
  TEST (nul_bytes_may_only_pad_or_cut_off_a_copy_of_the_end);
  TEST (a_line_that_is_not_understood_is_refused);
  TEST (an_extent_line_is_read_completely_or_refused);
  TEST (what_cannot_be_read_is_named);
  TEST (names_of_any_length_are_bounded);
  TEST (the_number_of_extents_is_bounded);
  TEST (the_size_of_the_text_is_bounded);
  TEST (a_text_that_is_cut_anywhere_does_no_harm);
  TEST (a_text_with_any_byte_changed_does_no_harm);
  TEST (sloppy_descriptors_are_recognised);
  TEST (other_files_are_not);
  return test_result ();
}
