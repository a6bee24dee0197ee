/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which values may each sector have at which time?
 *
 * A sector that is read after a crash has what a request that had begun put
 * there, or what it had at first.  A value is ruled out once a request that
 * came later, and that changes the sector for certain, was answered before a
 * flush began that has returned.  Trim never changes for certain; a request
 * that failed may have happened in part.
 */

#include "crash.h"

#define MAGIC 0xc4a5ull

void
crash_model_init (struct crash_model *m, const struct crash_image *image)
{
  *m = (struct crash_model){ .image = image };
  pthread_mutex_init (&m->lock, NULL);
}

void
crash_model_release (struct crash_model *m)
{
  pthread_mutex_destroy (&m->lock);
  free (m->requests);
  free (m->first);
  free (m->by);
  free (m->base_until);
  free (m->base_replaced);
}

/*--- What happened ------------------------------------------------------*/

static size_t
now (struct rv_trace *trace)
{
  LOCKED (&trace->lock);

  return trace->len;
}

uint32_t
crash_model_begin (struct crash_model *m, struct rv_trace *trace,
                   enum crash_op op, uint64_t off, uint64_t len, unsigned flags)
{
  LOCKED (&m->lock);

  if (m->len == m->room) {
    m->room = m->room ? 2 * m->room : 256;
    m->requests = reallocarray (m->requests, m->room, sizeof m->requests[0]);
    if (m->requests == NULL)
      crash_die ("out of memory");
  }
  m->requests[m->len] = (struct crash_request){ .op = op,
                                                .off = off,
                                                .len = len,
                                                .flags = flags,
                                                .begin = m->order++,
                                                .end = UINT64_MAX,
                                                .from = now (trace),
                                                .to = SIZE_MAX,
                                                .durable = SIZE_MAX };
  return m->len++;
}

void
crash_model_end (struct crash_model *m, struct rv_trace *trace,
                 uint32_t request, bool ok)
{
  LOCKED (&m->lock);

  m->requests[request].ok = ok;
  m->requests[request].end = m->order++;
  m->requests[request].to = now (trace);
}

/*--- What follows from it -----------------------------------------------*/

static void
find_durable (struct crash_model *m)
{
  for (size_t i = 0; i < m->len; i++)
    for (size_t k = 0; k < m->len; k++) {
      const struct crash_request *flush = &m->requests[k];

      if (flush->op == CRASH_FLUSH && flush->ok &&
          flush->begin > m->requests[i].end &&
          flush->to < m->requests[i].durable)
        m->requests[i].durable = flush->to;
    }
}

static void
index_sectors (struct crash_model *m, uint64_t sectors)
{
  size_t *next;

  m->first = crash_alloc ((sectors + 1) * sizeof m->first[0]);
  for (size_t i = 0; i < m->len; i++)
    for (uint64_t s = 0; s < m->requests[i].len / SECTOR; s++)
      m->first[m->requests[i].off / SECTOR + s + 1]++;
  for (uint64_t s = 0; s < sectors; s++)
    m->first[s + 1] += m->first[s];
  m->by = crash_alloc (m->first[sectors] * sizeof m->by[0]);
  next = crash_alloc (sectors * sizeof *next);
  memcpy (next, m->first, sectors * sizeof *next);
  for (size_t i = 0; i < m->len; i++)
    for (uint64_t s = 0; s < m->requests[i].len / SECTOR; s++)
      m->by[next[m->requests[i].off / SECTOR + s]++].request = i;
  free (next);
}

/* When was what request, or NULL for the first value, put there replaced? */
static void
find_until (const struct crash_model *m, uint64_t sector,
            const struct crash_request *r, size_t *until, bool *replaced)
{
  *until = SIZE_MAX;
  *replaced = false;
  for (size_t k = m->first[sector]; k < m->first[sector + 1]; k++) {
    const struct crash_request *later = &m->requests[m->by[k].request];

    if (later->op == CRASH_TRIM || !later->ok || (r && later->begin < r->end))
      continue;
    *replaced = true;
    if (later->durable < *until)
      *until = later->durable;
  }
}

void
crash_model_finish (struct crash_model *m)
{
  uint64_t sectors = m->image->size / SECTOR;

  find_durable (m);
  index_sectors (m, sectors);
  m->base_until = crash_alloc (sectors * sizeof m->base_until[0]);
  m->base_replaced = crash_alloc (sectors * sizeof m->base_replaced[0]);
  for (uint64_t s = 0; s < sectors; s++) {
    find_until (m, s, NULL, &m->base_until[s], &m->base_replaced[s]);
    for (size_t k = m->first[s]; k < m->first[s + 1]; k++)
      find_until (m, s, &m->requests[m->by[k].request], &m->by[k].until,
                  &m->by[k].replaced);
  }
}

/*--- Sectors ------------------------------------------------------------*/

void
crash_fill (uint8_t *buf, uint32_t request, uint64_t sector)
{
  uint64_t words[SECTOR / 8];

  words[0] = MAGIC << 48 | (uint64_t) (request & 0xffffff) << 24 | sector;
  for (size_t i = 1; i < SECTOR / 8; i++)
    words[i] = words[0] * (2 * i + 1) ^ words[0] >> 7;
  memcpy (buf, words, SECTOR);
}

static bool
is_zero (const uint8_t *bytes)
{
  return bytes[0] == 0 && memcmp (bytes, bytes + 1, SECTOR - 1) == 0;
}

static bool
is_of (const uint8_t *bytes, uint32_t request, uint64_t sector)
{
  uint8_t want[SECTOR];

  crash_fill (want, request, sector);
  return memcmp (bytes, want, SECTOR) == 0;
}

static bool
touch_allowed (const struct crash_model *m, const struct crash_touch *by,
               size_t t)
{
  if (t == CRASH_NOW)
    return !by->replaced;
  return m->requests[by->request].from <= t && t < by->until;
}

bool
crash_allowed (const struct crash_model *m, uint64_t sector,
               const uint8_t *bytes, size_t t)
{
  const uint8_t *base = m->image->expected + sector * SECTOR;
  bool zero = is_zero (bytes);
  uint64_t head;

  if (t == CRASH_NOW ? !m->base_replaced[sector] : t < m->base_until[sector])
    if (memcmp (bytes, base, SECTOR) == 0)
      return true;
  memcpy (&head, bytes, sizeof head);
  if (!zero && head >> 48 != MAGIC)
    return false;
  for (size_t k = m->first[sector]; k < m->first[sector + 1]; k++) {
    const struct crash_touch *by = &m->by[k];
    bool write = m->requests[by->request].op == CRASH_WRITE;

    if (zero == !write && touch_allowed (m, by, t) &&
        (zero || ((head >> 24 & 0xffffff) == by->request &&
                  is_of (bytes, by->request, sector))))
      return true;
  }
  return false;
}

static const char *
describe (const struct crash_model *m, const uint8_t *bytes, uint64_t sector,
          char *buf, size_t len)
{
  uint64_t head;

  memcpy (&head, bytes, sizeof head);
  if (is_zero (bytes))
    return "zeros";
  if (memcmp (bytes, m->image->expected + sector * SECTOR, SECTOR) == 0)
    return "what it was at first";
  if (head >> 48 != MAGIC)
    return "rubbish";
  snprintf (buf, len, "sector %ju of request %ju",
            (uintmax_t) (head & 0xffffff), (uintmax_t) (head >> 24 & 0xffffff));
  return buf;
}

bool
crash_disk_allowed (const struct crash_model *m, const uint8_t *bytes, size_t t,
                    char *why, size_t why_len)
{
  char has[80];
  size_t n = 0;

  for (uint64_t s = 0; s < m->image->size / SECTOR; s++) {
    if (crash_allowed (m, s, bytes + s * SECTOR, t))
      continue;
    if (why == NULL)
      return false;
    n = snprintf (why, why_len,
                  "guest sector %ju is %s; its requests:", (uintmax_t) s,
                  describe (m, bytes + s * SECTOR, s, has, sizeof has));
    for (size_t k = m->first[s]; k < m->first[s + 1] && n < why_len; k++) {
      uint32_t r = m->by[k].request;

      n += snprintf (why + n, why_len - n, " %u:%c", r,
                     "wzt"[m->requests[r].op]);
      if (n < why_len && m->by[k].until <= t)
        n += snprintf (why + n, why_len - n, "(gone)");
    }
    return false;
  }
  return true;
}
