/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* librawview: VMDK and QCOW2 disk images read as raw disks.
 *
 * Conventions of the whole interface
 * - Offsets and lengths are bytes, never sectors.  Argument order is that of
 *   pread(2): buf, len, off.
 * - Functions that can fail return 0 or -1 and take the error, by value in the
 *   caller's memory, as their last argument.  It may be NULL.  On success the
 *   error is left as it was.
 * - The library never prints, exits or aborts, and starts a thread only in
 *   rawview_start.
 * - A handle may be used from any number of threads at once, except that
 *   rawview_close of the last reference must come after every other call.
 *   Options and export sets say so themselves below.
 * - File names inside an image are facts about it, not something to be obeyed:
 *   see the option "references".
 */

#ifndef RAWVIEW_H
#define RAWVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*--- Errors -------------------------------------------------------------*/

/* What went wrong, seen as the decision that it asks of the user. */
typedef enum rawview_error_kind {
  RAWVIEW_ERROR_NONE = 0,
  RAWVIEW_ERROR_IO = 1,          /* the storage failed: look at errnum */
  RAWVIEW_ERROR_USAGE = 2,       /* a wrong option, value, offset or length */
  RAWVIEW_ERROR_FORMAT = 3,      /* not an image, or not of that format */
  RAWVIEW_ERROR_UNSUPPORTED = 4, /* a legal image that rawview cannot read */
  RAWVIEW_ERROR_CORRUPT = 5,     /* the image contradicts itself or is cut */
  RAWVIEW_ERROR_REFUSED = 6,     /* policy: a reference or device not allowed */
  RAWVIEW_ERROR_LIMIT = 7,       /* beyond a named limit, see max-size */
  RAWVIEW_ERROR_NOMEM = 8,       /* out of memory or descriptors */
} rawview_error_kind;

typedef struct rawview_error {
  rawview_error_kind kind;
  int errnum;    /* errno value fit to pass on to a client, never 0 */
  char msg[512]; /* one line, printable, no newline, NUL-terminated */
} rawview_error;

/* "io", "usage", "format", ... for machine-readable output; "none" for 0. */
const char *rawview_error_kind_name (rawview_error_kind kind);

/*--- Options ------------------------------------------------------------*/

/* Options are key=value texts.  The same names are nbdkit parameters,
 * rawviewfs options and command line flags.  A set of options is not
 * thread-safe; rawview_open copies what it needs.
 */
typedef struct rawview_options rawview_options;

typedef struct rawview_option_info {
  const char *name;
  const char *arg;  /* how the value is written in a synopsis: "SIZE" */
  const char *help; /* one line */
} rawview_option_info;

/* The i-th option that rawview_options_set knows, NULL past the last. */
const rawview_option_info *rawview_option_get (size_t i);

/* NULL only when out of memory.  What was set in the original may be set again
 * in a copy: the new value counts.
 */
rawview_options *rawview_options_new (void);
rawview_options *rawview_options_dup (const rawview_options *opts);
void rawview_options_free (rawview_options *opts);

/* Relative file names are resolved against the working directory of this call,
 * so that a later chdir does not matter.  Unknown keys, wrong values and a key
 * given twice (unless repeatable) are RAWVIEW_ERROR_USAGE.
 */
int rawview_options_set (rawview_options *opts, const char *key,
                         const char *value, rawview_error *err);

/* Are images opened such that rawview_make_writable can work?  Off unless set;
 * with it, files are opened for reading and writing where permissions allow.
 */
void rawview_options_set_writable (rawview_options *opts, bool writable);

/* An image is not written in place while a file beside it names it as its
 * backing file or parent.  This file, which must be there, is no reason: its
 * changes are about to be put into the image.
 */
int rawview_options_ignore_child (rawview_options *opts, const char *file,
                                  rawview_error *err);

/*--- Images -------------------------------------------------------------*/

typedef struct rawview_image rawview_image;

/* Opens an image with everything it refers to.  It is read-only until
 * rawview_make_writable; an overlay that the options name is made if it is not
 * there.  source is a file
 * name or an NBD URI (nbd:, nbds:, nbd+unix:, nbds+unix:, nbd+vsock:,
 * nbds+vsock:); it may be NULL when the option fd is set.  opts may be NULL.
 * Starts no thread, so the process may still fork.  The result has one
 * reference.
 */
int rawview_open (const char *source, const rawview_options *opts,
                  rawview_image **image, rawview_error *err);

/* Starts the decompression workers.  Optional: without it every request is
 * served by the calling thread alone.  Call after the last fork.  Once started,
 * calling it again does nothing.
 */
int rawview_start (rawview_image *image, rawview_error *err);

/* One more reference to the same handle. */
rawview_image *rawview_ref (rawview_image *image);

/* Drops a reference; with the last one the workers are joined and everything
 * is closed.  NULL is allowed.
 */
void rawview_close (rawview_image *image);

/* Virtual size of the disk in bytes. */
uint64_t rawview_get_size (const rawview_image *image);

/* A size of request, in bytes, that the image serves best: its cluster or
 * grain, a power of two between 512 and 2 MiB.
 */
uint32_t rawview_get_preferred_block_size (const rawview_image *image);

/* Reads exactly len bytes.  A range beyond the end is RAWVIEW_ERROR_USAGE.
 * Damage in the image is RAWVIEW_ERROR_CORRUPT with errnum EIO for the
 * requests that touch it, and the message says where; the contents of buf are
 * then undefined.
 */
int rawview_pread (rawview_image *image, void *buf, size_t len, uint64_t off,
                   rawview_error *err);

/* A range of the disk that is lost, and why; both are valid during the call. */
typedef void (*rawview_lost_cb) (void *opaque, uint64_t len, uint64_t off,
                                 const rawview_error *why);

/* Reads what can be read of exactly len bytes.  What cannot is zeros in buf,
 * and cb is called for it, in order; neighbours may come one by one.  Lost is
 * no more than what a wrong entry concerns, a compressed unit that cannot be
 * decoded, or the sectors that the storage cannot read.  Fails only when the
 * rest could not be told from what is lost: storage that is gone, no memory, a
 * range beyond the end.
 */
int rawview_salvage (rawview_image *image, void *buf, size_t len, uint64_t off,
                     rawview_lost_cb cb, void *opaque, rawview_error *err);

/* Asks that the range be read soon: caches and the page cache are filled.
 * Damage is not reported here.
 */
int rawview_prefetch (rawview_image *image, uint64_t len, uint64_t off,
                      rawview_error *err);

/* One run of guest bytes that are stored in the same way. */
typedef struct rawview_extent {
  uint64_t off;
  uint64_t len;
  bool zero;            /* reads as zeros */
  bool hole;            /* takes no space in any file of the chain */
  bool compressed;      /* stored compressed */
  bool damaged;         /* reading it fails with EIO; never zero or hole */
  bool has_host_off;    /* plain data: where, in which file */
  unsigned depth;       /* 0: the image itself, 1: its backing file, ... */
  uint64_t host_off;    /* valid if has_host_off */
  const char *filename; /* valid during the callback, NULL if none */
} rawview_extent;

typedef int (*rawview_extent_cb) (void *opaque, const rawview_extent *extent);

#define RAWVIEW_EXTENTS_ONE 1u /* the first run suffices */
#define RAWVIEW_EXTENTS_RUNS \
  2u /* keep runs apart that differ in depth, \
       compression or host offset, for a map */

/* Calls cb for runs that cover the range in order without gaps; cb returns
 * nonzero to end the walk, which is not an error.  Bounded work: the walk may
 * end before off+len, never before its first run.  Neighbouring runs of equal
 * zero and hole are merged unless RAWVIEW_EXTENTS_RUNS is given, in which case
 * the first run is answered exactly too.
 */
int rawview_extents (rawview_image *image, uint64_t len, uint64_t off,
                     unsigned flags, rawview_extent_cb cb, void *opaque,
                     rawview_error *err);

/*--- Writing ------------------------------------------------------------*/

/* Makes the handle writable: takes the locks of a writer and looks whether the
 * image can be written, in place or, with the option overlay, in its overlay.
 * Changes nothing on disk yet.  Calling it again does nothing.  On failure the
 * handle stays readable and the error says why; if an overlay would help, it
 * says so.  Needs rawview_options_set_writable or the option overlay at open.
 */
int rawview_make_writable (rawview_image *image, rawview_error *err);
bool rawview_is_writable (const rawview_image *image);

/* Writes exactly len bytes.  They are durable after the next rawview_flush.
 * A full disk is RAWVIEW_ERROR_IO with errnum ENOSPC: the request may have been
 * done in part, nothing else is lost, and writing works again when there is
 * space.  Where the image itself forbids it: RAWVIEW_ERROR_REFUSED with EPERM.
 */
int rawview_pwrite (rawview_image *image, const void *buf, size_t len,
                    uint64_t off, rawview_error *err);

#define RAWVIEW_ZERO_MAY_TRIM 1u /* space may be given back */
#define RAWVIEW_ZERO_FAST \
  2u /* fail with errnum ENOTSUP if it would be no \
        faster than writing zeros */

/* Makes the range read as zeros. */
int rawview_zero (rawview_image *image, uint64_t len, uint64_t off,
                  unsigned flags, rawview_error *err);

/* The guest does not need these bytes: they read as zeros or as before. */
int rawview_trim (rawview_image *image, uint64_t len, uint64_t off,
                  rawview_error *err);

/* Returns when every request that was answered before this call is durable, in
 * every file that it touched.  Many callers share one flush.
 */
int rawview_flush (rawview_image *image, rawview_error *err);

/* The end of writing: flushes, gives back what was not used, and marks the
 * image as closed cleanly; it is read-only then.  rawview_close does the same
 * but cannot tell of errors.
 */
int rawview_finish (rawview_image *image, rawview_error *err);

/*--- Making images ------------------------------------------------------*/

/* A regular file of that name, which nobody uses, may be replaced. */
#define RAWVIEW_CREATE_REPLACE 1u
/* Take the space of the whole disk now. */
#define RAWVIEW_CREATE_PREALLOCATE 2u

/* Makes a new disk of zeros, "raw" or "qcow2" (version 3, clusters of 64 KiB,
 * no backing file), readable and writable by its owner alone.  It has its name
 * only when it is complete and durable; on failure nothing has changed.  size:
 * bytes, for QCOW2 whole sectors of 512.  What is there already is
 * RAWVIEW_ERROR_REFUSED with errnum EEXIST.  Without preallocation it takes
 * next to no space; with it, writing does not run out of it, and a filesystem
 * that cannot reserve any for QCOW2 is RAWVIEW_ERROR_UNSUPPORTED.
 *
 * To fill it: rawview_open, naming the format, and rawview_make_writable.
 */
int rawview_create (const char *name, const char *format, uint64_t size,
                    unsigned flags, rawview_error *err);

/*--- Facts about an image -----------------------------------------------*/

typedef enum rawview_fact_type {
  RAWVIEW_FACT_TEXT,
  RAWVIEW_FACT_NUMBER,
  RAWVIEW_FACT_BOOL,
} rawview_fact_type;

/* Keys are those of "qemu-img info --output=json" where it has them:
 * "filename", "format", "virtual-size", "actual-size", "cluster-size",
 * "backing-filename", ...  A dot nests: "format-specific.data.compat".
 */
typedef struct rawview_fact {
  const char *key;
  rawview_fact_type type;
  const char *text; /* sanitised: printable UTF-8 */
  uint64_t number;  /* also the value of a BOOL */
} rawview_fact;

/* Number of images in the chain, at least 1. */
size_t rawview_get_depth (const rawview_image *image);

/* The i-th fact about the image at this depth; NULL past the last.  The
 * pointers live as long as the handle.
 */
const rawview_fact *rawview_get_fact (const rawview_image *image,
                                      unsigned depth, size_t i);

typedef struct rawview_snapshot {
  const char *id;
  const char *name;
  uint64_t virtual_size;  /* bytes */
  uint64_t vm_state_size; /* bytes */
  uint32_t date_sec;      /* Unix time */
  uint32_t date_nsec;
  uint64_t vm_clock_nsec;
} rawview_snapshot;

/* Calls cb for each internal snapshot of the image itself, in table order;
 * nonzero from cb ends the walk.
 */
int rawview_snapshots (rawview_image *image,
                       int (*cb) (void *opaque, const rawview_snapshot *s),
                       void *opaque, rawview_error *err);

/* The i-th thing that an administrator should know although the image could be
 * opened; NULL past the last.  One line each.
 */
const char *rawview_get_warning (const rawview_image *image, size_t i);

typedef struct rawview_check_result {
  uint64_t corruptions;  /* contradictions that affect what is read */
  uint64_t leaks;        /* clusters that are allocated and not used */
  uint64_t check_errors; /* parts that could not be checked */
  uint64_t total_clusters;
  uint64_t allocated_clusters;
  uint64_t compressed_clusters;
  uint64_t image_end_offset; /* bytes */
} rawview_check_result;

typedef enum rawview_finding {
  RAWVIEW_FINDING_CORRUPTION,
  RAWVIEW_FINDING_LEAK,
  RAWVIEW_FINDING_ERROR,
} rawview_finding;

/* Walks all tables of the image itself (not of its backing files) and calls cb
 * for each finding.  Fails with RAWVIEW_ERROR_UNSUPPORTED for formats without
 * tables.  Takes time and memory in proportion to the file.  If the image is
 * being written, all changes are flushed first, and requests that write wait
 * until it is done; cb must make none.
 */
int rawview_check (rawview_image *image,
                   void (*cb) (void *opaque, rawview_finding finding,
                               const char *msg),
                   void *opaque, rawview_check_result *result,
                   rawview_error *err);

/*--- Sets of exports ----------------------------------------------------*/

/* A set of named disks: single sources, OVA archives with several disks, whole
 * folders.  All users of one disk share one handle.  All functions may be
 * called from any thread; the _add functions, _set_log and _free must not run
 * beside others.
 */
typedef struct rawview_exports rawview_exports;

rawview_exports *rawview_exports_new (void);
void rawview_exports_free (rawview_exports *exports);

/* Where lines about skipped images and the warnings of all images go, one call
 * each.  A folder's unchanged file is reported once, not at every listing.
 */
void rawview_exports_set_log (rawview_exports *exports,
                              void (*log) (void *opaque, const char *msg),
                              void *opaque);

/* Adds one source, opened now.  With a NULL name its disks are called after
 * their file: "vm.vmdk"; those of an OVA after their members.  With a name and
 * an OVA of several disks the option "disk" must say which.
 */
int rawview_exports_add_source (rawview_exports *exports, const char *name,
                                const char *source, const rawview_options *opts,
                                rawview_error *err);

/* Adds a folder: every image in it, by its full file name, as long as it is
 * there.  The folder is opened now and read at every listing.  Files that are
 * extents of other images are left out, those that cannot be opened are
 * skipped with a line in the log.  An OVA of several disks has one name per
 * disk, "vm.ova:member.vmdk".
 */
int rawview_exports_add_folder (rawview_exports *exports, const char *dir,
                                const rawview_options *opts,
                                rawview_error *err);

typedef struct rawview_export {
  const char *name;
  const char *description; /* one line: format and size */
  uint64_t size;           /* virtual size in bytes */
  int64_t mtime_sec;       /* of the container file */
  uint32_t mtime_nsec;
} rawview_export;

/* Calls cb for each disk, sources in the order added, folders by name.  The
 * pointers are valid during the callback, which must not call into the set.
 * Nonzero from cb ends the walk.
 */
int rawview_exports_list (rawview_exports *exports,
                          int (*cb) (void *opaque, const rawview_export *e),
                          void *opaque, rawview_error *err);

/* The first disk's name, for clients that ask for the empty one; NULL if the
 * set consists of folders.  Lives as long as the set.
 */
const char *rawview_exports_default (const rawview_exports *exports);

/* A new reference to the disk of that name; "" is the default disk.  Unknown
 * names are RAWVIEW_ERROR_USAGE with errnum ENOENT.
 */
int rawview_exports_open (rawview_exports *exports, const char *name,
                          rawview_image **image, rawview_error *err);

/*--- Descriptions of machines -------------------------------------------*/

/* The OVF text of an OVA, with a NUL after its *len bytes, for the caller to
 * free(3).  *text is NULL if the source is no OVA, or has none.  Texts of more
 * than 4 MiB are RAWVIEW_ERROR_LIMIT.  The text is as untrusted as an image.
 */
int rawview_read_ovf (const char *source, const rawview_options *opts,
                      char **text, size_t *len, rawview_error *err);

/* Which file does the file called from, the description of a machine, mean by
 * name?  Judged as names in images are, by the option references, and opened
 * once, so that it is a file, reached by no link, where it may be.  *path is
 * absolute and the caller's to free(3).
 */
int rawview_find_named_disk (const char *from, const char *name,
                             const rawview_options *opts, char **path,
                             rawview_error *err);

/*--- The sandbox --------------------------------------------------------*/

/* What a process will still do besides reading and writing its images. */
typedef struct rawview_sandbox_needs {
  const rawview_options *options; /* with the option sandbox; NULL: auto */
  rawview_exports *exports;       /* what it serves; NULL: nothing, or */
  const rawview_image *image;     /* this, opened with options */
  bool syslog;                    /* its messages go to the system's log */
  const char *const *removes;     /* NULL, or files and empty folders that it
                                     will remove; NULL at the end */
} rawview_sandbox_needs;

typedef struct rawview_sandbox {
  unsigned landlock; /* version of Landlock's interface, 0: not used */
  bool seccomp;      /* a filter of system calls is used */
  bool weaker;       /* than it should be: worth a line in the log */
  char text[400];    /* one line: what is denied, by what, what is missing */
} rawview_sandbox;

/* Gives up, for the rest of the process, what its images do not need: denied
 * calls fail with EPERM or EACCES and raise no signal.  Call it when everything
 * is open and before the first byte of a client is read; after the last fork,
 * and before threads are started, which Landlock does not reach.  There is no
 * way back.  With sandbox=auto it goes without what the kernel lacks and says
 * so in *state; with sandbox=on that is RAWVIEW_ERROR_UNSUPPORTED, and the
 * process should end.
 */
int rawview_sandbox_enter (const rawview_sandbox_needs *needs,
                           rawview_sandbox *state, rawview_error *err);

/* What there is on this machine: "Landlock 7, seccomp".  Changes nothing. */
void rawview_sandbox_probe (rawview_sandbox *state);

/*--- Streams ------------------------------------------------------------*/

/* A streamOptimized VMDK, alone or in an OVA, that comes from a pipe: read
 * once, from the beginning to the end, in whatever order its grains come.  What
 * never comes reads as zeros.
 */
typedef struct rawview_stream rawview_stream;

/* Reads as far as needed to know the disk.  fd stays the caller's and is read
 * until the stream is closed; name is what messages call it.  opts may be NULL;
 * used are format (vmdk), disk and max-size, those about other files are
 * RAWVIEW_ERROR_USAGE.  What cannot be read in one pass is
 * RAWVIEW_ERROR_UNSUPPORTED.  Starts no thread.
 */
int rawview_stream_open (int fd, const char *name, const rawview_options *opts,
                         rawview_stream **stream, rawview_error *err);

/* No other call may be under way.  NULL is allowed. */
void rawview_stream_close (rawview_stream *stream);

/* Virtual size of the disk in bytes. */
uint64_t rawview_stream_get_size (const rawview_stream *stream);

/* A power of two up to 2 MiB: no piece is longer, and each begins at a multiple
 * of it.
 */
uint32_t rawview_stream_get_grain_size (const rawview_stream *stream);

/* Bytes of the stream that have been used so far. */
uint64_t rawview_stream_get_position (const rawview_stream *stream);

/* Takes the next piece of the disk and decodes it into buf, which has room for
 * a grain.  1: *len bytes at *off of the disk; 0: all has come, and everything
 * that says what should have come has been verified; -1: an error, and what has
 * been read is not to be trusted.  A stream that is cut is
 * RAWVIEW_ERROR_CORRUPT.  Any number of threads may call it at once: each gets
 * another piece, and decodes while the next one reads.  All of them must have
 * got 0 before the disk is complete.
 */
int rawview_stream_read (rawview_stream *stream, void *buf, size_t *len,
                         uint64_t *off, rawview_error *err);

/* Makes all calls of rawview_stream_read fail soon, with errnum ECANCELED, even
 * if they wait for the pipe.
 */
void rawview_stream_stop (rawview_stream *stream);

/*--- The library --------------------------------------------------------*/

/* Lets the process have 65536 files open, or as many as its hard limit allows:
 * an image may have thousands of extents, and programs start with a soft limit
 * of 1024.  Not for programs that use select(2).
 */
void rawview_allow_many_files (void);

/* The version of the library, "1.2.3". */
const char *rawview_version (void);

#ifdef __cplusplus
}
#endif

#endif /* RAWVIEW_H */
