/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <stdarg.h>
#include <stdio.h>

#include "format/qcow2-count.h"
#include "format/qcow2-l2.h"
#include "format/qcow2-snapshot.h"
#include "util/checked.h"
#include "util/text.h"

/* 2^28 clusters: two tables of 1 GiB. */
#define MAX_CLUSTERS (1ull << 28)

static uint64_t
cluster_size (const struct rv_qcow2_count *c)
{
  return rv_qcow2_cluster_size (&c->q->header);
}

int
rv_qcow2_count_init (struct rv_qcow2_count *c, struct rv_qcow2 *q,
                     rawview_error *err)
{
  c->q = q;
  c->clusters = rv_div_up (q->base.io->size, cluster_size (c));
  if (c->clusters > MAX_CLUSTERS)
    return rv_error_limit (err,
                           "%s: a file of %ju QCOW2 clusters is too large to "
                           "be checked, the limit is %ju",
                           q->base.io->name, (uintmax_t) c->clusters,
                           (uintmax_t) MAX_CLUSTERS);
  c->users = calloc (c->clusters, sizeof *c->users);
  c->l2_users = calloc (c->clusters, sizeof *c->l2_users);
  if (c->users == NULL || c->l2_users == NULL)
    return rv_error_nomem (err);
  return 0;
}

void
rv_qcow2_count_release (struct rv_qcow2_count *c)
{
  free (c->users);
  free (c->l2_users);
}

void
rv_qcow2_report (struct rv_qcow2_count *c, rawview_finding finding,
                 const char *fmt, ...)
{
  char msg[256];
  va_list args;

  va_start (args, fmt);
  vsnprintf (msg, sizeof msg, fmt, args);
  va_end (args);
  rv_text_make_printable (msg);
  switch (finding) {
  case RAWVIEW_FINDING_CORRUPTION:
    c->result->corruptions++;
    break;
  case RAWVIEW_FINDING_LEAK:
    c->result->leaks++;
    break;
  case RAWVIEW_FINDING_ERROR:
    c->result->check_errors++;
    break;
  }
  c->cb (c->opaque, finding, msg);
}

static void
add_users (uint32_t *users, uint32_t n)
{
  if (__builtin_add_overflow (*users, n, users))
    *users = UINT32_MAX;
}

void
rv_qcow2_count_range (struct rv_qcow2_count *c, uint64_t off, uint64_t len,
                      uint32_t n, const char *what)
{
  uint64_t first = off >> c->q->header.cluster_bits, last;

  if (len == 0)
    return;
  if (off >= c->q->base.io->size || len > UINT64_MAX - off) {
    rv_qcow2_report (c, RAWVIEW_FINDING_CORRUPTION,
                     "%s at host offset %#jx is beyond the end of the file",
                     what, (uintmax_t) off);
    return;
  }
  last = (off + len - 1) >> c->q->header.cluster_bits;
  if (last >= c->clusters) {
    rv_qcow2_report (c, RAWVIEW_FINDING_CORRUPTION,
                     "%s at host offset %#jx, %ju bytes, runs past the end of "
                     "the file",
                     what, (uintmax_t) off, (uintmax_t) len);
    last = c->clusters - 1;
  }
  for (uint64_t i = first; i <= last; i++)
    add_users (&c->users[i], n);
}

bool
rv_qcow2_count_may_walk (struct rv_qcow2_count *c, uint64_t len,
                         const char *what)
{
  if (c->table_bytes == UINT64_MAX)
    return false;
  if (rv_add_u64 (c->table_bytes, len, &c->table_bytes) &&
      c->table_bytes <= c->q->base.io->size)
    return true;
  c->table_bytes = UINT64_MAX;
  rv_qcow2_report (c, RAWVIEW_FINDING_ERROR,
                   "%s and others are larger than the file, so they overlap; "
                   "they and what follows are not looked at",
                   what);
  return false;
}

/*--- L1 and L2 tables ---------------------------------------------------*/

static void
count_l1_entry (struct rv_qcow2_count *c, uint64_t i, uint64_t entry)
{
  uint64_t off = entry & QCOW2_OFFSET_MASK;

  if (entry & QCOW2_L1_RESERVED)
    rv_qcow2_report (c, RAWVIEW_FINDING_CORRUPTION,
                     "L1 entry %ju (%#jx) has reserved bits set", (uintmax_t) i,
                     (uintmax_t) entry);
  if (off == 0)
    return;
  if (off & (cluster_size (c) - 1) ||
      !rv_range_fits (off, cluster_size (c), c->q->base.io->size)) {
    rv_qcow2_report (c, RAWVIEW_FINDING_CORRUPTION,
                     "L1 entry %ju (%#jx) is not aligned or beyond the end of "
                     "the file",
                     (uintmax_t) i, (uintmax_t) entry);
    return;
  }
  add_users (&c->l2_users[off >> c->q->header.cluster_bits], 1);
}

static void
count_l1 (struct rv_qcow2_count *c, const uint8_t *l1, uint64_t off,
          uint32_t size)
{
  rv_qcow2_count_range (c, off, (uint64_t) size * 8, 1, "an L1 table");
  for (uint32_t i = 0; i < size; i++)
    count_l1_entry (c, i, rv_be64 (l1 + (uint64_t) i * 8));
}

static int
count_snapshot (struct rv_qcow2_count *c, const struct rv_qcow2_snapshot *s,
                rawview_error *err)
{
  uint64_t len = (uint64_t) s->l1_size * 8;
  CLEANUP_FREE uint8_t *l1 = NULL;

  if (len > RV_MAX_L1_BYTES || s->l1_off & (cluster_size (c) - 1) ||
      !rv_range_fits (s->l1_off, len, c->q->base.io->size)) {
    rv_qcow2_report (c, RAWVIEW_FINDING_CORRUPTION,
                     "the L1 table of snapshot %s (offset %#jx, %u entries) "
                     "is not aligned or does not fit into the file",
                     s->id, (uintmax_t) s->l1_off, s->l1_size);
    return 0;
  }
  if (len == 0 || !rv_qcow2_count_may_walk (c, len, "an L1 table"))
    return 0;
  l1 = malloc (len);
  if (l1 == NULL)
    return rv_error_nomem (err);
  if (rv_io_pread (c->q->base.io, l1, len, s->l1_off, err) == -1)
    return -1;
  count_l1 (c, l1, s->l1_off, s->l1_size);
  return 0;
}

static int
count_snapshots (struct rv_qcow2_count *c, rawview_error *err)
{
  struct rv_qcow2_header *h = &c->q->header;
  uint64_t off = h->snapshots_off;
  rawview_error why;

  for (uint32_t i = 0; i < h->nb_snapshots; i++) {
    struct rv_qcow2_snapshot s;
    int r;

    if (rv_qcow2_snapshot_read (c->q->base.io, h, &off, &s, &why) == -1) {
      rv_qcow2_report (c, RAWVIEW_FINDING_CORRUPTION, "snapshot table: %s",
                       why.msg);
      break;
    }
    r = count_snapshot (c, &s, err);
    rv_qcow2_snapshot_release (&s);
    if (r == -1)
      return -1;
  }
  rv_qcow2_count_range (c, h->snapshots_off, off - h->snapshots_off, 1,
                        "the snapshot table");
  return 0;
}

static void
count_l2_entry (struct rv_qcow2_count *c, uint64_t l2_off, uint32_t i,
                const uint8_t *p, uint32_t n)
{
  struct rv_qcow2_cluster cluster;
  const char *wrong = rv_qcow2_l2_decode (p, &c->q->header, 0, &cluster);

  if (wrong)
    rv_qcow2_report (c, RAWVIEW_FINDING_CORRUPTION,
                     "entry %u of the L2 table at %#jx has %s", i,
                     (uintmax_t) l2_off, wrong);
  else if (cluster.kind == QCOW2_CLUSTER_COMPRESSED)
    rv_qcow2_count_range (c, cluster.host_off, cluster.host_len, n,
                          "a compressed cluster");
  else if (cluster.host_off != 0)
    rv_qcow2_count_range (c, cluster.host_off, cluster_size (c), n,
                          "a data cluster");
}

/* Each table is walked once, however many L1 entries name it. */
static int
count_l2_tables (struct rv_qcow2_count *c, rawview_error *err)
{
  unsigned entry_len = rv_qcow2_ext_l2 (&c->q->header) ? 16 : 8;
  uint32_t entries = cluster_size (c) / entry_len;
  bool data_file = c->q->header.incompatible & QCOW2_INCOMPAT_DATA_FILE;
  CLEANUP_FREE uint8_t *l2 = malloc (cluster_size (c));

  if (l2 == NULL)
    return rv_error_nomem (err);
  for (uint64_t k = 0; k < c->clusters; k++) {
    uint64_t off = k << c->q->header.cluster_bits;

    if (c->l2_users[k] == 0)
      continue;
    add_users (&c->users[k], c->l2_users[k]);
    if (data_file)
      continue; /* what it has is not in this file */
    if (rv_io_pread (c->q->base.io, l2, cluster_size (c), off, err) == -1)
      return -1;
    for (uint32_t i = 0; i < entries; i++)
      count_l2_entry (c, off, i, l2 + (size_t) i * entry_len, c->l2_users[k]);
  }
  return 0;
}

/*--- Everything ---------------------------------------------------------*/

/* The active table, also when the handle shows a snapshot. */
static int
count_active (struct rv_qcow2_count *c, rawview_error *err)
{
  char active_name[] = "(active)";
  const struct rv_qcow2_snapshot active = { .l1_off = c->q->header.l1_off,
                                            .l1_size = c->q->header.l1_size,
                                            .id = active_name };

  return count_snapshot (c, &active, err);
}

int
rv_qcow2_count_all (struct rv_qcow2_count *c, rawview_error *err)
{
  rv_qcow2_count_range (c, 0, cluster_size (c), 1, "the header");
  if (count_active (c, err) == -1 || count_snapshots (c, err) == -1 ||
      count_l2_tables (c, err) == -1)
    return -1;
  return rv_qcow2_count_bitmaps (c, err);
}
