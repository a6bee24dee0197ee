/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: what the files of the writer share.
 *
 *   qcow2-enable.c    may it be written; begin, end, the corrupt bit
 *   qcow2-truncated.c does the file hold what its tables say?
 *   qcow2-reserved.c  where the tables are that nobody may touch
 *   qcow2-refcount.c  refcounts through the table cache
 *   qcow2-refblock.c  new refcount blocks, a larger refcount table
 *   qcow2-alloc.c     new clusters
 *   qcow2-freed.c     release and reuse of freed ones
 *   qcow2-protect.c   is this host cluster ours alone to overwrite?
 *   qcow2-own.c       tables that this run has made, for overlap checks
 *   qcow2-plan.c      widen, plan, allocate, cancel
 *   qcow2-l1.c        L1 entries, new and copied L2 tables
 *   qcow2-entries.c   L2 entries, looked at to be changed
 *   qcow2-publish.c   L2 entries change
 *   qcow2-drop.c      zeros and trim
 *   qcow2-create.c    a new, empty image: overlays
 *
 * Locks, in this order: l2_lock, alloc_lock, own_lock.  None is held while
 * guest data moves.
 */

#ifndef RV_QCOW2_WRITE_H
#define RV_QCOW2_WRITE_H

#include <pthread.h>

#include "format/qcow2.h"

/* Host ranges that may be given out again, whole clusters. */
struct rv_qcow2_free {
  uint64_t off, len;
};
DEFINE_VECTOR (rv_qcow2_frees, struct rv_qcow2_free);

/* A part of a freed range whose refcount has become 0; it waits for reuse. */
struct rv_qcow2_quarantined {
  uint64_t freed_off, freed_len; /* as it was freed, to know it again */
  uint64_t off, len;             /* whole clusters, none: len is 0 */
  bool last;                     /* part of that freed range */
};
DEFINE_VECTOR (rv_qcow2_quarantine, struct rv_qcow2_quarantined);

/* Tables that are neither L2 tables nor refcount blocks: whole clusters. */
struct rv_qcow2_range {
  uint64_t off, len;
  const char *what; /* "the refcount table" */
};
DEFINE_VECTOR (rv_qcow2_ranges, struct rv_qcow2_range);

struct rv_qcow2_writing {
  /* As they were when writing was enabled; constant since. */
  uint64_t end; /* of the file, rounded up to clusters: what tables of others
                   name from here on was missing then */
  struct rv_qcow2_ranges reserved; /* sorted, apart */
  struct rv_offsets snapshot_l2;   /* L2 tables of snapshots, sorted */

  /* A bit for each of metadata.l2: nothing that it names is beyond end. */
  _Atomic uint8_t *l2_checked;

  pthread_mutex_t alloc_lock;
  uint64_t next; /* host offset: clusters from here on were never given out in
                    this run; at first end */
  uint64_t skipped; /* clusters that next has passed: somebody's leaks */
  struct rv_qcow2_frees frees; /* the next is taken from the tail */
  size_t frees_sorted; /* so many are sorted downwards and do not adjoin */
  struct rv_qcow2_quarantine quarantine; /* in the order of release */
  size_t quarantine_head;                /* those before are done */
  uint8_t *reftable;                     /* as it will lie in the file */
  uint64_t reftable_off;
  uint64_t reftable_len;               /* bytes */
  struct rv_qcow2_frees old_reftables; /* end gives them back */

  pthread_mutex_t l2_lock; /* one new or copied L2 table at a time */

  pthread_rwlock_t own_lock;
  struct rv_offsets own; /* clusters of tables made in this run, sorted */
  atomic_size_t nr_own;  /* to ask without a lock whether there are any */
};

/*--- qcow2-enable.c -----------------------------------------------------*/

extern const struct rv_format_write_ops rv_qcow2_write_ops; /* qcow2-plan.c */

int rv_qcow2_enable_write (struct rv_format *format, rawview_error *err);
int rv_qcow2_begin_write (struct rv_format *format, rawview_error *err);
int rv_qcow2_end_write (struct rv_format *format, rawview_error *err);
void rv_qcow2_mark_corrupt (struct rv_format *format);
void rv_qcow2_writing_release (struct rv_qcow2_writing *w); /* and w */

/*--- qcow2-truncated.c --------------------------------------------------*/

/* Loads the refcount table and checks it and the L1 table: that all they name
 * is inside the file and in place of nothing else.  After reserve.
 */
int rv_qcow2_check_tables (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
                           rawview_error *err);

/* Before the first change of the L2 table at off, if it is an old one: does it
 * name only what was inside the file?
 */
int rv_qcow2_check_l2 (struct rv_qcow2 *q, uint64_t off, rawview_error *err);

/* Where does the file end for what the L2 table at off names?  It grows, and
 * what was missing stays so.  For reading, after the table was pinned.
 */
uint64_t rv_qcow2_l2_end (struct rv_qcow2 *q, uint64_t off);

/*--- qcow2-reserved.c ---------------------------------------------------*/

/* Fills reserved and snapshot_l2.  Bounded by the limits of snapshot tables and
 * of the L1 tables of all snapshots together.
 */
int rv_qcow2_reserve (struct rv_qcow2 *q, struct rv_qcow2_writing *w,
                      rawview_error *err);

/* How many bytes from off on, at most len, are clear of what is reserved.  Less
 * than len: *what names the table that begins there.
 */
uint64_t rv_qcow2_reserved_clear (const struct rv_qcow2_writing *w,
                                  uint64_t off, uint64_t len,
                                  const char **what);

/*--- qcow2-refcount.c ---------------------------------------------------*/

/* Of the host cluster at off.  0 where no block is. */
int rv_qcow2_refcount (struct rv_qcow2 *q, uint64_t off, uint64_t *count,
                       rawview_error *err);

/* The same, and *n, at least 1, is shortened to the clusters from there on that
 * have the same refcount.  _held: alloc_lock is held.
 */
int rv_qcow2_refcount_run (struct rv_qcow2 *q, uint64_t off, uint64_t *n,
                           uint64_t *count, rawview_error *err);
int rv_qcow2_refcount_run_held (struct rv_qcow2 *q, uint64_t off, uint64_t *n,
                                uint64_t *count, rawview_error *err);

/* Adds delta, 1 or -1, to each cluster that the range touches, all or none.
 * alloc_lock is held.  A result below 0 or above what the width can hold, and a
 * cluster that has no block, are RAWVIEW_ERROR_CORRUPT.
 */
int rv_qcow2_refcount_add (struct rv_qcow2 *q, uint64_t off, uint64_t len,
                           int delta, rawview_error *err);

/*--- qcow2-refblock.c ---------------------------------------------------*/

/* The block that has the refcount of the cluster at off; 0: there is none. */
uint64_t rv_qcow2_refblock_of (const struct rv_qcow2 *q, uint64_t off);

/* The refcount table as the file will have it. */
void rv_qcow2_reftable (struct rv_qcow2 *q, uint64_t *off, uint64_t *len);

/* Sees to it that the cluster at next has a block.  A new one, and a larger
 * refcount table, are put at next, which moves behind them.  alloc_lock is
 * held.
 */
int rv_qcow2_refblock_ready (struct rv_qcow2 *q, rawview_error *err);

/*--- qcow2-alloc.c ------------------------------------------------------*/

/* 1 to want clusters in a row whose refcount was 0 and is 1 now; for one
 * beyond the end the file grows when it is written.
 */
int rv_qcow2_alloc (struct rv_qcow2 *q, uint64_t want, uint64_t *off,
                    uint64_t *got, rawview_error *err);

/* One cluster for a table: added to own. */
int rv_qcow2_alloc_table (struct rv_qcow2 *q, uint64_t *off,
                          rawview_error *err);

/* Will be given out before new ones.  alloc_lock is held.  Without memory it is
 * not, in this run.
 */
void rv_qcow2_add_free (struct rv_qcow2_writing *w, uint64_t off, uint64_t len);

/*--- qcow2-freed.c ------------------------------------------------------*/

/* A host range, whole clusters or the bytes of a compressed one, that the
 * tables no longer name.
 */
int rv_qcow2_freed (struct rv_qcow2 *q, struct rv_freed_list *freed,
                    uint64_t off, uint64_t len, rawview_error *err);

int rv_qcow2_release (struct rv_format *format, const struct rv_freed *freed,
                      rawview_error *err);
void rv_qcow2_reuse (struct rv_format *format, const struct rv_freed *freed);

/*--- qcow2-protect.c ----------------------------------------------------*/

/* How many bytes from off on, at most len, are clear of tables, old and new.
 * Less than len: *what names the table that begins there.
 */
uint64_t rv_qcow2_clear_of_tables (struct rv_qcow2 *q, uint64_t off,
                                   uint64_t len, const char **what);

/* May the host range, whole clusters that an L2 entry names, be overwritten?
 * *len is shortened to the clusters of the same answer.  *own: each has
 * refcount 1.  Not own: it is above 1, copy it.  RAWVIEW_ERROR_CORRUPT: outside
 * the file, refcount 0, or it is a table.
 */
int rv_qcow2_protect (struct rv_qcow2 *q, uint64_t off, uint64_t *len,
                      bool *own, rawview_error *err);

/* The same for one L2 table. */
int rv_qcow2_protect_l2 (struct rv_qcow2 *q, uint64_t off, bool *own,
                         rawview_error *err);

/*--- qcow2-own.c --------------------------------------------------------*/

int rv_qcow2_own_add (struct rv_qcow2 *q, uint64_t off, rawview_error *err);
void rv_qcow2_own_remove (struct rv_qcow2 *q, uint64_t off);

/* How many bytes from off on, at most len, hold no table of this run. */
uint64_t rv_qcow2_own_clear (struct rv_qcow2 *q, uint64_t off, uint64_t len);

/*--- qcow2-l1.c ---------------------------------------------------------*/

/* The L1 table is read by mapping threads while it is written: each entry is
 * loaded and stored as a whole.
 */
uint64_t rv_qcow2_l1_load (const struct rv_qcow2 *q, uint64_t i);
void rv_qcow2_l1_store (struct rv_qcow2 *q, uint64_t i, uint64_t entry);

/* The L2 table of entry i as it is, checked; *l2_off is 0 if there is none.
 * Not own: snapshots have it, too.
 */
int rv_qcow2_l2_find (struct rv_qcow2 *q, uint64_t i, uint64_t *l2_off,
                      bool *own, rawview_error *err);

/* The L2 table of entry i, made or copied if it is missing or shared; checked
 * before its first use.  The old one goes to freed.
 */
int rv_qcow2_l2_for_write (struct rv_qcow2 *q, uint64_t i,
                           struct rv_freed_list *freed, uint64_t *l2_off,
                           rawview_error *err);

/*--- qcow2-create.c -----------------------------------------------------*/

struct rv_qcow2_create {
  uint64_t size;         /* bytes, whole sectors */
  unsigned cluster_bits; /* 17 for overlays */
  bool ext_l2;           /* subclusters */
  const char *backing;   /* NULL: none */
  const char *backing_format;
};

/* Writes an empty image, version 3, into io, which is empty.  Not synced. */
int rv_qcow2_create (struct rv_io *io, const struct rv_qcow2_create *how,
                     rawview_error *err);

#endif /* RV_QCOW2_WRITE_H */
