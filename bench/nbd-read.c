/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nbd-read URI PATTERN LEN DEPTH COUNT SPAN
 * nbd-read -   PATTERN LEN DEPTH COUNT SPAN SERVER [ARG...]
 *
 * Reads from an NBD server and prints the seconds that it took, from the first
 * request to the last reply, and requests per second.
 *
 *   PATTERN  seq: one after the other; uniform, zipf: random, aligned; zipf has
 *            an exponent of 1.2, and its hot places are strewn over SPAN
 *   LEN      bytes in a request
 *   DEPTH    requests under way, on one connection
 *   COUNT    requests in all; 0: SPAN once
 *   SPAN     bytes from the beginning of the disk; 0: all of it
 *
 * With "-", it starts the server itself, by socket activation; its start
 * counts, and the most memory that it had, in KiB, is printed, too (else 0).
 * The same arguments always read the same places in the same order.
 */

#include <config.h>

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <libnbd.h>

#include "client.h"

#define MAX_DEPTH     64u
#define ZIPF_EXPONENT 1.2

/* One request under way. */
struct slot {
  char *buf;
  bool busy;
};

/* Which block is next: cdf[i] is how likely one of the hottest i + 1 is, and
 * place[i] where the one of rank i lies.
 */
struct zipf {
  double *cdf;
  uint32_t *place;
};

static struct nbd_handle *nbd;
static struct slot slots[MAX_DEPTH];

static void
check (int r)
{
  if (r != -1)
    return;
  fprintf (stderr, "nbd-read: %s\n", nbd_get_error ());
  exit (1);
}

static void *
allocate (size_t n, size_t size)
{
  void *p = calloc (n, size);

  if (p == NULL) {
    fprintf (stderr, "nbd-read: out of memory\n");
    exit (1);
  }
  return p;
}

static void
zipf_init (struct zipf *z, uint64_t blocks)
{
  double sum = 0;

  z->cdf = allocate (blocks, sizeof *z->cdf);
  z->place = allocate (blocks, sizeof *z->place);
  for (uint64_t i = 0; i < blocks; i++) {
    sum += pow (i + 1, -ZIPF_EXPONENT);
    z->cdf[i] = sum;
    z->place[i] = i;
  }
  for (uint64_t i = blocks - 1; i > 0; i--) {
    uint64_t j = next_random () % (i + 1);
    uint32_t t = z->place[i];

    z->place[i] = z->place[j];
    z->place[j] = t;
  }
}

static uint64_t
zipf_next (const struct zipf *z, uint64_t blocks)
{
  double x = (next_random () >> 11) / 9007199254740992.0 * z->cdf[blocks - 1];
  uint64_t low = 0, high = blocks - 1;

  while (low < high) {
    uint64_t middle = low + (high - low) / 2;

    if (z->cdf[middle] > x)
      high = middle;
    else
      low = middle + 1;
  }
  return z->place[low];
}

/* Waits until at most n requests are under way. */
static void
drain (int n)
{
  while (nbd_aio_in_flight (nbd) > n)
    check (nbd_poll (nbd, -1));
}

/* Fails the program if a request failed, and lets it go. */
static int
completed (void *opaque, int *error)
{
  struct slot *slot = opaque;

  if (*error) {
    fprintf (stderr, "nbd-read: a read failed: %s\n", strerror (*error));
    exit (1);
  }
  slot->busy = false;
  return 1;
}

static void
read_one (uint64_t len, uint64_t off)
{
  struct slot *slot = slots;

  while (slot->busy)
    slot++;
  slot->busy = true;
  check (nbd_aio_pread (nbd, slot->buf, len, off,
                        (nbd_completion_callback){ .callback = completed,
                                                   .user_data = slot },
                        0) == -1
             ? -1
             : 0);
}

/* The block that request i reads. */
static uint64_t
next_block (const char *pattern, const struct zipf *zipf, uint64_t i,
            uint64_t blocks)
{
  if (strcmp (pattern, "zipf") == 0)
    return zipf_next (zipf, blocks);
  if (strcmp (pattern, "uniform") == 0)
    return next_random () % blocks;
  return i % blocks;
}

static void
connect_to (char *argv[])
{
  nbd = nbd_create ();
  check (nbd == NULL ? -1 : 0);
  if (strcmp (argv[1], "-") == 0)
    check (nbd_connect_systemd_socket_activation (nbd, argv + 7));
  else
    check (nbd_connect_uri (nbd, argv[1]));
}

/* Ends the connection, and a server that is ours: the KiB that it had. */
static long
disconnect (void)
{
  struct rusage usage = { 0 };

  nbd_shutdown (nbd, 0);
  nbd_close (nbd);
  getrusage (RUSAGE_CHILDREN, &usage);
  return usage.ru_maxrss;
}

int
main (int argc, char *argv[])
{
  uint64_t len, count, span, blocks;
  unsigned depth;
  struct zipf zipf = { 0 };
  bool own_server;
  double start, seconds;

  own_server = argc > 1 && strcmp (argv[1], "-") == 0;
  if (own_server ? argc < 8 : argc != 7) {
    fprintf (stderr, "usage: nbd-read URI seq|uniform|zipf LEN DEPTH COUNT "
                     "SPAN\n");
    return 2;
  }
  len = strtoull (argv[3], NULL, 0);
  depth = strtoul (argv[4], NULL, 0);
  count = strtoull (argv[5], NULL, 0);
  span = strtoull (argv[6], NULL, 0);
  if (len == 0 || depth == 0 || depth > MAX_DEPTH)
    return 2;
  for (unsigned i = 0; i < depth; i++)
    slots[i].buf = allocate (len, 1);

  start = now ();
  connect_to (argv);
  blocks = (span ? span : (uint64_t) nbd_get_size (nbd)) / len;
  if (blocks == 0 || blocks > UINT32_MAX) {
    fprintf (stderr, "nbd-read: there are %" PRIu64 " blocks\n", blocks);
    return 1;
  }
  if (strcmp (argv[2], "zipf") == 0)
    zipf_init (&zipf, blocks);
  if (count == 0)
    count = blocks;
  if (!own_server)
    start = now ();
  for (uint64_t i = 0; i < count; i++) {
    drain (depth - 1);
    read_one (len, next_block (argv[2], &zipf, i, blocks) * len);
  }
  drain (0);
  seconds = now () - start;
  printf ("%.6f %.1f %ld\n", seconds, count / seconds, disconnect ());
  for (unsigned i = 0; i < depth; i++)
    free (slots[i].buf);
  free (zipf.cdf);
  free (zipf.place);
  return 0;
}
