/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <pthread.h>
#include <string.h>

#include "engine/codec-deflate.h"
#include "engine/codec-zstd.h"
#include "engine/codec.h"
#include "util/error.h"

/* Larger scratch memory is not kept between uses. */
#define SCRATCH_KEEP (256u << 10)

struct rv_codec_slot {
  struct rv_codec_slot *next; /* in the free list */
  struct libdeflate_decompressor *deflate;
  struct ZSTD_DCtx_s *zstd; /* made at first use */
  uint8_t *scratch;
  size_t scratch_len;
};

struct rv_codecs {
  pthread_mutex_t lock; /* protects free_list */
  pthread_cond_t given;
  struct rv_codec_slot *free_list;
  struct rv_codec_slot slots[RV_CODECS];
};

int
rv_codecs_new (struct rv_codecs **codecs, rawview_error *err)
{
  struct rv_codecs *c = calloc (1, sizeof *c);

  if (c == NULL)
    return rv_error_nomem (err);
  pthread_mutex_init (&c->lock, NULL);
  pthread_cond_init (&c->given, NULL);
  for (size_t i = 0; i < RV_CODECS; i++) {
    c->slots[i].next = c->free_list;
    c->free_list = &c->slots[i];
  }
  *codecs = c;
  return 0;
}

void
rv_codecs_free (struct rv_codecs *c)
{
  if (c == NULL)
    return;
  for (size_t i = 0; i < RV_CODECS; i++) {
    if (c->slots[i].deflate)
      rv_deflate_free (c->slots[i].deflate);
    rv_zstd_free (c->slots[i].zstd);
    free (c->slots[i].scratch);
  }
  pthread_cond_destroy (&c->given);
  pthread_mutex_destroy (&c->lock);
  free (c);
}

struct rv_codec_slot *
rv_codecs_take (struct rv_codecs *c)
{
  struct rv_codec_slot *slot;
  LOCKED (&c->lock);

  while (c->free_list == NULL)
    pthread_cond_wait (&c->given, &c->lock);
  slot = c->free_list;
  c->free_list = slot->next;
  return slot;
}

void
rv_codecs_give (struct rv_codecs *c, struct rv_codec_slot *slot)
{
  LOCKED (&c->lock);

  if (slot->scratch_len > SCRATCH_KEEP) {
    free (slot->scratch);
    slot->scratch = NULL;
    slot->scratch_len = 0;
  }
  slot->next = c->free_list;
  c->free_list = slot;
  pthread_cond_signal (&c->given);
}

uint8_t *
rv_codec_scratch (struct rv_codec_slot *slot, size_t len)
{
  uint8_t *p;

  if (len <= slot->scratch_len)
    return slot->scratch;
  p = realloc (slot->scratch, len);
  if (p == NULL)
    return NULL;
  slot->scratch = p;
  slot->scratch_len = len;
  return p;
}

static const char *
decode_zlib (struct rv_codec_slot *slot, struct rv_view in, uint8_t *out,
             size_t len, size_t min)
{
  size_t got;
  const char *wrong = rv_zlib_decode (slot->deflate, in, out, len, &got);

  if (wrong)
    return wrong;
  if (got < min)
    return "compressed data for less than a grain";
  memset (out + got, 0, len - got);
  return NULL;
}

const char *
rv_codec_decode (struct rv_codec_slot *slot, enum rv_codec codec,
                 struct rv_view in, void *out, size_t len, size_t min)
{
  static const char no_memory[] = "no memory to decompress it";

  if (codec == RV_CODEC_ZSTD) {
    if (slot->zstd == NULL && (slot->zstd = rv_zstd_new ()) == NULL)
      return no_memory;
    return rv_zstd_decode (slot->zstd, in, out, len);
  }
  if (slot->deflate == NULL && (slot->deflate = rv_deflate_new ()) == NULL)
    return no_memory;
  if (codec == RV_CODEC_ZLIB)
    return decode_zlib (slot, in, out, len, min);
  return rv_deflate_decode (slot->deflate, in, out, len);
}
