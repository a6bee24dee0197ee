/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hostilecheck [-c FILE [-z]] [-w] [-r READS] [-m OFF:LEN]... [-e OFF:LEN]...
 * [-n OFF:LEN]... IMAGE EXPECTED [KEY=VALUE]...
 *
 * How much work can an image make, and how much harm?  Prints what opening,
 * one question about extents of each kind, and reads of 512 bytes all over the
 * disk cost, in microseconds of this process and not of the clock, and the
 * peak of memory; the caller judges.  EXPECTED is what the guest must see, or
 * "-" if only the costs matter; -e ranges fail with EIO, and -m ranges may.
 *
 * -c: instead, FILE, of the image, is cut at each of its bytes, from its end
 * down.  The image is refused, or what is read is right.  -z: the end of the
 * last cluster of the file may be missing and is zeros then.
 *
 * -w: then also writes, zeros and trims, into the damage and beside it.  A
 * request may fail; done or not, no byte changes outside of it, and damage that
 * it did not replace stays damage.  In -n ranges nothing is written.  The same
 * must be read from the image when it is opened again.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rawview.h>

#include "checktool.h"

#define SECTOR    512u
#define MAX_WHOLE (2u << 20)
/* What is written to and compared as a whole. */
#define MAX_DISK (64u << 20)

const char checktool_name[] = "hostilecheck";

static struct {
  const char *path;
  const rawview_options *opts;
  uint8_t *model;
  uint64_t size;
  struct ranges eio, maybe, never;
  unsigned reads;
  const char *cut; /* the file to cut, NULL: none */
  bool padded, write;
} all;

static uint64_t
cpu_us (void)
{
  struct timespec t;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

static void
report (const char *what, uint64_t since)
{
  printf ("%s-us %ju\n", what, (uintmax_t) (cpu_us () - since));
}

/* Not getrusage(2): that begins with the peak of who has started us. */
static void
report_peak (void)
{
  FILE *f = fopen ("/proc/self/status", "r");
  unsigned long kib = 0;
  char line[256];

  while (f && fgets (line, sizeof line, f))
    if (sscanf (line, "VmHWM: %lu", &kib) == 1)
      break;
  if (kib == 0)
    die ("/proc/self/status does not tell the peak of memory");
  fclose (f);
  printf ("peak-kib %lu\n", kib);
}

static bool
may_fail (uint64_t off, uint64_t len)
{
  return touches (&all.eio, off, len) || touches (&all.maybe, off, len);
}

/*--- What it costs ------------------------------------------------------*/

static rawview_image *
open_image (bool writable)
{
  rawview_options *opts = rawview_options_dup (all.opts);
  rawview_image *image;
  rawview_error err;

  rawview_options_set_writable (opts, writable);
  if (rawview_open (all.path, opts, &image, &err) == -1)
    die ("%s", err.msg);
  if (all.model == NULL)
    all.size = rawview_get_size (image);
  if (rawview_get_size (image) != all.size)
    die ("the size is %ju, not %ju", (uintmax_t) rawview_get_size (image),
         (uintmax_t) all.size);
  rawview_options_free (opts);
  return image;
}

static int
see_extent (void *opaque, const rawview_extent *e)
{
  ++*(uint64_t *) opaque;
  return e->len == 0;
}

/* The first answer to the largest question, then one in the middle. */
static void
measure_extents (rawview_image *image, const char *what, unsigned flags)
{
  const uint64_t from[] = { 0, all.size / 2 / SECTOR * SECTOR };
  uint64_t start = cpu_us (), extents = 0;
  rawview_error err;

  for (unsigned i = 0; i < 2 && from[i] < all.size; i++)
    if (rawview_extents (image, all.size - from[i], from[i], flags, see_extent,
                         &extents, &err) == -1)
      die ("extents: %s", err.msg);
  report (what, start);
}

static void
measure_reads (rawview_image *image)
{
  uint64_t start = cpu_us (), random = 0x9e3779b97f4a7c15;
  uint8_t sector[SECTOR];
  rawview_error err;

  for (unsigned i = 0; i < all.reads && all.size >= SECTOR; i++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    if (rawview_pread (image, sector, SECTOR,
                       (random >> 1) % (all.size / SECTOR) * SECTOR,
                       &err) == -1 &&
        err.errnum != EIO)
      die ("a read fails with errno %d: %s", err.errnum, err.msg);
  }
  report ("reads", start);
}

static void
measure (void)
{
  uint64_t start = cpu_us ();
  rawview_image *image = open_image (false);

  report ("open", start);
  measure_extents (image, "extents", 0);
  measure_extents (image, "extents-one", RAWVIEW_EXTENTS_ONE);
  measure_extents (image, "extents-runs", RAWVIEW_EXTENTS_RUNS);
  measure_reads (image);
  rawview_close (image);
  report_peak ();
}

/*--- What it shows ------------------------------------------------------*/

/* The disk is as the model says, but for what may fail. */
static void
compare (rawview_image *image, const char *when)
{
  uint8_t buf[SECTOR];
  rawview_error err;

  for (uint64_t off = 0; off < all.size; off += SECTOR) {
    uint64_t n = all.size - off < SECTOR ? all.size - off : SECTOR;

    if (rawview_pread (image, buf, n, off, &err) == -1) {
      if (!may_fail (off, n) || err.errnum != EIO)
        die ("%s: reading at %ju: %s", when, (uintmax_t) off, err.msg);
    }
    else if (touches (&all.eio, off, n)) {
      die ("%s: the damage at %ju can be read", when, (uintmax_t) off);
    }
    else if (memcmp (buf, all.model + off, n) != 0) {
      die ("%s: wrong bytes at %ju", when, (uintmax_t) off);
    }
  }
}

/* Does buf end in zeros from where it first differs from the model on? */
static bool
ends_in_zeros (const uint8_t *buf, uint64_t n, uint64_t off)
{
  uint64_t i = 0;

  while (i < n && buf[i] == all.model[off + i])
    i++;
  while (i < n && buf[i] == 0)
    i++;
  return i == n;
}

/* The image has lost the end of a file: what is read is right, but for the end
 * of the last cluster.
 */
static bool
compare_cut (rawview_image *image, uint64_t length)
{
  uint64_t tail = 0;
  bool complete = true;
  uint8_t buf[SECTOR];
  rawview_error err;

  for (uint64_t off = 0; off < all.size; off += SECTOR) {
    uint64_t n = all.size - off < SECTOR ? all.size - off : SECTOR;

    if (rawview_pread (image, buf, n, off, &err) == -1) {
      complete = false;
      continue;
    }
    if (memcmp (buf, all.model + off, n) == 0)
      continue;
    tail += SECTOR;
    if (!all.padded || !ends_in_zeros (buf, n, off) ||
        tail > rawview_get_preferred_block_size (image))
      die ("cut at %ju: wrong bytes at %ju", (uintmax_t) length,
           (uintmax_t) off);
    complete = false;
  }
  return complete;
}

static void
cut (void)
{
  uint64_t length, refused = 0, damaged = 0, complete = 0;
  struct stat st;

  if (stat (all.cut, &st) == -1)
    die ("%s: %m", all.cut);
  for (length = st.st_size; length-- > 0;) {
    rawview_image *image;
    rawview_error err;

    if (truncate (all.cut, length) == -1)
      die ("%s: %m", all.cut);
    if (rawview_open (all.path, all.opts, &image, &err) == -1) {
      refused++;
      continue;
    }
    if (rawview_get_size (image) != all.size)
      die ("cut at %ju: another size", (uintmax_t) length);
    if (compare_cut (image, length))
      complete++;
    else
      damaged++;
    rawview_close (image);
  }
  printf ("refused %ju\ndamaged %ju\ncomplete %ju\n", (uintmax_t) refused,
          (uintmax_t) damaged, (uintmax_t) complete);
}

/*--- What it does when it is written ------------------------------------*/

/* Takes off to off+len out of the ranges; len and all bounds are whole. */
static void
mend (struct ranges *ranges, uint64_t off, uint64_t len)
{
  struct ranges old = *ranges;

  ranges->n = 0;
  for (size_t i = 0; i < old.n; i++) {
    uint64_t from = old.r[i].off, to = from + old.r[i].len;

    if (from < off && ranges->n < MAX_RANGES)
      ranges->r[ranges->n++] =
          (struct range){ from, (to < off ? to : off) - from };
    if (to > off + len && ranges->n < MAX_RANGES) {
      from = from > off + len ? from : off + len;
      ranges->r[ranges->n++] = (struct range){ from, to - from };
    }
  }
}

enum change { WRITE, ZERO, TRIM };

/* What a request that failed, or a trim, may have done in part. */
static void
take_back (rawview_image *image, const uint8_t *buf, uint64_t len, uint64_t off)
{
  uint8_t got[SECTOR];

  for (uint64_t i = 0; i < len; i += SECTOR) {
    uint64_t n = len - i < SECTOR ? len - i : SECTOR;

    if (rawview_pread (image, got, n, off + i, NULL) == 0 &&
        memcmp (got, buf + i, n) == 0)
      memcpy (all.model + off + i, buf + i, n);
  }
}

static unsigned
change (rawview_image *image, enum change what, uint64_t off, uint64_t len)
{
  static uint8_t buf[MAX_WHOLE];
  rawview_error err;
  int r;

  if (off >= all.size || len == 0)
    return 0;
  len = len < all.size - off ? len : all.size - off;
  len = len < MAX_WHOLE ? len : MAX_WHOLE;
  memset (buf, what == WRITE ? 0x40 + off / SECTOR % 0x3f : 0, len);
  if (what == WRITE)
    r = rawview_pwrite (image, buf, len, off, &err);
  else if (what == ZERO)
    r = rawview_zero (image, len, off, RAWVIEW_ZERO_MAY_TRIM, &err);
  else
    r = rawview_trim (image, len, off, &err);
  if (r == 0 && what != TRIM && touches (&all.never, off, len))
    die ("%ju can be changed", (uintmax_t) off);
  if (r == -1 && err.errnum != EIO && err.errnum != EPERM)
    die ("a change at %ju fails with errno %d: %s", (uintmax_t) off, err.errnum,
         err.msg);
  if (r == -1 || what == TRIM) {
    take_back (image, buf, len, off);
    return r == 0;
  }
  memcpy (all.model + off, buf, len);
  mend (&all.eio, off, len);
  mend (&all.maybe, off, len);
  return 1;
}

/* Parts of the damage, the damage, and all over the disk. */
static unsigned
write_all (rawview_image *image)
{
  struct ranges damage = all.eio;
  unsigned done = 0;

  for (size_t i = 0; i < all.never.n; i++)
    for (enum change what = WRITE; what <= ZERO; what++)
      change (image, what, all.never.r[i].off + SECTOR, SECTOR);
  compare (image, "after writing where nobody may");
  for (size_t i = 0; i < damage.n; i++) {
    const struct range *r = &damage.r[i];

    done +=
        change (image, WRITE, r->off + r->len / 2 / SECTOR * SECTOR, SECTOR);
    done += change (image, ZERO, r->off + SECTOR, SECTOR);
    compare (image, "after writing into the damage");
    done += change (image, WRITE, r->off, r->len);
    compare (image, "after writing over the damage");
  }
  for (unsigned i = 0; i < 24; i++) {
    done += change (image, i % 3, all.size / 24 * i / SECTOR * SECTOR,
                    SECTOR + i * 700);
    compare (image, "after writing beside it");
  }
  return done;
}

static void
write_image (void)
{
  rawview_image *image = open_image (true);
  rawview_error err;

  compare (image, "before writing");
  if (rawview_make_writable (image, &err) == -1) {
    printf ("read-only %s\n", err.msg);
  }
  else {
    printf ("written %u\n", write_all (image));
    if (rawview_finish (image, &err) == -1)
      printf ("finish %s\n", err.msg);
    compare (image, "after the end of writing");
  }
  rawview_close (image);
  image = open_image (false);
  compare (image, "opened again");
  rawview_close (image);
}

/*--- Arguments ----------------------------------------------------------*/

static void
map_model (const char *path)
{
  int fd = open (path, O_RDONLY);
  struct stat st;

  if (fd == -1 || fstat (fd, &st) == -1)
    die ("%s: %m", path);
  all.size = st.st_size;
  if (all.size > 0)
    all.model = mmap (NULL, all.size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_NORESERVE, fd, 0);
  if (all.model == MAP_FAILED)
    die ("%s: %m", path);
  close (fd);
}

static void
parse (int argc, char **argv, rawview_options *opts)
{
  int c;

  all.reads = 200;
  while ((c = getopt (argc, argv, "c:wzr:m:e:n:")) != -1)
    switch (c) {
    case 'c':
      all.cut = optarg;
      break;
    case 'z':
      all.padded = true;
      break;
    case 'w':
      all.write = true;
      break;
    case 'r':
      all.reads = strtoul (optarg, NULL, 0);
      break;
    case 'm':
      add_range (&all.maybe, optarg);
      break;
    case 'n':
      add_range (&all.never, optarg);
      break;
    case 'e':
      add_range (&all.eio, optarg);
      break;
    default:
      exit (1);
    }
  if (argc - optind < 2)
    die ("see the head of hostilecheck.c");
  all.path = argv[optind];
  if (strcmp (argv[optind + 1], "-") != 0)
    map_model (argv[optind + 1]);
  for (int i = optind + 2; i < argc; i++)
    set_option (opts, argv[i]);
  all.opts = opts;
}

int
main (int argc, char **argv)
{
  rawview_options *opts = rawview_options_new ();

  if (opts == NULL)
    die ("out of memory");
  parse (argc, argv, opts);
  if (all.cut) {
    cut ();
  }
  else {
    measure ();
    if (all.write && all.model && all.size <= MAX_DISK)
      write_image ();
  }
  rawview_options_free (opts);
  return 0;
}
