/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: where do these guest bytes live?
 *
 * L1 entry -> piece of an L2 table -> run of entries.  A run goes on while the
 * entries say the same kind of thing about adjoining host bytes, at most to the
 * end of the piece.  Everything is checked when it is used: alignment, inside
 * the file, not a table.
 */

#include <config.h>

#include "format/qcow2-entries.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

/* What one cluster, or equal subclusters of it, say from some offset on. */
struct segment {
  enum rv_map_kind kind;
  uint64_t len;
  uint64_t host_off; /* DATA, COMPRESSED */
  uint32_t host_len; /* COMPRESSED */
  bool hole;         /* ZERO */
};

struct lookup {
  struct rv_qcow2 *q;
  uint64_t off; /* guest */
  uint64_t len; /* of the question, ends within one piece */
  const uint8_t *entries;
  uint32_t index; /* of off's cluster in entries */
  uint64_t end;   /* host offset: what it names from there on is missing */
};

static uint64_t
cluster_size (const struct rv_qcow2 *q)
{
  return rv_qcow2_cluster_size (&q->header);
}

/* Equal subclusters from the one at offset in of the cluster on. */
static void
subcluster_segment (const struct rv_qcow2 *q, const struct rv_qcow2_cluster *c,
                    uint64_t in, struct segment *s)
{
  uint64_t size = cluster_size (q) / QCOW2_SUBCLUSTERS;
  unsigned first = in / size, n = first + 1;
  bool alloc = c->alloc >> first & 1, zero = c->zero >> first & 1;

  while (n < QCOW2_SUBCLUSTERS && (c->alloc >> n & 1) == alloc &&
         (c->zero >> n & 1) == zero)
    n++;
  s->kind = alloc ? RV_MAP_DATA : zero ? RV_MAP_ZERO : RV_MAP_PARENT;
  s->len = n * size - in;
  s->host_off = c->host_off + in;
  s->hole = c->host_off == 0;
}

/* Returns NULL or what is wrong with the entry. */
static const char *
segment_at (const struct lookup *l, uint64_t off, struct segment *s)
{
  const struct rv_qcow2 *q = l->q;
  uint64_t start = rv_align_down (off, cluster_size (q));
  uint32_t i = l->index + ((off - l->off + l->off % cluster_size (q)) >>
                           q->header.cluster_bits);
  struct rv_qcow2_cluster c;
  const char *wrong = rv_qcow2_l2_decode (
      l->entries + (size_t) i * rv_qcow2_entry_len (q), &q->header, start, &c);

  if (wrong)
    return wrong;
  *s = (struct segment){ .len = start + cluster_size (q) - off,
                         .host_off = c.host_off + (off - start),
                         .hole = c.host_off == 0 };
  switch (c.kind) {
  case QCOW2_CLUSTER_UNALLOCATED:
    s->kind = RV_MAP_PARENT;
    break;
  case QCOW2_CLUSTER_ZERO:
    s->kind = RV_MAP_ZERO;
    break;
  case QCOW2_CLUSTER_DATA:
    s->kind = RV_MAP_DATA;
    break;
  case QCOW2_CLUSTER_COMPRESSED:
    s->kind = RV_MAP_COMPRESSED;
    s->host_off = c.host_off;
    s->host_len = c.host_len;
    break;
  case QCOW2_CLUSTER_SUBCLUSTERS:
    subcluster_segment (q, &c, off - start, s);
    break;
  }
  return NULL;
}

/* Does s go on where run, of len bytes, ends? */
static bool
continues (const struct segment *run, const struct segment *s)
{
  if (run->kind != s->kind)
    return false;
  switch (run->kind) {
  case RV_MAP_DATA:
    return s->host_off == run->host_off + run->len;
  case RV_MAP_ZERO:
    return s->hole == run->hole;
  case RV_MAP_PARENT:
    return true;
  default:
    return false;
  }
}

int
rv_qcow2_bad_l2_entry (const struct rv_qcow2 *q, uint64_t guest_off,
                       uint64_t entry, const char *wrong, rawview_error *err)
{
  return rv_error_corrupt (err,
                           "%s: the QCOW2 L2 entry %#jx for guest offset %#jx "
                           "has %s",
                           q->base.io->name, (uintmax_t) entry,
                           (uintmax_t) guest_off, wrong);
}

static int
damaged_cluster (const struct lookup *l, const char *wrong, uint64_t *damaged,
                 rawview_error *err)
{
  uint64_t in = l->off % cluster_size (l->q);
  uint64_t entry =
      rv_be64 (l->entries + (size_t) l->index * rv_qcow2_entry_len (l->q));

  *damaged = rv_min_u64 (cluster_size (l->q) - in, l->len);
  return rv_qcow2_bad_l2_entry (l->q, l->off - in, entry, wrong, err);
}

/* How many of len host bytes hold no table; see rv_qcow2_metadata_clear.  Those
 * of this run of the program are only looked for if there are any.
 */
static uint64_t
clear_of_tables (struct rv_qcow2 *q, uint64_t off, uint64_t len,
                 const char **what)
{
  struct rv_qcow2_writing *w = q->writing;
  uint64_t clear = rv_qcow2_metadata_clear (&q->metadata, off, len, what), ours;

  if (w == NULL || atomic_load (&w->nr_own) == 0)
    return clear;
  ours = rv_qcow2_own_clear (q, off, clear);
  if (ours < clear)
    *what = "a table";
  return ours;
}

/* The run's host bytes must be inside the file and clear of tables.  Shortens
 * the run to its good part.
 */
static const char *
check_data (const struct lookup *l, struct segment *run)
{
  struct rv_qcow2 *q = l->q;
  uint64_t size = rv_min_u64 (q->data_io->size, l->end), end;
  const char *what = NULL;

  if (rv_align_down (run->host_off, cluster_size (q)) >= size)
    return "an offset beyond the end of the file";
  /* The last host cluster need not be complete, but what starts behind it is
   * missing.
   */
  end = rv_div_up (size, cluster_size (q)) * cluster_size (q);
  run->len = rv_min_u64 (run->len, end - run->host_off);
  if (q->data_io != q->base.io)
    return NULL;
  run->len = clear_of_tables (q, run->host_off, run->len, &what);
  return run->len == 0 ? what : NULL;
}

static const char *
check_compressed (const struct lookup *l, struct segment *s)
{
  struct rv_qcow2 *q = l->q;
  uint64_t size = rv_min_u64 (q->base.io->size, l->end);
  const char *what = NULL;

  if (s->host_off >= size)
    return "a compressed cluster beyond the end of the file";
  s->host_len = rv_min_u64 (s->host_len, size - s->host_off);
  if (clear_of_tables (q, s->host_off, s->host_len, &what) < s->host_len)
    return what;
  return NULL;
}

static void
answer_data (const struct rv_qcow2 *q, const struct segment *run,
             struct rv_map *map)
{
  uint64_t size = q->data_io->size;

  if (run->host_off >= size) {
    /* In the missing tail of the last host cluster. */
    map->kind = RV_MAP_ZERO;
    return;
  }
  map->io = q->data_io;
  map->host_off = run->host_off;
  /* What is written to may get holes: where less than a cluster was filled. */
  map->sparse_host = q->sparse_data || q->writing != NULL;
  if (run->len > size - run->host_off)
    map->host_avail = size - run->host_off;
}

static void
answer_compressed (const struct lookup *l, const struct segment *s,
                   struct rv_map *map)
{
  map->io = l->q->base.io;
  map->codec = l->q->header.compression_type == QCOW2_COMPRESSION_ZSTD
                   ? RV_CODEC_ZSTD
                   : RV_CODEC_DEFLATE;
  map->host_off = s->host_off;
  map->host_len = s->host_len;
  map->unit_off = rv_align_down (l->off, cluster_size (l->q));
  map->unit_len = map->unit_min = cluster_size (l->q);
}

static int
answer (const struct lookup *l, struct segment *run, struct rv_map *map,
        uint64_t *damaged, rawview_error *err)
{
  uint64_t len = run->len;
  const char *wrong = NULL;

  if (run->kind == RV_MAP_DATA)
    wrong = check_data (l, run);
  else if (run->kind == RV_MAP_COMPRESSED)
    wrong = check_compressed (l, run);
  if (wrong) {
    damaged_cluster (l, wrong, damaged, err);
    *damaged = rv_min_u64 (*damaged, len); /* not the next subclusters */
    return -1;
  }
  *map = (struct rv_map){ .kind = run->kind,
                          .len = rv_min_u64 (run->len, l->len),
                          .hole = run->hole };
  if (run->kind == RV_MAP_DATA)
    answer_data (l->q, run, map);
  else if (run->kind == RV_MAP_COMPRESSED)
    answer_compressed (l, run, map);
  return 0;
}

static int
map_entries (const struct lookup *l, struct rv_map *map, uint64_t *damaged,
             rawview_error *err)
{
  struct segment run, next;
  const char *wrong = segment_at (l, l->off, &run);

  if (wrong)
    return damaged_cluster (l, wrong, damaged, err);
  while (run.len < l->len && segment_at (l, l->off + run.len, &next) == NULL &&
         continues (&run, &next))
    run.len += next.len;
  return answer (l, &run, map, damaged, err);
}

/*--- The L1 table -------------------------------------------------------*/

/* The entry of off was 0 when it was loaded; by now it may name a table. */
static void
map_unallocated (const struct rv_qcow2 *q, uint64_t off, uint64_t len,
                 struct rv_map *map)
{
  uint64_t i = (off >> rv_qcow2_l1_shift (q)) + 1;
  uint64_t end = off + len;

  while (i << rv_qcow2_l1_shift (q) < end && rv_qcow2_l1_load (q, i) == 0)
    i++;
  *map = (struct rv_map){ .kind = RV_MAP_PARENT,
                          .len = rv_min_u64 ((i << rv_qcow2_l1_shift (q)) - off,
                                             len) };
}

/* Looks up off in the L2 table at l2_off, through the piece that has it. */
static int
map_l2 (struct rv_qcow2 *q, uint64_t l2_off, uint64_t off, uint64_t len,
        struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  struct lookup l = { .q = q, .off = off };
  struct rv_qcow2_piece piece;
  struct rv_table *table;
  int r;

  rv_qcow2_piece_of (q, off, &piece);
  l.len = *damaged = rv_min_u64 (len, piece.guest_end - off);
  l.index = (off - piece.guest) >> q->header.cluster_bits;
  if (rv_tables_pin (q->base.tables, q->base.io, l2_off + piece.in, piece.len,
                     &table, &l.entries, err) == -1)
    return -1;
  l.end = rv_qcow2_l2_end (q, l2_off);
  r = map_entries (&l, map, damaged, err);
  rv_table_unpin (q->base.tables, table);
  return r;
}

int
rv_qcow2_map (struct rv_format *format, uint64_t off, uint64_t len,
              struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  uint64_t i = off >> rv_qcow2_l1_shift (q);
  uint64_t entry = rv_qcow2_l1_load (q, i);
  const char *wrong;

  if (entry == 0) {
    map_unallocated (q, off, len, map);
    return 0;
  }
  wrong = rv_qcow2_l1_entry_wrong (q, entry);
  if (wrong) {
    *damaged = rv_min_u64 (len, ((i + 1) << rv_qcow2_l1_shift (q)) - off);
    return rv_qcow2_bad_l1_entry (q, i, entry, wrong, err);
  }
  return map_l2 (q, entry & QCOW2_OFFSET_MASK, off, len, map, damaged, err);
}

/*--- Tables -------------------------------------------------------------*/

/* Pieces that cannot be found by their L1 entry are none that map pins. */
void
rv_qcow2_tables_of (struct rv_format *format, uint64_t off, uint64_t len,
                    int (*cb) (void *opaque, struct rv_io *io,
                               uint64_t host_off, size_t len),
                    void *opaque)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  uint64_t end = off + len;

  while (off < end) {
    uint64_t i = off >> rv_qcow2_l1_shift (q);
    uint64_t entry = rv_qcow2_l1_load (q, i);
    struct rv_qcow2_piece piece;

    if (entry == 0 || rv_qcow2_l1_entry_wrong (q, entry)) {
      off = (i + 1) << rv_qcow2_l1_shift (q);
      continue;
    }
    rv_qcow2_piece_of (q, off, &piece);
    if (cb (opaque, q->base.io, (entry & QCOW2_OFFSET_MASK) + piece.in,
            piece.len))
      return;
    off = piece.guest_end;
  }
}
