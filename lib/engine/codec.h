/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decompressors with their scratch memory, a fixed number of them.  Whoever
 * decodes takes one and gives it back; more threads than that wait, which
 * bounds memory.  Nobody who holds one waits for anything but its own I/O.
 */

#ifndef RV_CODEC_H
#define RV_CODEC_H

#include "format/format.h"

#define RV_CODECS 16u

struct rv_codecs;

int rv_codecs_new (struct rv_codecs **codecs, rawview_error *err);
void rv_codecs_free (struct rv_codecs *codecs);

struct rv_codec_slot;

struct rv_codec_slot *rv_codecs_take (struct rv_codecs *codecs);
void rv_codecs_give (struct rv_codecs *codecs, struct rv_codec_slot *slot);

/* At least len bytes of scratch memory; what it held before is kept.  NULL when
 * out of memory.
 */
uint8_t *rv_codec_scratch (struct rv_codec_slot *slot, size_t len);

/* Decodes in to len bytes at out.  At least min must come; the rest becomes
 * zeros.  Returns NULL or what is wrong.
 */
const char *rv_codec_decode (struct rv_codec_slot *slot, enum rv_codec codec,
                             struct rv_view in, void *out, size_t len,
                             size_t min);

#endif /* RV_CODEC_H */
