/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* readcheck IMAGE EXPECTED [--eio OFF:LEN]... [--zero OFF:LEN]...
 * [KEY=VALUE]...
 *
 * Compares what librawview reads of IMAGE with the bytes of EXPECTED: the whole
 * disk in large and in odd pieces, at random unaligned offsets, from several
 * threads, with and without workers and cache; and what it says of extents with
 * what the bytes are.  Ranges after --eio must fail with EIO, wherever a read
 * touches them; ranges after --zero must be known to be zero without reading.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rawview.h>

#include "checktool.h"

#define THREADS 4u
#define RANDOMS 300u

/* Of a larger disk only the surroundings of data are compared byte by byte. */
#define LARGE  (256ull << 20)
#define AROUND (1ull << 20)

const char checktool_name[] = "readcheck";

static const uint8_t *expected;
static uint64_t size;
static struct ranges eio, zero;
static struct ranges windows; /* what is compared: all of a small disk */

/* Reads a range and judges the outcome. */
static void
check_read (rawview_image *image, uint8_t *buf, uint64_t len, uint64_t off)
{
  rawview_error err;

  if (rawview_pread (image, buf, len, off, &err) == -1) {
    if (!touches (&eio, off, len))
      die ("reading %ju at %ju fails: %s", (uintmax_t) len, (uintmax_t) off,
           err.msg);
    if (err.errnum != EIO)
      die ("reading damage at %ju gives errno %d, not EIO: %s", (uintmax_t) off,
           err.errnum, err.msg);
    return;
  }
  if (touches (&eio, off, len))
    die ("reading %ju at %ju succeeds although it is damaged", (uintmax_t) len,
         (uintmax_t) off);
  for (uint64_t i = 0; i < len; i++)
    if (buf[i] != expected[off + i])
      die ("byte %ju is %#x, not %#x", (uintmax_t) (off + i), buf[i],
           expected[off + i]);
}

static void
check_whole (rawview_image *image, uint64_t step)
{
  uint8_t *buf = malloc (step);

  for (size_t i = 0; i < windows.n; i++) {
    uint64_t off = windows.r[i].off, end = off + windows.r[i].len;

    for (; off < end; off += step)
      check_read (image, buf, step < end - off ? step : end - off, off);
  }
  free (buf);
}

static void
check_random (rawview_image *image, unsigned seed)
{
  uint64_t max = 256 << 10;
  uint8_t *buf = malloc (max);

  for (unsigned i = 0; size > 0 && i < RANDOMS; i++) {
    uint64_t off = ((uint64_t) rand_r (&seed) << 31 | rand_r (&seed)) % size;
    uint64_t len = 1 + rand_r (&seed) % (i % 2 ? max : 5000);

    check_read (image, buf, len < size - off ? len : size - off, off);
  }
  free (buf);
}

/* Reads that end or begin just beside an edge. */
static void
check_edges (rawview_image *image, const struct ranges *ranges)
{
  uint8_t buf[16];

  for (size_t i = 0; i < ranges->n; i++) {
    uint64_t edges[] = { ranges->r[i].off,
                         ranges->r[i].off + ranges->r[i].len };

    for (unsigned k = 0; k < 2; k++)
      for (uint64_t before = 1; before < 9 && edges[k] >= before; before++)
        if (edges[k] - before + 16 <= size) {
          check_read (image, buf, before, edges[k] - before);
          check_read (image, buf, 16, edges[k] - before);
          check_read (image, buf, before, edges[k]);
        }
  }
}

/*--- Extents ------------------------------------------------------------*/

struct seen {
  uint64_t at; /* where the next extent must begin */
  uint64_t damaged;
};

static bool
is_zero (uint64_t off, uint64_t len)
{
  for (size_t w = 0; w < windows.n; w++) {
    uint64_t from = windows.r[w].off, to = from + windows.r[w].len;

    from = from > off ? from : off;
    to = to < off + len ? to : off + len;
    for (uint64_t i = from; i < to; i++)
      if (expected[i])
        return false;
  }
  return true;
}

static int
see_extent (void *opaque, const rawview_extent *e)
{
  struct seen *seen = opaque;

  if (e->off != seen->at || e->len == 0 || e->len > size - e->off)
    die ("extent %ju+%ju does not follow %ju", (uintmax_t) e->off,
         (uintmax_t) e->len, (uintmax_t) seen->at);
  if (e->hole && !e->zero)
    die ("the hole at %ju is not called zero", (uintmax_t) e->off);
  if (e->zero && !is_zero (e->off, e->len))
    die ("the extent at %ju is called zero and is not", (uintmax_t) e->off);
  if (e->zero && touches (&eio, e->off, e->len))
    die ("the extent at %ju is called zero and is damaged", (uintmax_t) e->off);
  if (!e->zero && !e->damaged)
    for (size_t i = 0; i < zero.n; i++)
      if (zero.r[i].off < e->off + e->len &&
          e->off < zero.r[i].off + zero.r[i].len)
        die ("the extent at %ju, length %ju is not called zero",
             (uintmax_t) e->off, (uintmax_t) e->len);
  seen->at += e->len;
  return 0;
}

static void
check_extents (rawview_image *image, unsigned flags)
{
  struct seen seen = { 0 };
  rawview_error err;

  while (seen.at < size) {
    uint64_t before = seen.at;

    if (rawview_extents (image, size - seen.at, seen.at, flags, see_extent,
                         &seen, &err) == -1)
      die ("extents at %ju: %s", (uintmax_t) seen.at, err.msg);
    if (seen.at == before)
      die ("extents at %ju say nothing", (uintmax_t) before);
  }
}

/*--- Runs ---------------------------------------------------------------*/

static void *
reader (void *image)
{
  static atomic_uint seed;

  check_random (image, atomic_fetch_add (&seed, 1));
  return NULL;
}

static void
check_parallel (rawview_image *image)
{
  pthread_t threads[THREADS];

  for (unsigned i = 0; i < THREADS; i++)
    if (pthread_create (&threads[i], NULL, reader, image) != 0)
      die ("cannot start a thread");
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join (threads[i], NULL);
}

static rawview_image *
open_image (const char *path, const rawview_options *opts, const char *cache,
            const char *workers)
{
  rawview_options *o = rawview_options_dup (opts);
  rawview_image *image;
  rawview_error err;

  if (o == NULL || rawview_options_set (o, "cache", cache, &err) == -1 ||
      rawview_options_set (o, "workers", workers, &err) == -1 ||
      rawview_open (path, o, &image, &err) == -1)
    die ("%s", err.msg);
  rawview_options_free (o);
  if (rawview_get_size (image) != size)
    die ("the size is %ju, not %ju", (uintmax_t) rawview_get_size (image),
         (uintmax_t) size);
  return image;
}

static void
check_image (const char *path, const rawview_options *opts)
{
  rawview_image *image = open_image (path, opts, "64M", "2");
  rawview_error err;

  check_whole (image, 1 << 20);
  check_edges (image, &eio);
  check_edges (image, &zero);
  check_extents (image, 0);
  check_extents (image, RAWVIEW_EXTENTS_ONE);
  check_extents (image, RAWVIEW_EXTENTS_RUNS);
  if (rawview_prefetch (image, size, 0, &err) == -1 ||
      rawview_start (image, &err) == -1)
    die ("%s", err.msg);
  check_whole (image, 300 * 1000 + 7);
  check_parallel (image);
  if (rawview_pread (image, &(uint8_t){ 0 }, 1, size, &err) == 0)
    die ("a read beyond the end succeeds");
  rawview_close (image);

  image = open_image (path, opts, "100k", "0");
  check_whole (image, 5000);
  check_parallel (image);
  rawview_close (image);
}

/*--- Arguments ----------------------------------------------------------*/

static void
find_windows (int fd)
{
  off_t data, hole = 0;

  if (size <= LARGE) {
    windows.r[windows.n++] = (struct range){ 0, size };
    return;
  }
  while ((data = lseek (fd, hole, SEEK_DATA)) != -1) {
    uint64_t from = (uint64_t) data > AROUND ? data - AROUND : 0, to;

    hole = lseek (fd, data, SEEK_HOLE);
    to = hole + AROUND < size ? hole + AROUND : size;
    if (windows.n == MAX_RANGES)
      die ("too much data in %ju bytes", (uintmax_t) size);
    windows.r[windows.n++] = (struct range){ from, to - from };
  }
}

static void
map_expected (const char *path)
{
  int fd = open (path, O_RDONLY);
  struct stat st;

  if (fd == -1 || fstat (fd, &st) == -1)
    die ("%s: %s", path, strerror (errno));
  size = st.st_size;
  if (size > 0)
    expected = mmap (NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  if (expected == MAP_FAILED)
    die ("%s: %s", path, strerror (errno));
  find_windows (fd);
  close (fd);
}

int
main (int argc, char **argv)
{
  rawview_options *opts = rawview_options_new ();

  if (argc < 3 || opts == NULL)
    die ("see the head of readcheck.c");
  map_expected (argv[2]);
  for (int i = 3; i < argc; i++) {
    if (strcmp (argv[i], "--eio") == 0)
      add_range (&eio, argv[++i]);
    else if (strcmp (argv[i], "--zero") == 0)
      add_range (&zero, argv[++i]);
    else
      set_option (opts, argv[i]);
  }
  check_image (argv[1], opts);
  rawview_options_free (opts);
  return 0;
}
