/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz-ova: an OVA, or a streamOptimized VMDK, as a file and from a pipe.  What
 * the pipe gives to the end must be what the file has.
 */

#include "fuzz.h"

#include <sys/mman.h>

#include "io/pipe.h"

#define GRAIN_MAX (2u << 20)

/*--- The pipe -----------------------------------------------------------*/

/* A file whose place is kept reads like a pipe. */
static int
make_fd (const struct fuzz_file *f)
{
  static int fd = -1;
  uint64_t done = 0;

  if (fd == -1)
    fd = memfd_create ("fuzz", MFD_CLOEXEC);
  FUZZ_CHECK (fd >= 0 && ftruncate (fd, 0) == 0 && lseek (fd, 0, SEEK_SET) == 0,
              "memfd");
  while (done < f->len) {
    ssize_t n = write (fd, f->bytes + done, f->len - done);

    FUZZ_CHECK (n > 0, "memfd: write");
    done += n;
  }
  lseek (fd, 0, SEEK_SET);
  return fd;
}

static void
set_option (rawview_options *opts, const char *key, const char *value)
{
  rawview_error err = { 0 };

  if (rawview_options_set (opts, key, value, &err) == -1)
    fuzz_check_error (&err);
}

/* Puts the pieces where they belong.  Returns whether all came. */
static bool
take (rawview_stream *s, uint8_t *window)
{
  static uint8_t buf[GRAIN_MAX];
  uint64_t off = 0, size = rawview_stream_get_size (s);
  size_t len = 0;
  rawview_error err = { 0 };
  int r;

  FUZZ_CHECK (rawview_stream_get_grain_size (s) <= GRAIN_MAX, "a large grain");
  while ((r = rawview_stream_read (s, buf, &len, &off, &err)) == 1) {
    FUZZ_CHECK (len > 0 && rv_range_fits (off, len, size),
                "a piece of %zu at %" PRIu64, len, off);
    if (off < FUZZ_WINDOW)
      memcpy (window + off, buf, rv_min_u64 (len, FUZZ_WINDOW - off));
  }
  if (r == -1)
    fuzz_check_error (&err);
  return r == 0;
}

/* Returns whether all came. */
static bool
read_pipe (const struct fuzz_input *input, uint8_t *window, uint64_t *size)
{
  rawview_options *opts = rawview_options_new ();
  rawview_stream *s = NULL;
  rawview_error err = { 0 };
  bool all = false;

  FUZZ_CHECK (opts != NULL, "out of memory");
  if (input->given[FUZZ_DISK])
    set_option (opts, "disk", input->options[FUZZ_DISK]);
  if (rawview_stream_open (make_fd (&input->files[0]), "pipe", opts, &s,
                           &err) == -1)
    fuzz_check_error (&err);
  else {
    *size = rawview_stream_get_size (s);
    all = take (s, window);
  }
  rawview_stream_close (s);
  rawview_options_free (opts);
  return all;
}

/*--- Both ---------------------------------------------------------------*/

static void
compare (struct fuzz_disk *disk, const uint8_t *window, uint64_t size)
{
  static uint8_t buf[FUZZ_WINDOW];
  uint64_t len = rv_min_u64 (size, FUZZ_WINDOW);
  rawview_error err;

  FUZZ_CHECK (disk->chain.ptr[0]->size == size,
              "the file has %" PRIu64 " bytes, the pipe %" PRIu64,
              disk->chain.ptr[0]->size, size);
  FUZZ_CHECK (rv_engine_pread (disk->engine, buf, len, 0, &err) == 0,
              "read from the pipe, not from the file: %s", err.msg);
  for (uint64_t i = 0; i < len; i++)
    FUZZ_CHECK (buf[i] == window[i],
                "byte %" PRIu64 " is %02x in the file, %02x from the pipe", i,
                buf[i], window[i]);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const struct fuzz_input *input = fuzz_input_read (data, size);
  static uint8_t window[FUZZ_WINDOW];
  uint64_t stream_size = 0;
  struct fuzz_disk disk;
  bool all;

  if (input->nr_files == 0)
    return 0;
  memset (window, 0, sizeof window);
  all = read_pipe (input, window, &stream_size);
  fuzz_disk_files (&disk, input, 0);
  if (fuzz_disk_open (&disk, input, NULL) == 0) {
    fuzz_look (&disk);
    if (all)
      compare (&disk, window, stream_size);
  }
  fuzz_disk_release (&disk);
  return 0;
}
