/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* writecheck [-s SEED] [-n OPERATIONS] [-t THREADS] IMAGE MODEL
 * [KEY=VALUE]...
 *
 * Writes at random into IMAGE through librawview: writes, zeros, trims and
 * flushes from several threads, each in stripes of the disk that are its own
 * and share clusters with those of others.  MODEL is a raw file with what the
 * disk has; at the end, with what it must have.  Every thread reads back what
 * it wrote; the whole disk is compared at the end, before and after writing
 * was finished.  With one thread requests may be of any size.  The seed says
 * all that each thread does.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rawview.h>

#include "checktool.h"

#define MAX_THREADS 16u
#define STRIPE      (24u << 10)
#define MAX_LEN     (3u << 20)

const char checktool_name[] = "writecheck";

static struct {
  rawview_image *image;
  uint8_t *model;
  uint64_t size;
  unsigned threads;
  unsigned long operations;
} all;

struct worker {
  pthread_t thread;
  unsigned nr;
  uint64_t random;
  uint8_t *buffer;
};

/* Below n. */
static uint64_t
draw (struct worker *w, uint64_t n)
{
  w->random ^= w->random << 13;
  w->random ^= w->random >> 7;
  w->random ^= w->random << 17;
  return (w->random >> 11) % n;
}

/* A range inside a stripe that is the worker's. */
static void
draw_range (struct worker *w, uint64_t *off, uint64_t *len)
{
  uint64_t stripe = all.threads == 1 ? all.size : STRIPE;
  uint64_t rounds =
      (all.size + stripe * all.threads - 1) / (stripe * all.threads);
  uint64_t start, end, align = 1u << draw (w, 17);

  do
    start = (draw (w, rounds) * all.threads + w->nr) * stripe;
  while (start >= all.size);
  end = stripe < all.size - start ? start + stripe : all.size;
  *off = start + draw (w, end - start);
  if (draw (w, 2) && *off / align * align >= start)
    *off = *off / align * align;
  *len = 1 + draw (w, 1u << (6 + draw (w, 16)));
  if (draw (w, 2))
    *len = (*len + align - 1) / align * align;
  if (*len > MAX_LEN)
    *len = MAX_LEN;
  if (*len > end - *off)
    *len = end - *off;
}

/*--- Operations ---------------------------------------------------------*/

static void
compare (const uint8_t *got, uint64_t off, uint64_t len, const char *when)
{
  for (uint64_t i = 0; i < len; i++)
    if (got[i] != all.model[off + i])
      die ("%s: byte %ju of the disk is %#x, not %#x", when,
           (uintmax_t) (off + i), got[i], all.model[off + i]);
}

static void
do_write (struct worker *w, uint64_t off, uint64_t len)
{
  rawview_error err;
  uint8_t first = draw (w, 256), step = draw (w, 8);

  for (uint64_t i = 0; i < len; i++)
    w->buffer[i] = first + i * step;
  if (rawview_pwrite (all.image, w->buffer, len, off, &err) == -1)
    die ("writing %ju at %ju: %s", (uintmax_t) len, (uintmax_t) off, err.msg);
  memcpy (all.model + off, w->buffer, len);
}

static void
do_zero (struct worker *w, uint64_t off, uint64_t len)
{
  rawview_error err;
  unsigned flags = draw (w, 4);

  if (rawview_zero (all.image, len, off, flags, &err) == 0)
    memset (all.model + off, 0, len);
  else if (!(flags & RAWVIEW_ZERO_FAST) || err.errnum != ENOTSUP)
    die ("zeroing %ju at %ju: %s", (uintmax_t) len, (uintmax_t) off, err.msg);
}

static void
do_read (struct worker *w, uint64_t off, uint64_t len)
{
  rawview_error err;

  if (rawview_pread (all.image, w->buffer, len, off, &err) == -1)
    die ("reading %ju at %ju: %s", (uintmax_t) len, (uintmax_t) off, err.msg);
  compare (w->buffer, off, len, "a read");
}

/* Each byte is 0 or as it was, and stays so. */
static void
do_trim (struct worker *w, uint64_t off, uint64_t len)
{
  rawview_error err;

  if (rawview_trim (all.image, len, off, &err) == -1 ||
      rawview_pread (all.image, w->buffer, len, off, &err) == -1)
    die ("trimming %ju at %ju: %s", (uintmax_t) len, (uintmax_t) off, err.msg);
  for (uint64_t i = 0; i < len; i++)
    if (w->buffer[i] != 0 && w->buffer[i] != all.model[off + i])
      die ("byte %ju is %#x after it was trimmed", (uintmax_t) (off + i),
           w->buffer[i]);
  memcpy (all.model + off, w->buffer, len);
}

static void
operate (struct worker *w)
{
  unsigned what = draw (w, 100);
  uint64_t off, len;
  rawview_error err;

  draw_range (w, &off, &len);
  if (what < 50)
    do_write (w, off, len);
  else if (what < 65)
    do_zero (w, off, len);
  else if (what < 80)
    do_trim (w, off, len);
  else if (what < 97)
    do_read (w, off, len);
  else if (rawview_flush (all.image, &err) == -1)
    die ("flush: %s", err.msg);
}

static void *
work (void *opaque)
{
  struct worker *w = opaque;

  for (unsigned long i = 0; i < all.operations; i++)
    operate (w);
  return NULL;
}

/*--- Everything ---------------------------------------------------------*/

static void
compare_all (const char *when)
{
  uint8_t *buf = malloc (MAX_LEN);
  rawview_error err;

  for (uint64_t off = 0; off < all.size; off += MAX_LEN) {
    uint64_t len = all.size - off < MAX_LEN ? all.size - off : MAX_LEN;

    if (rawview_pread (all.image, buf, len, off, &err) == -1)
      die ("%s: %s", when, err.msg);
    compare (buf, off, len, when);
  }
  free (buf);
}

static void
run (uint64_t seed)
{
  struct worker workers[MAX_THREADS];

  for (unsigned i = 0; i < all.threads; i++) {
    struct worker *w = &workers[i];

    *w = (struct worker){ .nr = i,
                          .random =
                              (seed * MAX_THREADS + i + 1) * 0x9e3779b97f4a7c15,
                          .buffer = malloc (MAX_LEN) };
    if (w->buffer == NULL || pthread_create (&w->thread, NULL, work, w) != 0)
      die ("cannot start a thread");
  }
  for (unsigned i = 0; i < all.threads; i++) {
    pthread_join (workers[i].thread, NULL);
    free (workers[i].buffer);
  }
}

static void
map_model (const char *path)
{
  int fd = open (path, O_RDWR);
  struct stat st;

  if (fd == -1 || fstat (fd, &st) == -1)
    die ("%s: %m", path);
  if ((uint64_t) st.st_size != all.size)
    die ("%s has %ju bytes, the disk %ju", path, (uintmax_t) st.st_size,
         (uintmax_t) all.size);
  all.model = mmap (NULL, all.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (all.model == MAP_FAILED)
    die ("%s: %m", path);
  close (fd);
}

static void
open_image (const char *path, char **settings, int n)
{
  rawview_options *opts = rawview_options_new ();
  rawview_error err;

  rawview_options_set_writable (opts, true);
  for (int i = 0; i < n; i++)
    set_option (opts, settings[i]);
  if (rawview_open (path, opts, &all.image, &err) == -1 ||
      rawview_start (all.image, &err) == -1 ||
      rawview_make_writable (all.image, &err) == -1)
    die ("%s", err.msg);
  rawview_options_free (opts);
  all.size = rawview_get_size (all.image);
}

int
main (int argc, char *argv[])
{
  uint64_t seed = 1;
  rawview_error err;
  int c;

  all.threads = 4;
  all.operations = 1000;
  while ((c = getopt (argc, argv, "s:n:t:")) != -1)
    switch (c) {
    case 's':
      seed = strtoull (optarg, NULL, 0);
      break;
    case 'n':
      all.operations = strtoul (optarg, NULL, 0);
      break;
    case 't':
      all.threads = strtoul (optarg, NULL, 0);
      break;
    default:
      return 1;
    }
  if (argc - optind < 2 || all.threads == 0 || all.threads > MAX_THREADS)
    die ("usage: [-s SEED] [-n OPERATIONS] [-t THREADS] IMAGE MODEL "
         "[KEY=VALUE]...");
  open_image (argv[optind], argv + optind + 2, argc - optind - 2);
  map_model (argv[optind + 1]);
  compare_all ("at first");
  run (seed);
  compare_all ("after writing");
  if (rawview_finish (all.image, &err) == -1)
    die ("finish: %s", err.msg);
  compare_all ("after the end of writing");
  rawview_close (all.image);
  munmap (all.model, all.size);
  return 0;
}
