/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Deflate and zlib.  The only user of libdeflate and zlib. */

#ifndef RV_CODEC_DEFLATE_H
#define RV_CODEC_DEFLATE_H

#include <rawview.h>

#include "util/bytes.h"

struct libdeflate_decompressor;

/* Not thread-safe: one user at a time.  NULL when out of memory. */
struct libdeflate_decompressor *rv_deflate_new (void);
void rv_deflate_free (struct libdeflate_decompressor *d);

/* Raw deflate until exactly len bytes have come out; the rest of in is not
 * looked at.  Returns NULL or what is wrong.
 */
const char *rv_deflate_decode (struct libdeflate_decompressor *d,
                               struct rv_view in, void *out, size_t len);

/* One whole zlib stream, checksum included, of at most len bytes; *got says
 * how many.  Returns NULL or what is wrong.
 */
const char *rv_zlib_decode (struct libdeflate_decompressor *d,
                            struct rv_view in, void *out, size_t len,
                            size_t *got);

#endif /* RV_CODEC_DEFLATE_H */
