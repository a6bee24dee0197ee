/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "format/format.h"
#include "format/qcow2-l2.h"
#include "format/qcow2-metadata.h"
#include "util/checked.h"

#define REFTABLE_RESERVED 0x1ffull

#define RADIX 256u
#define FEW   32u /* are sorted by insertion */

/* What must still be sorted: each part has its own digit, and leaves RADIX
 * others at most.
 */
struct part {
  uint64_t *v;
  size_t n;
};

#define MAX_PARTS (64u / 8 * RADIX)

static void
sort_few (uint64_t *v, size_t n)
{
  for (size_t i = 1; i < n; i++) {
    uint64_t x = v[i];
    size_t k = i;

    for (; k > 0 && v[k - 1] > x; k--)
      v[k] = v[k - 1];
    v[k] = x;
  }
}

/* Where the 8 bits begin that tell the elements apart, from the highest one. */
static unsigned
digit_shift (const uint64_t *v, size_t n)
{
  uint64_t differ = 0;
  unsigned high;

  for (size_t i = 1; i < n; i++)
    differ |= v[0] ^ v[i];
  high = differ ? 63 - __builtin_clzll (differ) : 0;
  return high < 7 ? 0 : high - 7;
}

/* Brings elements of one digit together; end[d] is where those of d end. */
static void
gather (uint64_t *v, size_t n, unsigned shift, size_t end[RADIX])
{
  size_t next[RADIX], at = 0;

  memset (end, 0, RADIX * sizeof *end);
  for (size_t i = 0; i < n; i++)
    end[v[i] >> shift & (RADIX - 1)]++;
  for (unsigned d = 0; d < RADIX; d++) {
    next[d] = at;
    at = end[d] += at;
  }
  for (unsigned d = 0; d < RADIX; d++)
    while (next[d] < end[d]) {
      unsigned of = v[next[d]] >> shift & (RADIX - 1);
      uint64_t t = v[next[d]];
      size_t to = next[of]++;

      if (of == d)
        continue;
      v[next[d]] = v[to];
      v[to] = t;
    }
}

static bool
is_sorted (const uint64_t *v, size_t n)
{
  for (size_t i = 1; i < n; i++)
    if (v[i - 1] > v[i])
      return false;
  return true;
}

/* By digits, in place: no order makes it slow, and unlike qsort it takes no
 * memory.
 */
static void
sort_offsets (uint64_t *v, size_t n)
{
  struct part stack[MAX_PARTS];
  size_t depth = 0, end[RADIX];

  stack[depth++] = (struct part){ v, n };
  while (depth > 0) {
    struct part p = stack[--depth];
    unsigned shift;

    if (is_sorted (p.v, p.n))
      continue;
    if (p.n <= FEW) {
      sort_few (p.v, p.n);
      continue;
    }
    shift = digit_shift (p.v, p.n);
    gather (p.v, p.n, shift, end);
    for (unsigned d = 0; shift > 0 && d < RADIX; d++) {
      size_t from = d ? end[d - 1] : 0;

      if (end[d] - from > 1)
        stack[depth++] = (struct part){ p.v + from, end[d] - from };
    }
  }
}

size_t
rv_offsets_lower_bound (const struct rv_offsets *v, uint64_t off)
{
  size_t lo = 0, hi = v->len;

  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;

    if (v->ptr[mid] < off)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

bool
rv_offsets_contain (const struct rv_offsets *v, uint64_t off)
{
  size_t i = rv_offsets_lower_bound (v, off);

  return i < v->len && v->ptr[i] == off;
}

size_t
rv_offsets_overlap (const struct rv_offsets *v, uint64_t size, uint64_t off,
                    uint64_t len)
{
  /* The first that ends beyond off. */
  size_t i = rv_offsets_lower_bound (v, off < size ? 0 : off - size + 1);

  return i < v->len && rv_ranges_overlap (off, len, v->ptr[i], size) ? i
                                                                     : v->len;
}

int
rv_offsets_sort (struct rv_offsets *v, struct rv_offsets *dup)
{
  size_t n = 0;

  if (v->len == 0)
    return 0;
  sort_offsets (v->ptr, v->len);
  for (size_t i = 0; i < v->len; i++) {
    if (n == 0 || v->ptr[n - 1] != v->ptr[i])
      v->ptr[n++] = v->ptr[i];
    else if (dup && (dup->len == 0 || dup->ptr[dup->len - 1] != v->ptr[i]) &&
             rv_offsets_append (dup, v->ptr[i]) == -1)
      return -1;
  }
  v->len = n;
  return 0;
}

static int
collect_l2 (struct rv_qcow2_metadata *m, const uint8_t *l1, uint32_t l1_size,
            uint64_t file_size)
{
  for (uint32_t i = 0; i < l1_size; i++) {
    uint64_t off = rv_be64 (l1 + (uint64_t) i * 8) & QCOW2_OFFSET_MASK;

    if (off == 0 || off >= file_size || off & (m->cluster_size - 1))
      continue; /* damage, but no table */
    if (rv_offsets_append (&m->l2, off) == -1)
      return -1;
  }
  return rv_offsets_sort (&m->l2, &m->shared_l2);
}

/* Adds the blocks named by table; false if an entry is impossible. */
static bool
collect_refblocks (struct rv_qcow2_metadata *m, const uint8_t *table,
                   uint64_t len, uint64_t file_size, bool *nomem)
{
  for (uint64_t i = 0; i < len; i += 8) {
    uint64_t entry = rv_be64 (table + i);

    if (entry == 0)
      continue;
    if (entry & REFTABLE_RESERVED || entry & (m->cluster_size - 1) ||
        entry >= file_size)
      return false;
    if (rv_offsets_append (&m->refblocks, entry) == -1) {
      *nomem = true;
      return false;
    }
  }
  return true;
}

static int
load_refblocks (struct rv_qcow2_metadata *m, struct rv_io *io,
                const struct rv_qcow2_header *header, rawview_error *err)
{
  uint64_t len = (uint64_t) header->refcount_table_clusters
                 << header->cluster_bits;
  uint64_t off = header->refcount_table_off;
  CLEANUP_FREE uint8_t *table = NULL;
  bool nomem = false, sane;

  if (len == 0 || len > QCOW2_MAX_REFTABLE_BYTES || off == 0 ||
      off & (m->cluster_size - 1) || !rv_range_fits (off, len, io->size))
    return 0;
  table = malloc (len);
  if (table == NULL)
    return rv_error_nomem (err);
  if (rv_io_pread (io, table, len, off, err) == -1)
    return -1;
  sane = collect_refblocks (m, table, len, io->size, &nomem);
  if (nomem)
    return rv_error_nomem (err);
  if (!sane) {
    rv_offsets_release (&m->refblocks);
    return 0;
  }
  m->reftable_off = off;
  m->reftable_len = len;
  return rv_offsets_sort (&m->refblocks, NULL);
}

int
rv_qcow2_metadata_init (struct rv_qcow2_metadata *m, struct rv_io *io,
                        const struct rv_qcow2_header *header, const uint8_t *l1,
                        uint64_t l1_off, uint32_t l1_size, rawview_error *err)
{
  *m = (struct rv_qcow2_metadata){
    .cluster_size = rv_qcow2_cluster_size (header),
    .l1_off = l1_off,
    .l1_len =
        rv_div_up ((uint64_t) l1_size * 8, rv_qcow2_cluster_size (header)) *
        rv_qcow2_cluster_size (header),
  };
  if (collect_l2 (m, l1, l1_size, io->size) == -1) {
    rv_error_nomem (err);
    goto fail;
  }
  if (load_refblocks (m, io, header, err) == -1)
    goto fail;
  return 0;

fail:
  rv_qcow2_metadata_release (m);
  return -1;
}

uint64_t
rv_qcow2_metadata_bytes (const struct rv_qcow2_metadata *m)
{
  return (m->l2.cap + m->shared_l2.cap + m->refblocks.cap) * sizeof *m->l2.ptr;
}

void
rv_qcow2_metadata_release (struct rv_qcow2_metadata *m)
{
  rv_offsets_release (&m->l2);
  rv_offsets_release (&m->shared_l2);
  rv_offsets_release (&m->refblocks);
}

/* Cuts *clear where the table off2..off2+len2 begins within off..off+*clear. */
static void
cut (uint64_t off, uint64_t *clear, uint64_t off2, uint64_t len2,
     const char *name, const char **what)
{
  if (!rv_ranges_overlap (off, *clear, off2, len2))
    return;
  *clear = off2 > off ? off2 - off : 0;
  *what = name;
}

static void
cut_clusters (const struct rv_qcow2_metadata *m, const struct rv_offsets *v,
              uint64_t off, uint64_t *clear, const char *name,
              const char **what)
{
  size_t i = rv_offsets_overlap (v, m->cluster_size, off, *clear);

  if (i < v->len)
    cut (off, clear, v->ptr[i], m->cluster_size, name, what);
}

uint64_t
rv_qcow2_metadata_clear (const struct rv_qcow2_metadata *m, uint64_t off,
                         uint64_t len, const char **what)
{
  uint64_t clear = len;

  cut (off, &clear, 0, m->cluster_size, "the header", what);
  cut (off, &clear, m->l1_off, m->l1_len, "the L1 table", what);
  cut (off, &clear, m->reftable_off, m->reftable_len, "the refcount table",
       what);
  cut_clusters (m, &m->l2, off, &clear, "an L2 table", what);
  cut_clusters (m, &m->refblocks, off, &clear, "a refcount block", what);
  return clear;
}

bool
rv_qcow2_metadata_l2_shared (const struct rv_qcow2_metadata *m, uint64_t off)
{
  return rv_offsets_contain (&m->shared_l2, off);
}

bool
rv_qcow2_metadata_is_refblock (const struct rv_qcow2_metadata *m, uint64_t off)
{
  return rv_offsets_contain (&m->refblocks, off);
}
