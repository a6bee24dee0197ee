/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz-check: runs check.  An image in which it finds nothing maps every guest
 * byte without damage.
 */

#include "fuzz.h"

#define MAPS_MAX 20000u

static void
must_map (struct rv_format *f, uint64_t off, uint64_t end)
{
  struct rv_map map;
  uint64_t damaged;
  rawview_error err;

  for (unsigned i = 0; off < end && i < MAPS_MAX; i++) {
    if (f->ops->map (f, off, end - off, &map, &damaged, &err) == 0) {
      off += map.len;
      continue;
    }
    /* An extent without access is as it should be. */
    FUZZ_CHECK (err.kind == RAWVIEW_ERROR_REFUSED,
                "check finds nothing, but at %" PRIu64 ": %s", off, err.msg);
    off += damaged;
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const struct fuzz_input *input = fuzz_input_read (data, size);
  rawview_check_result result;
  struct fuzz_disk disk;

  fuzz_disk_files (&disk, input, 0);
  if (fuzz_disk_open (&disk, input, NULL) == 0 && fuzz_check (&disk, &result) &&
      result.corruptions == 0 && result.check_errors == 0)
    must_map (disk.chain.ptr[0], 0, disk.chain.ptr[0]->size);
  fuzz_disk_release (&disk);
  return 0;
}
