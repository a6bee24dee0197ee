/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* initramfscheck <FILE: prints what was found in an initramfs, "complete blk
 * scsi", each 0 or 1.
 */

#include <config.h>

#include "../cli/initramfs.h"

int
main (void)
{
  struct initramfs found;

  initramfs_scan (0, &found);
  printf ("%d %d %d\n", found.complete, found.virtio_blk, found.virtio_scsi);
  return 0;
}
