/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "io/io.h"
#include "util/error.h"
#include "util/test.h"

#define KIB 1024u
#define MIB (1024u * KIB)

/* Bytes that tell where they are. */
#define SIZE (20 * MIB + 777u)
static uint8_t disk[SIZE];

/*--- Storage that can be made to wait -----------------------------------*/

struct request {
  uint64_t off;
  size_t len;
};

struct late_io {
  struct rv_io base;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct request requests[64]; /* the first ones */
  unsigned nr_requests;        /* that came */
  bool shut;                   /* requests of shut_len bytes wait */
  size_t shut_len;
  unsigned fail; /* how many more requests fail */
};

static int
late_pread (struct rv_io *io, void *buf, size_t len, uint64_t off,
            rawview_error *err)
{
  struct late_io *l = (struct late_io *) io;
  LOCKED (&l->lock);

  if (l->nr_requests < 64)
    l->requests[l->nr_requests] = (struct request){ off, len };
  l->nr_requests++;
  pthread_cond_broadcast (&l->changed);
  while (l->shut && len == l->shut_len)
    pthread_cond_wait (&l->changed, &l->lock);
  if (l->fail > 0) {
    l->fail--;
    return rv_error_errno (err, EIO, "the server is gone");
  }
  memcpy (buf, disk + off, len);
  return 0;
}

static int
late_hole (struct rv_io *io, uint64_t off, uint64_t len, bool *hole,
           uint64_t *run)
{
  *hole = off < 100;
  *run = off < 100 ? 100 - off : len;
  *run = *run < len ? *run : len;
  return 0;
}

static void
late_free (struct rv_io *io)
{
}

static const struct rv_io_ops late_ops = {
  .name = "late",
  .pread = late_pread,
  .hole = late_hole,
  .free = late_free,
};

struct setup {
  struct late_io late;
  struct rv_io *io;
};

static void
set_up (struct setup *s, size_t budget)
{
  rawview_error err;

  *s = (struct setup){ 0 };
  pthread_mutex_init (&s->late.lock, NULL);
  pthread_cond_init (&s->late.changed, NULL);
  CHECK (rv_io_init (&s->late.base, &late_ops, "nbd://late", SIZE) == 0);
  CHECK_OK (rv_io_ahead_new (&s->late.base, budget, &s->io, &err), err);
}

static void
tear_down (struct setup *s)
{
  rv_io_unref (s->io);
  rv_io_unref (&s->late.base);
  pthread_cond_destroy (&s->late.changed);
  pthread_mutex_destroy (&s->late.lock);
}
#define CLEANUP_SETUP RV_CLEANUP (tear_down)

static void
shut (struct setup *s, size_t len)
{
  LOCKED (&s->late.lock);

  s->late.shut = true;
  s->late.shut_len = len;
}

static void
reopen (struct setup *s)
{
  LOCKED (&s->late.lock);

  s->late.shut = false;
  pthread_cond_broadcast (&s->late.changed);
}

static void
fail_next (struct setup *s, unsigned n)
{
  LOCKED (&s->late.lock);

  s->late.fail = n;
}

static void
wait_for_requests (struct setup *s, unsigned n)
{
  LOCKED (&s->late.lock);

  while (s->late.nr_requests < n)
    pthread_cond_wait (&s->late.changed, &s->late.lock);
}

/* The bytes must be those of the disk. */
static void
check_read (struct setup *s, uint64_t off, size_t len)
{
  CLEANUP_FREE uint8_t *buf = malloc (len);
  rawview_error err;

  REQUIRE_OK (rv_io_pread (s->io, buf, len, off, &err), err);
  CHECK_MEM_EQ (buf, disk + off, len);
}

/* Reading this must send so many requests to the storage. */
static void
check_requests (struct setup *s, uint64_t off, size_t len, unsigned n)
{
  unsigned before = s->late.nr_requests;

  check_read (s, off, len);
  CHECK_EQ_U64 (s->late.nr_requests - before, n);
}

/* The i-th request that came. */
static void
check_request (const struct setup *s, unsigned i, uint64_t off, size_t len)
{
  REQUIRE (i < s->late.nr_requests);
  CHECK_EQ_U64 (s->late.requests[i].off, off);
  CHECK_EQ_U64 (s->late.requests[i].len, len);
}

/*--- One thread ---------------------------------------------------------*/

/* Of the first MiB two parts have been prefetched: 64 KiB at 64 KiB and at
 * 256 KiB.
 */
static void
set_up_two_parts (struct setup *s)
{
  set_up (s, 8 * MIB);
  rv_io_prefetch (s->io, 64 * KIB, 64 * KIB);
  rv_io_prefetch (s->io, 256 * KIB, 64 * KIB);
}

static void
what_was_prefetched_is_not_asked_for_again (void)
{
  CLEANUP_SETUP struct setup s;

  set_up (&s, 8 * MIB);
  rv_io_prefetch (s.io, 10000, 20000);
  CHECK_EQ_U64 (s.late.nr_requests, 1);
  check_request (&s, 0, 8 * KIB, 24 * KIB);
  check_requests (&s, 10000, 20000, 0);
  check_requests (&s, 12345, 1, 0);
  check_requests (&s, 8 * KIB, 24 * KIB, 0);
}

static void
the_rest_is_asked_for_in_one_request_for_each_gap (void)
{
  CLEANUP_SETUP struct setup s;

  set_up_two_parts (&s);
  check_requests (&s, 1, MIB, 3);
  check_request (&s, 2, 1, 64 * KIB - 1);
  check_request (&s, 3, 128 * KIB, 128 * KIB);
  check_request (&s, 4, 320 * KIB, MIB + 1 - 320 * KIB);
  check_requests (&s, 5 * MIB, 3 * MIB, 1);
}

static void
only_the_missing_parts_are_prefetched (void)
{
  CLEANUP_SETUP struct setup s;

  set_up_two_parts (&s);
  rv_io_prefetch (s.io, 70 * KIB, 50 * KIB);
  CHECK_EQ_U64 (s.late.nr_requests, 2);
  rv_io_prefetch (s.io, 0, 400 * KIB);
  CHECK_EQ_U64 (s.late.nr_requests, 5);
  check_request (&s, 2, 0, 64 * KIB);
  check_request (&s, 3, 128 * KIB, 128 * KIB);
  check_request (&s, 4, 320 * KIB, 80 * KIB);
  check_requests (&s, 0, 400 * KIB, 0);
}

static void
a_long_prefetch_is_several_requests (void)
{
  CLEANUP_SETUP struct setup s;

  set_up (&s, 16 * MIB);
  rv_io_prefetch (s.io, MIB, 9 * MIB);
  CHECK_EQ_U64 (s.late.nr_requests, 3);
  check_request (&s, 0, MIB, 4 * MIB);
  check_request (&s, 1, 5 * MIB, 4 * MIB);
  check_request (&s, 2, 9 * MIB, MIB);
  check_requests (&s, MIB, 9 * MIB, 0);
}

static void
the_end_is_prefetched_as_far_as_it_goes (void)
{
  CLEANUP_SETUP struct setup s;
  rawview_error err;
  char buf[2];

  set_up (&s, 8 * MIB);
  rv_io_prefetch (s.io, SIZE - 1000, UINT64_MAX);
  CHECK_EQ_U64 (s.late.nr_requests, 1);
  check_requests (&s, SIZE - 1000, 1000, 0);
  rv_io_prefetch (s.io, SIZE, 1);
  CHECK_EQ_U64 (s.late.nr_requests, 1);
  CHECK_EQ_INT (rv_io_pread (s.io, buf, 2, SIZE - 1, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "nbd://late is cut short: *");
}

static void
a_failed_prefetch_is_forgotten (void)
{
  CLEANUP_SETUP struct setup s;
  rawview_error err;
  char buf[4];

  set_up (&s, 8 * MIB);
  fail_next (&s, 1);
  rv_io_prefetch (s.io, 0, MIB);
  check_requests (&s, 0, MIB, 1);
  fail_next (&s, 2);
  rv_io_prefetch (s.io, 0, MIB);
  CHECK_EQ_INT (rv_io_pread (s.io, buf, 4, 0, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "the server is gone*");
  rv_io_prefetch (s.io, 0, MIB);
  check_requests (&s, 0, MIB, 0);
}

static void
it_says_what_the_storage_says (void)
{
  CLEANUP_SETUP struct setup s;
  CLEANUP_IO struct rv_io *slice = NULL;
  uint64_t run;
  bool hole;
  rawview_error err;

  set_up (&s, 8 * MIB);
  CHECK_EQ_U64 (s.io->size, SIZE);
  CHECK_STR_EQ (s.io->name, "nbd://late");
  CHECK (s.io->slow && !s.late.base.slow);
  CHECK (s.io->ops->allocated == NULL);
  rv_io_hole (s.io, 10, MIB, &hole, &run);
  CHECK (hole && run == 90);
  CHECK_EQ_INT (rv_io_pwrite (s.io, "x", 1, 0, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*cannot be written*");

  REQUIRE_OK (rv_io_slice_new (s.io, MIB, MIB, "member", &slice, &err), err);
  CHECK (slice->slow);
  rv_io_prefetch (slice, 8 * KIB, 4 * KIB);
  CHECK_EQ_U64 (s.late.nr_requests, 1);
  check_request (&s, 0, MIB + 8 * KIB, 4 * KIB);
}

/*--- Room ---------------------------------------------------------------*/

static void
the_oldest_goes_first (void)
{
  CLEANUP_SETUP struct setup s;

  set_up (&s, 2 * MIB);
  for (unsigned i = 0; i < 3; i++)
    rv_io_prefetch (s.io, i * MIB, MIB);
  check_requests (&s, 2 * MIB, MIB, 0);
  check_requests (&s, MIB, MIB, 0);
  check_requests (&s, 0, MIB, 1);
}

static void
what_was_read_goes_before_the_oldest (void)
{
  CLEANUP_SETUP struct setup s;

  set_up (&s, 2 * MIB);
  rv_io_prefetch (s.io, 0, MIB);
  rv_io_prefetch (s.io, MIB, MIB - 10);
  check_requests (&s, MIB, 700 * KIB + 1, 0);
  check_requests (&s, MIB + 700 * KIB + 1, 324 * KIB - 11, 0);
  rv_io_prefetch (s.io, 2 * MIB, MIB);
  check_requests (&s, 0, MIB, 0);
  check_requests (&s, 2 * MIB, MIB, 0);
  check_requests (&s, MIB, MIB, 1);
}

static void
what_was_read_in_part_has_not_been_read (void)
{
  CLEANUP_SETUP struct setup s;

  set_up (&s, 2 * MIB);
  rv_io_prefetch (s.io, 0, MIB);
  rv_io_prefetch (s.io, MIB, MIB);
  check_read (&s, MIB, MIB - 1);
  check_read (&s, MIB, MIB - 1);
  rv_io_prefetch (s.io, 2 * MIB, MIB);
  check_requests (&s, MIB, MIB, 0);
}

static void
what_was_read_stays_while_there_is_room (void)
{
  CLEANUP_SETUP struct setup s;

  set_up (&s, 2 * MIB);
  rv_io_prefetch (s.io, 0, MIB);
  check_requests (&s, 0, MIB, 0);
  rv_io_prefetch (s.io, MIB, MIB);
  check_requests (&s, MIB - 1, 2, 0);
}

static void
a_budget_below_one_request_still_holds_the_end (void)
{
  CLEANUP_SETUP struct setup s;

  set_up (&s, 64 * KIB + 5);
  rv_io_prefetch (s.io, 0, MIB);
  CHECK_EQ_U64 (s.late.nr_requests, 16);
  check_requests (&s, MIB - 64 * KIB, 64 * KIB, 0);
  check_requests (&s, 0, MIB - 64 * KIB, 1);
}

/*--- Several threads ----------------------------------------------------*/

struct job {
  struct setup *s;
  uint64_t off;
  size_t len;
};

static void *
do_prefetch (void *opaque)
{
  struct job *j = opaque;

  rv_io_prefetch (j->s->io, j->off, j->len);
  return NULL;
}

static void *
do_read (void *opaque)
{
  struct job *j = opaque;

  check_read (j->s, j->off, j->len);
  return NULL;
}

/* A reader, who first asks for 4 KiB of his own, of bytes that are on their
 * way.
 */
static void
read_what_is_on_its_way (struct setup *s)
{
  struct job ahead = { s, MIB, MIB }, reader = { s, MIB - 4096, MIB };
  pthread_t threads[2];

  shut (s, MIB);
  REQUIRE (pthread_create (&threads[0], NULL, do_prefetch, &ahead) == 0);
  wait_for_requests (s, 1);
  REQUIRE (pthread_create (&threads[1], NULL, do_read, &reader) == 0);
  wait_for_requests (s, 2);
  reopen (s);
  pthread_join (threads[0], NULL);
  pthread_join (threads[1], NULL);
}

static void
a_reader_waits_for_what_is_on_its_way (void)
{
  CLEANUP_SETUP struct setup s;

  set_up (&s, 8 * MIB);
  read_what_is_on_its_way (&s);
  CHECK_EQ_U64 (s.late.nr_requests, 2);
  check_request (&s, 1, MIB - 4096, 4096);
}

static void
a_reader_asks_himself_when_what_was_on_its_way_does_not_come (void)
{
  CLEANUP_SETUP struct setup s;
  struct job ahead = { &s, MIB, MIB }, reader = { &s, MIB, MIB / 2 };
  pthread_t threads[2];

  set_up (&s, 8 * MIB);
  shut (&s, MIB);
  REQUIRE (pthread_create (&threads[0], NULL, do_prefetch, &ahead) == 0);
  wait_for_requests (&s, 1);
  REQUIRE (pthread_create (&threads[1], NULL, do_read, &reader) == 0);
  fail_next (&s, 1);
  reopen (&s);
  pthread_join (threads[0], NULL);
  pthread_join (threads[1], NULL);
  CHECK_EQ_U64 (s.late.nr_requests, 2);
  check_request (&s, 1, MIB, MIB / 2);
}

static void
a_prefetch_does_not_wait_for_another (void)
{
  CLEANUP_SETUP struct setup s;
  struct job ahead = { &s, MIB, MIB };
  pthread_t thread;

  set_up (&s, 8 * MIB);
  shut (&s, MIB);
  REQUIRE (pthread_create (&thread, NULL, do_prefetch, &ahead) == 0);
  wait_for_requests (&s, 1);
  rv_io_prefetch (s.io, MIB + 4096, 8192);
  CHECK_EQ_U64 (s.late.nr_requests, 1);
  rv_io_prefetch (s.io, MIB - 4096, MIB + 2 * 4096);
  CHECK_EQ_U64 (s.late.nr_requests, 3);
  check_request (&s, 1, MIB - 4096, 4096);
  check_request (&s, 2, 2 * MIB, 4096);
  reopen (&s);
  pthread_join (thread, NULL);
  check_requests (&s, MIB - 4096, MIB + 2 * 4096, 0);
}

/* What is on its way may pass the budget, and then what is there goes. */
static void
what_is_on_its_way_is_not_given_up (void)
{
  CLEANUP_SETUP struct setup s;
  struct job ahead = { &s, 0, 2 * MIB };
  pthread_t thread;

  set_up (&s, 2 * MIB);
  shut (&s, 2 * MIB);
  REQUIRE (pthread_create (&thread, NULL, do_prefetch, &ahead) == 0);
  wait_for_requests (&s, 1);
  rv_io_prefetch (s.io, 2 * MIB, MIB);
  reopen (&s);
  pthread_join (thread, NULL);
  check_requests (&s, 0, 2 * MIB, 0);
  check_requests (&s, 2 * MIB, MIB, 1);
}

struct random_job {
  struct setup *s;
  uint64_t seed;
};

static uint64_t
next (uint64_t *seed)
{
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return *seed >> 33;
}

static void *
do_random (void *opaque)
{
  struct random_job *j = opaque;

  for (unsigned i = 0; i < 500; i++) {
    uint64_t off = next (&j->seed) % (2 * MIB);
    size_t len = 1 + next (&j->seed) % (300 * KIB);

    if (next (&j->seed) % 3 == 0)
      rv_io_prefetch (j->s->io, off, len);
    else
      check_read (j->s, off, len);
  }
  return NULL;
}

static void
any_threads_read_what_is_there (void)
{
  CLEANUP_SETUP struct setup s;
  struct random_job jobs[4];
  pthread_t threads[4];

  set_up (&s, MIB);
  for (unsigned i = 0; i < 4; i++) {
    jobs[i] = (struct random_job){ &s, i + 1 };
    REQUIRE (pthread_create (&threads[i], NULL, do_random, &jobs[i]) == 0);
  }
  for (unsigned i = 0; i < 4; i++)
    pthread_join (threads[i], NULL);
}

int
main (void)
{
  for (uint32_t i = 0; i < SIZE; i++)
    disk[i] = (i * 2654435761u) >> 24;
  TEST (what_was_prefetched_is_not_asked_for_again);
  TEST (the_rest_is_asked_for_in_one_request_for_each_gap);
  TEST (only_the_missing_parts_are_prefetched);
  TEST (a_long_prefetch_is_several_requests);
  TEST (the_end_is_prefetched_as_far_as_it_goes);
  TEST (a_failed_prefetch_is_forgotten);
  TEST (it_says_what_the_storage_says);
  TEST (the_oldest_goes_first);
  TEST (what_was_read_goes_before_the_oldest);
  TEST (what_was_read_in_part_has_not_been_read);
  TEST (what_was_read_stays_while_there_is_room);
  TEST (a_budget_below_one_request_still_holds_the_end);
  TEST (a_reader_waits_for_what_is_on_its_way);
  TEST (a_reader_asks_himself_when_what_was_on_its_way_does_not_come);
  TEST (a_prefetch_does_not_wait_for_another);
  TEST (what_is_on_its_way_is_not_given_up);
  TEST (any_threads_read_what_is_there);
  return test_result ();
}
