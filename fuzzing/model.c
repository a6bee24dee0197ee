/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's first bytes as they must be, beside an image that is written. */

#include "fuzz.h"

#include <errno.h>

#define REQUEST_MAX (384u << 10)
/* Around a request, whole units are read before they are written. */
#define AROUND (2u << 20)

static uint64_t
sectors (uint64_t len)
{
  return rv_div_up (len, SECTOR);
}

/* Takes what is read as what must be. */
static void
learn (struct fuzz_model *m, struct fuzz_disk *disk, uint64_t off, uint64_t len)
{
  uint64_t end = rv_min_u64 (off + len, m->len);

  if (off >= end)
    return;
  memset (m->bad + off / SECTOR, 0, sectors (end) - off / SECTOR);
  if (rv_engine_pread (disk->engine, m->bytes + off, end - off, off, NULL) == 0)
    return;
  for (uint64_t s = off / SECTOR; s < sectors (end); s++)
    m->bad[s] = rv_engine_pread (disk->engine, m->bytes + s * SECTOR,
                                 rv_min_u64 (SECTOR, m->len - s * SECTOR),
                                 s * SECTOR, NULL) == -1;
}

void
fuzz_model_init (struct fuzz_model *m, struct fuzz_disk *disk)
{
  *m = (struct fuzz_model){ 0 };
  m->len = rv_min_u64 (disk->chain.ptr[0]->size, FUZZ_WINDOW);
  m->bytes = malloc (m->len + 1);
  m->bad = calloc (sectors (m->len) + 1, 1);
  FUZZ_CHECK (m->bytes && m->bad, "out of memory");
  fuzz_model_learn (m, disk);
}

void
fuzz_model_learn (struct fuzz_model *m, struct fuzz_disk *disk)
{
  learn (m, disk, 0, m->len);
}

void
fuzz_model_release (struct fuzz_model *m)
{
  free (m->bytes);
  free (m->bad);
}

static bool
is_good (const struct fuzz_model *m, uint64_t off, uint64_t len)
{
  uint64_t end = rv_min_u64 (off + len, m->len);

  for (uint64_t s = off / SECTOR; s < sectors (end); s++)
    if (m->bad[s])
      return false;
  return true;
}

static void
compare_sectors (struct fuzz_model *m, struct fuzz_disk *disk, uint64_t off,
                 uint64_t end, const char *when)
{
  uint8_t buf[SECTOR];
  rawview_error err = { 0 };

  for (uint64_t at = rv_align_down (off, SECTOR); at < end; at += SECTOR) {
    uint64_t n = rv_min_u64 (SECTOR, m->len - at);

    if (m->bad[at / SECTOR])
      continue;
    FUZZ_CHECK (rv_engine_pread (disk->engine, buf, n, at, &err) == 0,
                "%s: sector at %" PRIu64 ": %s", when, at, err.msg);
    for (uint64_t i = 0; i < n; i++)
      FUZZ_CHECK (buf[i] == m->bytes[at + i],
                  "%s: byte %" PRIu64 " is %02x, not %02x", when, at + i,
                  buf[i], m->bytes[at + i]);
  }
}

void
fuzz_model_compare (struct fuzz_model *m, struct fuzz_disk *disk, uint64_t off,
                    uint64_t len, const char *when)
{
  static uint8_t buf[FUZZ_WINDOW];
  uint64_t end = rv_min_u64 (off + len, m->len);

  if (off >= end)
    return;
  if (!is_good (m, off, end - off) ||
      rv_engine_pread (disk->engine, buf, end - off, off, NULL) == -1 ||
      memcmp (buf, m->bytes + off, end - off) != 0)
    compare_sectors (m, disk, off, end, when);
}

/*--- Requests -----------------------------------------------------------*/

/* A small file is full some day; some images forbid some places. */
static bool
may_fail (const rawview_error *err)
{
  return err->errnum == ENOSPC || err->errnum == EPERM ||
         err->errnum == ENOTSUP || err->kind == RAWVIEW_ERROR_LIMIT;
}

static void
failed (struct fuzz_model *m, struct fuzz_disk *disk, uint64_t off,
        uint64_t len, const rawview_error *err)
{
  uint64_t from = off - rv_min_u64 (off, AROUND);

  fuzz_check_error (err);
  FUZZ_CHECK (may_fail (err) || !is_good (m, from, len + 2 * AROUND) ||
                  off + len + AROUND > m->len,
              "a sound image refuses a request of %" PRIu64 " at %" PRIu64
              ": %s",
              len, off, err->msg);
  learn (m, disk, rv_align_down (off, SECTOR), len + SECTOR);
}

/* What was damaged is, where it was written in part, what it is now. */
static void
wrote (struct fuzz_model *m, struct fuzz_disk *disk, uint64_t off,
       const uint8_t *bytes, uint64_t len)
{
  uint64_t end = rv_min_u64 (off + len, m->len);

  if (off >= end)
    return;
  memcpy (m->bytes + off, bytes, end - off);
  for (uint64_t s = off / SECTOR; s < sectors (end); s++)
    if (m->bad[s] && s * SECTOR >= off && (s + 1) * SECTOR <= end)
      m->bad[s] = false;
    else if (m->bad[s])
      learn (m, disk, s * SECTOR, SECTOR);
}

static void
trimmed (struct fuzz_model *m, struct fuzz_disk *disk, uint64_t off,
         uint64_t len)
{
  static uint8_t now[REQUEST_MAX];
  uint64_t end = rv_min_u64 (off + len, m->len);

  if (off >= end)
    return;
  if (!is_good (m, off, end - off) ||
      rv_engine_pread (disk->engine, now, end - off, off, NULL) == -1) {
    learn (m, disk, rv_align_down (off, SECTOR), end - off + SECTOR);
    return;
  }
  for (uint64_t i = 0; i < end - off; i++)
    FUZZ_CHECK (now[i] == 0 || now[i] == m->bytes[off + i],
                "byte %" PRIu64 " is %02x after a trim", off + i, now[i]);
  memcpy (m->bytes + off, now, end - off);
}

static int
perform (struct fuzz_disk *disk, const struct fuzz_op *op, uint8_t *buf,
         uint64_t off, uint64_t len, rawview_error *err)
{
  switch (op->kind) {
  case FUZZ_WRITE:
    return rv_engine_pwrite (disk->engine, buf, len, off, err);
  case FUZZ_ZERO:
    return rv_engine_zero (disk->engine, len, off, 0, err);
  case FUZZ_ZERO_TRIM:
    return rv_engine_zero (disk->engine, len, off, RAWVIEW_ZERO_MAY_TRIM, err);
  case FUZZ_ZERO_FAST:
    return rv_engine_zero (disk->engine, len, off,
                           RAWVIEW_ZERO_MAY_TRIM | RAWVIEW_ZERO_FAST, err);
  case FUZZ_TRIM:
    return rv_engine_trim (disk->engine, len, off, err);
  case FUZZ_FLUSH:
    return rv_engine_flush (disk->engine, err);
  default:
    return rv_engine_pread (disk->engine, buf, len, off, err);
  }
}

static void
fill (uint8_t *buf, const struct fuzz_op *op, uint64_t off, uint64_t len)
{
  memset (buf, 0, len);
  for (uint64_t i = 0; op->kind == FUZZ_WRITE && op->value && i < len; i++)
    buf[i] = op->value + (off + i) / SECTOR;
}

static void
update (struct fuzz_model *m, struct fuzz_disk *disk, const struct fuzz_op *op,
        const uint8_t *buf, uint64_t off, uint64_t len)
{
  if (op->kind <= FUZZ_ZERO_FAST)
    wrote (m, disk, off, buf, len);
  else if (op->kind == FUZZ_TRIM)
    trimmed (m, disk, off, len);
  fuzz_model_compare (m, disk,
                      rv_align_down (off, SECTOR) -
                          rv_min_u64 (rv_align_down (off, SECTOR), 64u << 10),
                      len + (128u << 10), "after a request");
}

void
fuzz_request (struct fuzz_model *m, struct fuzz_disk *disk,
              const struct fuzz_op *op)
{
  static uint8_t buf[REQUEST_MAX];
  uint64_t size = disk->chain.ptr[0]->size;
  uint64_t off = size ? op->off % size : 0;
  uint64_t len = rv_min_u64 (op->len % REQUEST_MAX + 1, size - off);
  rawview_error err = { 0 };

  if (len == 0)
    return;
  fill (buf, op, off, len);
  if (perform (disk, op, buf, off, len, &err) == 0) {
    if (m)
      update (m, disk, op, buf, off, len);
  }
  else if (m)
    failed (m, disk, off, len, &err);
  else
    fuzz_check_error (&err);
}
