/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz-qcow2-open, fuzz-vmdk-open: opens an image of the target's format and
 * looks at all of it.
 */

#include "fuzz.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const struct fuzz_input *input = fuzz_input_read (data, size);
  struct fuzz_disk disk;

  fuzz_disk_files (&disk, input, 0);
  if (fuzz_disk_open (&disk, input, &FUZZ_FORMAT) == 0)
    fuzz_look (&disk);
  fuzz_disk_release (&disk);
  return 0;
}
