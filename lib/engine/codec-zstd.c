/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <zstd.h>

#include "engine/codec-zstd.h"

/* A window never needs to be larger than a cluster.  More would let a hostile
 * image make every slot keep it.
 */
#define WINDOW_LOG_MAX 21

ZSTD_DCtx *
rv_zstd_new (void)
{
  ZSTD_DCtx *d = ZSTD_createDCtx ();

  if (d)
    ZSTD_DCtx_setParameter (d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
  return d;
}

void
rv_zstd_free (ZSTD_DCtx *d)
{
  ZSTD_freeDCtx (d);
}

/* The common case, one complete frame for the whole cluster, straight into its
 * place without a window of its own.
 */
static bool
decode_frame (ZSTD_DCtx *d, struct rv_view in, void *out, size_t len)
{
  size_t frame = ZSTD_findFrameCompressedSize (in.p, in.len);

  return !ZSTD_isError (frame) &&
         ZSTD_decompressDCtx (d, out, len, in.p, frame) == len;
}

const char *
rv_zstd_decode (ZSTD_DCtx *d, struct rv_view in, void *out, size_t len)
{
  ZSTD_inBuffer src = { in.p, in.len, 0 };
  ZSTD_outBuffer dst = { out, len, 0 };

  if (decode_frame (d, in, out, len))
    return NULL;
  ZSTD_DCtx_reset (d, ZSTD_reset_session_only);
  while (dst.pos < dst.size) {
    size_t in_before = src.pos, out_before = dst.pos;

    if (ZSTD_isError (ZSTD_decompressStream (d, &dst, &src)))
      return "damaged compressed data";
    if (src.pos == in_before && dst.pos == out_before)
      return "compressed data for less than a cluster";
  }
  return NULL;
}
