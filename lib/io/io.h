/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where bytes come from: one small vtable, met in one file each.
 *
 *   io-file.c   a regular file or block device, by descriptor; io-file-write.c
 *   io-nbd.c    a container served over NBD, by libnbd (libnbd-lazy.h)
 *   io-slice.c  a window of another io: a member of an OVA
 *   io-ahead.c  another io that answers late: keeps what is wanted soon
 *   pipe.c      what comes in order and only once: see pipe.h
 *   io-mem.c    memory, for tests
 *   io-fault.c  another io whose n-th operation fails, for tests
 *   io-trace.c  another io whose changes are recorded, for the crash replayer
 *
 * An io is counted, because several layers and slices may share one, and may
 * be used from any number of threads.  Nothing in here knows a format.
 */

#ifndef RV_IO_H
#define RV_IO_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <rawview.h>

#include "util/cleanup.h"

struct rv_io;

struct rv_io_ops {
  const char *name;

  /* Reads exactly len bytes, len > 0, off+len <= io->size (rv_io_pread has
   * checked).  The storage ending early is an IO error, never short or zero.
   */
  int (*pread) (struct rv_io *io, void *buf, size_t len, uint64_t off,
                rawview_error *err);

  /* Optional.  How long does the storage read as zeros (*hole) or may it hold
   * data from off on?  0 < *run <= len.  Cheap; without it all is data.
   */
  int (*hole) (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
               uint64_t *run);

  /* Optional.  Will be read soon.  Returns at once; but of a slow io when the
   * bytes are there, so it is called by threads that have the time.
   */
  void (*prefetch) (struct rv_io *io, uint64_t off, uint64_t len);

  /* Optional.  Bytes that the storage takes up, 0 if not known. */
  uint64_t (*allocated) (struct rv_io *io);

  /* The next three: NULL where the storage cannot be written.  len > 0. */

  /* Writes exactly len bytes; what lies beyond the end makes the storage
   * longer, and io->size is raised by the implementation after the bytes are
   * there.  On failure any part of the range may have changed.
   */
  int (*pwrite) (struct rv_io *io, const void *buf, size_t len, uint64_t off,
                 rawview_error *err);

  /* Makes the range, inside the storage, read as zeros.  flags: RV_ZERO_*. */
  int (*zero) (struct rv_io *io, uint64_t off, uint64_t len, unsigned flags,
               rawview_error *err);

  /* Returns when all that was written before the call is durable. */
  int (*sync) (struct rv_io *io, rawview_error *err);

  /* Optional.  Changes a reader's lock into a writer's, or back. */
  int (*lock_for_writing) (struct rv_io *io, rawview_error *err);
  void (*lock_for_reading) (struct rv_io *io);

  void (*free) (struct rv_io *io);
};

#define RV_ZERO_PUNCH 1u /* space may be given back */
#define RV_ZERO_FAST  2u /* fail with ENOTSUP rather than write zeros */

struct rv_io {
  const struct rv_io_ops *ops;
  atomic_uint refs;
  _Atomic uint64_t size; /* bytes; grows when it is written beyond the end */
  uintptr_t serial; /* of this io alone in this process, unlike its address */
  char *name;       /* for messages and facts: a path or URI as it was given */
  bool writable;    /* was opened so that pwrite can work */
  int write_errnum; /* why it is not, though that was wanted; 0: not known */
  bool can_grow;    /* a regular file, or memory: not a block device */
  bool many_names;  /* a regular file with hard links */
  bool slow;        /* each request takes long, however little it asks for */
  atomic_bool unsynced; /* written since the last sync */
  atomic_bool sync_failed;
  pthread_mutex_t sync_lock;
  rawview_error sync_error; /* of the sync that failed; under sync_lock */
  bool has_id; /* dev and ino identify the storage on this machine */
  dev_t dev;
  ino_t ino;
};

/* For implementations: set up the common part with one reference.  Takes a copy
 * of name; -1 when out of memory.
 */
int rv_io_init (struct rv_io *io, const struct rv_io_ops *ops, const char *name,
                uint64_t size);

/* For implementations: it has at least size bytes now.  Never makes it smaller.
 */
void rv_io_raise_size (struct rv_io *io, uint64_t size);

/* For those that pass to a parent: what is true of it is true of io. */
void rv_io_like (struct rv_io *io, const struct rv_io *parent);

struct rv_io *rv_io_ref (struct rv_io *io);
void rv_io_unref (struct rv_io *io);

/* Reads exactly len bytes.  Beyond the end is RAWVIEW_ERROR_CORRUPT: callers
 * ask for what a table promised them.
 */
int rv_io_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
                 rawview_error *err);

/* See the vtable.  Never fails: without knowledge it is data. */
void rv_io_hole (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
                 uint64_t *run);
void rv_io_prefetch (struct rv_io *io, uint64_t off, uint64_t len);
uint64_t rv_io_allocated (struct rv_io *io);

/* See the vtable.  An io that is not writable gives RAWVIEW_ERROR_REFUSED with
 * errnum EROFS.
 */
int rv_io_pwrite (struct rv_io *io, const void *buf, size_t len, uint64_t off,
                  rawview_error *err);
int rv_io_zero (struct rv_io *io, uint64_t off, uint64_t len, unsigned flags,
                rawview_error *err);

/* Fills *err with why io is not writable. */
int rv_io_refuse_writing (const struct rv_io *io, rawview_error *err);

/* Durable: all that was written before the call.  Nothing to do if nothing was.
 * A failure is remembered: this and every later sync of the io fails, since
 * nobody knows what the kernel has dropped.
 */
int rv_io_sync (struct rv_io *io, rawview_error *err);

/* Becomes a writer for QEMU and for other rawviews, or a reader again.  A
 * conflict is RAWVIEW_ERROR_REFUSED with errnum EBUSY, and it stays a reader.
 */
int rv_io_lock_for_writing (struct rv_io *io, rawview_error *err);
void rv_io_lock_for_reading (struct rv_io *io);

/* Are both the same storage? */
bool rv_io_same (const struct rv_io *a, const struct rv_io *b);

static inline void
rv_cleanup_io (struct rv_io **io)
{
  rv_io_unref (*io);
}
#define CLEANUP_IO RV_CLEANUP (rv_cleanup_io)

/*--- Implementations ----------------------------------------------------*/

struct rv_io_file_options {
  bool allow_devices; /* block devices, besides regular files */
  bool writable;      /* open for writing too, if that is permitted: else the
                         io is not writable, which is no error.  The lock is a
                         reader's until rv_io_lock_for_writing. */
  bool lock;          /* take QEMU's locks, see lock.h */
  bool lock_required; /* fail where the filesystem has no such locks */
  bool *lock_missing; /* out, may be NULL: was it opened without such locks? */
};

/* Opens name below dirfd (AT_FDCWD: as open(2) does), read-only and without
 * ever blocking.  beneath: refuse to leave dirfd or to follow any link, as
 * names that come from an image must be opened.  show is the name in messages.
 */
int rv_io_file_openat (int dirfd, const char *name, bool beneath,
                       const char *show, const struct rv_io_file_options *opts,
                       struct rv_io **io, rawview_error *err);

/* Takes over fd, also on failure. */
int rv_io_file_from_fd (int fd, const char *show,
                        const struct rv_io_file_options *opts,
                        struct rv_io **io, rawview_error *err);

/* Connects with up to connections connections; as many as the server allows
 * for readers.  Requests beyond them wait for a free one.
 */
int rv_io_nbd_open (const char *uri, unsigned connections, struct rv_io **io,
                    rawview_error *err);

/* The len bytes of parent from off on; keeps a reference of its own. */
int rv_io_slice_new (struct rv_io *parent, uint64_t off, uint64_t len,
                     const char *name, struct rv_io **io, rawview_error *err);

/* Slow storage, made bearable: prefetch reads from parent, in few and large
 * requests, and keeps the bytes until they have been read or others need the
 * room; pread takes them from there, waits for those on their way, and asks
 * parent for the rest alone.  budget: bytes to keep.
 */
int rv_io_ahead_new (struct rv_io *parent, size_t budget, struct rv_io **io,
                     rawview_error *err);

/* A view of the caller's bytes, which must outlive it. */
int rv_io_mem_new (const void *bytes, uint64_t len, const char *name,
                   struct rv_io **io, rawview_error *err);

/* Writable memory of len zeros to begin with, that grows up to room bytes and
 * then says ENOSPC.  It belongs to the io; *bytes lasts as long as that does.
 */
int rv_io_ram_new (uint64_t len, uint64_t room, const char *name,
                   struct rv_io **io, uint8_t **bytes, rawview_error *err);

/* Passes to parent, but the read number *countdown (1: the next) and all later
 * ones fail with EIO.  *countdown is decremented at each read; 0: never fail.
 */
int rv_io_fault_new (struct rv_io *parent, atomic_uint *countdown,
                     struct rv_io **io, rawview_error *err);

/* The same for all operations, as told. */
struct rv_io_faults {
  atomic_uint countdown; /* as above; counts the operations of kinds */
  unsigned kinds;        /* RV_FAULT_* */
  int errnum;
  bool once; /* only that one fails: the countdown ends at 0 */
  bool torn; /* the failing write writes its first half, up to a sector */
};
#define RV_FAULT_READ  1u
#define RV_FAULT_WRITE 2u
#define RV_FAULT_ZERO  4u
#define RV_FAULT_SYNC  8u

int rv_io_faults_new (struct rv_io *parent, struct rv_io_faults *faults,
                      struct rv_io **io, rawview_error *err);

/* Passes to parent and records each change in order.  One log may serve several
 * ios, so that the order among them is kept.  Thread-safe.
 */
enum rv_trace_op { RV_TRACE_WRITE, RV_TRACE_ZERO, RV_TRACE_SYNC };
struct rv_trace_entry {
  enum rv_trace_op op;
  unsigned file;     /* as given to rv_io_trace_new */
  uint64_t off, len; /* SYNC: off is how many of the log's entries it made
                        durable, as far as they are of this file: all up to the
                        first that had not returned when it began */
  uint8_t *bytes;    /* WRITE */
  uint64_t marker;   /* the log's marker when it happened */
  uint64_t when;     /* by the log's clock: when it returned (0: it has not),
                        SYNC: when it began.  What returned before a sync
                        began is durable after it, whatever its place. */
};
struct rv_trace {
  pthread_mutex_t lock;
  uint64_t clock;
  struct rv_trace_entry *entries;
  size_t len, room;
  _Atomic uint64_t marker; /* the test's own, such as a request number */
};
void rv_trace_init (struct rv_trace *trace);
void rv_trace_release (struct rv_trace *trace);
/* SYNC is recorded after it has succeeded, WRITE and ZERO before they begin. */
int rv_io_trace_new (struct rv_io *parent, unsigned file,
                     struct rv_trace *trace, struct rv_io **io,
                     rawview_error *err);

#endif /* RV_IO_H */
