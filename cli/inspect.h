/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is on a guest's disks, seen from partition tables and superblocks alone:
 * quick, and nothing is mounted.
 */

#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "expose.h"
#include "machine.h"

enum inspect_system {
  INSPECT_UNKNOWN,
  INSPECT_LINUX,
  INSPECT_WINDOWS, /* there is an NTFS file system, or BitLocker */
};

struct inspect_part {
  unsigned number;    /* in its table; 0: the whole disk */
  uint64_t off, len;  /* bytes, as the table says: maybe beyond the disk */
  char *part_type;    /* of its table: "0x83", a GUID; NULL for 0 */
  char *type;         /* "ext4", "ntfs", "crypto_LUKS", ...; NULL: unknown */
  char *label, *uuid; /* of what is on it; NULL: none */
  bool encrypted;     /* LUKS, BitLocker */
  bool esp;           /* an EFI system partition */
};

struct inspect_disk {
  char *table; /* "dos", "gpt"; NULL: none, and there is one part */
  struct inspect_part *parts;
  size_t n_parts;
};

/* Looks at a raw disk: a regular file (of rawviewfs) or a block device.  A
 * process of its own does that, in the sandbox that the options ask for (NULL:
 * auto).  All texts are printable.  disk need not be initialised; on failure
 * it is empty.
 */
int inspect_disk_probe (const char *path, const rawview_options *options,
                        struct inspect_disk *disk, rawview_error *err);
void inspect_disk_clear (struct inspect_disk *disk);

/* "linux", "windows", "unknown" */
const char *inspect_system_name (enum inspect_system system);

/* The verdict over all disks of a guest. */
enum inspect_system inspect_verdict (const struct inspect_disk *disks,
                                     size_t n);
enum machine_firmware inspect_firmware (const struct inspect_disk *disks,
                                        size_t n);
bool inspect_encrypted (const struct inspect_disk *disks, size_t n);

/* All of it for a machine's disks, which are exposed read-only meanwhile: disks
 * has room for as many as it has, all to be cleared whatever happens.  options
 * and passed: the user's, and the same as "NAME=VALUE".
 */
int inspect_machine (const struct machine *machine,
                     const rawview_options *options,
                     const struct cli_list *passed, struct inspect_disk *disks,
                     rawview_error *err);

/* Exposes a machine's disks read-only.  NULL: *err. */
struct expose *inspect_expose (const struct machine *machine,
                               const struct cli_list *passed,
                               enum expose_how how, rawview_error *err);

#endif /* CLI_INSPECT_H */
