/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The libvirt domain of a guest. */

#ifndef CLI_DOMAIN_XML_H
#define CLI_DOMAIN_XML_H

#include "machine.h"

enum domain_disk_kind {
  DOMAIN_DISK_FILE,
  DOMAIN_DISK_BLOCK,
  DOMAIN_DISK_NBD,    /* where: an NBD URI */
  DOMAIN_DISK_VOLUME, /* where: "POOL/VOLUME" */
};

struct domain_disk {
  enum domain_disk_kind kind;
  const char *where;
  const char *format; /* "raw", "qcow2" */
};

struct domain_network {
  const char *from; /* the machine's network; NULL: any other */
  const char *kind; /* "network" or "bridge" */
  const char *to;
};

struct domain_wishes {
  const struct domain_disk *disks; /* as many as the machine has */
  const struct domain_network *networks;
  size_t n_networks;
  bool virtio; /* disks and NICs are virtio; else as the source had them */
  enum machine_firmware firmware; /* UNKNOWN: the machine's, else BIOS */
  const char *type;               /* "kvm", "qemu" */
};

/* The XML as text, valid by virt-xml-validate; the caller frees it.  Exits when
 * memory is short.
 */
char *domain_xml (const struct machine *machine,
                  const struct domain_wishes *wishes);

#endif /* CLI_DOMAIN_XML_H */
