/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a range of the disk needs is collected as ranges of files, which are
 * sorted and joined: a request to a slow storage takes as long as many
 * kilobytes do.
 */

#include <config.h>

#include "engine/engine-internal.h"
#include "engine/fetch.h"
#include "util/checked.h"
#include "util/vector.h"

/* Ranges that lie so close together are read as one; so much in all is read for
 * the sake of that, or who has scattered what he wants gets all that is
 * between.
 */
#define GAP      (256u << 10)
#define GAPS_MAX (16u << 20)

/* More are not collected, so that memory is bounded. */
#define RANGES_MAX 4096u

/* Of a slow storage no more of the disk is fetched at a time: with what it
 * takes in the files it would push out itself (open.c: AHEAD_BUDGET).
 */
#define SLOW_MAX (16u << 20)

/* Tables are fetched for so much of the disk at a time. */
#define TABLES_SPAN (1ull << 30)

struct range {
  struct rv_io *io;
  uint64_t off, len;
};
DEFINE_VECTOR (ranges, struct range);

/* Nonzero: no more. */
static int
collect (void *opaque, struct rv_io *io, uint64_t off, size_t len)
{
  struct ranges *rs = opaque;
  struct range r = { io, off, len };

  return rs->len == RANGES_MAX || ranges_append (rs, r) == -1;
}

static int
by_place (const void *a, const void *b)
{
  const struct range *x = a, *y = b;

  if (x->io != y->io)
    return (uintptr_t) x->io < (uintptr_t) y->io ? -1 : 1;
  return x->off < y->off ? -1 : x->off > y->off;
}

/* Of ranges that are sorted: joins the first with those that follow closely,
 * and says how many these are.  *gaps: the bytes that may still lie between.
 */
static size_t
join (const struct range *r, size_t n, struct range *joined, uint64_t *gaps)
{
  size_t i;

  *joined = r[0];
  for (i = 1; i < n; i++) {
    uint64_t end = joined->off + joined->len;
    uint64_t gap = r[i].off - rv_min_u64 (end, r[i].off);

    if (r[i].io != joined->io || gap > rv_min_u64 (GAP, *gaps))
      break;
    *gaps -= gap;
    joined->len = rv_max_u64 (end, r[i].off + r[i].len) - joined->off;
  }
  return i;
}

/* Who closes the image waits for one request and not for all. */
static void
prefetch_all (struct rv_engine *e, struct ranges *rs)
{
  struct range joined;
  uint64_t gaps = GAPS_MAX;

  qsort (rs->ptr, rs->len, sizeof *rs->ptr, by_place);
  for (size_t i = 0; i < rs->len && !atomic_load (&e->closing);) {
    i += join (rs->ptr + i, rs->len - i, &joined, &gaps);
    rv_io_prefetch (joined.io, joined.off, joined.len);
  }
}

/*--- Tables -------------------------------------------------------------*/

struct missing {
  struct rv_tables *tables;
  struct ranges ranges;
};

/* As collect, but for those that are in the cache. */
static int
collect_missing (void *opaque, struct rv_io *io, uint64_t off, size_t len)
{
  struct missing *m = opaque;

  return rv_tables_holds (m->tables, io, off, len)
             ? 0
             : collect (&m->ranges, io, off, len);
}

/* Puts what was collected into the cache of tables. */
static void
pin_all (struct rv_engine *e, struct rv_tables *tables, const struct ranges *rs)
{
  for (size_t i = 0; i < rs->len && !atomic_load (&e->closing); i++) {
    const struct range *r = &rs->ptr[i];
    struct rv_table *table;
    const uint8_t *bytes;

    if (rv_tables_pin (tables, r->io, r->off, r->len, &table, &bytes, NULL) ==
        0)
      rv_table_unpin (tables, table);
  }
}

static void
fetch_tables_of (struct rv_engine *e, struct rv_format *f, uint64_t len,
                 uint64_t off)
{
  struct missing m = { .tables = f->tables };

  if (!f->io->slow || f->ops->tables_of == NULL || off >= f->size)
    return;
  f->ops->tables_of (f, off, rv_min_u64 (len, f->size - off), collect_missing,
                     &m);
  if (m.ranges.len > 1) {
    prefetch_all (e, &m.ranges);
    pin_all (e, f->tables, &m.ranges);
  }
  ranges_release (&m.ranges);
}

/* Once for each span, unless others came between that share its slot. */
uint64_t
rv_fetch_tables (struct rv_engine *e, uint64_t len, uint64_t off)
{
  uint64_t span = off / TABLES_SPAN;
  _Atomic uint64_t *slot = &e->spans[span % RV_SPANS];

  if (!e->slow)
    return len;
  if (atomic_exchange (slot, span + 1) != span + 1)
    for (size_t i = 0; i < e->chain->len; i++)
      fetch_tables_of (e, e->chain->ptr[i], TABLES_SPAN, span * TABLES_SPAN);
  return rv_min_u64 (len, (span + 1) * TABLES_SPAN - off);
}

/*--- Bytes --------------------------------------------------------------*/

enum what { ALL, COMPRESSED, DECODED };

static void
fetch_run (struct rv_engine *e, const struct rv_map *map, enum what what,
           struct ranges *slow)
{
  bool compressed = map->kind == RV_MAP_COMPRESSED;
  uint64_t len = compressed ? map->host_len : map->len;

  if (!compressed && (map->kind != RV_MAP_DATA || what == COMPRESSED))
    return;
  if (map->host_avail != 0)
    len = rv_min_u64 (len, map->host_avail);
  if (map->io->slow)
    collect (slow, map->io, map->host_off, len);
  else if (what == ALL)
    rv_io_prefetch (map->io, map->host_off, len);
  else if (what == DECODED && compressed)
    rv_engine_decode_ahead (e, map);
}

static void
fetch_runs (struct rv_engine *e, uint64_t len, uint64_t off, enum what what,
            struct ranges *slow)
{
  unsigned steps = 0, depth = 0;

  for (; len > 0 && steps < RV_WALK_MAX; steps += depth + 1) {
    struct rv_map map;
    uint64_t n = len;

    if (rv_chain_map (e->chain, off, len, &map, &depth, &n, NULL) == 0) {
      n = map.len;
      fetch_run (e, &map, what, slow);
    }
    off += n;
    len -= n;
  }
}

/* What is on slow storages is fetched outside of the grace period: nobody
 * writes there, and who waits for its end would wait for long.
 */
static void
fetch (struct rv_engine *e, uint64_t len, uint64_t off, enum what what)
{
  struct ranges slow = { 0 };
  unsigned phase;

  if (len == 0)
    return;
  if (e->slow) {
    len = rv_min_u64 (len, SLOW_MAX);
    rv_fetch_tables (e, len, off);
  }
  phase = rv_engine_enter (e);
  fetch_runs (e, len, off, what, &slow);
  rv_engine_leave (e, phase);
  if (slow.len > 0)
    prefetch_all (e, &slow);
  ranges_release (&slow);
}

void
rv_fetch (struct rv_engine *e, uint64_t len, uint64_t off)
{
  fetch (e, len, off, ALL);
}

void
rv_fetch_decoded (struct rv_engine *e, uint64_t len, uint64_t off)
{
  fetch (e, len, off, e->slow ? ALL : DECODED);
}

void
rv_fetch_compressed (struct rv_engine *e, uint64_t len, uint64_t off)
{
  fetch (e, len, off, COMPRESSED);
}
