/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine and the QCOW2 driver together, by several threads, against a model
 * of bytes; afterwards nothing is wrong and nothing leaks.
 */

#include <config.h>

#include <errno.h>
#include <pthread.h>

#include "engine/engine-internal.h"
#include "format/qcow2-write.h"
#include "util/checked.h"
#include "util/error.h"
#include "util/test.h"

#define ROOM    (24u << 20)
#define THREADS 4u
#define STRIPE  1300u /* several share each cluster */

static rawview_error err;

struct kind {
  struct rv_qcow2_create create;
  unsigned requests; /* of each thread */
};

struct disk {
  struct rv_io *io, *parent_io;
  struct rv_tables *tables;
  struct rv_warnings warnings;
  struct rv_format *parent;
  struct rv_chain chain;
  struct rv_engine *engine;
  uint64_t size;
  uint8_t *parent_bytes, *bytes; /* bytes: what the guest should read */
};

/*--- The disk -----------------------------------------------------------*/

/* The parent is shorter than the disk. */
static bool
open_parent (struct disk *d)
{
  struct rv_format_params params = { .tables = d->tables,
                                     .warnings = &d->warnings,
                                     .max_size = RV_DEFAULT_MAX_SIZE };
  uint64_t len = d->size - d->size / 4 - 100;
  unsigned seed = 1;

  d->parent_bytes = calloc (1, d->size);
  for (uint64_t i = 0; i < len; i++)
    d->parent_bytes[i] = i / 40000 % 3 ? rand_r (&seed) : 0;
  memcpy (d->bytes, d->parent_bytes, d->size);
  return CHECK_OK (rv_io_mem_new (d->parent_bytes, len, "parent", &d->parent_io,
                                  &err),
                   err) &&
         CHECK_OK (rv_format_raw.open (d->parent_io, &params, &d->parent, &err),
                   err);
}

static bool
open_layer (struct disk *d, struct rv_format **format)
{
  struct rv_format_params params = { .tables = d->tables,
                                     .warnings = &d->warnings,
                                     .max_size = RV_DEFAULT_MAX_SIZE };

  return CHECK_OK (rv_format_qcow2.open (d->io, &params, format, &err), err);
}

static bool
disk_open (struct disk *d, const struct kind *kind)
{
  struct rv_engine_options opts = { .cache = 1 << 20 };
  struct rv_format *format;

  *d = (struct disk){ .size = kind->create.size };
  d->bytes = calloc (1, d->size);
  if (!CHECK_OK (rv_io_ram_new (0, ROOM, "image", &d->io, NULL, &err), err) ||
      !CHECK_OK (rv_qcow2_create (d->io, &kind->create, &err), err) ||
      !CHECK_OK (rv_tables_new (1 << 16, &d->tables, &err), err) ||
      !open_layer (d, &format))
    return false;
  CHECK (rv_chain_append (&d->chain, format) == 0);
  if (kind->create.backing) {
    if (!open_parent (d))
      return false;
    CHECK (rv_chain_append (&d->chain, d->parent) == 0);
  }
  opts.tables = d->tables;
  return CHECK_OK (rv_engine_new (&d->chain, &opts, &d->engine, &err), err) &&
         CHECK_OK (rv_engine_enable_write (d->engine, &err), err) &&
         CHECK_OK (rv_engine_start (d->engine, &err), err);
}

static void
disk_close (struct disk *d)
{
  rv_engine_free (d->engine);
  for (size_t i = 0; i < d->chain.len; i++)
    d->chain.ptr[i]->ops->close (d->chain.ptr[i]);
  rv_chain_release (&d->chain);
  rv_tables_free (d->tables);
  rv_io_unref (d->io);
  rv_io_unref (d->parent_io);
  rv_warnings_release (&d->warnings);
  free (d->parent_bytes);
  free (d->bytes);
}
#define CLEANUP_DISK RV_CLEANUP (disk_close)

/*--- What is checked ----------------------------------------------------*/

static void
check_bytes (struct disk *d)
{
  CLEANUP_FREE uint8_t *buf = malloc (d->size);

  REQUIRE_OK (rv_engine_pread (d->engine, buf, d->size, 0, &err), err);
  CHECK_MEM_EQ (buf, d->bytes, d->size);
}

static void
print_finding (void *opaque, rawview_finding finding, const char *msg)
{
  TEST_FAIL ("check: %s", msg);
}

/* By a driver that knows nothing of the one that wrote. */
static void
check_tables (struct disk *d)
{
  rawview_check_result result = { 0 };
  struct rv_tables *tables = d->tables;
  struct rv_format *format;

  REQUIRE_OK (rv_tables_new (1 << 16, &d->tables, &err), err);
  if (open_layer (d, &format)) {
    CHECK_OK (format->ops->check (format, print_finding, NULL, &result, &err),
              err);
    CHECK_EQ_U64 (result.corruptions, 0);
    CHECK_EQ_U64 (result.leaks, 0);
    format->ops->close (format);
  }
  rv_tables_free (d->tables);
  d->tables = tables;
}

/*--- The threads --------------------------------------------------------*/

struct member {
  struct disk *d;
  unsigned number, requests;
  pthread_t thread;
};

/* A stripe of its own in a random place, or several in a row. */
static void
request (struct member *m, unsigned *seed)
{
  uint64_t n = m->d->size / STRIPE / THREADS;
  uint64_t off = (rand_r (seed) % n * THREADS + m->number) * STRIPE;
  unsigned what = rand_r (seed) % 10;
  uint8_t *p = m->d->bytes + off;
  rawview_error e;

  if (what == 0) {
    memset (p, 0, STRIPE);
    CHECK_OK (rv_engine_zero (m->d->engine, STRIPE, off,
                              rand_r (seed) % 2 ? RAWVIEW_ZERO_MAY_TRIM : 0,
                              &e),
              e);
    return;
  }
  memset (p, rand_r (seed), STRIPE);
  CHECK_OK (rv_engine_pwrite (m->d->engine, p, STRIPE, off, &e), e);
  if (what == 1)
    CHECK_OK (rv_engine_flush (m->d->engine, &e), e);
}

static void *
run (void *opaque)
{
  struct member *m = opaque;
  unsigned seed = m->number + 1;

  for (unsigned i = 0; i < m->requests; i++)
    request (m, &seed);
  return NULL;
}

static void
run_threads (struct disk *d, unsigned requests)
{
  struct member m[THREADS];

  for (unsigned i = 0; i < THREADS; i++) {
    m[i] = (struct member){ .d = d, .number = i, .requests = requests };
    CHECK_EQ_INT (pthread_create (&m[i].thread, NULL, run, &m[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join (m[i].thread, NULL);
}

/* Whole clusters go, so that there is something to give out again.  Trimmed
 * bytes may be what they were.
 */
static void
trim_some (struct disk *d)
{
  for (uint64_t off = 0; off + 200000 < d->size; off += 500000) {
    CHECK_OK (rv_engine_trim (d->engine, 200000, off, &err), err);
    CHECK_OK (rv_engine_pread (d->engine, d->bytes + off, 200000, off, &err),
              err);
  }
}

static void
check_kind (const struct kind *kind)
{
  CLEANUP_DISK struct disk d;
  struct rv_epoch_limits limits = { 64 << 10, 256 << 10, 5, 1 };

  REQUIRE (disk_open (&d, kind));
  rv_epoch_set_limits (d.engine->epoch, &limits);
  for (unsigned round = 0; round < 3; round++) {
    run_threads (&d, kind->requests);
    check_bytes (&d);
    trim_some (&d);
  }
  CHECK_OK (rv_engine_finish (d.engine, &err), err);
  check_bytes (&d);
  check_tables (&d);
}

static void
threads_share_small_clusters (void)
{
  check_kind (&(struct kind){ { .size = 2 << 20, .cluster_bits = 9 }, 150 });
}

static void
threads_share_clusters_of_an_overlay (void)
{
  check_kind (&(struct kind){ { .size = 3 << 20,
                                .cluster_bits = 16,
                                .backing = "parent",
                                .backing_format = "raw" },
                              150 });
}

static void
threads_share_clusters_of_many_subclusters (void)
{
  check_kind (&(struct kind){ { .size = 3 << 20,
                                .cluster_bits = 17,
                                .ext_l2 = true,
                                .backing = "parent",
                                .backing_format = "raw" },
                              150 });
}

int
main (void)
{
  TEST (threads_share_small_clusters);
  TEST (threads_share_clusters_of_an_overlay);
  TEST (threads_share_clusters_of_many_subclusters);
  return test_result ();
}
