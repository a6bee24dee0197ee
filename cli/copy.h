/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview copy, inside: an engine that cuts the disk into pieces, and targets
 * that take them.
 *
 * A lane is one worker's way into the target: its buffer, its connection.  A
 * target's functions may run on all lanes at once, one thread per lane.
 */

#ifndef CLI_COPY_H
#define CLI_COPY_H

#include <pthread.h>
#include <stdatomic.h>

#include "cli.h"

/* The largest piece that is read at once.  A multiple of every cluster size,
 * so that no cluster is decompressed twice.
 */
#define COPY_PIECE (2 * 1024 * 1024)

/* Zeros in data are looked for in blocks of this, unless something else is
 * said.
 */
#define COPY_SPARSE 4096

struct copy_target;

struct copy_ops {
  /* Before the first worker; may be NULL. */
  int (*start) (struct copy_target *t, rawview_error *err);

  /* A buffer of COPY_PIECE bytes that the lane may fill now; it is in use until
   * the lane asks for the next one.  Waits for earlier writes if it must.
   */
  void *(*buffer) (struct copy_target *t, unsigned lane, rawview_error *err);

  /* buf lies inside the lane's buffer.  A write may still be under way when
   * this returns.
   */
  int (*write) (struct copy_target *t, unsigned lane, const void *buf,
                size_t len, uint64_t off, rawview_error *err);

  /* Makes the range read as zeros, without taking space where it can. */
  int (*zero) (struct copy_target *t, unsigned lane, uint64_t len, uint64_t off,
               rawview_error *err);

  /* Waits until all of the lane's writes have arrived. */
  int (*drain) (struct copy_target *t, unsigned lane, rawview_error *err);

  /* Makes everything durable; called when all lanes are drained. */
  int (*flush) (struct copy_target *t, rawview_error *err);

  /* Frees the target.  Unless ok, what was created is removed.  The error is
   * that of the last close.
   */
  int (*close) (struct copy_target *t, bool ok, rawview_error *err);

  /* Removes what was created and nothing else: for a process that has to end
   * while its workers are stuck.
   */
  void (*abandon) (struct copy_target *t);
};

struct copy_target {
  const struct copy_ops *ops;
  const char *name;
  unsigned lanes;       /* how many workers it can take */
  bool created;         /* by us: removed if the copy fails */
  bool zeroed;          /* reads as zeros already, so zeros can be skipped */
  bool ordered;         /* a stream: pieces have to come in order */
  bool always_flush;    /* an error of the storage would be lost otherwise */
  uint32_t granularity; /* it wants offsets and lengths in multiples of this */
};

struct copy_target_options {
  uint64_t size; /* of the disk */
  unsigned lanes;
  bool force;
  bool zeroed;                 /* the user says so */
  const rawview_image *source; /* NULL: standard input */
  bool preallocated;           /* it has all its space from the beginning */
  const int *fd;               /* NULL, or as what a device is open already */
};

/* A file or block device, created if it does not exist, or "-". */
struct copy_target *copy_file_open (const char *name,
                                    const struct copy_target_options *options,
                                    rawview_error *err);

/* An NBD server. */
struct copy_target *copy_nbd_open (const char *uri,
                                   const struct copy_target_options *options,
                                   rawview_error *err);

/* A QCOW2 file, made anew. */
struct copy_target *copy_image_open (const char *name,
                                     const struct copy_target_options *options,
                                     rawview_error *err);

/* Refuses a destination that is a file of the source (NULL: of standard input),
 * or that another process uses.  The locks live as long as fd.
 */
int copy_lock_destination (int fd, const char *name,
                           const rawview_image *source, rawview_error *err);

/*--- What is lost -------------------------------------------------------*/

struct copy_range {
  uint64_t off, len; /* of the disk */
};

/* Of one piece, in order.  Set to zero; the caller frees ranges. */
struct copy_losses {
  struct copy_range *ranges;
  size_t n, room;
  bool failed; /* no memory */
};

/* Set by the caller: size, json and bar; all else zero. */
struct copy_lost {
  uint64_t size;   /* of the disk */
  FILE *json;      /* NULL, or where lines for programs go */
  bool bar;        /* a bar is being drawn on stderr */
  uint64_t bytes;  /* told so far, and how many */
  uint64_t ranges; /* ranges that was */

  struct copy_range pending; /* may go on in the next piece */
  FILE *map;                 /* NULL: none */
  const char *map_name;
  bool created;    /* the mapfile, by us */
  uint64_t mapped; /* the mapfile knows what is before */
};

/* Reads what can be read of a piece, and notes what cannot. */
int copy_lost_read (rawview_image *image, void *buf, size_t len, uint64_t off,
                    struct copy_losses *losses, rawview_error *err);

/* Tells of the losses of a piece that ends at end: one thread at a time, pieces
 * in their order.  Only what the next piece may go on with has to wait.
 */
void copy_lost_tell (struct copy_lost *lost, const struct copy_losses *losses,
                     uint64_t end);

/* Makes the mapfile, in the format of GNU ddrescue. */
int copy_lost_open_map (struct copy_lost *lost, const char *name, bool force,
                        const rawview_image *source, rawview_error *err);

/* All has been told up to the disk's end: ends the list and the mapfile. */
int copy_lost_finish (struct copy_lost *lost, rawview_error *err);

/* Removes a mapfile that was made. */
void copy_lost_abandon (struct copy_lost *lost);

/* Reading a piece has failed, and no losses are wanted: adds to the error where
 * it was, and the way on.  buf may be overwritten.
 */
void copy_lost_explain (rawview_image *image, void *buf, size_t len,
                        uint64_t off, rawview_error *err);

/* The same for a source that could not be opened with these options, to which
 * rescue is added.
 */
void copy_lost_suggest (const char *source, rawview_options *options,
                        rawview_error *err);

/*--- The engine ---------------------------------------------------------*/

struct copy_job {
  /* Set by the caller, all else zero. */
  rawview_image *image;   /* what is copied: this, or */
  rawview_stream *stream; /* this */
  struct copy_target *target;
  uint64_t size;
  unsigned threads; /* of a stream: workers, more of them than lanes share */
  struct copy_lost *lost; /* of an image: NULL if a loss is a failure */
  bool changes;    /* of an overlay: only what it has itself, the target has the
                      rest */
  uint64_t sparse; /* look for zeros in data in blocks of this, 0: do not */
  int done_fd;     /* an eventfd: written when the last worker has ended */

  atomic_uint_fast64_t done; /* bytes */

  /* lock guards what follows. */
  pthread_mutex_t lock;
  pthread_cond_t turn_changed;
  pthread_mutex_t sharing; /* of a stream: held by who uses a shared lane */
  uint64_t cursor;         /* what lies before has been handed out */
  uint64_t pieces;         /* handed out so far */
  uint64_t turn;           /* in order: the piece that may be written now */
  bool prepared;           /* of a stream: the target reads as zeros now */
  unsigned running;        /* workers */
  bool stop;
  bool failed;
  rawview_error err; /* the first failure */

  struct copy_worker *workers;
  unsigned n_workers;
};

/* How many lanes to ask for: as wished, or, for 0, one per CPU. */
unsigned copy_thread_count (unsigned wished);

/* Starts a worker per lane. */
int copy_job_start (struct copy_job *job, rawview_error *err);

/* Asks the workers to end after their present piece. */
void copy_job_stop (struct copy_job *job);

/* Joins the workers and frees what start took; -1 if any of them failed. */
int copy_job_finish (struct copy_job *job, rawview_error *err);

/*--- Streams ------------------------------------------------------------*/

/* Opens standard input as job->stream and sets job->size.  dest: the name of
 * the destination, which must not be standard output.
 */
int copy_stream_open (const rawview_options *options, const char *dest,
                      struct copy_job *job, rawview_error *err);

/* Can the target take a stream's grains? */
int copy_stream_check (const struct copy_job *job, rawview_error *err);

/* Adds to the error how far it got. */
void copy_stream_explain (const struct copy_job *job, rawview_error *err);

/*--- Inside the engine --------------------------------------------------*/

struct copy_worker {
  struct copy_job *job;
  unsigned number, lane;
  pthread_t thread;
  struct copy_losses losses; /* of the piece at hand */
};

/* Writes what lies in the lane's buffer, without the zeros in it. */
int copy_write_sparse (struct copy_worker *w, const uint8_t *buf, size_t len,
                       uint64_t off, rawview_error *err);

bool copy_is_stopped (struct copy_job *job);

/* What a worker does for a stream, in copy-stream.c. */
int copy_grains (struct copy_worker *w, rawview_error *err);

/* Zeroing is cut into steps, so that it shows progress and can be stopped. */
#define COPY_ZERO_STEP (256 * 1024 * 1024)

#endif /* CLI_COPY_H */
