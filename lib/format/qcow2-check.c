/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: are the refcounts what the tables say they should be?
 *
 * A refcount that is too low is a corruption: the cluster could be given out a
 * second time.  One that is too high is a leak.  The COPIED flag of an entry
 * must say whether the refcount is 1.
 */

#include <config.h>

#include "format/qcow2-count.h"
#include "format/qcow2-l2.h"
#include "format/qcow2-refcount.h"
#include "format/qcow2-write.h"
#include "util/checked.h"

struct check {
  struct rv_qcow2_count count;
  uint8_t *table;     /* the refcount table */
  uint64_t table_len; /* bytes, 0 if it cannot be read */
  uint8_t *block;     /* one refcount block */
  uint64_t block_off; /* which one; 0: none */
  uint32_t *guest;    /* of each cluster with several users: 1 + the first guest
                         cluster that is stored there, 0: none */
};

static struct rv_io *
container (const struct check *k)
{
  return k->count.q->base.io;
}

static uint64_t
cluster_size (const struct check *k)
{
  return rv_qcow2_cluster_size (&k->count.q->header);
}

/*--- Refcounts ----------------------------------------------------------*/

static int
load_table (struct check *k, rawview_error *err)
{
  const struct rv_qcow2_header *h = &k->count.q->header;
  uint64_t off, len;

  rv_qcow2_reftable (k->count.q, &off, &len);
  k->block = malloc (cluster_size (k));
  if (k->block == NULL)
    return rv_error_nomem (err);
  if (len == 0 || len > QCOW2_MAX_REFTABLE_BYTES ||
      off & (cluster_size (k) - 1) ||
      !rv_range_fits (off, len, container (k)->size)) {
    rv_qcow2_report (&k->count, RAWVIEW_FINDING_CORRUPTION,
                     "the refcount table (offset %#jx, %ju clusters) is "
                     "impossible",
                     (uintmax_t) off, (uintmax_t) (len >> h->cluster_bits));
    return 0;
  }
  k->table = malloc (len);
  if (k->table == NULL)
    return rv_error_nomem (err);
  k->table_len = len;
  rv_qcow2_count_range (&k->count, off, len, 1, "the refcount table");
  return rv_io_pread (container (k), k->table, len, off, err);
}

static bool
block_is_possible (const struct check *k, uint64_t off)
{
  return off != 0 && (off & (cluster_size (k) - 1)) == 0 &&
         rv_range_fits (off, cluster_size (k), container (k)->size);
}

static void
count_blocks (struct check *k)
{
  for (uint64_t i = 0; i < k->table_len; i += 8) {
    uint64_t off = rv_be64 (k->table + i);

    if (off == 0)
      continue;
    if (block_is_possible (k, off))
      rv_qcow2_count_range (&k->count, off, cluster_size (k), 1,
                            "a refcount block");
    else
      rv_qcow2_report (&k->count, RAWVIEW_FINDING_CORRUPTION,
                       "refcount table entry %ju (%#jx) is impossible",
                       (uintmax_t) i / 8, (uintmax_t) off);
  }
}

/* The recorded refcount of a host cluster. */
static int
refcount (struct check *k, uint64_t cluster, uint64_t *n, rawview_error *err)
{
  const struct rv_qcow2_header *h = &k->count.q->header;
  unsigned bits = rv_qcow2_refblock_bits (h->cluster_bits, h->refcount_order);
  uint64_t i = cluster >> bits, off;

  *n = 0;
  if (i >= k->table_len / 8)
    return 0;
  off = rv_be64 (k->table + i * 8);
  if (!block_is_possible (k, off))
    return 0;
  if (k->block_off != off) {
    k->block_off = 0;
    if (rv_io_pread (container (k), k->block, cluster_size (k), off, err) == -1)
      return -1;
    k->block_off = off;
  }
  *n = rv_qcow2_refcount_get (k->block, cluster & ((1ull << bits) - 1),
                              h->refcount_order);
  return 0;
}

static int
compare_refcounts (struct check *k, rawview_error *err)
{
  for (uint64_t i = 0; i < k->count.clusters; i++) {
    uint32_t users = k->count.users[i];
    uint64_t n;

    if (refcount (k, i, &n, err) == -1)
      return -1;
    if (n < users)
      rv_qcow2_report (&k->count, RAWVIEW_FINDING_CORRUPTION,
                       "cluster %ju has refcount %ju but %u users",
                       (uintmax_t) i, (uintmax_t) n, users);
    else if (n > users)
      rv_qcow2_report (&k->count, RAWVIEW_FINDING_LEAK,
                       "leaked cluster %ju: refcount %ju, %u users",
                       (uintmax_t) i, (uintmax_t) n, users);
    if (n > 0 || users > 0)
      k->count.result->image_end_offset = (i + 1) * cluster_size (k);
  }
  return 0;
}

/*--- The active tables --------------------------------------------------*/

static int
check_copied (struct check *k, uint64_t entry, const char *what,
              uint64_t guest_off, rawview_error *err)
{
  uint64_t off = entry & QCOW2_OFFSET_MASK, n;

  if (off >= container (k)->size)
    return 0;
  if (refcount (k, off >> k->count.q->header.cluster_bits, &n, err) == -1)
    return -1;
  if ((n == 1) != !!(entry & QCOW2_OFLAG_COPIED))
    rv_qcow2_report (&k->count, RAWVIEW_FINDING_CORRUPTION,
                     "the %s for guest offset %#jx %s the COPIED flag, but "
                     "the refcount is %ju",
                     what, (uintmax_t) guest_off,
                     entry & QCOW2_OFLAG_COPIED ? "has" : "lacks",
                     (uintmax_t) n);
  return 0;
}

/* Who else is there?  Told once for each host cluster, and not again as a wrong
 * refcount.
 */
static int
check_alone (struct check *k, uint64_t host_off, uint64_t guest_off,
             rawview_error *err)
{
  struct rv_qcow2 *q = k->count.q;
  uint64_t i = host_off >> q->header.cluster_bits, n;
  const char *what = NULL;

  if (i >= k->count.clusters || k->count.users[i] < 2)
    return 0;
  if (refcount (k, i, &n, err) == -1)
    return -1;
  if (rv_qcow2_metadata_clear (&q->metadata, host_off, cluster_size (k),
                               &what) < cluster_size (k))
    rv_qcow2_report (&k->count, RAWVIEW_FINDING_CORRUPTION,
                     "the L2 entry for guest offset %#jx has %s",
                     (uintmax_t) guest_off, what);
  else if (n >= k->count.users[i])
    return 0;
  else if (k->guest[i] == 0) {
    k->guest[i] = 1 + (guest_off >> q->header.cluster_bits);
    return 0;
  }
  else
    rv_qcow2_report (&k->count, RAWVIEW_FINDING_CORRUPTION,
                     "guest offsets %#jx and %#jx are both stored at host "
                     "offset %#jx, which has refcount %ju",
                     (uintmax_t) (k->guest[i] - 1) << q->header.cluster_bits,
                     (uintmax_t) guest_off, (uintmax_t) host_off,
                     (uintmax_t) n);
  if (n < k->count.users[i])
    k->count.users[i] = n;
  return 0;
}

/* Compressed bytes in the place of a table cannot be read.  Where the refcount
 * is too low for both, comparing says so.
 */
static int
check_compressed (struct check *k, const struct rv_qcow2_cluster *c,
                  uint64_t guest_off, rawview_error *err)
{
  const char *what = NULL;
  uint64_t n, clear = rv_qcow2_metadata_clear (&k->count.q->metadata,
                                               c->host_off, c->host_len, &what);
  uint64_t i = (c->host_off + clear) >> k->count.q->header.cluster_bits;

  if (clear == c->host_len || i >= k->count.clusters)
    return 0;
  if (refcount (k, i, &n, err) == -1)
    return -1;
  if (n >= k->count.users[i])
    rv_qcow2_report (&k->count, RAWVIEW_FINDING_CORRUPTION,
                     "the L2 entry for guest offset %#jx has %s",
                     (uintmax_t) guest_off, what);
  return 0;
}

static int
check_l2_entry (struct check *k, const uint8_t *p, uint64_t guest_off,
                rawview_error *err)
{
  const struct rv_qcow2_header *h = &k->count.q->header;
  bool data_file = h->incompatible & QCOW2_INCOMPAT_DATA_FILE;
  struct rv_qcow2_cluster c;
  const char *wrong = rv_qcow2_l2_decode (p, h, guest_off, &c);

  if (wrong) {
    /* Without a data file, counting has said so. */
    if (data_file)
      rv_qcow2_report (&k->count, RAWVIEW_FINDING_CORRUPTION,
                       "the L2 entry for guest offset %#jx has %s",
                       (uintmax_t) guest_off, wrong);
    return 0;
  }
  if (c.host_off == 0 && c.kind != QCOW2_CLUSTER_DATA)
    return 0; /* takes no space */
  k->count.result->allocated_clusters++;
  if (c.kind == QCOW2_CLUSTER_COMPRESSED) {
    k->count.result->compressed_clusters++;
    if (rv_be64 (p) & QCOW2_OFLAG_COPIED)
      rv_qcow2_report (&k->count, RAWVIEW_FINDING_CORRUPTION,
                       "the compressed cluster at guest offset %#jx has the "
                       "COPIED flag",
                       (uintmax_t) guest_off);
    return check_compressed (k, &c, guest_off, err);
  }
  if (data_file || c.host_off == 0)
    return 0;
  if (check_alone (k, c.host_off, guest_off, err) == -1)
    return -1;
  return check_copied (k, rv_be64 (p), "L2 entry", guest_off, err);
}

static int
check_l2_table (struct check *k, uint64_t off, uint64_t guest_off, uint8_t *l2,
                rawview_error *err)
{
  unsigned entry_len = rv_qcow2_ext_l2 (&k->count.q->header) ? 16 : 8;

  if (rv_io_pread (container (k), l2, cluster_size (k), off, err) == -1)
    return -1;
  for (uint64_t i = 0; i < cluster_size (k) / entry_len; i++)
    if (check_l2_entry (k, l2 + i * entry_len,
                        guest_off + (i << k->count.q->header.cluster_bits),
                        err) == -1)
      return -1;
  return 0;
}

/* Is there an L2 table that can be looked at?  A place that counting has not
 * found impossible may still be another table's.
 */
static bool
check_l1_entry (struct check *k, uint64_t i, uint64_t entry)
{
  uint64_t off = entry & QCOW2_OFFSET_MASK;
  const char *wrong;

  if (entry == 0)
    return false;
  wrong = rv_qcow2_l1_entry_wrong (k->count.q, entry);
  if (wrong && !(entry & QCOW2_L1_RESERVED) &&
      (off == 0 || block_is_possible (k, off)))
    rv_qcow2_report (&k->count, RAWVIEW_FINDING_CORRUPTION,
                     "L1 entry %ju (%#jx) has %s", (uintmax_t) i,
                     (uintmax_t) entry, wrong);
  return block_is_possible (k, off);
}

/* The table of the handle: the active one unless it shows a snapshot, whose
 * COPIED flags mean nothing.
 */
static int
check_active (struct check *k, rawview_error *err)
{
  struct rv_qcow2 *q = k->count.q;
  unsigned shift = q->header.cluster_bits + rv_qcow2_l2_bits (&q->header);
  CLEANUP_FREE uint8_t *l2 = malloc (cluster_size (k));

  if (l2 == NULL)
    return rv_error_nomem (err);
  if (q->l1_off != q->header.l1_off)
    return 0;
  for (uint64_t i = 0; i < q->l1_size; i++) {
    uint64_t entry = rv_be64 (q->l1 + i * 8);
    uint64_t off = entry & QCOW2_OFFSET_MASK;

    if (!check_l1_entry (k, i, entry))
      continue;
    if (check_copied (k, entry, "L1 entry", i << shift, err) == -1 ||
        check_l2_table (k, off, i << shift, l2, err) == -1)
      return -1;
  }
  return 0;
}

/*--- The whole ----------------------------------------------------------*/

static int
check_all (struct check *k, rawview_error *err)
{
  if (rv_qcow2_count_all (&k->count, err) == -1 || load_table (k, err) == -1)
    return -1;
  count_blocks (k);
  k->guest = calloc (k->count.clusters, sizeof *k->guest);
  if (k->guest == NULL)
    return rv_error_nomem (err);
  if (check_active (k, err) == -1)
    return -1;
  return compare_refcounts (k, err);
}

int
rv_qcow2_check (struct rv_format *format,
                void (*cb) (void *opaque, rawview_finding finding,
                            const char *msg),
                void *opaque, rawview_check_result *result, rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  struct check k = { .count = {
                         .cb = cb, .opaque = opaque, .result = result } };
  int r = rv_qcow2_count_init (&k.count, q, err);

  if (r == 0) {
    result->total_clusters =
        rv_div_up (q->header.size, rv_qcow2_cluster_size (&q->header));
    r = check_all (&k, err);
  }
  free (k.table);
  free (k.block);
  free (k.guest);
  rv_qcow2_count_release (&k.count);
  return r;
}
