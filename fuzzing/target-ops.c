/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz-qcow2-ops, fuzz-vmdk-ops: writes to an image in memory.  If check finds
 * it sound before, it reads like a model all the time, also when it is opened
 * again, and is sound in the end, without more leaks.  If not, nothing is
 * promised but that it can be opened again.
 */

#include "fuzz.h"

#include "format/vmdk-write.h"

#define ROOM (4u << 20)

static ssize_t
no_random (void *buf, size_t len, unsigned flags)
{
  static uint8_t last;

  memset (buf, ++last, len);
  return len;
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  rv_vmdk_cid_random = no_random;
  return 0;
}

struct run {
  const struct fuzz_input *input;
  struct fuzz_disk disk;
  rawview_check_result before;
  bool sound;
  uint64_t size;
  struct fuzz_model model;
};

static void
tell_failure (const struct run *r, const rawview_error *err)
{
  fuzz_check_error (err);
  FUZZ_CHECK (!r->sound || err->kind == RAWVIEW_ERROR_IO,
              "a sound image cannot be finished: %s", err->msg);
}

/* Ends writing, and opens it again as another program would.  A full disk may
 * refuse the tables, and then what was not flushed need not be there.
 */
static void
open_again (struct run *r)
{
  rawview_error err = { 0 };
  bool finished = rv_engine_finish (r->disk.engine, &err) == 0;

  if (!finished)
    tell_failure (r, &err);
  fuzz_disk_close (&r->disk);
  if (fuzz_disk_open (&r->disk, r->input, &FUZZ_FORMAT) == -1)
    fuzz_fail ("it cannot be opened again");
  FUZZ_CHECK (r->disk.chain.ptr[0]->size == r->size, "its size has changed");
  if (r->sound && finished)
    fuzz_model_compare (&r->model, &r->disk, 0, FUZZ_WINDOW, "opened again");
  else if (r->sound)
    fuzz_model_learn (&r->model, &r->disk);
}

static void
do_requests (struct run *r)
{
  rawview_error err = { 0 };

  for (unsigned i = 0; i < r->input->nr_ops; i++) {
    if (r->input->ops[i].kind != FUZZ_REOPEN) {
      fuzz_request (r->sound ? &r->model : NULL, &r->disk, &r->input->ops[i]);
      continue;
    }
    open_again (r);
    if (rv_engine_enable_write (r->disk.engine, &err) == -1) {
      FUZZ_CHECK (!r->sound, "a sound image cannot be written again: %s",
                  err.msg);
      return;
    }
  }
}

/* Refcounts beyond the end of the file are leaks only when it has grown. */
static uint64_t
leaks_when_longer (struct run *r)
{
  rawview_check_result longer = { 0 };
  struct fuzz_disk disk;

  fuzz_input_extend (ROOM);
  fuzz_disk_files (&disk, r->input, 0);
  if (fuzz_disk_open (&disk, r->input, &FUZZ_FORMAT) == 0)
    fuzz_check (&disk, &longer);
  fuzz_disk_release (&disk);
  return longer.leaks;
}

/* A VMDK has no list of free grains: what was trimmed stays a hole.  Bitmaps
 * are not valid after a write, and what they took leaks, as with QEMU.
 */
static bool
may_leak (const struct run *r)
{
  return &FUZZ_FORMAT != &rv_format_qcow2 ||
         fuzz_get (&r->input->files[0], 88, 8, true) & 1;
}

static void
check_again (struct run *r)
{
  rawview_check_result after;

  if (!r->sound)
    return;
  FUZZ_CHECK (fuzz_check (&r->disk, &after), "it cannot be checked again");
  FUZZ_CHECK (after.corruptions == 0 && after.check_errors == 0,
              "%" PRIu64 " contradictions and %" PRIu64 " errors of check",
              after.corruptions, after.check_errors);
  FUZZ_CHECK (may_leak (r) || after.leaks <= r->before.leaks ||
                  after.leaks <= leaks_when_longer (r),
              "%" PRIu64 " leaks, before %" PRIu64, after.leaks,
              r->before.leaks);
}

static void
write_to (struct run *r)
{
  rawview_error err = { 0 };

  r->sound = fuzz_check (&r->disk, &r->before) && r->before.corruptions == 0 &&
             r->before.check_errors == 0;
  r->size = r->disk.chain.ptr[0]->size;
  if (r->sound)
    fuzz_model_init (&r->model, &r->disk);
  if (rv_engine_enable_write (r->disk.engine, &err) == -1) {
    fuzz_check_error (&err);
    return;
  }
  do_requests (r);
  open_again (r);
  check_again (r);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct run r = { .input = fuzz_input_read (data, size) };

  /* An internal snapshot is never written. */
  if (r.input->given[FUZZ_SNAPSHOT])
    return 0;
  fuzz_disk_files (&r.disk, r.input, ROOM);
  if (fuzz_disk_open (&r.disk, r.input, &FUZZ_FORMAT) == 0)
    write_to (&r);
  fuzz_disk_release (&r.disk);
  fuzz_model_release (&r.model);
  return 0;
}
