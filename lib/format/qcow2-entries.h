/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2, in place: L2 entries, looked at to be changed.
 *
 * Without extended L2 entries a cluster is here one subcluster, so that the
 * rules are written once.
 */

#ifndef RV_QCOW2_ENTRIES_H
#define RV_QCOW2_ENTRIES_H

#include "format/qcow2-l2.h"
#include "format/qcow2.h"

/* What one entry says. */
struct rv_qcow2_entry {
  bool compressed;
  bool copied;       /* the COPIED flag: says that the refcount is 1 */
  uint64_t host_off; /* of the cluster or the compressed bytes; 0: none */
  uint64_t host_len; /* bytes */
  uint32_t alloc;    /* bit n set: subcluster n is data */
  uint32_t zero;     /* bit n set: subcluster n is zeros */
};

unsigned rv_qcow2_entry_len (const struct rv_qcow2 *q);

/* What "all subclusters" is in alloc and zero. */
uint32_t rv_qcow2_all (const struct rv_qcow2 *q);

/* Bytes. */
uint64_t rv_qcow2_subcluster_size (const struct rv_qcow2 *q);

/* The subclusters of which from..to, offsets in their cluster, has a byte. */
uint32_t rv_qcow2_subclusters (const struct rv_qcow2 *q, uint64_t from,
                               uint64_t to);

/* p: the entry of the cluster at guest_off. */
int rv_qcow2_entry_get (const struct rv_qcow2 *q, const uint8_t *p,
                        uint64_t guest_off, struct rv_qcow2_entry *entry,
                        rawview_error *err);
void rv_qcow2_entry_put (const struct rv_qcow2 *q,
                         const struct rv_qcow2_entry *entry, uint8_t *p);

/*--- Pieces of tables ---------------------------------------------------*/

/* Where the entry of a guest offset is, but for where its table is. */
struct rv_qcow2_piece {
  uint64_t in;        /* bytes from the beginning of the table */
  size_t len;         /* bytes */
  uint64_t guest;     /* what its first entry is for */
  uint32_t entries;   /* how many it has */
  uint64_t guest_end; /* of the last one */
};

void rv_qcow2_piece_of (const struct rv_qcow2 *q, uint64_t guest_off,
                        struct rv_qcow2_piece *piece);

/* A pinned piece whose table may be changed, or would be copied for that. */
struct rv_qcow2_entries {
  struct rv_qcow2 *q;
  struct rv_qcow2_piece piece;
  uint64_t l2_off; /* 0: there is no table */
  bool l2_own;     /* its refcount is 1 */
  struct rv_table *table;
  const uint8_t *bytes; /* NULL: there is no table */
};

/* The piece that has guest_off's entry, and its table checked. */
int rv_qcow2_entries_pin (struct rv_qcow2 *q, uint64_t guest_off,
                          struct rv_qcow2_entries *e, rawview_error *err);
void rv_qcow2_entries_unpin (struct rv_qcow2_entries *e);

/* n entries from that of guest_off on are copied to p. */
void rv_qcow2_entries_copy (const struct rv_qcow2_entries *e,
                            uint64_t guest_off, uint32_t n, uint8_t *p);

/* Looks at the host clusters of an entry that has some, or of *len bytes from
 * there on, if that is more than they are; see rv_qcow2_protect.  What the
 * table at l2_off names must be shared if a snapshot has that table, too:
 * otherwise giving it back would take it from the snapshot.
 */
int rv_qcow2_entries_protect (struct rv_qcow2 *q, uint64_t l2_off,
                              const struct rv_qcow2_entry *entry, uint64_t *len,
                              bool *own, rawview_error *err);

/*--- Changing (qcow2-publish.c) -----------------------------------------*/

/* A change of n entries within one piece. */
struct rv_qcow2_edit {
  struct rv_qcow2 *q;
  uint64_t l2_off;
  bool l2_own;
  uint64_t guest_off; /* of the first of them */
  uint32_t n;
  uint8_t *old;  /* as they are now */
  uint8_t *next; /* as they will be: at first the same */
};

int rv_qcow2_edit_init (struct rv_qcow2_edit *edit, struct rv_qcow2 *q,
                        uint64_t guest_off, uint32_t n, rawview_error *err);
void rv_qcow2_edit_release (struct rv_qcow2_edit *edit);
#define CLEANUP_QCOW2_EDIT RV_CLEANUP (rv_qcow2_edit_release)

/* Entries first to first+n of it change in memory, all or none.  Host ranges
 * that they no longer name go to freed.
 */
int rv_qcow2_edit_apply (const struct rv_qcow2_edit *edit, uint32_t first,
                         uint32_t n, struct rv_freed_list *freed,
                         rawview_error *err);

int rv_qcow2_publish (struct rv_format *format, const struct rv_plan *plan,
                      struct rv_freed_list *freed, rawview_error *err);

/*--- qcow2-drop.c -------------------------------------------------------*/

int rv_qcow2_drop (struct rv_format *format, uint64_t off, uint64_t len,
                   enum rv_drop how, struct rv_drop_answer *answer,
                   struct rv_freed_list *freed, rawview_error *err);
bool rv_qcow2_can_drop (struct rv_format *format, uint64_t off, uint64_t len,
                        enum rv_drop how);

#endif /* RV_QCOW2_ENTRIES_H */
