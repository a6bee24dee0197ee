/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random requests, compared with a model: on disks of all kinds, with failing
 * files, and from several threads.
 */

#include <config.h>

#include <errno.h>
#include <pthread.h>

#include "format/test-vmdk-write.h"

#define STEPS 120u

static ssize_t
no_random (void *buf, size_t len, unsigned flags)
{
  memset (buf, 0, len);
  return len;
}

static uint32_t
rnd (uint32_t *seed, uint32_t below)
{
  *seed = *seed * 1664525 + 1013904223;
  return (*seed >> 8) % below;
}

/*--- Disks --------------------------------------------------------------*/

#define ZERO_FLAG 1u
#define RGD_FLAG  2u
#define PARENT    4u
#define MISSING   8u /* tables */
#define SPLIT     16u

static void
make_kind (struct image *m, unsigned kind)
{
  make_sparse (m);
  put32 (m->b, 8,
         (kind & ZERO_FLAG ? RV_VMDK_FLAG_ZERO : 0) |
             (kind & RGD_FLAG ? RV_VMDK_FLAG_RGD : 0));
  if (kind & PARENT)
    put_descriptor (m, "monolithicSparse", "parentCID=00000012\n");
  for (unsigned i = 0; i < 2 && (kind & MISSING); i++)
    put32 (m->b, (i ? AT_RGD : AT_GD) * SECTOR + 4, 0);
  put_gte (m, 2, 16);
  put_gte (m, 3, 24);
  put_gte (m, 256, 40);
  if (kind & ZERO_FLAG)
    put_gte (m, 4, 1);
  for (size_t at = AT_DATA * SECTOR; at < m->len; at++)
    m->b[at] = at / SECTOR;
}

static void
make_target (struct target *t, unsigned kind)
{
  static const char text[] =
      "# Disk DescriptorFile\nCID=00000007\ncreateType=custom\n%s"
      "RW 13 FLAT \"a\" 2\nRW 2053 SPARSE \"b\"\nRW 9 VMFS \"c\"\n";
  static struct image m;
  char descriptor[256];
  rawview_error err;

  *t = (struct target){ .parent = kind & PARENT, .room = 24u << 20 };
  make_kind (&m, kind);
  snprintf (descriptor, sizeof descriptor, text,
            kind & PARENT ? "parentCID=00000012\n" : "");
  if (kind & SPLIT) {
    target_add (t, descriptor, strlen (descriptor), "d.vmdk");
    target_add (t, m.b, 16 * SECTOR, "a");
  }
  target_add (t, m.b, m.len, "b");
  if (kind & SPLIT)
    target_add (t, m.b, 9 * SECTOR, "c");
  REQUIRE_OK (target_start (t, &err), err);
}

/*--- Random requests ----------------------------------------------------*/

/* Trimmed bytes are zeros or as before. */
static void
trim (struct target *t, uint64_t off, uint64_t len)
{
  CLEANUP_FREE uint8_t *now = malloc (len);
  rawview_error err;

  CHECK_OK (guest_drop (t, len, off, RV_DROP_TRIM, &err), err);
  CHECK_OK (guest_read (t, now, len, off, &err), err);
  for (uint64_t i = 0; i < len; i++)
    if (now[i] != 0 && now[i] != t->model[off + i]) {
      TEST_FAIL ("byte %ju is %02x after a trim", (uintmax_t) (off + i),
                 now[i]);
      return;
    }
  memcpy (t->model + off, now, len);
}

static void
step (struct target *t, uint32_t *seed)
{
  uint64_t size = t->d.format->size;
  uint64_t off = rnd (seed, size);
  uint64_t len = 1 + rnd (seed, rnd (seed, 4) ? GRAIN * 3 : GRAIN * 140);
  uint32_t what = rnd (seed, 10);
  rawview_error err;

  if (rnd (seed, 3) == 0)
    off = rv_align_down (off, GRAIN);
  len = rv_min_u64 (len, size - off);
  if (what < 5)
    put_bytes (t, off, len, rnd (seed, 256));
  else if (what < 8) {
    t->ops->widen (t->d.format, &off, &len);
    if (what == 7)
      trim (t, off, len);
    else
      put_zeros (t, off, len, what == 5 ? RV_DROP_KEEP : RV_DROP_ZERO);
  }
  else if (what == 8)
    CHECK_OK (target_flush (t, &err), err);
  else
    check_model (t);
}

static void
run_kind (unsigned kind)
{
  uint32_t seed = kind;
  struct target t;
  rawview_error err;

  make_target (&t, kind);
  for (unsigned run = 0; run < 2; run++) {
    REQUIRE_OK (target_enable (&t, &err), err);
    for (unsigned i = 0; i < STEPS; i++)
      step (&t, &seed);
    target_finish (&t);
  }
  target_free (&t);
}

static void
every_kind_of_disk_reads_like_the_model (void)
{
  for (unsigned kind = 0; kind < 32; kind++)
    run_kind (kind);
}

/*--- Failing files ------------------------------------------------------*/

/* Which requests may have left a sector as it is?  Bit 0: before all. */
struct allowed {
  uint32_t now[CAPACITY];
  bool begun, failed;
};

#define REQUESTS 20u

/* Request n writes its number. */
static void
request (struct target *t, struct allowed *a, unsigned n, uint32_t *seed)
{
  uint64_t first = rnd (seed, CAPACITY - 20), sectors = 1 + rnd (seed, 20);
  uint8_t buf[20 * SECTOR];
  rawview_error err;
  bool ok;

  memset (buf, n, sizeof buf);
  ok = guest_write (t, buf, sectors * SECTOR, first * SECTOR, &err) == 0;
  for (uint64_t s = first; s < first + sectors; s++)
    a->now[s] = ok ? (a->now[s] & (1u << 31)) | 1u << n : a->now[s] | 1u << n;
  a->failed |= !ok;
}

/* Everything again from what is on disk; nothing was flushed at the end, so
 * every value that was there since the last flush may be.
 */
static void
check_allowed (struct target *t, const uint32_t *maybe)
{
  uint8_t sector[SECTOR];
  rawview_error err;

  for (unsigned s = 0; s < CAPACITY; s++) {
    REQUIRE_OK (guest_read (t, sector, SECTOR, (uint64_t) s * SECTOR, &err),
                err);
    if (!CHECK (maybe[s] & 1u << sector[0]))
      return;
    REQUIRE (memcmp (sector, sector + 1, SECTOR - 1) == 0);
  }
}

/* Runs the requests with the n-th operation failing.  True: none did. */
static bool
run_with_fault (unsigned kind, unsigned kinds, int errnum, bool once,
                unsigned n)
{
  static struct image m;
  static struct allowed a;
  static uint32_t maybe[CAPACITY];
  struct rv_io_faults faults = {
    .kinds = kinds, .errnum = errnum, .once = once, .torn = true
  };
  struct target t = { 0 };
  struct rv_io *parent;
  uint32_t seed = 7;
  rawview_error err;
  bool flushed = true;

  make_kind (&m, kind);
  for (unsigned g = 0; g < 257; g++)
    put_gte (&m, g, 0);
  target_add (&t, m.b, m.len, "t.vmdk");
  parent = t.ios[0];
  CHECK_OK (rv_io_faults_new (parent, &faults, &t.ios[0], &err), err);
  if (!CHECK_OK (target_open (&t, &err), err) ||
      !CHECK_OK (t.ops->enable (t.d.format, &err), err))
    return true;
  atomic_store (&faults.countdown, n);
  a = (struct allowed){ 0 };
  for (unsigned s = 0; s < CAPACITY; s++)
    a.now[s] = maybe[s] = 1;
  for (unsigned i = 1; i <= REQUESTS; i++) {
    if (!a.begun)
      a.begun = t.ops->begin (t.d.format, &err) == 0;
    if (a.begun)
      request (&t, &a, i, &seed);
    for (unsigned s = 0; s < CAPACITY; s++)
      maybe[s] |= a.now[s];
    if (i % 4 == 0) {
      flushed = target_flush (&t, &err) == 0;
      a.failed |= !flushed;
      for (unsigned s = 0; flushed && s < CAPACITY; s++)
        maybe[s] = a.now[s];
    }
  }
  target_close (&t);
  rv_io_unref (t.ios[0]);
  t.ios[0] = parent;
  if (CHECK_OK (target_open (&t, &err), err)) {
    check_allowed (&t, maybe);
    t.model = malloc (t.d.format->size);
    CHECK_OK (guest_read (&t, t.model, t.d.format->size, 0, &err), err);
    if (CHECK_OK (target_enable (&t, &err), err))
      target_finish (&t);
  }
  target_free (&t);
  return !a.failed && a.begun;
}

static void
run_with_faults (unsigned kinds, int errnum, bool once)
{
  static const unsigned disks[] = { RGD_FLAG, RGD_FLAG | MISSING, MISSING };

  for (unsigned d = 0; d < 3; d++)
    for (unsigned n = 1; !run_with_fault (disks[d], kinds, errnum, once, n);
         n++)
      if (!CHECK (n < 500))
        return;
}

static void
a_failing_write_breaks_nothing (void)
{
  run_with_faults (RV_FAULT_WRITE, EIO, true);
}

static void
a_full_disk_breaks_nothing (void)
{
  run_with_faults (RV_FAULT_WRITE, ENOSPC, false);
}

static void
a_failing_read_breaks_nothing (void)
{
  run_with_faults (RV_FAULT_READ, EIO, true);
}

static void
a_failing_sync_breaks_nothing (void)
{
  run_with_faults (RV_FAULT_SYNC, EIO, true);
}

/*--- Threads ------------------------------------------------------------*/

#define THREADS 4u

struct threads {
  struct target t;
  pthread_rwlock_t epoch; /* a flush falls into no request */
  atomic_bool done;
};

struct writer {
  struct threads *all;
  unsigned number;
  pthread_t thread;
};

/* Thread n owns every THREADS-th grain. */
static void *
write_own (void *opaque)
{
  struct writer *w = opaque;
  struct target mine = w->all->t;
  uint32_t seed = w->number;

  for (unsigned i = 0; i < 200; i++) {
    uint64_t grain = rnd (&seed, 256 / THREADS) * THREADS + w->number;

    pthread_rwlock_rdlock (&w->all->epoch);
    if (rnd (&seed, 4) == 0)
      put_zeros (&mine, grain * GRAIN, GRAIN, RV_DROP_ZERO);
    else
      put_bytes (&mine, grain * GRAIN + rnd (&seed, GRAIN / 2), GRAIN / 2,
                 rnd (&seed, 256));
    pthread_rwlock_unlock (&w->all->epoch);
  }
  rv_freed_list_release (&mine.freed);
  return NULL;
}

static void *
keep_reading (void *opaque)
{
  struct threads *all = opaque;
  struct rv_map map;
  uint64_t damaged;
  rawview_error err;

  while (!atomic_load (&all->done))
    for (uint64_t off = 0; off < all->t.d.format->size; off += map.len)
      if (!CHECK_OK (disk_map (&all->t.d, off, &map, &damaged, &err), err))
        return NULL;
  return NULL;
}

static void
threads_may_write_and_read_side_by_side (void)
{
  static struct threads all;
  struct writer writers[THREADS];
  pthread_t reader;
  rawview_error err;

  make_target (&all.t, RGD_FLAG | ZERO_FLAG | MISSING);
  pthread_rwlock_init (&all.epoch, NULL);
  atomic_store (&all.done, false);
  pthread_create (&reader, NULL, keep_reading, &all);
  REQUIRE_OK (target_enable (&all.t, &err), err);
  for (unsigned i = 0; i < THREADS; i++) {
    writers[i] = (struct writer){ &all, i, 0 };
    pthread_create (&writers[i].thread, NULL, write_own, &writers[i]);
  }
  for (unsigned i = 0; i < 20; i++) {
    pthread_rwlock_wrlock (&all.epoch);
    CHECK_OK (target_flush (&all.t, &err), err);
    pthread_rwlock_unlock (&all.epoch);
  }
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join (writers[i].thread, NULL);
  atomic_store (&all.done, true);
  pthread_join (reader, NULL);
  target_finish (&all.t);
  pthread_rwlock_destroy (&all.epoch);
  target_free (&all.t);
}

int
main (void)
{
  rv_vmdk_cid_random = no_random;
  TEST (threads_may_write_and_read_side_by_side);
  TEST (every_kind_of_disk_reads_like_the_model);
  TEST (a_failing_write_breaks_nothing);
  TEST (a_full_disk_breaks_nothing);
  TEST (a_failing_read_breaks_nothing);
  TEST (a_failing_sync_breaks_nothing);
  return test_result ();
}
