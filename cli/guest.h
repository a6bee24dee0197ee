/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libguestfs finds in a guest: its appliance, a small virtual machine,
 * mounts the file systems, this one does not.
 */

#ifndef CLI_GUEST_H
#define CLI_GUEST_H

#include "cli.h"

enum guest_driver {
  GUEST_DRIVER_UNKNOWN,
  GUEST_DRIVER_MISSING,   /* the kernel has no such module */
  GUEST_DRIVER_MODULE,    /* it has, but not in the initramfs */
  GUEST_DRIVER_INITRAMFS, /* it is in the initramfs */
  GUEST_DRIVER_BUILTIN,   /* no module is needed */
};

/* Texts are printable; those that are not known are NULL. */
struct guest_kernel {
  char *version;
  char *filename;  /* in the guest */
  char *initramfs; /* in the guest */
  enum guest_driver virtio_blk, virtio_scsi;
};

struct guest_mountpoint {
  char *path;
  char *device; /* "/dev/sda1", as libguestfs calls it */
};

struct guest_system {
  char *root;    /* device of its root file system */
  char *name;    /* "linux", "windows", ... */
  char *arch;    /* "x86_64" */
  char *distro;  /* "debian" */
  char *product; /* "Debian GNU/Linux 12 (bookworm)" */
  char *hostname;
  char *osinfo;     /* "debian12", as libosinfo calls it */
  int major, minor; /* -1: not known */
  struct guest_mountpoint *mountpoints;
  size_t n_mountpoints;
  struct guest_kernel *kernels;
  size_t n_kernels;
};

struct guest {
  struct guest_system *systems;
  size_t n_systems;
};

/* Can guest_inspect work here at all?  -1: *err names what is missing.  Quick,
 * and begins nothing.
 */
int guest_check (rawview_error *err);

/* Looks into the disks behind these sockets, nbdkit's, all of one guest; they
 * are only read.  Takes seconds.  What is encrypted stays closed, and a guest
 * without a system that libguestfs knows has none.  guest is to be cleared
 * whatever happens.
 */
int guest_inspect (const char *const *sockets, size_t n,
                   const rawview_options *options, struct guest *guest,
                   rawview_error *err);
void guest_clear (struct guest *guest);

/* "builtin", "initramfs", "module", "missing", "unknown" */
const char *guest_driver_name (enum guest_driver driver);

#endif /* CLI_GUEST_H */
