/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The virtual hardware of an OVF envelope: one item after the other, as CIM's
 * resource allocation settings have them.
 */

#ifndef CLI_OVF_ITEM_H
#define CLI_OVF_ITEM_H

#include "machine.h"
#include "xml.h"

/* CIM's resource types that matter here. */
enum ovf_type {
  OVF_OTHER = 1,
  OVF_CPU = 3,
  OVF_MEMORY = 4,
  OVF_IDE = 5,
  OVF_SCSI = 6,
  OVF_ETHERNET = 10,
  OVF_DISK = 17,
  OVF_STORAGE = 20, /* other storage: SATA and NVMe controllers */
};

struct ovf_item {
  unsigned type;
  unsigned quantity_known;
  uint64_t quantity;
  unsigned address;           /* a controller's number */
  unsigned address_on_parent; /* a disk's unit */
  /* NULL: it says nothing of it */
  char *units;
  char *instance, *parent;
  char *subtype;
  char *host_resource;
  char *connection;
  char *mac;
};

struct ovf_items {
  struct ovf_item *items;
  size_t len;
};

/* The items of a VirtualHardwareSection that are there in the configuration
 * (NULL: none has a name), and are no bound of a range.
 */
int ovf_items_parse (const char *name, const struct xml_node *hardware,
                     const char *configuration, struct ovf_items *items,
                     rawview_error *err);
void ovf_items_free (struct ovf_items *items);

/* NULL: there is none. */
const struct ovf_item *ovf_items_find (const struct ovf_items *items,
                                       const char *instance);

enum machine_bus ovf_item_bus (const struct ovf_item *controller);

/* "byte * 2^20", "MegaBytes", ...: *bytes of one; false: unknown. */
bool ovf_parse_units (const char *units, uint64_t *bytes);

#endif /* CLI_OVF_ITEM_H */
