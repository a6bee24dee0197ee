/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the fuzz targets share.
 *
 *   input.c      bytes from the fuzzer -> files, options, requests
 *   disk.c       opens them with our library, in memory
 *   look.c       reads all that can be read, and what must agree does
 *   model.c      the guest's bytes as they must be while it writes
 *   mutate.c     changes an input where it matters (the custom mutator)
 *   fields-*.c   where the numbers of each format lie
 *   text.c       changes text by lines
 *   target-*.c   one target each
 *
 * An input is a row of records, so that an image of megabytes is a few hundred
 * bytes and a file can be patched by appending:
 *
 *   F length name size32            a file of zeros
 *   B file off32 length16 bytes     some of its bytes
 *   S file size32                   it is so long now
 *   P what length text              an option
 *   O op off48 len32 value          a request
 *
 * All numbers are little endian.  A byte that begins no record is skipped.
 * Everything is static: libFuzzer runs one input at a time.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <config.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "util/checked.h"
#include "util/error.h"

#define SECTOR         512u
#define FUZZ_FILES     8u
#define FUZZ_FILE_MAX  (24u << 20)
#define FUZZ_OPS       64u
#define FUZZ_NAME_MAX  63u
#define FUZZ_INPUT_MAX (256u << 10)

/* What libFuzzer calls. */
int LLVMFuzzerInitialize (int *argc, char ***argv);
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size,
                                unsigned seed);
size_t LLVMFuzzerMutate (uint8_t *data, size_t size, size_t max_size);

/* A finding: says what is wrong and ends. */
void fuzz_fail (const char *fmt, ...) RV_PRINTF (1, 2)
    __attribute__ ((noreturn));

#define FUZZ_CHECK(cond, ...) \
  do { \
    if (!(cond)) \
      fuzz_fail (__VA_ARGS__); \
  } while (0)

/*--- input.c ------------------------------------------------------------*/

enum fuzz_option {
  FUZZ_SNAPSHOT,
  FUZZ_DATA_FILE,
  FUZZ_TRUNCATED,
  FUZZ_PARENT,
  FUZZ_DISK,
  FUZZ_NR_OPTIONS
};

struct fuzz_file {
  char name[FUZZ_NAME_MAX + 1];
  uint8_t *bytes; /* FUZZ_FILE_MAX of them; zeros beyond len */
  uint64_t len;
};

enum fuzz_op_kind {
  FUZZ_WRITE,
  FUZZ_ZERO,
  FUZZ_ZERO_TRIM,
  FUZZ_ZERO_FAST,
  FUZZ_TRIM,
  FUZZ_FLUSH,
  FUZZ_READ,
  FUZZ_REOPEN,
  FUZZ_NR_OPS
};

struct fuzz_op {
  enum fuzz_op_kind kind;
  uint64_t off;
  uint32_t len;
  uint8_t value;
};

struct fuzz_input {
  struct fuzz_file files[FUZZ_FILES];
  unsigned nr_files;
  struct fuzz_op ops[FUZZ_OPS];
  unsigned nr_ops;
  char options[FUZZ_NR_OPTIONS][FUZZ_NAME_MAX + 1];
  bool given[FUZZ_NR_OPTIONS];
};

/* One record as it lies in the input. */
struct fuzz_record {
  uint8_t tag;
  size_t at, len; /* all of it */
  unsigned file;
  uint64_t off;     /* BYTES; FILE and SIZE: the size */
  uint8_t *payload; /* BYTES, name or text */
  size_t payload_len;
};

/* The record at *at, which is moved to the next.  Returns false at the end. */
bool fuzz_record_next (uint8_t *data, size_t size, size_t *at,
                       struct fuzz_record *record);

/* Valid until the next call.  The files' bytes beyond their ends must not be
 * touched, which the sanitizer watches.
 */
const struct fuzz_input *fuzz_input_read (const uint8_t *data, size_t size);

/* Zeros behind each file of the input that was read last. */
void fuzz_input_extend (uint64_t more);

/*--- disk.c -------------------------------------------------------------*/

struct fuzz_disk {
  struct rv_io *ios[FUZZ_FILES];
  uint8_t *bytes[FUZZ_FILES]; /* of those that can be written */
  unsigned nr_ios;
  struct rv_chain chain;
  struct rv_warnings warnings;
  struct rv_tables *tables;
  struct rv_engine *engine;
};

/* Files that can be read, or that can be written and grow by so much. */
void fuzz_disk_files (struct fuzz_disk *disk, const struct fuzz_input *input,
                      uint64_t room);

/* Opens what they have, of the given format only (NULL: any).  Returns -1 if
 * the library refuses it.
 */
int fuzz_disk_open (struct fuzz_disk *disk, const struct fuzz_input *input,
                    const struct rv_format_ops *format);
/* Keeps the files. */
void fuzz_disk_close (struct fuzz_disk *disk);
void fuzz_disk_release (struct fuzz_disk *disk);

/* What holds of every error: a kind, a number and a sentence of one line. */
void fuzz_check_error (const rawview_error *err);
void fuzz_check_text (const char *text);

/*--- look.c -------------------------------------------------------------*/

/* As much of a disk is looked at byte by byte. */
#define FUZZ_WINDOW (4u << 20)

void fuzz_look (struct fuzz_disk *disk);

/* Runs the driver's check.  Returns whether it could be run. */
bool fuzz_check (struct fuzz_disk *disk, rawview_check_result *result);

/*--- model.c ------------------------------------------------------------*/

struct fuzz_model {
  uint64_t len;   /* of the disk's first bytes */
  uint8_t *bytes; /* len of them */
  bool *bad;      /* for each sector: nobody knows */
};

void fuzz_model_init (struct fuzz_model *m, struct fuzz_disk *disk);

/* From now on, what is read is what must be. */
void fuzz_model_learn (struct fuzz_model *m, struct fuzz_disk *disk);
void fuzz_model_release (struct fuzz_model *m);

/* The disk reads like the model. */
void fuzz_model_compare (struct fuzz_model *m, struct fuzz_disk *disk,
                         uint64_t off, uint64_t len, const char *when);

/* Does the request, and what it means for the model.  m NULL: the image
 * contradicts itself, anything may be read.
 */
void fuzz_request (struct fuzz_model *m, struct fuzz_disk *disk,
                   const struct fuzz_op *op);

/*--- Chance -------------------------------------------------------------*/

struct fuzz_rng {
  uint64_t x;
};

static inline uint64_t
fuzz_random (struct fuzz_rng *rng, uint64_t below)
{
  rng->x ^= rng->x << 13;
  rng->x ^= rng->x >> 7;
  rng->x ^= rng->x << 17;
  return (rng->x >> 11) % below;
}

/*--- fields-*.c ---------------------------------------------------------*/

/* A number in a file. */
struct fuzz_field {
  uint64_t off;
  unsigned width; /* bytes: 1, 2, 4 or 8 */
  bool big_endian;
  uint64_t unit;  /* what offsets in it are multiples of */
  uint64_t per;   /* bytes that one of it stands for: 1, or a sector */
  bool is_tar;    /* octal text, in a header with a checksum */
  uint64_t block; /* of the tar header */
};

/* Where it lies; true, which is what a choice returns. */
static inline bool
fuzz_field_set (struct fuzz_field *field, uint64_t off, unsigned width)
{
  field->off = off;
  field->width = width;
  return true;
}

/* Chooses one.  false: the file is no such thing. */
bool fuzz_qcow2_field (const struct fuzz_file *file, struct fuzz_rng *rng,
                       struct fuzz_field *field);
bool fuzz_vmdk_field (const struct fuzz_file *file, struct fuzz_rng *rng,
                      struct fuzz_field *field);
bool fuzz_esx_field (const struct fuzz_file *file, struct fuzz_rng *rng,
                     struct fuzz_field *field);
bool fuzz_tar_field (const struct fuzz_file *file, struct fuzz_rng *rng,
                     struct fuzz_field *field);

/* Where a VMDK in the file begins and how long its text is.  false: none. */
bool fuzz_vmdk_text (const struct fuzz_file *file, uint64_t *off, size_t *len);

/* Numbers in a file; 0 beyond its end. */
static inline uint64_t
fuzz_get (const struct fuzz_file *file, uint64_t off, unsigned width,
          bool big_endian)
{
  uint64_t v = 0;

  if (!rv_range_fits (off, width, file->len))
    return 0;
  for (unsigned i = 0; i < width; i++)
    v |= (uint64_t) file->bytes[off + i]
         << 8 * (big_endian ? width - 1 - i : i);
  return v;
}

/*--- text.c -------------------------------------------------------------*/

/* Changes text in place and returns its new length. */
size_t fuzz_text_mutate (char *text, size_t len, size_t max,
                         struct fuzz_rng *rng);

#endif /* FUZZ_H */
