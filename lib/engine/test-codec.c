/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <pthread.h>
#include <zlib.h>
#include <zstd.h>

#include "engine/codec.h"
#include "util/cleanup.h"
#include "util/test.h"

#define CLUSTER ((size_t) 65536)
#define ROOM    (4 * CLUSTER)

/* What the tests decode: packed, of len bytes, should give plain. */
static uint8_t plain[ROOM], packed[ROOM], out[ROOM];
static size_t len;
static struct rv_codecs *codecs;
static struct rv_codec_slot *slot;

/* Data that compresses somewhat. */
static void
fill_plain (void)
{
  uint32_t x = 1;

  for (size_t i = 0; i < sizeof plain; i++) {
    x = x * 1103515245 + 12345;
    plain[i] = x >> 16 & (i / 4096 % 2 ? 0x0f : 0xff);
  }
}

/* Decodes an exact copy of the packed bytes, so that reading past them is
 * noticed.
 */
static const char *
decode_min (enum rv_codec codec, size_t n, size_t min)
{
  CLEANUP_FREE uint8_t *copy = malloc (len ? len : 1);
  CLEANUP_FREE uint8_t *to = malloc (n);
  const char *wrong;

  memcpy (copy, packed, len);
  memset (to, 0xa5, n);
  wrong =
      rv_codec_decode (slot, codec, (struct rv_view){ copy, len }, to, n, min);
  memcpy (out, to, n);
  return wrong;
}

static const char *
decode (enum rv_codec codec)
{
  return decode_min (codec, CLUSTER, CLUSTER);
}

static void
check_good (enum rv_codec codec)
{
  if (CHECK_STR_EQ (decode (codec), NULL))
    CHECK_MEM_EQ (out, plain, CLUSTER);
}

/* A deflate stream of n plain bytes; finish: Z_FINISH, or a flush that leaves
 * out the final block.  dict: NULL or a preset dictionary.
 */
static void
deflate_into_packed (size_t n, int level, int window, int finish,
                     const char *dict)
{
  z_stream z = { .next_in = plain,
                 .avail_in = n,
                 .next_out = packed,
                 .avail_out = sizeof packed };

  CHECK (deflateInit2 (&z, level, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY) ==
         Z_OK);
  if (dict)
    deflateSetDictionary (&z, (const Bytef *) dict, strlen (dict));
  deflate (&z, finish);
  len = sizeof packed - z.avail_out;
  deflateEnd (&z);
}

static void
raw_deflate (size_t n)
{
  deflate_into_packed (n, 6, -12, Z_FINISH, NULL);
}

/*--- Deflate ------------------------------------------------------------*/

static void
deflate_of_exactly_a_cluster (void)
{
  for (int level = 0; level <= 9; level++) {
    deflate_into_packed (CLUSTER, level, -12, Z_FINISH, NULL);
    check_good (RV_CODEC_DEFLATE);
    deflate_into_packed (CLUSTER, level, -15, Z_FINISH, NULL);
    check_good (RV_CODEC_DEFLATE);
  }
}

static void
deflate_may_be_followed_by_anything (void)
{
  raw_deflate (CLUSTER);
  memset (packed + len, 0xff, 1000);
  len += 1000;
  check_good (RV_CODEC_DEFLATE);
}

static void
deflate_of_more_than_a_cluster_stops_there (void)
{
  raw_deflate (CLUSTER + 1);
  check_good (RV_CODEC_DEFLATE);
  raw_deflate (3 * CLUSTER);
  check_good (RV_CODEC_DEFLATE);
}

static void
deflate_may_lack_its_final_block (void)
{
  deflate_into_packed (CLUSTER, 6, -12, Z_SYNC_FLUSH, NULL);
  check_good (RV_CODEC_DEFLATE);
  memset (packed + len, 0, 500); /* then stored blocks of nothing */
  len += 500;
  check_good (RV_CODEC_DEFLATE);
}

static void
deflate_of_less_than_a_cluster_is_damage (void)
{
  raw_deflate (CLUSTER - 1);
  CHECK_STR_EQ (decode (RV_CODEC_DEFLATE),
                "compressed data for less than a cluster");
  raw_deflate (0);
  CHECK_STR_EQ (decode (RV_CODEC_DEFLATE),
                "compressed data for less than a cluster");
}

static void
truncated_deflate_is_damage_at_every_length (void)
{
  size_t whole;

  raw_deflate (CLUSTER);
  whole = len;
  for (len = 0; len < whole - 8; len += 1 + len / 64)
    CHECK_STR_EQ (decode (RV_CODEC_DEFLATE), "truncated compressed data");
}

static void
changed_deflate_never_reads_or_writes_beyond (void)
{
  size_t whole;

  raw_deflate (CLUSTER);
  whole = len;
  for (size_t i = 0; i < whole; i += 37) {
    packed[i] ^= 0x55;
    decode (RV_CODEC_DEFLATE);
    packed[i] ^= 0x55;
  }
  check_good (RV_CODEC_DEFLATE);
  memset (packed, 0xff, 100);
  CHECK_STR_EQ (decode (RV_CODEC_DEFLATE), "damaged compressed data");
}

static void
a_zlib_header_is_not_raw_deflate (void)
{
  deflate_into_packed (CLUSTER, 6, 15, Z_FINISH, NULL);
  CHECK (decode (RV_CODEC_DEFLATE) != NULL);
}

/*--- Zlib ---------------------------------------------------------------*/

static void
zlib_stream (size_t n)
{
  deflate_into_packed (n, 6, 15, Z_FINISH, NULL);
}

static void
zlib_of_exactly_a_grain (void)
{
  zlib_stream (CLUSTER);
  check_good (RV_CODEC_ZLIB);
  memset (packed + len, 0, 300); /* padding */
  len += 300;
  check_good (RV_CODEC_ZLIB);
}

static void
a_last_grain_may_be_short_and_ends_in_zeros (void)
{
  static const uint8_t zeros[CLUSTER];

  zlib_stream (1000);
  CHECK_STR_EQ (decode_min (RV_CODEC_ZLIB, CLUSTER, 1000), NULL);
  CHECK_MEM_EQ (out, plain, 1000);
  CHECK_MEM_EQ (out + 1000, zeros, CLUSTER - 1000);
  CHECK_STR_EQ (decode_min (RV_CODEC_ZLIB, CLUSTER, 1001),
                "compressed data for less than a grain");
  CHECK_STR_EQ (decode (RV_CODEC_ZLIB),
                "compressed data for less than a grain");
}

static void
zlib_of_more_than_a_grain_is_damage (void)
{
  zlib_stream (CLUSTER + 1);
  CHECK_STR_EQ (decode (RV_CODEC_ZLIB),
                "compressed data for more than a grain");
}

static void
zlib_streams_are_whole_and_their_checksum_right (void)
{
  size_t whole;

  zlib_stream (CLUSTER);
  whole = len;
  packed[whole - 1] ^= 1;
  CHECK_STR_EQ (decode (RV_CODEC_ZLIB), "damaged compressed data");
  packed[whole - 1] ^= 1;
  for (len = 0; len < whole; len += 1 + len / 64)
    CHECK (decode (RV_CODEC_ZLIB) != NULL);
  len = whole - 1;
  CHECK (decode (RV_CODEC_ZLIB) != NULL);
}

static void
zlib_with_a_preset_dictionary_is_damage (void)
{
  deflate_into_packed (CLUSTER, 6, 15, Z_FINISH, "dictionary");
  CHECK_STR_EQ (decode (RV_CODEC_ZLIB), "damaged compressed data");
}

/*--- Zstandard ----------------------------------------------------------*/

/* Appends a frame of plain bytes; without its size if stream. */
static void
add_frame (size_t from, size_t n, bool stream, int window)
{
  ZSTD_CCtx *c = ZSTD_createCCtx ();
  ZSTD_inBuffer src = { plain + from, n, 0 };
  ZSTD_outBuffer dst = { packed + len, sizeof packed - len, 0 };

  if (window)
    ZSTD_CCtx_setParameter (c, ZSTD_c_windowLog, window);
  ZSTD_CCtx_setParameter (c, ZSTD_c_contentSizeFlag, !stream);
  if (stream) /* so that it does not know how much will come */
    ZSTD_compressStream2 (c, &dst, &src, ZSTD_e_flush);
  CHECK (ZSTD_compressStream2 (c, &dst, &src, ZSTD_e_end) == 0);
  len += dst.pos;
  ZSTD_freeCCtx (c);
}

static void
add_skippable (size_t n)
{
  static const uint8_t magic[] = { 0x50, 0x2a, 0x4d, 0x18 };

  memcpy (packed + len, magic, 4);
  packed[len + 4] = n;
  packed[len + 5] = n >> 8;
  packed[len + 6] = packed[len + 7] = 0;
  memset (packed + len + 8, 'x', n);
  len += 8 + n;
}

static void
one_zstd_frame_is_a_cluster (void)
{
  for (int stream = 0; stream <= 1; stream++) {
    len = 0;
    add_frame (0, CLUSTER, stream, 0);
    check_good (RV_CODEC_ZSTD);
    memset (packed + len, 0, 500); /* what follows is of no interest */
    len += 500;
    check_good (RV_CODEC_ZSTD);
  }
}

static void
several_zstd_frames_are_a_cluster (void)
{
  for (int stream = 0; stream <= 1; stream++) {
    len = 0;
    add_frame (0, 1000, stream, 0);
    add_frame (1000, 0, stream, 0);
    add_skippable (300);
    add_frame (1000, CLUSTER - 1000, !stream, 0);
    check_good (RV_CODEC_ZSTD);
  }
}

static void
skippable_frames_may_come_first (void)
{
  len = 0;
  for (int i = 0; i < 1000; i++)
    add_skippable (0);
  add_frame (0, CLUSTER, false, 0);
  check_good (RV_CODEC_ZSTD);
}

static void
nothing_but_skippable_frames_is_damage (void)
{
  len = 0;
  while (len < sizeof packed - 8)
    add_skippable (0);
  CHECK_STR_EQ (decode (RV_CODEC_ZSTD),
                "compressed data for less than a cluster");
}

static void
zstd_of_more_than_a_cluster_stops_there (void)
{
  for (int stream = 0; stream <= 1; stream++) {
    len = 0;
    add_frame (0, 2 * CLUSTER, stream, 0);
    check_good (RV_CODEC_ZSTD);
    len = 0;
    add_frame (0, CLUSTER - 5, stream, 0);
    add_frame (CLUSTER - 5, 1000, stream, 0);
    check_good (RV_CODEC_ZSTD);
  }
}

static void
zstd_of_less_than_a_cluster_is_damage (void)
{
  for (int stream = 0; stream <= 1; stream++) {
    len = 0;
    add_frame (0, CLUSTER - 1, stream, 0);
    CHECK_STR_EQ (decode (RV_CODEC_ZSTD),
                  "compressed data for less than a cluster");
  }
}

static void
truncated_zstd_is_damage_at_every_length (void)
{
  size_t whole;

  len = 0;
  add_frame (0, 1000, true, 0);
  add_frame (1000, CLUSTER - 1000, false, 0);
  whole = len;
  for (len = 0; len < whole - 8; len += 1 + len / 64)
    CHECK (decode (RV_CODEC_ZSTD) != NULL);
}

static void
changed_zstd_never_reads_or_writes_beyond (void)
{
  len = 0;
  add_frame (0, 1000, true, 0);
  add_frame (1000, CLUSTER - 1000, false, 0);
  for (size_t i = 0; i < len; i += 37) {
    packed[i] ^= 0x55;
    decode (RV_CODEC_ZSTD);
    packed[i] ^= 0x55;
  }
  check_good (RV_CODEC_ZSTD);
}

/* A frame header: windows above 8 MiB, or a content of 2^63 bytes. */
static void
frames_that_ask_for_much_memory_are_damage (void)
{
  static const uint8_t window_31[] = { 0x28,    0xb5, 0x2f, 0xfd, 0x00,
                                       21 << 3, 0x01, 0x00, 0x00 };
  static const uint8_t huge[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0,
                                  0,    0,    0,    0,    0x80, 1, 0, 0 };

  memcpy (packed, window_31, len = sizeof window_31);
  CHECK_STR_EQ (decode (RV_CODEC_ZSTD), "damaged compressed data");
  memcpy (packed, huge, len = sizeof huge);
  CHECK_STR_EQ (decode (RV_CODEC_ZSTD), "damaged compressed data");
  len = 0;
  add_frame (0, CLUSTER, true, 23);
  check_good (RV_CODEC_ZSTD);
}

/*--- Slots --------------------------------------------------------------*/

static void
scratch_memory_keeps_what_it_held (void)
{
  uint8_t *p = rv_codec_scratch (slot, 10);

  memcpy (p, "0123456789", 10);
  p = rv_codec_scratch (slot, 1 << 20);
  CHECK_MEM_EQ (p, "0123456789", 10);
  memset (p, 1, 1 << 20);
  CHECK (rv_codec_scratch (slot, 5) == p);
}

static void *
use_slots (void *opaque)
{
  for (int i = 0; i < 200; i++) {
    struct rv_codec_slot *s = rv_codecs_take (codecs);
    uint8_t *p = rv_codec_scratch (s, 1000 << i % 11);

    if (CHECK (p != NULL))
      memset (p, i, 1000);
    rv_codecs_give (codecs, s);
  }
  return NULL;
}

static void
more_threads_than_slots_take_turns (void)
{
  pthread_t threads[RV_CODECS + 8];

  for (size_t i = 0; i < RV_CODECS + 8; i++)
    REQUIRE (pthread_create (&threads[i], NULL, use_slots, NULL) == 0);
  for (size_t i = 0; i < RV_CODECS + 8; i++)
    pthread_join (threads[i], NULL);
}

int
main (void)
{
  rawview_error err;

  fill_plain ();
  if (!CHECK_OK (rv_codecs_new (&codecs, &err), err))
    return 1;
  slot = rv_codecs_take (codecs);
  TEST (deflate_of_exactly_a_cluster);
  TEST (deflate_may_be_followed_by_anything);
  TEST (deflate_of_more_than_a_cluster_stops_there);
  TEST (deflate_may_lack_its_final_block);
  TEST (deflate_of_less_than_a_cluster_is_damage);
  TEST (truncated_deflate_is_damage_at_every_length);
  TEST (changed_deflate_never_reads_or_writes_beyond);
  TEST (a_zlib_header_is_not_raw_deflate);
  TEST (zlib_of_exactly_a_grain);
  TEST (a_last_grain_may_be_short_and_ends_in_zeros);
  TEST (zlib_of_more_than_a_grain_is_damage);
  TEST (zlib_streams_are_whole_and_their_checksum_right);
  TEST (zlib_with_a_preset_dictionary_is_damage);
  TEST (one_zstd_frame_is_a_cluster);
  TEST (several_zstd_frames_are_a_cluster);
  TEST (skippable_frames_may_come_first);
  TEST (nothing_but_skippable_frames_is_damage);
  TEST (zstd_of_more_than_a_cluster_stops_there);
  TEST (zstd_of_less_than_a_cluster_is_damage);
  TEST (truncated_zstd_is_damage_at_every_length);
  TEST (changed_zstd_never_reads_or_writes_beyond);
  TEST (frames_that_ask_for_much_memory_are_damage);
  TEST (scratch_memory_keeps_what_it_held);
  rv_codecs_give (codecs, slot);
  TEST (more_threads_than_slots_take_turns);
  rv_codecs_free (codecs);
  return test_result ();
}
