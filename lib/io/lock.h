/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's image locks, so that QEMU and rawview keep out of each other's way.
 *
 * Each permission is a number p.  Whoever uses it holds a read lock on the byte
 * 100+p of the file; whoever cannot bear that somebody else uses it holds one
 * on the byte 200+p.  Read locks never exclude each other: after taking its
 * own, everyone looks whether somebody holds one that contradicts them.  Since
 * both sides take first and look afterwards, at least one of two sees the
 * other.
 */

#ifndef RV_LOCK_H
#define RV_LOCK_H

#include <stdbool.h>

#include <rawview.h>

/* Bit p stands for permission p.  The numbers are QEMU's. */
#define RV_LOCK_CONSISTENT_READ (1u << 0)
#define RV_LOCK_WRITE           (1u << 1)
#define RV_LOCK_WRITE_UNCHANGED (1u << 2)
#define RV_LOCK_RESIZE          (1u << 3)

struct rv_lock_perms {
  unsigned used;     /* what we do with the file */
  unsigned unshared; /* what nobody else may do meanwhile */
};

/* A reader of an image, and of a backing file: others may read it too. */
#define RV_LOCK_READER \
  ((struct rv_lock_perms){ .used = RV_LOCK_CONSISTENT_READ, \
                           .unshared = RV_LOCK_WRITE | RV_LOCK_RESIZE })

/* The writer of an image: others may neither write nor resize it, and whoever
 * wants it unchanged is refused.
 */
#define RV_LOCK_WRITER \
  ((struct rv_lock_perms){ .used = RV_LOCK_CONSISTENT_READ | RV_LOCK_WRITE | \
                                   RV_LOCK_RESIZE, \
                           .unshared = RV_LOCK_WRITE | RV_LOCK_RESIZE })

/* Locks the open file description of fd, which must be readable, until its last
 * descriptor is closed.  Never waits.  A conflict is RAWVIEW_ERROR_REFUSED with
 * errnum EBUSY, and then none of the locks is held.  *unsupported tells that
 * the kernel or filesystem has no such locks, which is not a failure.
 */
int rv_lock_take (int fd, const char *show, struct rv_lock_perms perms,
                  bool *unsupported, rawview_error *err);

/* Goes from one of the above to another on the same descriptor, holding what
 * both have in common all the while.  After a conflict, which is as above, old
 * is what is held.  Giving up permissions never fails.
 */
int rv_lock_change (int fd, const char *show, struct rv_lock_perms old,
                    struct rv_lock_perms perms, rawview_error *err);

#endif /* RV_LOCK_H */
