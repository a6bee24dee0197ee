/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/qcow2-extension.h"
#include "format/test-qcow2.h"

#define BACKING_FORMAT 0xe2792acau
#define FEATURE_NAMES  0x6803f857u
#define BITMAPS        0x23852875u
#define LUKS_HEADER    0x0537be77u
#define DATA_FILE      0x44415441u

#define CLUSTER 512u

/* Behind the bytes that the parser may look at, the sanitizer watches. */
static struct rv_qcow2_header header;
static struct rv_qcow2_extensions ext;
static uint8_t cluster[CLUSTER];
static size_t end; /* where the next extension goes */
static rawview_error err;

static void
begin (void)
{
  header = (struct rv_qcow2_header){ .version = 3,
                                     .cluster_bits = 9,
                                     .header_length = 112 };
  memset (cluster, 0, sizeof cluster);
  end = 112;
}

static void
add (uint32_t type, const void *data, uint32_t len)
{
  put_be32 (cluster + end, type);
  put_be32 (cluster + end + 4, len);
  memcpy (cluster + end + 8, data, len);
  end += 8 + (len + 7) / 8 * 8;
}

/* Parses an exact copy of the first len bytes. */
static int
parse_len (size_t len, uint8_t **copy)
{
  *copy = malloc (len);
  memcpy (*copy, cluster, len);
  err = (rawview_error){ 0 };
  return rv_qcow2_extensions_parse ((struct rv_view){ *copy, len }, "disk",
                                    &header, &ext, &err);
}

static int
parse (void)
{
  CLEANUP_FREE uint8_t *copy = NULL;

  return parse_len (CLUSTER, &copy);
}

static void
no_extensions_is_fine (void)
{
  begin ();
  REQUIRE_OK (parse (), err);
  CHECK_STR_EQ (ext.backing_format, "");
  CHECK (ext.data_file.p == NULL && ext.bitmaps.p == NULL);
}

static void
known_extensions_are_found_among_unknown_ones (void)
{
  CLEANUP_FREE uint8_t *copy = NULL;

  begin ();
  add (0x12345678, "whatever", 8);
  add (BACKING_FORMAT, "qcow2", 5);
  add (0x12345678, "again", 5);
  add (DATA_FILE, "data.raw", 8);
  add (BITMAPS, "123456789012345678901234", 24);
  add (0, "", 0);
  add (FEATURE_NAMES, "behind the end", 14);
  REQUIRE_OK (parse_len (CLUSTER, &copy), err);
  CHECK_STR_EQ (ext.backing_format, "qcow2");
  CHECK_EQ_U64 (ext.data_file.len, 8);
  CHECK_MEM_EQ (ext.data_file.p, "data.raw", 8);
  CHECK_EQ_U64 (ext.bitmaps.len, 24);
  CHECK (ext.feature_names.p == NULL);
}

static void
extensions_end_where_the_backing_name_begins (void)
{
  begin ();
  add (BACKING_FORMAT, "raw", 3);
  header.backing_off = end;
  header.backing_len = 20;
  add (DATA_FILE, "is the backing name", 19);
  REQUIRE_OK (parse (), err);
  CHECK_STR_EQ (ext.backing_format, "raw");
  CHECK (ext.data_file.p == NULL);
  header.backing_off = 112 + 8 + 2; /* inside "raw" */
  CHECK_EQ_INT (parse (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "*runs past its area*");
}

static void
the_end_mark_may_be_missing (void)
{
  static const uint8_t zeros[CLUSTER];

  begin ();
  add (0x12345678, zeros, CLUSTER - 112 - 8);
  CHECK_OK (parse (), err);
  begin ();
  add (0x12345678, zeros, CLUSTER - 112 - 16);
  CHECK_OK (parse (), err);
  begin ();
  header.backing_off = 112 + 7;
  CHECK_OK (parse (), err);
}

static void
lengths_beyond_the_area_are_refused (void)
{
  static const uint32_t wrong[] = { CLUSTER - 112 - 7, 0x7fffffff, 0xfffffff8,
                                    UINT32_MAX };

  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    begin ();
    put_be32 (cluster + 112, 0x12345678);
    put_be32 (cluster + 116, wrong[i]);
    CHECK_EQ_INT (parse (), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "*0x12345678*runs past*");
  }
}

static void
a_known_extension_stands_once (void)
{
  static const uint32_t known[] = { BACKING_FORMAT, FEATURE_NAMES, BITMAPS,
                                    DATA_FILE };

  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    begin ();
    add (known[i], "raw", 3);
    add (known[i], "raw", 3);
    CHECK_EQ_INT (parse (), -1);
    CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "*stands twice");
  }
}

static void
a_format_name_has_at_most_15_bytes (void)
{
  begin ();
  add (BACKING_FORMAT, "123456789012345", 15);
  REQUIRE_OK (parse (), err);
  CHECK_STR_EQ (ext.backing_format, "123456789012345");
  begin ();
  add (BACKING_FORMAT, "1234567890123456", 16);
  CHECK_EQ_INT (parse (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "*16 bytes*");
}

static void
a_luks_header_needs_encryption (void)
{
  begin ();
  add (LUKS_HEADER, "1234567890123456", 16);
  CHECK_EQ_INT (parse (), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "*LUKS*");
}

/* The end of the file is an end of the area: never read past, and what is cut
 * is either not seen at all or an error.
 */
static void
every_cut_length_is_safe (void)
{
  static const uint8_t zeros[96];

  begin ();
  add (BACKING_FORMAT, "qcow2", 5);
  add (DATA_FILE, "data.raw", 8);
  add (FEATURE_NAMES, zeros, 96);
  for (size_t len = 1; len <= CLUSTER; len++) {
    CLEANUP_FREE uint8_t *copy = NULL;

    if (parse_len (len, &copy) == 0)
      CHECK (len < 112 + 8 || ext.backing_format[0] != '\0');
    else
      CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "*runs past its area*");
  }
}

static void
features_are_called_as_the_image_says (void)
{
  uint8_t names[3 * 48] = { 0 };
  char name[QCOW2_FEATURE_NAME_LEN + 1];

  names[0] = 1; /* a compatible one */
  names[1] = 5;
  strcpy ((char *) names + 2, "not this");
  names[49] = 5;
  memset (names + 50, 'x', 46); /* not terminated */
  names[97] = 6;
  strcpy ((char *) names + 98, "six");
  rv_qcow2_feature_name ((struct rv_view){ names, sizeof names }, 5, name);
  CHECK_EQ_U64 (strlen (name), 46);
  CHECK (name[0] == 'x' && name[45] == 'x');
  rv_qcow2_feature_name ((struct rv_view){ names, sizeof names }, 6, name);
  CHECK_STR_EQ (name, "six");
  rv_qcow2_feature_name ((struct rv_view){ names, sizeof names - 1 }, 6, name);
  CHECK_STR_EQ (name, "unknown");
  rv_qcow2_feature_name ((struct rv_view){ NULL, 0 }, 6, name);
  CHECK_STR_EQ (name, "unknown");
}

int
main (void)
{
  TEST (no_extensions_is_fine);
  TEST (known_extensions_are_found_among_unknown_ones);
  TEST (extensions_end_where_the_backing_name_begins);
  TEST (the_end_mark_may_be_missing);
  TEST (lengths_beyond_the_area_are_refused);
  TEST (a_known_extension_stands_once);
  TEST (a_format_name_has_at_most_15_bytes);
  TEST (a_luks_header_needs_encryption);
  TEST (every_cut_length_is_safe);
  TEST (features_are_called_as_the_image_says);
  return test_result ();
}
