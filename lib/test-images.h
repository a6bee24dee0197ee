/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small images in the test's folder, and the one that is open. */

#ifndef RV_TEST_IMAGES_H
#define RV_TEST_IMAGES_H

#include "format/test-qcow2.h"
#include "image.h"
#include "test-files.h"

#define BITS    9u
#define CLUSTER (1u << BITS)
#define SIZE    (8 * CLUSTER)

static rawview_error err;
static rawview_image *image;

/* An image whose guest cluster n is full of c, with a backing file unless
 * backing is NULL.
 */
static TEST_UNUSED void
qcow2_file_of_size (const char *name, uint64_t size, unsigned n, char c,
                    const char *backing, const char *format)
{
  struct test_qcow2 t;

  test_qcow2_init (&t, BITS, 6, size);
  test_qcow2_data (&t, n, AT_FREE);
  memset (test_qcow2_at (&t, AT_FREE), c, CLUSTER);
  if (backing) {
    put_be64 (t.p + 8, 150);
    put_be32 (t.p + 16, strlen (backing));
    memcpy (t.p + 150, backing, strlen (backing));
  }
  if (format) {
    put_be32 (t.p + 112, 0xe2792aca);
    put_be32 (t.p + 116, strlen (format));
    memcpy (t.p + 120, format, strlen (format));
  }
  test_file (name, t.p, t.len);
  test_qcow2_release (&t);
}

static TEST_UNUSED void
qcow2_file (const char *name, unsigned n, char c, const char *backing,
            const char *format)
{
  qcow2_file_of_size (name, SIZE, n, c, backing, format);
}

static TEST_UNUSED void
raw_file (const char *name, char c, size_t len)
{
  CLEANUP_FREE char *bytes = malloc (len + 1);

  memset (bytes, c, len);
  test_file (name, bytes, len);
}

#define CHECK_FAILS(call, kind, pattern) \
  do { \
    CHECK_EQ_INT ((call), -1); \
    CHECK_ERROR (err, (kind), (pattern)); \
  } while (0)

/* Each cluster's first byte, '.' for zeros. */
static TEST_UNUSED void
check_disk (const char *want)
{
  char got[100] = "";

  for (uint64_t off = 0; off < rawview_get_size (image); off += CLUSTER) {
    char c[CLUSTER] = "?";

    CHECK_OK (rawview_pread (image, c, sizeof c, off, &err), err);
    CHECK (c[0] == c[CLUSTER - 1]);
    got[off / CLUSTER] = c[0] ? c[0] : '.';
  }
  CHECK_STR_EQ (got, want);
}

#endif /* RV_TEST_IMAGES_H */
