/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VMDK, in place: what the files of the writer share.
 *
 *   vmdk-enable.c     may it be written: descriptor, extents
 *   vmdk-growth.c     the same for the directories of a sparse extent
 *   vmdk-cid.c        where the CID's digits stand, and the next ones
 *   vmdk-begin.c      begin and end: CID, unclean flag, repair
 *   vmdk-redundant.c  do a table and its copy agree, are its grains our own?
 *   vmdk-alloc.c      new grains at the end of the file
 *   vmdk-grow.c       grain tables that are missing; entries of both copies
 *   vmdk-plan.c       widen, plan, allocate, publish, cancel
 *   vmdk-drop.c       zeros and trim
 *
 * W1  A table is vetted before the first write under it: it equals its
 *     redundant copy, every grain it names is inside the file, is no metadata
 *     and, where all tables were looked at, belongs to no other entry.
 * W2  Grains and tables are only ever taken behind the file's end at the time
 *     of enable.  An entry that pointed there already is wrong, for readers
 *     too: a table that is not vetted is judged by that end.
 * W3  What a guest can reach is never given out again; its bytes may be
 *     punched when it is dropped.
 * W4  Both copies change together; if that fails, or anything else that leaves
 *     them apart, the unclean flag stays set.
 *
 * Locks, in this order: grow_lock, alloc_lock.  Neither is held while guest
 * data moves.
 */

#ifndef RV_VMDK_WRITE_H
#define RV_VMDK_WRITE_H

#include <pthread.h>
#include <stdatomic.h>

#include "format/vmdk.h"

struct rv_vmdk_place {
  uint64_t off, len; /* in the file */
};
DEFINE_VECTOR (rv_vmdk_places, struct rv_vmdk_place);

/* A sparse extent that is written. */
struct rv_vmdk_growth {
  uint64_t first; /* the file's end when writing was enabled */
  bool unclean;   /* was the flag set then? */
  bool exclusive; /* no grain is named twice: all tables were looked at */
  uint8_t *rgd;   /* second directory as it will lie in the file, or NULL */
  struct rv_vmdk_ranges metadata; /* all there was, of both directories */
  atomic_uchar *vetted;           /* one for each directory entry */
  atomic_bool uneven;             /* the copies could not be changed together */

  pthread_mutex_t grow_lock; /* one new table at a time */
  uint64_t tables_next;      /* room for tables, up to tables_end */
  uint64_t tables_end;

  pthread_mutex_t alloc_lock;
  uint64_t next;                   /* nothing was given out from here on */
  struct rv_vmdk_places cancelled; /* given out and never used */
};

/* Where hexadecimal digits stand in the descriptor. */
struct rv_vmdk_digits {
  uint64_t off; /* in the container */
  unsigned len; /* 1 to 8; 0: there are none */
};

struct rv_vmdk_writing {
  struct rv_vmdk_digits cid;
  struct rv_vmdk_digits long_cid; /* the end of ddb.longContentID */
  char old_digits[8];
  char new_digits[8]; /* the first is 0: not chosen yet */
  bool begun;
  bool ended;
  bool has_parent;
  atomic_bool stopped; /* a table contradicted itself */
};

extern const struct rv_format_write_ops rv_vmdk_write_ops; /* vmdk-plan.c */

static inline struct rv_vmdk *
rv_vmdk_of (struct rv_format *format)
{
  return (struct rv_vmdk *) format;
}

/* Is the extent one that the guest may write to and that takes space? */
static inline bool
rv_vmdk_is_written (const struct rv_vmdk_extent *e)
{
  return e->access == RV_VMDK_RW && e->type != RV_VMDK_ZERO;
}

/* The last extent that begins at or before off. */
struct rv_vmdk_extent *rv_vmdk_find_extent (const struct rv_vmdk *v,
                                            uint64_t off); /* vmdk.c */

/*--- vmdk-enable.c, vmdk-begin.c ----------------------------------------*/

int rv_vmdk_enable_write (struct rv_format *format, rawview_error *err);
int rv_vmdk_begin_write (struct rv_format *format, rawview_error *err);
int rv_vmdk_end_write (struct rv_format *format, rawview_error *err);

/*--- vmdk-growth.c ------------------------------------------------------*/

/* Checks what W1 and W2 need; of tables only if they are few. */
int rv_vmdk_growth_new (const struct rv_vmdk_grains *g,
                        struct rv_vmdk_growth **growth, rawview_error *err);
void rv_vmdk_growth_free (struct rv_vmdk_growth *w); /* NULL is allowed */

/*--- vmdk-cid.c ---------------------------------------------------------*/

/* Finds both in the text of a descriptor, offsets counted from its start, and
 * copies the CID's digits to old.  long_cid only if it ends in the same 8.
 */
void rv_vmdk_cid_find (struct rv_view text, struct rv_vmdk_digits *cid,
                       struct rv_vmdk_digits *long_cid, char old[8]);

/* The next CID: len digits of which each differs from the old one, so that it
 * is another CID even if only a part of them reaches the disk.
 */
int rv_vmdk_cid_next (const char *old, unsigned len, char *digits,
                      rawview_error *err);

/* For tests: getrandom(2), unless told otherwise. */
extern ssize_t (*rv_vmdk_cid_random) (void *buf, size_t len, unsigned flags);

/*--- vmdk-redundant.c ---------------------------------------------------*/

/* Bytes of all tables that exist, one copy each. */
uint64_t rv_vmdk_tables_bytes (const struct rv_vmdk_grains *g);

/* In memory, of an entry of the second directory that made no sense when
 * writing was enabled: it must not begin to make sense when the file grows.
 */
#define RV_VMDK_NO_COPY UINT32_MAX

/* The place of the redundant copy of table i, 0 if there is none. */
uint64_t rv_vmdk_copy_off (const struct rv_vmdk_grains *g,
                           const struct rv_vmdk_growth *w, uint64_t i);

/* W1 for table i, which exists.  Thread-safe. */
int rv_vmdk_vet (const struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                 uint64_t i, rawview_error *err);

/* W1 for all tables.  Of an extent that was not closed cleanly: does it hold
 * for what they would be after a repair?
 */
int rv_vmdk_vet_all (const struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                     rawview_error *err);

/* Makes it so, by changes of the tables: where the copies differ, the primary
 * counts unless it is wrong in itself.
 */
int rv_vmdk_repair_all (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                        rawview_error *err);

/*--- vmdk-alloc.c -------------------------------------------------------*/

/* 1 to want grains in a row. */
int rv_vmdk_alloc_grains (const struct rv_vmdk_grains *g,
                          struct rv_vmdk_growth *w, uint64_t want,
                          uint64_t *off, uint64_t *got, rawview_error *err);

/* Room for one table, of zeros, inside the file.  grow_lock is held. */
int rv_vmdk_alloc_table (const struct rv_vmdk_grains *g,
                         struct rv_vmdk_growth *w, uint64_t *off,
                         rawview_error *err);

/* Takes back what was given out and has never been published.  False: it does
 * not remember; the place is lost and may be punched.
 */
bool rv_vmdk_unalloc (struct rv_vmdk_growth *w, uint64_t off, uint64_t len);

/*--- vmdk-grow.c --------------------------------------------------------*/

/* Makes table i if there is none; *off is its place. */
int rv_vmdk_table_for_write (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                             uint64_t i, uint64_t *off, rawview_error *err);

/* A redundant copy for table i, which has none.  grow_lock is held. */
int rv_vmdk_make_copy (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                       uint64_t i, const uint8_t *bytes, rawview_error *err);

/* Changes entry i of the second directory, in the file too. */
int rv_vmdk_set_copy_entry (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                            uint64_t i, uint32_t raw, rawview_error *err);

/* Changes n entries, as they lie in the file, from that of grain on, which are
 * in one table; makes it if need be.
 */
int rv_vmdk_set_entries (struct rv_vmdk_grains *g, struct rv_vmdk_growth *w,
                         uint64_t grain, uint64_t n, const uint8_t *entries,
                         rawview_error *err);

/*--- vmdk-drop.c --------------------------------------------------------*/

int rv_vmdk_drop (struct rv_format *format, uint64_t off, uint64_t len,
                  enum rv_drop how, struct rv_drop_answer *answer,
                  struct rv_freed_list *freed, rawview_error *err);
bool rv_vmdk_can_drop (struct rv_format *format, uint64_t off, uint64_t len,
                       enum rv_drop how);
void rv_vmdk_reuse (struct rv_format *format, const struct rv_freed *freed);

#endif /* RV_VMDK_WRITE_H */
