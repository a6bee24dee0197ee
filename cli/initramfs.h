/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which drivers are in an initramfs: cpio archives one after the other, the
 * last of which may be compressed.
 */

#ifndef CLI_INITRAMFS_H
#define CLI_INITRAMFS_H

#include "cli.h"

struct initramfs {
  bool complete; /* seen to its end: what was not found is not there */
  bool virtio_blk;
  bool virtio_scsi;
};

/* Reads all of what comes from fd, such as a pipe, in memory that does not
 * depend on it.  What is not understood, or too much, leaves it incomplete. For
 * a confined process.
 */
void initramfs_scan (int fd, struct initramfs *found);

#endif /* CLI_INITRAMFS_H */
