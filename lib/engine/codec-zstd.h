/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Zstandard.  The only user of libzstd. */

#ifndef RV_CODEC_ZSTD_H
#define RV_CODEC_ZSTD_H

#include <rawview.h>

#include "util/bytes.h"

struct ZSTD_DCtx_s;

/* Not thread-safe: one user at a time.  NULL when out of memory. */
struct ZSTD_DCtx_s *rv_zstd_new (void);
void rv_zstd_free (struct ZSTD_DCtx_s *d);

/* One frame after the other until exactly len bytes have come out; the rest of
 * in is not looked at.  Memory is bounded whatever window a frame asks for.
 * Returns NULL or what is wrong.
 */
const char *rv_zstd_decode (struct ZSTD_DCtx_s *d, struct rv_view in, void *out,
                            size_t len);

#endif /* RV_CODEC_ZSTD_H */
