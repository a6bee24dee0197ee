/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <libdeflate.h>
#include <zlib.h>

#include "engine/codec-deflate.h"

struct libdeflate_decompressor *
rv_deflate_new (void)
{
  return libdeflate_alloc_decompressor ();
}

void
rv_deflate_free (struct libdeflate_decompressor *d)
{
  libdeflate_free_decompressor (d);
}

/* libdeflate decodes whole streams only.  A writer may leave a stream without
 * its end, or with more than a cluster in it: whatever libdeflate does not
 * take, zlib decides, which can stop at a number of bytes.
 */
static const char *
decode_until (struct rv_view in, void *out, size_t len)
{
  z_stream z = { .next_in = (Bytef *) in.p,
                 .avail_in = in.len,
                 .next_out = out,
                 .avail_out = len };
  int r;

  if (inflateInit2 (&z, -MAX_WBITS) != Z_OK)
    return "no memory to decompress it";
  r = inflate (&z, Z_FINISH);
  inflateEnd (&z);
  if (z.avail_out == 0)
    return NULL;
  if (r == Z_STREAM_END)
    return "compressed data for less than a cluster";
  if (r == Z_BUF_ERROR || r == Z_OK)
    return "truncated compressed data";
  return "damaged compressed data";
}

const char *
rv_deflate_decode (struct libdeflate_decompressor *d, struct rv_view in,
                   void *out, size_t len)
{
  size_t used, got;

  if (libdeflate_deflate_decompress_ex (d, in.p, in.len, out, len, &used,
                                        &got) == LIBDEFLATE_SUCCESS &&
      got == len)
    return NULL;
  return decode_until (in, out, len);
}

const char *
rv_zlib_decode (struct libdeflate_decompressor *d, struct rv_view in, void *out,
                size_t len, size_t *got)
{
  size_t used;

  switch (
      libdeflate_zlib_decompress_ex (d, in.p, in.len, out, len, &used, got)) {
  case LIBDEFLATE_SUCCESS:
    return NULL;
  case LIBDEFLATE_INSUFFICIENT_SPACE:
    return "compressed data for more than a grain";
  default:
    return "damaged compressed data";
  }
}
