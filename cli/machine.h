/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest as its import describes it: an OVF envelope, a VMX file, or only the
 * images that somebody named.  What nobody says is 0 or NULL.
 */

#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include "cli.h"

enum machine_firmware {
  MACHINE_FIRMWARE_UNKNOWN,
  MACHINE_FIRMWARE_BIOS,
  MACHINE_FIRMWARE_UEFI,
};

enum machine_bus {
  MACHINE_BUS_UNKNOWN,
  MACHINE_BUS_IDE,
  MACHINE_BUS_SATA,
  MACHINE_BUS_SCSI,
  MACHINE_BUS_NVME,
  MACHINE_BUS_VIRTIO,
};

struct machine_disk {
  char *source; /* as rawview_open takes it: an absolute path or an NBD URI */
  struct cli_list options; /* "NAME=VALUE" besides the user's: "disk=..." */
  char *name;              /* for messages and for files made for it: the base
                              name of the file or member, never empty, without
                              a slash, and no other disk's */
  enum machine_bus bus;
  uint64_t size; /* virtual size in bytes, 0: nobody has looked yet */
};

struct machine_nic {
  char *network; /* the source's name for it, such as "VM Network" */
  char *mac;     /* "00:50:56:12:34:56" */
  char *model;   /* "vmxnet3", "e1000", as the source says */
};

struct machine {
  char *name;      /* of the guest, as machine_clean_name makes it; never NULL
                      once a source was opened */
  uint64_t memory; /* bytes */
  unsigned cpus;
  enum machine_firmware firmware;
  bool secure_boot;
  char *os; /* what the source says it is, for a person: "debian11_64Guest" */
  struct machine_disk *disks; /* in the order of the guest's controllers */
  size_t n_disks;
  struct machine_nic *nics;
  size_t n_nics;
};

/* Both return what was added, zeroed, valid until the next one is added; they
 * exit when memory is short, as nothing has been begun.
 */
struct machine_disk *machine_add_disk (struct machine *m);
struct machine_nic *machine_add_nic (struct machine *m);

/* Frees what it points to and sets it to zero. */
void machine_clear (struct machine *m);

/* The options to open a disk with: the user's and the disk's own.  NULL: *err.
 */
rawview_options *machine_disk_options (const struct machine_disk *disk,
                                       const rawview_options *user,
                                       rawview_error *err);

/*--- What strangers wrote -----------------------------------------------*/

/* All return fresh memory and exit when memory is short. */

/* One line of printable UTF-8, without spaces at its ends: what is not becomes
 * "?".
 */
char *machine_clean_text (const char *text);

/* A name for a guest, a file or a volume: clean, of at most 200 bytes, with "_"
 * for slashes, backslashes and colons, and for a dot or dash at its beginning.
 * instead: if nothing is left of it.
 */
char *machine_clean_name (const char *text, const char *instead);

/* A guest's name by its file: "vm" of "/a/vm.vmdk". */
char *machine_name_of_file (const char *path);

bool machine_is_utf8 (const char *text);

/* The MAC address with colons and in lower case; NULL: text is none, or NULL.
 */
char *machine_parse_mac (const char *text);

/* Makes of the disks' names, which are paths or NULL, what struct machine_disk
 * promises.
 */
void machine_name_disks (struct machine *m);

#endif /* CLI_MACHINE_H */
