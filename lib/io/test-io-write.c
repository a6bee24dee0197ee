/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing in memory: the common part, faults and traces. */

#include <config.h>

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "io/test-io.h"
#include "util/error.h"
#include "util/test.h"

/*--- Memory and the common part -----------------------------------------*/

static void
memory_is_written_and_grows (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  uint8_t *bytes;
  rawview_error err;

  REQUIRE_OK (rv_io_ram_new (8, 32, "ram", &io, &bytes, &err), err);
  CHECK (io->writable && io->can_grow);
  CHECK_OK (rv_io_pwrite (io, "abcd", 4, 2, &err), err);
  check_bytes (io, 0, "\0\0abcd\0\0", 8);
  CHECK_OK (rv_io_pwrite (io, "end", 3, 20, &err), err);
  CHECK_EQ_U64 (io->size, 23);
  check_bytes (io, 6, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0end", 17);
  CHECK_OK (rv_io_zero (io, 3, 2, 0, &err), err);
  CHECK_MEM_EQ (bytes, "\0\0a\0\0d", 6);
  CHECK_EQ_U64 (io->size, 23);
  CHECK_OK (rv_io_pwrite (io, "", 0, 100, &err), err);
  CHECK_EQ_U64 (io->size, 23);
}

static void
full_memory_has_no_space_left (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err = { 0 };

  REQUIRE_OK (rv_io_ram_new (8, 10, "ram", &io, NULL, &err), err);
  check_fails (rv_io_pwrite (io, "abcd", 4, 8, &err), &err, ENOSPC);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "cannot write 4 bytes to ram at 8: *");
  check_bytes (io, 8, "ab", 2);
  check_fails (rv_io_pwrite (io, "x", 1, 1000, &err), &err, ENOSPC);
  CHECK_OK (rv_io_pwrite (io, "abcd", 4, 6, &err), err);
  CHECK_EQ_U64 (io->size, 10);
}

static void
what_cannot_be_written_says_so (void)
{
  CLEANUP_IO struct rv_io *io = NULL, *ram = NULL, *slice = NULL;
  rawview_error err = { 0 };

  REQUIRE_OK (rv_io_mem_new ("0123456789", 10, "m", &io, &err), err);
  REQUIRE_OK (rv_io_ram_new (8, 8, "ram", &ram, NULL, &err), err);
  REQUIRE_OK (rv_io_slice_new (ram, 0, 4, "s", &slice, &err), err);
  check_fails (rv_io_pwrite (io, "a", 1, 0, &err), &err, EROFS);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED,
               "m cannot be written where it is, inside another file or *");
  check_fails (rv_io_zero (io, 0, 1, 0, &err), &err, EROFS);
  check_fails (rv_io_lock_for_writing (io, &err), &err, EROFS);
  check_fails (rv_io_pwrite (slice, "a", 1, 0, &err), &err, EROFS);
  CHECK_OK (rv_io_sync (io, &err), err);
  rv_io_lock_for_reading (io);
}

static void
offsets_that_no_file_has_are_refused (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  rawview_error err = { 0 };

  REQUIRE_OK (rv_io_ram_new (8, 8, "ram", &io, NULL, &err), err);
  check_fails (rv_io_pwrite (io, "ab", 2, UINT64_MAX, &err), &err, EFBIG);
  check_fails (rv_io_pwrite (io, "ab", 2, INT64_MAX, &err), &err, EFBIG);
  check_fails (rv_io_zero (io, 7, 2, 0, &err), &err, EINVAL);
  check_fails (rv_io_zero (io, UINT64_MAX, 2, 0, &err), &err, EINVAL);
  check_fails (rv_io_zero (io, 1, UINT64_MAX, 0, &err), &err, EINVAL);
  io->can_grow = false;
  check_fails (rv_io_pwrite (io, "ab", 2, 7, &err), &err, ENOSPC);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*it ends at 8 and cannot grow");
}

/*--- Syncing ------------------------------------------------------------*/

/* Storage that counts its syncs; they can be slow. */
struct sync_io {
  struct rv_io base;
  atomic_uint syncs, begun;
  atomic_bool slow;
};

static int
sync_pwrite (struct rv_io *io, const void *buf, size_t len, uint64_t off,
             rawview_error *err)
{
  return 0;
}

static int
sync_sync (struct rv_io *io, rawview_error *err)
{
  struct sync_io *s = (struct sync_io *) io;

  atomic_fetch_add (&s->begun, 1);
  if (atomic_load (&s->slow))
    nanosleep (&(struct timespec){ .tv_nsec = 50000000 }, NULL);
  atomic_fetch_add (&s->syncs, 1);
  return 0;
}

static void
sync_free (struct rv_io *io)
{
}

static const struct rv_io_ops sync_ops = {
  .name = "sync",
  .pwrite = sync_pwrite,
  .sync = sync_sync,
  .free = sync_free,
};

static void
sync_init (struct sync_io *s)
{
  *s = (struct sync_io){ 0 };
  CHECK (rv_io_init (&s->base, &sync_ops, "sync", 100) == 0);
  s->base.writable = true;
}

static void
what_was_not_written_is_not_synced (void)
{
  struct sync_io s;
  rawview_error err;

  sync_init (&s);
  CHECK_OK (rv_io_sync (&s.base, &err), err);
  CHECK_EQ_U64 (s.syncs, 0);
  CHECK_OK (rv_io_pwrite (&s.base, "x", 1, 0, &err), err);
  CHECK_OK (rv_io_sync (&s.base, &err), err);
  CHECK_OK (rv_io_sync (&s.base, &err), err);
  CHECK_EQ_U64 (s.syncs, 1);
  rv_io_unref (&s.base);
}

static void *
sync_in_thread (void *opaque)
{
  struct sync_io *s = opaque;
  rawview_error err;

  CHECK_OK (rv_io_sync (&s->base, &err), err);
  return NULL;
}

static void
a_sync_waits_for_one_that_is_under_way (void)
{
  struct sync_io s;
  pthread_t thread;
  rawview_error err;

  sync_init (&s);
  s.slow = true;
  CHECK_OK (rv_io_pwrite (&s.base, "x", 1, 0, &err), err);
  REQUIRE (pthread_create (&thread, NULL, sync_in_thread, &s) == 0);
  while (atomic_load (&s.begun) == 0)
    sched_yield ();
  CHECK_OK (rv_io_sync (&s.base, &err), err);
  CHECK_EQ_U64 (s.syncs, 1);
  pthread_join (thread, NULL);
  rv_io_unref (&s.base);
}

static void
a_sync_that_failed_fails_for_good (void)
{
  struct rv_io_faults faults = {
    .countdown = 1, .kinds = RV_FAULT_SYNC, .errnum = EIO, .once = true
  };
  CLEANUP_IO struct rv_io *ram = NULL, *io = NULL;
  rawview_error err = { 0 };

  REQUIRE_OK (rv_io_ram_new (8, 8, "ram", &ram, NULL, &err), err);
  REQUIRE_OK (rv_io_faults_new (ram, &faults, &io, &err), err);
  CHECK_OK (rv_io_sync (io, &err), err);
  CHECK_OK (rv_io_pwrite (io, "x", 1, 0, &err), err);
  for (int i = 0; i < 3; i++) {
    err = (rawview_error){ 0 };
    check_fails (rv_io_sync (io, &err), &err, EIO);
    CHECK_ERROR (err, RAWVIEW_ERROR_IO, "cannot make durable *ram *");
  }
  CHECK_EQ_U64 (faults.countdown, 0);
  CHECK (io->sync_failed);
}

/*--- Faults -------------------------------------------------------------*/

/* The operation of one kind; what it leaves is for the caller to look at. */
static int
do_kind (struct rv_io *io, unsigned kind, rawview_error *err)
{
  char c;

  switch (kind) {
  case RV_FAULT_READ:
    return rv_io_pread (io, &c, 1, 0, err);
  case RV_FAULT_WRITE:
    return rv_io_pwrite (io, "abcdef", 6, 0, err);
  case RV_FAULT_ZERO:
    return rv_io_zero (io, 0, 6, 0, err);
  default:
    return rv_io_sync (io, err);
  }
}

static void
each_kind_of_operation_can_fail_once_or_for_good (void)
{
  for (unsigned kind = RV_FAULT_READ; kind < RV_FAULT_SYNC; kind *= 2)
    for (int once = 0; once <= 1; once++) {
      struct rv_io_faults faults = {
        .countdown = 3, .kinds = kind, .errnum = ENOSPC, .once = once
      };
      CLEANUP_IO struct rv_io *ram = NULL, *io = NULL;
      rawview_error err = { 0 };

      REQUIRE_OK (rv_io_ram_new (8, 8, "ram", &ram, NULL, &err), err);
      REQUIRE_OK (rv_io_faults_new (ram, &faults, &io, &err), err);
      for (int i = 0; i < 5; i++)
        for (unsigned k = RV_FAULT_READ; k <= RV_FAULT_SYNC; k *= 2) {
          bool fails = k == kind && (once ? i == 2 : i >= 2);

          CHECK_EQ_INT (do_kind (io, k, &err), fails ? -1 : 0);
          if (fails)
            CHECK_EQ_INT (err.errnum, ENOSPC);
        }
      faults.countdown = 0;
      CHECK_OK (do_kind (io, kind, &err), err);
    }
}

static void
a_torn_write_leaves_the_sectors_of_its_first_half (void)
{
  struct rv_io_faults faults = {
    .countdown = 1, .kinds = RV_FAULT_WRITE, .errnum = EIO, .torn = true
  };
  CLEANUP_IO struct rv_io *ram = NULL, *io = NULL;
  static const uint8_t zeros[4096];
  rawview_error err = { 0 };
  uint8_t data[2000], *bytes;

  memset (data, 1, sizeof data);
  REQUIRE_OK (rv_io_ram_new (2, 4096, "ram", &ram, &bytes, &err), err);
  REQUIRE_OK (rv_io_faults_new (ram, &faults, &io, &err), err);
  check_fails (rv_io_pwrite (io, data, 2000, 100, &err), &err, EIO);
  CHECK_EQ_U64 (io->size, 1024);
  CHECK_MEM_EQ (bytes + 100, data, 1024 - 100);
  CHECK_MEM_EQ (bytes + 1024, zeros, 1000);
  faults.torn = false;
  check_fails (rv_io_pwrite (io, data, 2000, 1024, &err), &err, EIO);
  CHECK_EQ_U64 (io->size, 1024);
}

/*--- Traces -------------------------------------------------------------*/

static void
check_entry (const struct rv_trace *t, size_t i, enum rv_trace_op op,
             unsigned file, uint64_t off, uint64_t len, uint64_t marker)
{
  REQUIRE (i < t->len);
  CHECK_EQ_INT (t->entries[i].op, op);
  CHECK_EQ_U64 (t->entries[i].file, file);
  CHECK_EQ_U64 (t->entries[i].off, off);
  CHECK_EQ_U64 (t->entries[i].len, len);
  CHECK_EQ_U64 (t->entries[i].marker, marker);
}

static void
a_trace_tells_the_order_among_files (void)
{
  CLEANUP_IO struct rv_io *ram = NULL, *a = NULL, *b = NULL;
  struct rv_trace trace;
  rawview_error err;

  rv_trace_init (&trace);
  REQUIRE_OK (rv_io_ram_new (100, 200, "ram", &ram, NULL, &err), err);
  REQUIRE_OK (rv_io_trace_new (ram, 0, &trace, &a, &err), err);
  REQUIRE_OK (rv_io_trace_new (ram, 7, &trace, &b, &err), err);
  CHECK_OK (rv_io_pwrite (a, "abc", 3, 10, &err), err);
  trace.marker = 5;
  CHECK_OK (rv_io_pwrite (b, "end", 3, 150, &err), err);
  CHECK_OK (rv_io_zero (a, 20, 30, 0, &err), err);
  CHECK_OK (rv_io_sync (a, &err), err);
  CHECK_OK (rv_io_sync (a, &err), err); /* nothing to do */
  CHECK_EQ_U64 (trace.len, 4);
  check_entry (&trace, 0, RV_TRACE_WRITE, 0, 10, 3, 0);
  check_entry (&trace, 1, RV_TRACE_WRITE, 7, 150, 3, 5);
  check_entry (&trace, 2, RV_TRACE_ZERO, 0, 20, 30, 5);
  check_entry (&trace, 3, RV_TRACE_SYNC, 0, 3, 0, 5);
  CHECK_MEM_EQ (trace.entries[0].bytes, "abc", 3);
  CHECK_EQ_U64 (b->size, 153);
  check_bytes (b, 150, "end", 3);
  rv_trace_release (&trace);
}

static void
a_failed_sync_is_in_no_trace_but_a_failed_write_is (void)
{
  struct rv_io_faults faults = { .countdown = 1,
                                 .kinds = RV_FAULT_SYNC | RV_FAULT_WRITE,
                                 .errnum = EIO };
  CLEANUP_IO struct rv_io *ram = NULL, *fault = NULL, *io = NULL;
  struct rv_trace trace;
  rawview_error err;

  rv_trace_init (&trace);
  REQUIRE_OK (rv_io_ram_new (100, 200, "ram", &ram, NULL, &err), err);
  REQUIRE_OK (rv_io_faults_new (ram, &faults, &fault, &err), err);
  REQUIRE_OK (rv_io_trace_new (fault, 0, &trace, &io, &err), err);
  CHECK_EQ_INT (rv_io_pwrite (io, "abc", 3, 10, &err), -1);
  CHECK_EQ_U64 (trace.len, 1);
  faults.countdown = 2;
  CHECK_OK (rv_io_pwrite (io, "abc", 3, 10, &err), err);
  CHECK_EQ_INT (rv_io_sync (io, &err), -1);
  CHECK_EQ_U64 (trace.len, 2);
  rv_trace_release (&trace);
}

/* Storage whose first write waits until a sync has begun and ended. */
struct late_io {
  struct sync_io s;
  atomic_uint writes;
  atomic_bool go;
};

static int
late_pwrite (struct rv_io *io, const void *buf, size_t len, uint64_t off,
             rawview_error *err)
{
  struct late_io *l = (struct late_io *) io;

  if (atomic_fetch_add (&l->writes, 1) == 1)
    while (!atomic_load (&l->go))
      sched_yield ();
  return 0;
}

static const struct rv_io_ops late_ops = {
  .name = "late",
  .pwrite = late_pwrite,
  .sync = sync_sync,
  .free = sync_free,
};

static void *
write_in_thread (void *opaque)
{
  rawview_error err;

  CHECK_OK (rv_io_pwrite (opaque, "late", 4, 8, &err), err);
  return NULL;
}

static void
a_traced_sync_says_what_was_complete (void)
{
  CLEANUP_IO struct rv_io *io = NULL;
  struct late_io l = { 0 };
  struct rv_trace trace;
  pthread_t thread;
  rawview_error err;

  rv_trace_init (&trace);
  CHECK (rv_io_init (&l.s.base, &late_ops, "late", 100) == 0);
  l.s.base.writable = true;
  REQUIRE_OK (rv_io_trace_new (&l.s.base, 0, &trace, &io, &err), err);
  CHECK_OK (rv_io_pwrite (io, "a", 1, 0, &err), err);
  REQUIRE (pthread_create (&thread, NULL, write_in_thread, io) == 0);
  while (atomic_load (&l.writes) < 2)
    sched_yield ();
  CHECK_OK (rv_io_pwrite (io, "b", 1, 1, &err), err);
  CHECK_OK (rv_io_sync (io, &err), err);
  atomic_store (&l.go, true);
  pthread_join (thread, NULL);
  CHECK_OK (rv_io_sync (io, &err), err);
  check_entry (&trace, 3, RV_TRACE_SYNC, 0, 1, 0, 0);
  check_entry (&trace, 4, RV_TRACE_SYNC, 0, 4, 0, 0);
  rv_trace_release (&trace);
  rv_io_unref (STEAL (io));
  rv_io_unref (&l.s.base);
}

int
main (void)
{
  alarm (60); /* nothing here may wait */
  TEST (memory_is_written_and_grows);
  TEST (full_memory_has_no_space_left);
  TEST (what_cannot_be_written_says_so);
  TEST (offsets_that_no_file_has_are_refused);
  TEST (what_was_not_written_is_not_synced);
  TEST (a_sync_waits_for_one_that_is_under_way);
  TEST (a_sync_that_failed_fails_for_good);
  TEST (each_kind_of_operation_can_fail_once_or_for_good);
  TEST (a_torn_write_leaves_the_sectors_of_its_first_half);
  TEST (a_trace_tells_the_order_among_files);
  TEST (a_failed_sync_is_in_no_trace_but_a_failed_write_is);
  TEST (a_traced_sync_says_what_was_complete);
  return test_result ();
}
