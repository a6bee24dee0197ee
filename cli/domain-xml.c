/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the source says of the guest stays; what it cannot say (a CPU, a
 * console) is what a new guest would have.  The guest is an x86 one, as those
 * that OVF and VMX files describe are.
 */

#include <config.h>

#include <string.h>
#include <strings.h>

#include "domain-xml.h"
#include "nbd-address.h"
#include "xml.h"

/* Where the source does not say: enough for an installed system. */
#define DEFAULT_MEMORY ((uint64_t) 2 << 30)

#define MAX_IDE 4u /* disks of an IDE controller */

struct domain {
  const struct machine *machine;
  const struct domain_wishes *wishes;
  bool uefi;
  /* How many targets have such names so far, "vda", "hda", "sda". */
  unsigned n_vd, n_hd, n_sd;
};

/* XML cannot have every byte of a file name; a name that it cannot have leads
 * nowhere.
 */
static void
set_text (struct xml_node *node, const char *name, const char *text)
{
  CLEANUP_FREE char *clean = machine_clean_text (text);

  xml_set (node, name, clean);
}

static struct xml_node *
add_with (struct xml_node *parent, const char *element, const char *name,
          const char *value)
{
  struct xml_node *node = xml_add (parent, element);

  xml_set (node, name, value);
  return node;
}

/*--- The machine --------------------------------------------------------*/

static void
add_size (const struct domain *d, struct xml_node *domain)
{
  const struct machine *m = d->machine;
  const uint64_t memory = m->memory > 0 ? m->memory : DEFAULT_MEMORY;
  CLEANUP_FREE char *kib = cli_format ("%ju", (uintmax_t) (memory >> 10));
  CLEANUP_FREE char *cpus = cli_format ("%u", m->cpus > 0 ? m->cpus : 1);

  xml_add_text (domain, "memory", kib);
  xml_add_text (domain, "vcpu", cpus);
}

/* Left open, libvirt may choose a firmware that starts signed systems only. */
static void
add_firmware (const struct domain *d, struct xml_node *os)
{
  const bool secure = d->machine->secure_boot;
  struct xml_node *firmware = xml_add (os, "firmware"), *feature;

  if (secure) {
    feature = add_with (firmware, "feature", "enabled", "yes");
    xml_set (feature, "name", "enrolled-keys");
  }
  feature = add_with (firmware, "feature", "enabled", secure ? "yes" : "no");
  xml_set (feature, "name", "secure-boot");
  if (secure)
    add_with (os, "loader", "secure", "yes");
}

static void
add_os (const struct domain *d, struct xml_node *domain)
{
  struct xml_node *os = xml_add (domain, "os"), *type;

  if (d->uefi)
    xml_set (os, "firmware", "efi");
  type = xml_add_text (os, "type", "hvm");
  xml_set (type, "arch", "x86_64");
  xml_set (type, "machine", d->uefi ? "q35" : "pc");
  if (d->uefi)
    add_firmware (d, os);
}

static void
add_features (const struct domain *d, struct xml_node *domain)
{
  struct xml_node *features = xml_add (domain, "features");

  xml_add (features, "acpi");
  xml_add (features, "apic");
  if (d->uefi && d->machine->secure_boot)
    add_with (features, "smm", "state", "on");
}

static bool
is_windows (const struct machine *m)
{
  return m->os != NULL && (strncasecmp (m->os, "win", 3) == 0 ||
                           strcasestr (m->os, "windows") != NULL);
}

static void
add_rest (const struct domain *d, struct xml_node *domain)
{
  const bool kvm = strcmp (d->wishes->type, "kvm") == 0;

  add_with (domain, "cpu", "mode", kvm ? "host-model" : "maximum");
  add_with (domain, "clock", "offset",
            is_windows (d->machine) ? "localtime" : "utc");
  xml_add_text (domain, "on_poweroff", "destroy");
  xml_add_text (domain, "on_reboot", "restart");
  xml_add_text (domain, "on_crash", "destroy");
}

/*--- Disks --------------------------------------------------------------*/

/* QEMU's q35 has no IDE, and libvirt may know no NVMe: SATA is what most
 * systems can start from.
 */
static const char *
bus_of (const struct domain *d, enum machine_bus bus)
{
  if (d->wishes->virtio || bus == MACHINE_BUS_VIRTIO)
    return "virtio";
  if (bus == MACHINE_BUS_IDE && !d->uefi && d->n_hd < MAX_IDE)
    return "ide";
  return bus == MACHINE_BUS_SCSI ? "scsi" : "sata";
}

/* "vda", ..., "vdz", "vdaa", ...  i is far below 26 * 27. */
static char *
target_name (const char *prefix, unsigned i)
{
  if (i < 26)
    return cli_format ("%s%c", prefix, 'a' + (int) i);
  return cli_format ("%s%c%c", prefix, 'a' + (int) (i / 26 - 1) % 26,
                     'a' + (int) (i % 26));
}

static void
add_target (struct domain *d, struct xml_node *disk, enum machine_bus bus)
{
  const char *name = bus_of (d, bus);
  unsigned *n = strcmp (name, "virtio") == 0 ? &d->n_vd
                : strcmp (name, "ide") == 0  ? &d->n_hd
                                             : &d->n_sd;
  CLEANUP_FREE char *dev = target_name (n == &d->n_vd   ? "vd"
                                        : n == &d->n_hd ? "hd"
                                                        : "sd",
                                        *n);
  struct xml_node *target = add_with (disk, "target", "dev", dev);

  xml_set (target, "bus", name);
  ++*n;
}

static void
add_nbd (struct xml_node *disk, const char *uri)
{
  struct nbd_address a;
  struct xml_node *source = add_with (disk, "source", "protocol", "nbd"), *host;

  nbd_address_parse (uri, &a);
  if (*a.export != '\0')
    set_text (source, "name", a.export);
  if (a.tls)
    xml_set (source, "tls", "yes");
  host = xml_add (source, "host");
  if (a.socket != NULL) {
    xml_set (host, "transport", "unix");
    set_text (host, "socket", a.socket);
  }
  else {
    set_text (host, "name", a.host);
    set_text (host, "port", a.port);
  }
  nbd_address_clear (&a);
}

static void
add_volume (struct xml_node *disk, const char *where)
{
  struct xml_node *source = xml_add (disk, "source");
  CLEANUP_FREE char *pool = cli_format ("%s", where);
  char *slash = strchr (pool, '/');

  if (slash != NULL)
    *slash = '\0';
  set_text (source, "pool", pool);
  set_text (source, "volume", slash != NULL ? slash + 1 : "");
}

static void
add_source (struct xml_node *disk, const struct domain_disk *what)
{
  switch (what->kind) {
  case DOMAIN_DISK_FILE:
    set_text (xml_add (disk, "source"), "file", what->where);
    break;
  case DOMAIN_DISK_BLOCK:
    set_text (xml_add (disk, "source"), "dev", what->where);
    break;
  case DOMAIN_DISK_NBD:
    add_nbd (disk, what->where);
    break;
  case DOMAIN_DISK_VOLUME:
    add_volume (disk, what->where);
    break;
  }
}

static void
add_disk (struct domain *d, struct xml_node *devices, size_t i)
{
  static const char *const types[] = { "file", "block", "network", "volume" };
  const struct domain_disk *what = &d->wishes->disks[i];
  struct xml_node *disk = add_with (devices, "disk", "type", types[what->kind]);
  struct xml_node *driver;

  xml_set (disk, "device", "disk");
  driver = add_with (disk, "driver", "name", "qemu");
  xml_set (driver, "type", what->format);
  xml_set (driver, "discard", "unmap");
  add_source (disk, what);
  add_target (d, disk, d->machine->disks[i].bus);
  xml_set_number (xml_add (disk, "boot"), "order", i + 1);
}

/* What VMware's SCSI comes closest to. */
static void
add_scsi (const struct domain *d, struct xml_node *devices)
{
  struct xml_node *controller;

  for (size_t i = 0; i < d->machine->n_disks; i++)
    if (strcmp (bus_of (d, d->machine->disks[i].bus), "scsi") == 0) {
      controller = add_with (devices, "controller", "type", "scsi");
      xml_set (controller, "index", "0");
      xml_set (controller, "model", "lsisas1068");
      return;
    }
}

/*--- Network ------------------------------------------------------------*/

/* Of several that fit, the first one; libvirt's own if none does. */
static struct domain_network
map_network (const struct domain *d, const char *network)
{
  const struct domain_wishes *w = d->wishes;
  struct domain_network other = { NULL, "network", "default" };

  for (size_t i = w->n_networks; i-- > 0;)
    if (w->networks[i].from == NULL)
      other = w->networks[i];
  for (size_t i = 0; network != NULL && i < w->n_networks; i++)
    if (w->networks[i].from != NULL &&
        strcmp (w->networks[i].from, network) == 0)
      return w->networks[i];
  return other;
}

static const char *
nic_model (const struct domain *d, const char *model)
{
  static const struct {
    const char *theirs, *ours;
  } models[] = {
    { "e1000e", "e1000e" },   { "e1000", "e1000" },  { "vmxnet3", "vmxnet3" },
    { "pcnet", "pcnet" },     { "vlance", "pcnet" }, { "virtio", "virtio" },
    { "rtl8139", "rtl8139" },
  };

  if (d->wishes->virtio)
    return "virtio";
  for (size_t i = 0; model != NULL && i < CLI_COUNT (models); i++)
    if (strncasecmp (model, models[i].theirs, strlen (models[i].theirs)) == 0)
      return models[i].ours;
  return "e1000";
}

/* An address of a group is not an adapter's. */
static bool
is_unicast (const char *mac)
{
  return mac != NULL && strlen (mac) == 17 &&
         strchr ("02468ace", mac[1]) != NULL;
}

static void
add_nic (const struct domain *d, struct xml_node *devices,
         const struct machine_nic *nic)
{
  const struct domain_network to = map_network (d, nic->network);
  const bool bridge = strcmp (to.kind, "bridge") == 0;
  struct xml_node *interface =
      add_with (devices, "interface", "type", bridge ? "bridge" : "network");

  if (is_unicast (nic->mac))
    set_text (xml_add (interface, "mac"), "address", nic->mac);
  set_text (xml_add (interface, "source"), bridge ? "bridge" : "network",
            to.to);
  add_with (interface, "model", "type", nic_model (d, nic->model));
}

/*--- Other devices ------------------------------------------------------*/

static void
add_consoles (struct xml_node *devices)
{
  struct xml_node *graphics, *input;

  add_with (devices, "serial", "type", "pty");
  add_with (devices, "console", "type", "pty");
  input = add_with (devices, "input", "type", "tablet");
  xml_set (input, "bus", "usb");
  graphics = add_with (devices, "graphics", "type", "vnc");
  xml_set (graphics, "autoport", "yes");
  add_with (xml_add (devices, "video"), "model", "type", "vga");
}

/* What a guest without virtio drivers has no use for. */
static void
add_virtio (const struct domain *d, struct xml_node *devices)
{
  struct xml_node *channel, *target, *rng;

  add_with (devices, "memballoon", "model",
            d->wishes->virtio ? "virtio" : "none");
  if (!d->wishes->virtio)
    return;
  channel = add_with (devices, "channel", "type", "unix");
  target = add_with (channel, "target", "type", "virtio");
  xml_set (target, "name", "org.qemu.guest_agent.0");
  rng = add_with (devices, "rng", "model", "virtio");
  xml_set (xml_add_text (rng, "backend", "/dev/urandom"), "model", "random");
}

static void
add_devices (struct domain *d, struct xml_node *domain)
{
  struct xml_node *devices = xml_add (domain, "devices");

  add_scsi (d, devices);
  for (size_t i = 0; i < d->machine->n_disks; i++)
    add_disk (d, devices, i);
  for (size_t i = 0; i < d->machine->n_nics; i++)
    add_nic (d, devices, &d->machine->nics[i]);
  add_consoles (devices);
  add_virtio (d, devices);
}

char *
domain_xml (const struct machine *machine, const struct domain_wishes *wishes)
{
  const enum machine_firmware firmware =
      wishes->firmware != MACHINE_FIRMWARE_UNKNOWN ? wishes->firmware
                                                   : machine->firmware;
  struct domain d = { .machine = machine,
                      .wishes = wishes,
                      .uefi = firmware == MACHINE_FIRMWARE_UEFI };
  CLEANUP_FREE char *name =
      machine_clean_name (machine->name != NULL ? machine->name : "", "guest");
  struct xml_node *domain;
  CLEANUP_XML struct xml *xml = xml_new ("domain", &domain);

  xml_set (domain, "type", wishes->type);
  xml_add_text (domain, "name", name);
  add_size (&d, domain);
  add_os (&d, domain);
  add_features (&d, domain);
  add_rest (&d, domain);
  add_devices (&d, domain);
  return xml_print (xml);
}
