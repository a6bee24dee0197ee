/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nbd-write URI PATTERN LEN DEPTH BYTES SPAN FLUSH-EVERY
 *
 * Writes to an NBD server and prints the seconds that it took, from the first
 * request to the end of the last flush.
 *
 *   PATTERN      seq: one after the other; random: anywhere in SPAN, aligned
 *   LEN          bytes in a request
 *   DEPTH        requests under way, on one connection
 *   BYTES        to write in all
 *   SPAN         bytes from the beginning of the disk that may be written
 *   FLUSH-EVERY  requests; 0: only one flush, at the end
 *
 * The same arguments always write the same bytes to the same places.
 */

#include <config.h>

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

#include "client.h"

#define MAX_DEPTH 64u

static struct nbd_handle *nbd;

static void
check (int r)
{
  if (r != -1)
    return;
  fprintf (stderr, "nbd-write: %s\n", nbd_get_error ());
  exit (1);
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
  if (*error) {
    fprintf (stderr, "nbd-write: a write failed: %s\n", strerror (*error));
    exit (1);
  }
  return 1;
}

static void
write_one (const char *bytes, uint64_t len, uint64_t off)
{
  nbd_completion_callback cb = { .callback = completed };

  check (nbd_aio_pwrite (nbd, bytes, len, off, cb, 0) == -1 ? -1 : 0);
}

int
main (int argc, char *argv[])
{
  uint64_t len, bytes, span, n;
  unsigned depth, flush_every;
  bool is_random;
  char *buf;
  double start;

  if (argc != 8) {
    fprintf (stderr, "usage: nbd-write URI seq|random LEN DEPTH BYTES SPAN "
                     "FLUSH-EVERY\n");
    return 2;
  }
  is_random = strcmp (argv[2], "random") == 0;
  len = strtoull (argv[3], NULL, 0);
  depth = strtoul (argv[4], NULL, 0);
  bytes = strtoull (argv[5], NULL, 0);
  span = strtoull (argv[6], NULL, 0);
  flush_every = strtoul (argv[7], NULL, 0);
  if (len == 0 || span < len || depth == 0 || depth > MAX_DEPTH)
    return 2;
  buf = malloc (len + 4096);
  nbd = nbd_create ();
  if (buf == NULL || nbd == NULL)
    return 1;
  for (uint64_t i = 0; i < len + 4096; i++)
    buf[i] = next_random ();
  check (nbd_connect_uri (nbd, argv[1]));

  start = now ();
  n = bytes / len;
  for (uint64_t i = 0; i < n; i++) {
    uint64_t at = is_random ? next_random () : i;

    drain (depth - 1);
    write_one (buf + i % 4096, len, at % (span / len) * len);
    if (flush_every && (i + 1) % flush_every == 0) {
      drain (0);
      check (nbd_flush (nbd, 0));
    }
  }
  drain (0);
  check (nbd_flush (nbd, 0));
  printf ("%.6f\n", now () - start);
  nbd_shutdown (nbd, 0);
  nbd_close (nbd);
  free (buf);
  return 0;
}
