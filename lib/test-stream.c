/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams through a real pipe, read by several threads. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <libdeflate.h>

#include "format/test-vmdk-stream.h"
#include "util/test.h"

#define THREADS 4

static struct test_stream t;
static rawview_stream *s;
static rawview_error err;
static int fds[2];
static pthread_t sender;
static size_t to_send;
static bool keep_open;

/* A grain of which every byte is n. */
static void
add_grain (unsigned n)
{
  static uint8_t plain[TEST_GRAIN];
  uint8_t packed[2048];
  struct libdeflate_compressor *c = libdeflate_alloc_compressor (6);
  size_t len;

  memset (plain, (int) n, sizeof plain);
  len =
      libdeflate_zlib_compress (c, plain, sizeof plain, packed, sizeof packed);
  libdeflate_free_compressor (c);
  test_stream_payload (&t, n, packed, len);
}

static void
make (unsigned grains)
{
  test_stream_begin (&t, RV_VMDK_GD_AT_END);
  for (unsigned n = 0; n < grains; n++)
    add_grain (n);
  test_stream_table (&t, 0);
  test_stream_end (&t);
}

static void *
send_all (void *unused)
{
  for (size_t at = 0; at < to_send;) {
    size_t n = to_send - at < 5000 ? to_send - at : 5000;
    ssize_t r = write (fds[1], t.p + at, n);

    if (r == -1)
      break;
    at += r;
  }
  if (!keep_open)
    close (fds[1]);
  return NULL;
}

static bool
begin (size_t len)
{
  to_send = len;
  return pipe2 (fds, O_CLOEXEC) == 0 &&
         pthread_create (&sender, NULL, send_all, NULL) == 0 &&
         CHECK_OK (rawview_stream_open (fds[0], "it", NULL, &s, &err), err);
}

static void
end (void)
{
  rawview_stream_close (s);
  close (fds[0]);
  pthread_join (sender, NULL);
  if (keep_open)
    close (fds[1]);
}

static atomic_uint seen[256];

static void *
read_all (void *result)
{
  static _Thread_local uint8_t buf[TEST_GRAIN];
  rawview_error mine;
  uint64_t off;
  size_t len;
  int r;

  while ((r = rawview_stream_read (s, buf, &len, &off, &mine)) == 1) {
    CHECK_EQ_U64 (len, TEST_GRAIN);
    CHECK (buf[0] == off / TEST_GRAIN && buf[len - 1] == buf[0]);
    atomic_fetch_add (&seen[off / TEST_GRAIN], 1);
  }
  *(int *) result = r == 0 ? 0 : mine.errnum;
  return NULL;
}

static void
read_by_threads (int results[THREADS], void (*meanwhile) (void))
{
  pthread_t threads[THREADS];

  memset (seen, 0, sizeof seen);
  for (unsigned i = 0; i < THREADS; i++)
    pthread_create (&threads[i], NULL, read_all, &results[i]);
  if (meanwhile)
    meanwhile ();
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join (threads[i], NULL);
}

static void
each_grain_comes_to_one_thread (void)
{
  int results[THREADS];

  make (100);
  REQUIRE (begin (t.len));
  CHECK_EQ_U64 (rawview_stream_get_size (s), TEST_CAPACITY * 512);
  CHECK_EQ_U64 (rawview_stream_get_grain_size (s), TEST_GRAIN);
  read_by_threads (results, NULL);
  for (unsigned i = 0; i < THREADS; i++)
    CHECK_EQ_INT (results[i], 0);
  for (unsigned i = 0; i < 100; i++)
    CHECK_EQ_INT (seen[i], 1);
  CHECK_EQ_U64 (rawview_stream_get_position (s), t.len);
  end ();
}

static void
every_thread_gets_an_error (void)
{
  int results[THREADS];

  make (100);
  REQUIRE (begin (t.len - 2000));
  read_by_threads (results, NULL);
  for (unsigned i = 0; i < THREADS; i++)
    CHECK_EQ_INT (results[i], EIO);
  end ();
}

static void
damage_in_a_grain_is_told (void)
{
  int results[THREADS];
  unsigned failed = 0;

  make (100);
  t.p[t.grain_at + 30] ^= 0xff;
  REQUIRE (begin (t.len));
  read_by_threads (results, NULL);
  for (unsigned i = 0; i < THREADS; i++)
    failed += results[i] != 0;
  CHECK (failed > 0);
  end ();
}

static void
stop_it (void)
{
  rawview_stream_stop (s);
}

static void
a_stop_reaches_threads_that_wait (void)
{
  int results[THREADS];

  make (100);
  keep_open = true;
  REQUIRE (begin (t.len - 2000));
  read_by_threads (results, stop_it);
  for (unsigned i = 0; i < THREADS; i++)
    CHECK_EQ_INT (results[i], ECANCELED);
  end ();
  keep_open = false;
}

static void
refused (const char *key, const char *value, rawview_error_kind kind,
         const char *pattern)
{
  rawview_options *o = rawview_options_new ();
  FILE *f = tmpfile ();

  REQUIRE (f && fwrite (t.p, 1, t.len, f) == t.len && fflush (f) == 0);
  rewind (f);
  if (key)
    CHECK_OK (rawview_options_set (o, key, value, &err), err);
  CHECK_EQ_INT (rawview_stream_open (fileno (f), "it", o, &s, &err), -1);
  CHECK_ERROR (err, kind, pattern);
  rawview_options_free (o);
  fclose (f);
}

static void
options_that_cannot_be_obeyed_are_refused (void)
{
  make (1);
  refused ("format", "qcow2", RAWVIEW_ERROR_USAGE, "*not format=qcow2");
  refused ("parent", "x", RAWVIEW_ERROR_USAGE, "*parent=*");
  refused ("overlay", "x", RAWVIEW_ERROR_USAGE, "*overlay=*");
  refused ("snapshot", "x", RAWVIEW_ERROR_USAGE, "*snapshot=*");
  refused ("disk", "1", RAWVIEW_ERROR_USAGE, "*disk= is for OVA*");
  refused ("max-size", "1M", RAWVIEW_ERROR_LIMIT, "*max-size*");
  memcpy (t.p, "QFI\xfb\0\0\0\3", 8);
  refused (NULL, NULL, RAWVIEW_ERROR_REFUSED, "it: looks like two formats*");
  memset (t.p + 512, 0, 512); /* the descriptor */
  refused (NULL, NULL, RAWVIEW_ERROR_UNSUPPORTED,
           "it: qcow2 cannot be read from a pipe*");
  memset (t.p, 0, 512);
  refused (NULL, NULL, RAWVIEW_ERROR_FORMAT, "it: neither VMDK nor OVA*");
  t.len = 0;
  refused (NULL, NULL, RAWVIEW_ERROR_FORMAT, "it: is empty*");
}

int
main (void)
{
  signal (SIGPIPE, SIG_IGN);
  TEST (each_grain_comes_to_one_thread);
  TEST (every_thread_gets_an_error);
  TEST (damage_in_a_grain_is_told);
  TEST (a_stop_reaches_threads_that_wait);
  TEST (options_that_cannot_be_obeyed_are_refused);
  return test_result ();
}
