/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads all that can be read of an image, and compares what must agree. */

#include "fuzz.h"

#include <errno.h>

#include "engine/fetch.h"

#define ODD_CHUNK (37u * 1024u + 511u)

/*--- Facts --------------------------------------------------------------*/

static void
look_at_facts (const struct rv_format *f)
{
  FUZZ_CHECK (f->size <= RV_DEFAULT_MAX_SIZE, "the size is %" PRIu64, f->size);
  for (size_t i = 0; i < f->facts.len; i++) {
    const rawview_fact *fact = &f->facts.ptr[i];

    fuzz_check_text (fact->key);
    for (const char *p = fact->type == RAWVIEW_FACT_TEXT ? fact->text : ""; *p;
         p++)
      FUZZ_CHECK ((uint8_t) *p >= ' ' && *p != 0x7f, "fact %s is \"%s\"",
                  fact->key, fact->text);
  }
}

static int
look_at_snapshot (void *opaque, const rawview_snapshot *s)
{
  FUZZ_CHECK (s->id && s->name, "a snapshot without a name");
  return 0;
}

static void
look_at_layers (const struct fuzz_disk *disk)
{
  const struct rv_format *top = disk->chain.ptr[0];
  rawview_error err = { 0 };

  for (size_t i = 0; i < disk->chain.len; i++)
    look_at_facts (disk->chain.ptr[i]);
  for (size_t i = 0; i < disk->warnings.len; i++)
    fuzz_check_text (disk->warnings.ptr[i]);
  if (top->ops->snapshots &&
      top->ops->snapshots (disk->chain.ptr[0], look_at_snapshot, NULL, &err) ==
          -1)
    fuzz_check_error (&err);
}

/*--- Extents ------------------------------------------------------------*/

struct walk {
  struct fuzz_disk *disk;
  uint64_t next, end;
};

static void
must_be_zero (struct fuzz_disk *disk, uint64_t off, uint64_t len)
{
  static uint8_t buf[64 << 10];
  uint64_t n = rv_min_u64 (len, sizeof buf);
  rawview_error err;

  FUZZ_CHECK (rv_engine_pread (disk->engine, buf, n, off, &err) == 0,
              "zeros at %" PRIu64 ": %s", off, err.msg);
  for (uint64_t i = 0; i < n; i++)
    FUZZ_CHECK (buf[i] == 0, "called zero: byte %" PRIu64, off + i);
}

static void
must_be_data (struct fuzz_disk *disk, const rawview_extent *e, uint64_t at)
{
  uint8_t byte;
  rawview_error err = { 0 };
  int r = rv_engine_pread (disk->engine, &byte, 1, at, &err);

  if (r == -1)
    fuzz_check_error (&err);
  if (e->damaged)
    FUZZ_CHECK (r == -1 && err.errnum == EIO, "called damaged: byte %" PRIu64,
                at);
  else if (!e->compressed)
    FUZZ_CHECK (r == 0, "called good: byte %" PRIu64 ": %s", at, err.msg);
}

static int
look_at_extent (void *opaque, const rawview_extent *e)
{
  struct walk *w = opaque;

  FUZZ_CHECK (e->off == w->next && e->len > 0 && e->len <= w->end - e->off,
              "an extent of %" PRIu64 " at %" PRIu64 ", not at %" PRIu64,
              e->len, e->off, w->next);
  FUZZ_CHECK (!e->damaged || (!e->zero && !e->hole), "damaged, but zeros");
  w->next += e->len;
  if (e->zero) {
    must_be_zero (w->disk, e->off, e->len);
    must_be_zero (w->disk, w->next - rv_min_u64 (e->len, 4096),
                  rv_min_u64 (e->len, 4096));
    return 0;
  }
  must_be_data (w->disk, e, e->off);
  must_be_data (w->disk, e, w->next - 1);
  return 0;
}

static void
look_at_extents (struct fuzz_disk *disk, uint64_t off, uint64_t len)
{
  struct walk w = { disk, off, off + len };
  rawview_error err;

  for (unsigned calls = 0; w.next < w.end && calls < 8; calls++) {
    uint64_t from = w.next;

    FUZZ_CHECK (rv_engine_extents (disk->engine, w.end - w.next, w.next,
                                   RAWVIEW_EXTENTS_RUNS, look_at_extent, &w,
                                   &err) == 0,
                "extents at %" PRIu64 ": %s", from, err.msg);
    FUZZ_CHECK (w.next > from, "extents stand still at %" PRIu64, from);
  }
}

/*--- Bytes --------------------------------------------------------------*/

/* In pieces of other lengths the same comes, or damage. */
static void
read_again (struct fuzz_disk *disk, const uint8_t *all, uint64_t len, bool good)
{
  static uint8_t piece[ODD_CHUNK];
  rawview_error err;
  bool failed = false;

  for (uint64_t off = 0; off < len; off += ODD_CHUNK) {
    uint64_t n = rv_min_u64 (ODD_CHUNK, len - off);

    if (rv_engine_pread (disk->engine, piece, n, off, &err) == -1) {
      fuzz_check_error (&err);
      FUZZ_CHECK (!good, "read at once, not in pieces: %s", err.msg);
      failed = true;
    }
    else if (good)
      FUZZ_CHECK (memcmp (piece, all + off, n) == 0,
                  "at %" PRIu64 " a piece is not equal to the whole", off);
  }
  FUZZ_CHECK (failed || good, "read in pieces, not at once");
}

static void
look_at_bytes (struct fuzz_disk *disk, uint64_t size)
{
  static uint8_t all[FUZZ_WINDOW];
  uint64_t len = rv_min_u64 (size, FUZZ_WINDOW);
  rawview_error err = { 0 };
  bool good = rv_engine_pread (disk->engine, all, len, 0, &err) == 0;

  if (!good)
    fuzz_check_error (&err);
  read_again (disk, all, len, good);
}

void
fuzz_look (struct fuzz_disk *disk)
{
  uint64_t size = disk->chain.ptr[0]->size;
  uint64_t tail = size - rv_min_u64 (size, 200000);

  look_at_layers (disk);
  if (size == 0)
    return;
  look_at_extents (disk, 0, size);
  look_at_extents (disk, tail, size - tail);
  look_at_extents (disk, size / 2, size - size / 2);
  rv_fetch_decoded (disk->engine, rv_min_u64 (size, 1 << 20), 0);
  look_at_bytes (disk, size);
  rv_fetch (disk->engine, size - tail, tail);
}

/*--- Checking -----------------------------------------------------------*/

struct findings {
  uint64_t nr[RAWVIEW_FINDING_ERROR + 1];
};

static void
count_finding (void *opaque, rawview_finding finding, const char *msg)
{
  struct findings *f = opaque;

  fuzz_check_text (msg);
  f->nr[finding]++;
}

bool
fuzz_check (struct fuzz_disk *disk, rawview_check_result *result)
{
  struct rv_format *f = disk->chain.ptr[0];
  struct findings findings = { { 0 } };
  rawview_error err = { 0 };

  *result = (rawview_check_result){ 0 };
  if (f->ops->check == NULL)
    return false;
  if (f->ops->check (f, count_finding, &findings, result, &err) == -1) {
    fuzz_check_error (&err);
    return false;
  }
  FUZZ_CHECK (
      !findings.nr[RAWVIEW_FINDING_CORRUPTION] == !result->corruptions &&
          !findings.nr[RAWVIEW_FINDING_LEAK] == !result->leaks &&
          !findings.nr[RAWVIEW_FINDING_ERROR] == !result->check_errors,
      "check counts %" PRIu64 " %" PRIu64 " %" PRIu64 " and tells of %" PRIu64
      " %" PRIu64 " %" PRIu64,
      result->corruptions, result->leaks, result->check_errors,
      findings.nr[RAWVIEW_FINDING_CORRUPTION],
      findings.nr[RAWVIEW_FINDING_LEAK], findings.nr[RAWVIEW_FINDING_ERROR]);
  return true;
}
