/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The crash replayer: what its files share.
 *
 *   images.c    an image is a set of files in memory; opens it with our library
 *   workload.c  a seeded sequence of requests on the writable image, recorded
 *   model.c     which values may each sector have at which time?
 *   states.c    what may lie on the disk after a crash at each time?
 *   judge.c     looks at one such state by all means
 *   judge-qemu.c  and by qemu-img's eyes
 *   second.c    a crash after a crash
 *   faults.c    operations that fail
 *
 * Time is counted in entries of the trace: at time t the first t entries have
 * been issued, and those that no sync has followed may have arrived or not.
 */

#ifndef RV_CRASH_H
#define RV_CRASH_H

#include <config.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "util/checked.h"
#include "util/error.h"

#define SECTOR    512u
#define FILES_MAX 16u

/* For what cannot happen in a test: says so and exits. */
void crash_die (const char *fmt, ...) RV_PRINTF (1, 2)
    __attribute__ ((noreturn));
void *crash_alloc (size_t n); /* zeros */

/*--- Chance -------------------------------------------------------------*/

static inline uint64_t
crash_mix (uint64_t x)
{
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

struct crash_rng {
  uint64_t x;
};

static inline uint64_t
crash_random (struct crash_rng *rng, uint64_t below)
{
  rng->x = crash_mix (rng->x);
  return rng->x % below;
}

/*--- images.c -----------------------------------------------------------*/

struct crash_file {
  char *name;
  uint8_t *bytes;
  uint64_t len;
  bool writable; /* belongs to the image itself, not to a backing file */
};

struct crash_image {
  char *kind; /* name of the folder that it was read from */
  struct crash_file files[FILES_MAX]; /* the container first */
  unsigned nr_files;
  uint8_t *expected; /* what the guest reads at first */
  uint64_t size;
  char *snapshot;             /* id of an internal snapshot, or NULL */
  uint8_t *snapshot_expected; /* what is read there */
  uint64_t snapshot_size;
  uint64_t leaks; /* allowed after an orderly end */
  bool begun;     /* has been written before: see judge.c, begun_first */
  const struct rv_format_ops *format;
  uint32_t unit; /* cluster or grain */
};

/* Reads DIR, as make-images has filled it. */
struct crash_image *crash_image_load (const char *dir, const char *kind);
void crash_image_free (struct crash_image *image);

struct crash_disk {
  struct rv_chain chain;
  struct rv_warnings warnings;
  struct rv_tables *tables;
  struct rv_engine *engine;
};

/* ios: one per file, borrowed. */
int crash_open (const struct crash_image *image, struct rv_io *const *ios,
                const char *snapshot, struct crash_disk *disk,
                rawview_error *err);
void crash_close (struct crash_disk *disk);

/*--- model.c ------------------------------------------------------------*/

enum crash_op { CRASH_WRITE, CRASH_ZERO, CRASH_TRIM, CRASH_FLUSH };

struct crash_request {
  enum crash_op op;
  uint64_t off, len;
  unsigned flags;      /* ZERO */
  bool ok;             /* it was answered, and well */
  uint64_t begin, end; /* in the order of all begins and ends */
  size_t from, to;     /* the same in time: length of the trace */
  size_t durable;      /* since when it must be there */
};

struct crash_model {
  const struct crash_image *image;
  pthread_mutex_t lock;
  struct crash_request *requests;
  size_t len, room;
  uint64_t order;

  /* Made by crash_model_finish: for each sector, who wrote it. */
  size_t *first; /* in by; one more than sectors */
  struct crash_touch {
    uint32_t request;
    size_t until;  /* from this time on it must have been replaced */
    bool replaced; /* when all was done */
  } * by;
  size_t *base_until;
  bool *base_replaced;
};

void crash_model_init (struct crash_model *m, const struct crash_image *image);
void crash_model_release (struct crash_model *m);

/* Thread-safe.  begin returns the request's number. */
uint32_t crash_model_begin (struct crash_model *m, struct rv_trace *trace,
                            enum crash_op op, uint64_t off, uint64_t len,
                            unsigned flags);
void crash_model_end (struct crash_model *m, struct rv_trace *trace,
                      uint32_t request, bool ok);
void crash_model_finish (struct crash_model *m);

/* The sector that a write request puts there. */
void crash_fill (uint8_t *buf, uint32_t request, uint64_t sector);

/* May the guest read this after a crash at time t?  CRASH_NOW: after the last
 * request, without a crash.
 */
#define CRASH_NOW SIZE_MAX
bool crash_allowed (const struct crash_model *m, uint64_t sector,
                    const uint8_t *bytes, size_t t);

/* Compares all sectors; why: at least 256 bytes. */
bool crash_disk_allowed (const struct crash_model *m, const uint8_t *bytes,
                         size_t t, char *why, size_t why_len);

/*--- workload.c ---------------------------------------------------------*/

struct crash_plan {
  uint64_t seed;
  unsigned requests;
  unsigned threads;            /* 0: the calling thread alone, repeatable */
  struct rv_io_faults *faults; /* NULL: none */
  bool ends;                   /* finishes writing at the end */
};

struct crash_run {
  const struct crash_image *image;
  struct crash_plan plan;
  struct rv_trace trace;
  struct crash_model model;
  struct rv_io *ios[FILES_MAX];
  uint8_t *bytes[FILES_MAX]; /* of files as they are now */
  struct crash_disk disk;
  bool finished; /* the end was orderly */
  unsigned failed_requests;
  rawview_error err, last; /* of the first and the last that failed */
};

/* Opens, writes, leaves it open.  false: it cannot even be opened. */
bool crash_run_start (struct crash_run *run, const struct crash_image *image,
                      const struct crash_plan *plan);
void crash_run_requests (struct crash_run *run);
bool crash_run_request (struct crash_run *run, struct crash_rng *rng);
bool crash_run_flush (struct crash_run *run);
void crash_run_finish (struct crash_run *run);
void crash_run_release (struct crash_run *run);

/* Reads all there is now, by the open engine. */
bool crash_run_read (struct crash_run *run, uint8_t *buf, rawview_error *err);

/*--- states.c -----------------------------------------------------------*/

struct crash_state {
  const struct crash_run *run;
  uint64_t number;
  size_t t;
  uint8_t *bytes[FILES_MAX]; /* all files; the length of each in len */
  uint64_t len[FILES_MAX];
  bool last; /* all has arrived and the end was orderly */
};

struct crash_choice {
  unsigned subsets; /* besides the prefix, for each time */
  uint64_t only;    /* number of the only state of interest, UINT64_MAX: all */
  bool no_syncs;    /* as if syncs did nothing */
};

/* Calls cb for each state that is not equal to an earlier one, until it returns
 * false.
 */
void crash_states (const struct crash_run *run,
                   const struct crash_choice *choice,
                   bool (*cb) (void *opaque, const struct crash_state *state),
                   void *opaque);

/*--- judge.c ------------------------------------------------------------*/

struct crash_verdict {
  bool good;
  char why[600];
  uint64_t leaks; /* as our check sees them */
  bool unclean;   /* VMDK: marked as not closed cleanly */
};

struct crash_judge {
  uint8_t *buf, *again; /* image->size bytes each */
};

void crash_judge_init (struct crash_judge *j, const struct crash_image *image);
void crash_judge_release (struct crash_judge *j);

/* Reads it and checks it. */
bool crash_judge (struct crash_judge *j, const struct crash_state *state,
                  struct crash_verdict *v);

/* Writes it again, as after a crash. */
bool crash_judge_again (struct crash_judge *j, const struct crash_state *state,
                        struct crash_verdict *v);

/* An internal snapshot shows what it always did. */
bool crash_judge_snapshot (struct crash_judge *j,
                           const struct crash_state *state,
                           struct crash_verdict *v);

/*--- second.c -----------------------------------------------------------*/

/* Goes on from the state, which j has just read, and crashes again.  Returns
 * how many states that gave.
 */
uint64_t crash_judge_second (struct crash_judge *j,
                             const struct crash_state *state,
                             struct crash_verdict *v);

/*--- judge-qemu.c -------------------------------------------------------*/

/* What qemu-img check says about the state, compared with v. */
bool crash_judge_qemu (const char *dir, const struct crash_state *state,
                       struct crash_verdict *v);

/* Writes the state's files to a folder, which is made. */
void crash_state_save (const struct crash_state *state, const char *dir,
                       bool all);

/*--- faults.c -----------------------------------------------------------*/

/* Lets every step-th operation of a short workload fail in turn, in each way.
 * Returns the number of runs, 0 on a failure, which it has told.
 */
unsigned crash_faults (const struct crash_image *image, uint64_t seed,
                       unsigned step);

#endif /* RV_CRASH_H */
