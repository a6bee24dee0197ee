/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the engine does with a driver that can write, as small as possible: one
 * thread, a flush that only knows the phases.  And a model of the guest's bytes
 * beside it.
 */

#ifndef RV_TEST_VMDK_WRITE_H
#define RV_TEST_VMDK_WRITE_H

#include "format/test-vmdk.h"
#include "format/vmdk-write.h"
#include "util/checked.h"

#define FILES_MAX   4u
#define ROOM        (4u << 20)
#define PARENT_BYTE 0x5a

/* A disk in files that can be written. */
struct target {
  struct disk d;
  struct rv_io *ios[FILES_MAX]; /* the first is the container */
  uint8_t *bytes[FILES_MAX];
  size_t nr_files;
  uint64_t room; /* of each file that is added, 0: ROOM */
  const struct rv_format_write_ops *ops;
  bool parent;    /* what is unallocated reads as PARENT_BYTE */
  uint8_t *model; /* what the guest must read */
  struct rv_freed_list freed;
};

/* Adds a file with these bytes. */
static inline void
target_add (struct target *t, const void *bytes, size_t len, const char *name)
{
  size_t i = t->nr_files++;
  rawview_error err;

  CHECK_OK (rv_io_ram_new (len, t->room ? t->room : ROOM, name, &t->ios[i],
                           &t->bytes[i], &err),
            err);
  memcpy (t->bytes[i], bytes, len);
}

/* Opens the files as they are now, once more. */
static inline int
target_open (struct target *t, rawview_error *err)
{
  disk_init (&t->d);
  t->d.io = rv_io_ref (t->ios[0]);
  if (rv_format_vmdk.open (t->d.io, &t->d.params, &t->d.format, err) == -1)
    return -1;
  for (size_t i = 0; i < t->d.format->refs.len && i + 1 < t->nr_files; i++)
    if (t->d.format->refs.ptr[i].role == RV_REF_EXTENT &&
        t->d.format->ops->attach (t->d.format, i, t->ios[i + 1], &t->d.params,
                                  err) == -1)
      return -1;
  t->ops = t->d.format->ops->write;
  return 0;
}

static inline void
target_close (struct target *t)
{
  rv_freed_list_release (&t->freed);
  disk_close (&t->d);
}

static inline void
target_free (struct target *t)
{
  target_close (t);
  for (size_t i = 0; i < t->nr_files; i++)
    rv_io_unref (t->ios[i]);
  free (t->model);
  *t = (struct target){ 0 };
}

/* Reads what the guest sees. */
static inline int
guest_read (struct target *t, uint8_t *buf, uint64_t len, uint64_t off,
            rawview_error *err)
{
  while (len > 0) {
    struct rv_map map;
    uint64_t damaged;

    if (t->d.format->ops->map (t->d.format, off, len, &map, &damaged, err) ==
        -1)
      return -1;
    if (map.kind == RV_MAP_DATA &&
        rv_io_pread (map.io, buf, map.len, map.host_off, err) == -1)
      return -1;
    if (map.kind != RV_MAP_DATA)
      memset (buf, map.kind == RV_MAP_PARENT && t->parent ? PARENT_BYTE : 0,
              map.len);
    buf += map.len;
    off += map.len;
    len -= map.len;
  }
  return 0;
}

/* Opens and remembers what is there as the model. */
static inline int
target_start (struct target *t, rawview_error *err)
{
  if (target_open (t, err) == -1)
    return -1;
  t->model = calloc (1, t->d.format->size);
  return guest_read (t, t->model, t->d.format->size, 0, err);
}

static inline int
target_enable (struct target *t, rawview_error *err)
{
  if (t->ops->enable (t->d.format, err) == -1)
    return -1;
  return t->ops->begin (t->d.format, err);
}

/* A FRESH plan: fills what the request does not cover. */
static inline int
write_fresh (struct target *t, struct rv_plan *plan, const uint8_t *buf,
             rawview_error *err)
{
  CLEANUP_FREE uint8_t *unit = NULL;
  uint64_t host;

  if (t->ops->allocate (t->d.format, plan, err) == -1)
    return -1;
  unit = malloc (plan->fill_len);
  host = plan->host_off - (plan->off - plan->fill_off);
  if (guest_read (t, unit, plan->fill_len, plan->fill_off, err) == 0) {
    memcpy (unit + (plan->off - plan->fill_off), buf, plan->len);
    if (rv_io_pwrite (plan->io, unit, plan->fill_len, host, err) == 0)
      return t->ops->publish (t->d.format, plan, &t->freed, err);
  }
  t->ops->cancel (t->d.format, plan, &t->freed);
  return -1;
}

static inline int
guest_write (struct target *t, const uint8_t *buf, uint64_t len, uint64_t off,
             rawview_error *err)
{
  while (len > 0) {
    struct rv_plan plan = { 0 };

    if (t->ops->plan (t->d.format, off, len, &plan, err) == -1)
      return -1;
    if ((plan.kind == RV_PLAN_IN_PLACE
             ? rv_io_pwrite (plan.io, buf, plan.len, plan.host_off, err)
             : write_fresh (t, &plan, buf, err)) == -1)
      return -1;
    buf += plan.len;
    off += plan.len;
    len -= plan.len;
  }
  return 0;
}

/* Drops the whole range; what the tables cannot say is written, except for
 * trim.
 */
static inline int
guest_drop (struct target *t, uint64_t len, uint64_t off, enum rv_drop how,
            rawview_error *err)
{
  CLEANUP_FREE uint8_t *zeros = calloc (1, len);

  while (len > 0) {
    struct rv_drop_answer a = { 0 };

    if (t->ops->drop (t->d.format, off, len, how, &a, &t->freed, err) == -1)
      return -1;
    if (a.what == RV_DROP_IN_PLACE &&
        rv_io_zero (a.io, a.host_off, a.len, a.punch ? RV_ZERO_PUNCH : 0,
                    err) == -1)
      return -1;
    if (a.what == RV_DROP_WRITE && how != RV_DROP_TRIM &&
        guest_write (t, zeros, a.len, off, err) == -1)
      return -1;
    off += a.len;
    len -= a.len;
  }
  return 0;
}

static inline int
target_sync (struct target *t, rawview_error *err)
{
  for (size_t i = 0; i < t->nr_files; i++)
    if (rv_io_sync (t->ios[i], err) == -1)
      return -1;
  return 0;
}

static inline int
target_flush (struct target *t, rawview_error *err)
{
  struct rv_frozen *frozen;
  enum rv_phase phase = 0;
  int r = 0;

  if (rv_tables_freeze (t->d.tables, &frozen, err) == -1)
    return -1;
  for (; frozen && phase < RV_NR_PHASES; phase++) {
    r = rv_frozen_write (t->d.tables, frozen, phase, err);
    if (r == 0)
      r = target_sync (t, err);
    if (r == -1)
      break;
  }
  if (frozen)
    rv_tables_thaw (t->d.tables, frozen, phase);
  for (size_t i = 0; r == 0 && i < t->freed.len; i++)
    t->ops->reuse (t->d.format, &t->freed.ptr[i]);
  t->freed.len = r == 0 ? 0 : t->freed.len;
  return r;
}

/* The guest reads what the model has. */
static inline void
check_model (struct target *t)
{
  uint64_t size = t->d.format->size;
  CLEANUP_FREE uint8_t *buf = malloc (size);
  rawview_error err = { 0 };

  if (CHECK_OK (guest_read (t, buf, size, 0, &err), err) &&
      memcmp (buf, t->model, size) != 0)
    CHECK_MEM_EQ (buf, t->model, size);
}

static inline void
tell_finding (void *opaque, rawview_finding finding, const char *msg)
{
  (void) opaque;
  if (finding != RAWVIEW_FINDING_LEAK)
    TEST_FAIL ("%s", msg);
}

/* Ends writing, opens the files again, and looks at everything. */
static inline void
target_finish (struct target *t)
{
  rawview_check_result result = { 0 };
  rawview_error err;

  check_model (t);
  REQUIRE_OK (target_flush (t, &err), err);
  REQUIRE_OK (t->ops->end (t->d.format, &err), err);
  check_model (t);
  target_close (t);
  REQUIRE_OK (target_open (t, &err), err);
  CHECK_EQ_U64 (t->d.warnings.len, 0);
  check_model (t);
  CHECK_OK (
      t->d.format->ops->check (t->d.format, tell_finding, NULL, &result, &err),
      err);
  CHECK_EQ_U64 (result.corruptions, 0);
}

/* Writes to the disk and to the model. */
static inline void
put_bytes (struct target *t, uint64_t off, uint64_t len, uint8_t byte)
{
  rawview_error err;

  memset (t->model + off, byte, len);
  CHECK_OK (guest_write (t, t->model + off, len, off, &err), err);
}

static inline void
put_zeros (struct target *t, uint64_t off, uint64_t len, enum rv_drop how)
{
  rawview_error err;

  memset (t->model + off, 0, len);
  CHECK_OK (guest_drop (t, len, off, how, &err), err);
}

#endif /* RV_TEST_VMDK_WRITE_H */
