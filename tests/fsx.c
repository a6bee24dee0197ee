/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fsx [-s SEED] [-n OPERATIONS] FILE
 *
 * Does random things to a file whose size is fixed, and keeps a model of its
 * bytes: write(2), writes through a shared mapping and by O_DIRECT, holes and
 * zeroed ranges, fsync(2), opening again; every read in any of these ways must
 * give what the model has.  The seed says all that happens.
 *
 * When bytes differ it says where, what was done last, and exits with 1.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LEN  (256u << 10)
#define MAX_SIZE (1u << 30)
#define PAGE     4096u
#define HISTORY  30 /* operations that are shown after a failure */

static struct {
  const char *path;
  int fd, direct; /* direct: -1 if the filesystem has no O_DIRECT */
  size_t size;
  uint8_t *model;
  uint8_t *buffer; /* of MAX_LEN, aligned */
  uint64_t random;
  unsigned long done;
  char history[HISTORY][80];
} state;

static void __attribute__ ((noreturn, format (printf, 1, 2)))
die (const char *fmt, ...)
{
  unsigned long first = state.done > HISTORY ? state.done - HISTORY : 0;
  va_list ap;

  for (unsigned long i = first; i < state.done; i++)
    fprintf (stderr, "%6lu %s\n", i, state.history[i % HISTORY]);
  fprintf (stderr, "fsx: %s: ", state.path);
  va_start (ap, fmt);
  vfprintf (stderr, fmt, ap);
  va_end (ap);
  fputc ('\n', stderr);
  exit (EXIT_FAILURE);
}

static void
note (const char *what, size_t off, size_t len)
{
  snprintf (state.history[state.done++ % HISTORY], sizeof state.history[0],
            "%-12s %#10zx .. %#10zx", what, off, off + len);
}

/* splitmix64 */
static uint64_t
draw (uint64_t n)
{
  uint64_t z = state.random += UINT64_C (0x9e3779b97f4a7c15);

  z = (z ^ z >> 30) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C (0x94d049bb133111eb);
  return (z ^ z >> 31) % n;
}

/*--- Ranges and bytes ---------------------------------------------------*/

struct range {
  size_t off, len;
};

/* Small and large ones, some at the edges of sectors, pages and clusters. */
static struct range
draw_range (size_t align)
{
  static const size_t grids[] = { 1, 1, 512, 4096, 65536 };
  size_t grid = grids[draw (sizeof grids / sizeof grids[0])];
  size_t max = draw (4) == 0 ? MAX_LEN : 8192;
  struct range r;

  if (grid < align)
    grid = align;
  r.off = draw (state.size) / grid * grid;
  r.len = 1 + draw (max);
  r.len = (r.len + grid - 1) / grid * grid;
  if (r.len > MAX_LEN)
    r.len = MAX_LEN;
  if (r.len > state.size - r.off)
    r.len = state.size - r.off;
  return r;
}

/* Into the buffer and the model. */
static void
draw_bytes (struct range r)
{
  if (draw (8) == 0)
    memset (state.buffer, 0, r.len);
  else
    for (size_t i = 0; i < r.len; i += 8) {
      uint64_t bytes = draw (UINT64_MAX);

      memcpy (state.buffer + i, &bytes, 8);
    }
  memcpy (state.model + r.off, state.buffer, r.len);
}

static void
compare (const uint8_t *got, struct range r, const char *how)
{
  const uint8_t *want = state.model + r.off;
  size_t first = 0, wrong = 0;

  if (memcmp (got, want, r.len) == 0)
    return;
  for (size_t i = r.len; i-- > 0;)
    if (got[i] != want[i]) {
      first = i;
      wrong++;
    }
  die ("%s: %zu bytes differ, the first at %#zx: it is %02x and should be %02x",
       how, wrong, r.off + first, got[first], want[first]);
}

/*--- Operations ---------------------------------------------------------*/

static void
write_by (int fd, struct range r, const char *how)
{
  ssize_t n;

  note (how, r.off, r.len);
  draw_bytes (r);
  n = pwrite (fd, state.buffer, r.len, (off_t) r.off);
  if (n != (ssize_t) r.len)
    die ("%s: %zd of %zu bytes: %s", how, n, r.len,
         n == -1 ? strerror (errno) : "cut short");
}

static void
read_by (int fd, struct range r, const char *how)
{
  ssize_t n;

  note (how, r.off, r.len);
  n = pread (fd, state.buffer, r.len, (off_t) r.off);
  if (n != (ssize_t) r.len)
    die ("%s: %zd of %zu bytes: %s", how, n, r.len,
         n == -1 ? strerror (errno) : "cut short");
  compare (state.buffer, r, how);
}

static void
by_mapping (struct range r, bool writes)
{
  const char *how = writes ? "map write" : "map read";
  size_t skip = r.off % PAGE;
  uint8_t *map;

  note (how, r.off, r.len);
  map = mmap (NULL, skip + r.len, PROT_READ | PROT_WRITE, MAP_SHARED, state.fd,
              (off_t) (r.off - skip));
  if (map == MAP_FAILED)
    die ("mmap: %s", strerror (errno));
  if (writes) {
    draw_bytes (r);
    memcpy (map + skip, state.buffer, r.len);
    if (draw (2) == 0 && msync (map, skip + r.len, MS_SYNC) == -1)
      die ("msync: %s", strerror (errno));
  }
  else
    compare (map + skip, r, how);
  munmap (map, skip + r.len);
}

static void
zero_by (int mode, struct range r, const char *how)
{
  note (how, r.off, r.len);
  if (fallocate (state.fd, mode | FALLOC_FL_KEEP_SIZE, (off_t) r.off,
                 (off_t) r.len) == -1)
    die ("%s: %s", how, strerror (errno));
  memset (state.model + r.off, 0, r.len);
}

static void
open_file (void)
{
  struct stat st;

  state.fd = open (state.path, O_RDWR | O_CLOEXEC);
  if (state.fd == -1 || fstat (state.fd, &st) == -1)
    die ("%s", strerror (errno));
  if (state.size != 0 && (size_t) st.st_size != state.size)
    die ("has %jd bytes and should have %zu", (intmax_t) st.st_size,
         state.size);
  if (st.st_size <= 0 || st.st_size > MAX_SIZE || st.st_size % PAGE != 0)
    die ("the size must be a multiple of %u, up to %u", PAGE, MAX_SIZE);
  state.size = (size_t) st.st_size;
  state.direct = open (state.path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static void
open_again (void)
{
  note ("open again", 0, 0);
  if (state.direct != -1)
    close (state.direct);
  if (close (state.fd) == -1)
    die ("close: %s", strerror (errno));
  open_file ();
}

static void
sync_file (void)
{
  note ("fsync", 0, 0);
  if (fsync (state.fd) == -1)
    die ("fsync: %s", strerror (errno));
}

static void
do_something (void)
{
  int direct = state.direct != -1 ? state.direct : state.fd;

  switch (draw (20)) {
  case 0 ... 4:
    write_by (state.fd, draw_range (1), "write");
    break;
  case 5 ... 7:
    read_by (state.fd, draw_range (1), "read");
    break;
  case 8 ... 9:
    by_mapping (draw_range (1), true);
    break;
  case 10 ... 11:
    by_mapping (draw_range (1), false);
    break;
  case 12 ... 13:
    zero_by (FALLOC_FL_PUNCH_HOLE, draw_range (1), "punch");
    break;
  case 14:
    zero_by (FALLOC_FL_ZERO_RANGE, draw_range (1), "zero");
    break;
  case 15 ... 16:
    write_by (direct, draw_range (PAGE), "direct write");
    break;
  case 17:
    read_by (direct, draw_range (PAGE), "direct read");
    break;
  case 18:
    sync_file ();
    break;
  case 19:
    if (draw (4) == 0)
      open_again ();
    break;
  }
}

/*--- The program --------------------------------------------------------*/

/* What is there at first is right. */
static void
read_model (void)
{
  state.model = malloc (state.size);
  state.buffer = aligned_alloc (PAGE, MAX_LEN);
  if (state.model == NULL || state.buffer == NULL)
    die ("out of memory");
  for (size_t off = 0; off < state.size;) {
    ssize_t n =
        pread (state.fd, state.model + off, state.size - off, (off_t) off);

    if (n <= 0)
      die ("read: %s", n == -1 ? strerror (errno) : "cut short");
    off += (size_t) n;
  }
}

static void
compare_all (void)
{
  for (size_t off = 0; off < state.size; off += MAX_LEN) {
    struct range r = { off, state.size - off };

    if (r.len > MAX_LEN)
      r.len = MAX_LEN;
    read_by (state.fd, r, "last read");
  }
}

int
main (int argc, char *argv[])
{
  unsigned long operations = 2000;
  int c;

  while ((c = getopt (argc, argv, "s:n:")) != -1)
    if (c == 's')
      state.random = strtoull (optarg, NULL, 0);
    else if (c == 'n')
      operations = strtoul (optarg, NULL, 0);
    else
      return 2;
  if (optind != argc - 1) {
    fprintf (stderr, "usage: fsx [-s SEED] [-n OPERATIONS] FILE\n");
    return 2;
  }

  state.path = argv[optind];
  open_file ();
  read_model ();
  for (unsigned long i = 0; i < operations; i++)
    do_something ();
  sync_file ();
  open_again ();
  compare_all ();
  return EXIT_SUCCESS;
}
