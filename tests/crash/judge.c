/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at one state: the image opens, every sector reads as one of its allowed
 * values, our check finds no corruption, and it can be written again.
 */

#include "crash.h"

#include <stdarg.h>

#define ROOM (64u << 20)

void
crash_judge_init (struct crash_judge *j, const struct crash_image *image)
{
  j->buf = crash_alloc (image->size);
  j->again = crash_alloc (image->size);
}

void
crash_judge_release (struct crash_judge *j)
{
  free (j->buf);
  free (j->again);
}

static bool say (struct crash_verdict *v, const char *fmt, ...)
    RV_PRINTF (2, 3);

/* Always false. */
static bool
say (struct crash_verdict *v, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  vsnprintf (v->why, sizeof v->why, fmt, args);
  va_end (args);
  v->good = false;
  return false;
}

/*--- What other programs must learn first -------------------------------*/

#define AUTOCLEAR_OFF 88
#define CID_LEN       13 /* "\nCID=" and its digits */

/* Headers may have changed, at the file's start and where sector is. */
static bool
same_but_for (const struct crash_file *f, const uint8_t *bytes, uint64_t len,
              uint64_t sector)
{
  uint64_t first = rv_min_u64 (SECTOR, f->len);
  uint64_t end = rv_min_u64 (sector + SECTOR, f->len);

  return len == f->len &&
         (sector <= first ||
          memcmp (bytes + first, f->bytes + first, sector - first) == 0) &&
         memcmp (bytes + end, f->bytes + end, f->len - end) == 0;
}

/* Before anything else changes, QCOW2's autoclear bits are clear and a VMDK has
 * another content id.
 */
static bool
begun_first (const struct crash_state *state, struct crash_verdict *v)
{
  const struct crash_image *image = state->run->image;
  const struct crash_file *f = &image->files[0];
  const uint8_t *bytes = state->bytes[0], *cid;
  uint64_t at = AUTOCLEAR_OFF, len = 8;
  bool changed;

  if (image->format == &rv_format_raw || image->begun)
    return true;
  if (image->format == &rv_format_vmdk) {
    cid = memmem (f->bytes, f->len, "\nCID=", 5);
    if (cid == NULL)
      return true;
    at = cid - f->bytes;
    len = CID_LEN;
  }
  else if (f->bytes[7] < 3)
    return true;
  changed = !same_but_for (f, bytes, state->len[0], at / SECTOR * SECTOR);
  for (unsigned i = 1; i < image->nr_files; i++)
    changed = changed || !same_but_for (&image->files[i], state->bytes[i],
                                        state->len[i], 0);
  if (!changed)
    return true;
  if (image->format == &rv_format_vmdk)
    return memcmp (bytes + at, f->bytes + at, len) != 0 ||
           say (v, "changed with the old CID");
  return rv_be64 (bytes + at) == 0 ||
         say (v, "changed with autoclear bits still set");
}

/*--- The state as storage -----------------------------------------------*/

static void
free_ios (struct rv_io **ios, unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    rv_io_unref (ios[i]);
}

static bool
read_only_ios (const struct crash_state *state, struct rv_io **ios,
               struct crash_verdict *v)
{
  const struct crash_image *image = state->run->image;
  rawview_error err;

  for (unsigned i = 0; i < image->nr_files; i++)
    if (rv_io_mem_new (state->bytes[i], state->len[i], image->files[i].name,
                       &ios[i], &err) == -1)
      return say (v, "%s", err.msg);
  return true;
}

static bool
writable_ios (const struct crash_state *state, struct rv_io **ios,
              uint8_t **bytes, struct crash_verdict *v)
{
  const struct crash_image *image = state->run->image;
  rawview_error err;

  for (unsigned i = 0; i < image->nr_files; i++) {
    bytes[i] = state->bytes[i];
    if (!image->files[i].writable) {
      if (rv_io_mem_new (state->bytes[i], state->len[i], image->files[i].name,
                         &ios[i], &err) == -1)
        return say (v, "%s", err.msg);
      continue;
    }
    if (rv_io_ram_new (state->len[i], ROOM, image->files[i].name, &ios[i],
                       &bytes[i], &err) == -1)
      return say (v, "%s", err.msg);
    memcpy (bytes[i], state->bytes[i], state->len[i]);
  }
  return true;
}

/*--- Reading and checking -----------------------------------------------*/

struct findings {
  struct crash_verdict *v;
  unsigned corruptions;
  char first[300];
};

/* A second grain table may be behind the first while the extent is marked as
 * not closed cleanly.
 */
static void
note_finding (void *opaque, rawview_finding finding, const char *msg)
{
  struct findings *f = opaque;

  if (finding == RAWVIEW_FINDING_ERROR && strstr (msg, "not closed cleanly"))
    f->v->unclean = true;
  else if (finding == RAWVIEW_FINDING_CORRUPTION &&
           strstr (msg, "differs from its redundant copy") &&
           strstr (msg, "not closed cleanly"))
    return;
  else if (finding != RAWVIEW_FINDING_LEAK && f->corruptions++ == 0)
    snprintf (f->first, sizeof f->first, "%s", msg);
}

static bool
check (struct rv_format *format, struct crash_verdict *v)
{
  struct findings findings = { .v = v };
  rawview_check_result result = { 0 };
  rawview_error err;

  if (format->ops->check == NULL)
    return true;
  if (format->ops->check (format, note_finding, &findings, &result, &err) == -1)
    return say (v, "it cannot be checked: %s", err.msg);
  v->leaks = result.leaks;
  if (findings.corruptions > 0)
    return say (v, "check: %s", findings.first);
  return true;
}

static bool
read_all (const struct crash_disk *disk, const struct crash_state *state,
          uint8_t *buf, struct crash_verdict *v)
{
  const struct crash_image *image = state->run->image;
  rawview_error err;

  if (disk->chain.ptr[0]->size != image->size)
    return say (v, "its size is %ju", (uintmax_t) disk->chain.ptr[0]->size);
  if (rv_engine_pread (disk->engine, buf, image->size, 0, &err) == -1)
    return say (v, "it cannot be read: %s", err.msg);
  return true;
}

static bool
look (struct crash_judge *j, const struct crash_state *state,
      const struct crash_disk *disk, struct crash_verdict *v)
{
  char why[300];

  if (!read_all (disk, state, j->buf, v))
    return false;
  if (!crash_disk_allowed (&state->run->model, j->buf, state->t, why,
                           sizeof why))
    return say (v, "%s", why);
  if (!check (disk->chain.ptr[0], v))
    return false;
  /* A VMDK has no list of free grains: what was trimmed stays a hole. */
  if (state->last && v->leaks > state->run->image->leaks &&
      state->run->image->format == &rv_format_qcow2)
    return say (v, "%ju leaks after an orderly end", (uintmax_t) v->leaks);
  if (state->last && v->unclean)
    return say (v, "not marked as clean after an orderly end");
  return true;
}

bool
crash_judge (struct crash_judge *j, const struct crash_state *state,
             struct crash_verdict *v)
{
  const struct crash_image *image = state->run->image;
  struct rv_io *ios[FILES_MAX] = { NULL };
  struct crash_disk disk = { 0 };
  rawview_error err;

  *v = (struct crash_verdict){ .good = true };
  if (!begun_first (state, v) || !read_only_ios (state, ios, v))
    return false;
  if (crash_open (image, ios, NULL, &disk, &err) == -1)
    say (v, "it does not open: %s", err.msg);
  else
    look (j, state, &disk, v);
  crash_close (&disk);
  free_ios (ios, image->nr_files);
  return v->good;
}

bool
crash_judge_snapshot (struct crash_judge *j, const struct crash_state *state,
                      struct crash_verdict *v)
{
  const struct crash_image *image = state->run->image;
  struct rv_io *ios[FILES_MAX] = { NULL };
  struct crash_disk disk = { 0 };
  rawview_error err;

  if (image->snapshot == NULL || !read_only_ios (state, ios, v))
    return v->good;
  if (crash_open (image, ios, image->snapshot, &disk, &err) == -1)
    say (v, "the snapshot does not open: %s", err.msg);
  else if (disk.chain.ptr[0]->size != image->snapshot_size)
    say (v, "the size of the snapshot is wrong");
  else if (rv_engine_pread (disk.engine, j->again, image->snapshot_size, 0,
                            &err) == -1)
    say (v, "the snapshot cannot be read: %s", err.msg);
  else if (memcmp (j->again, image->snapshot_expected, image->snapshot_size))
    say (v, "the snapshot has changed");
  crash_close (&disk);
  free_ios (ios, image->nr_files);
  return v->good;
}

/*--- Writing again ------------------------------------------------------*/

#define AGAIN_REQUESTS 12u

/* What the guest must read afterwards goes to want. */
static bool
write_some (const struct crash_state *state, const struct crash_disk *disk,
            uint8_t *want, struct crash_verdict *v)
{
  uint64_t sectors = state->run->image->size / SECTOR;
  struct crash_rng rng = { crash_mix (state->run->plan.seed + state->number) };
  rawview_error err;

  for (unsigned i = 0; i < AGAIN_REQUESTS; i++) {
    uint64_t first = crash_random (&rng, sectors);
    uint64_t n = rv_min_u64 (1 + crash_random (&rng, 40), sectors - first);
    uint8_t *at = want + first * SECTOR;
    int r;

    if (i % 4 == 3) {
      memset (at, 0, n * SECTOR);
      r = rv_engine_zero (disk->engine, n * SECTOR, first * SECTOR,
                          RAWVIEW_ZERO_MAY_TRIM, &err);
    }
    else {
      for (uint64_t s = 0; s < n; s++)
        crash_fill (at + s * SECTOR, 0xfff000 + i, first + s);
      r = rv_engine_pwrite (disk->engine, at, n * SECTOR, first * SECTOR, &err);
    }
    if (r == 0 && i % 4 == 2)
      r = rv_engine_flush (disk->engine, &err);
    if (r == -1)
      return say (v, "it cannot be written again: %s", err.msg);
  }
  return true;
}

/* Reads the files once more, by a new handle. */
static bool
compare_files (const struct crash_state *state, uint8_t *const *bytes,
               struct rv_io *const *ios, uint8_t *buf, const uint8_t *want,
               struct crash_verdict *v)
{
  const struct crash_image *image = state->run->image;
  struct crash_state after = *state;
  struct rv_io *read_ios[FILES_MAX] = { NULL };
  struct crash_disk disk = { 0 };
  rawview_error err;

  for (unsigned i = 0; i < image->nr_files; i++) {
    after.bytes[i] = bytes[i];
    after.len[i] = ios[i]->size;
  }
  if (!read_only_ios (&after, read_ios, v))
    return false;
  if (crash_open (image, read_ios, NULL, &disk, &err) == -1)
    say (v, "written again, it does not open: %s", err.msg);
  else if (read_all (&disk, state, buf, v)) {
    if (memcmp (buf, want, image->size) != 0)
      say (v, "written again, it reads as something else");
    else if (check (disk.chain.ptr[0], v) && v->unclean)
      say (v, "written again, it is not marked as clean");
  }
  crash_close (&disk);
  free_ios (read_ios, image->nr_files);
  return v->good;
}

/* j->buf has what was read there before. */
static bool
write_again (struct crash_judge *j, const struct crash_state *state,
             struct crash_disk *disk, struct crash_verdict *v)
{
  rawview_error err;

  if (!read_all (disk, state, j->buf, v))
    return false;
  memcpy (j->again, j->buf, state->run->image->size);
  if (rv_engine_enable_write (disk->engine, &err) == -1)
    return say (v, "writing cannot be enabled again: %s", err.msg);
  if (!write_some (state, disk, j->again, v) ||
      !read_all (disk, state, j->buf, v))
    return false;
  if (memcmp (j->buf, j->again, state->run->image->size) != 0)
    return say (v, "written again, something else is read at once");
  if (rv_engine_finish (disk->engine, &err) == -1)
    return say (v, "written again, it cannot be finished: %s", err.msg);
  return true;
}

bool
crash_judge_again (struct crash_judge *j, const struct crash_state *state,
                   struct crash_verdict *v)
{
  const struct crash_image *image = state->run->image;
  struct rv_io *ios[FILES_MAX] = { NULL };
  uint8_t *bytes[FILES_MAX];
  struct crash_disk disk = { 0 };
  rawview_error err;

  v->unclean = false;
  if (!writable_ios (state, ios, bytes, v))
    return false;
  if (crash_open (image, ios, NULL, &disk, &err) == -1)
    say (v, "it does not open for writing: %s", err.msg);
  else if (write_again (j, state, &disk, v))
    compare_files (state, bytes, ios, j->buf, j->again, v);
  crash_close (&disk);
  free_ios (ios, image->nr_files);
  return v->good;
}
