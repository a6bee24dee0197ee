/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each document is looked at with the parser that reads strangers', and, with
 * the name of a folder as argument, written there for libvirt's own check.
 */

#include <config.h>

#include "domain-xml.h"
#include "nbd-address.h"
#include "util/test.h"
#include "xml.h"

static const char *folder;

static struct machine m;
static struct domain_disk disks[64];
static struct domain_wishes wishes;
static struct xml *xml;

static void
begin (void)
{
  machine_clear (&m);
  memset (disks, 0, sizeof disks);
  m.name = cli_format ("vm");
  wishes = (struct domain_wishes){ .disks = disks, .type = "kvm" };
}

static void
add_disk (enum machine_bus bus, enum domain_disk_kind kind, const char *where)
{
  disks[m.n_disks] = (struct domain_disk){ kind, where, "raw" };
  machine_add_disk (&m)->bus = bus;
}

static void
add_nic (const char *network, const char *mac, const char *model)
{
  struct machine_nic *nic = machine_add_nic (&m);

  nic->network = network != NULL ? cli_format ("%s", network) : NULL;
  nic->mac = mac != NULL ? cli_format ("%s", mac) : NULL;
  nic->model = model != NULL ? cli_format ("%s", model) : NULL;
}

static void
keep (const char *text)
{
  static unsigned n;
  CLEANUP_FREE char *path = NULL;
  FILE *out;

  if (folder == NULL)
    return;
  path = cli_format ("%s/%u.xml", folder, ++n);
  out = fopen (path, "w");
  CHECK (out != NULL && fputs (text, out) >= 0 && fclose (out) == 0);
}

static void
make (void)
{
  CLEANUP_FREE char *text = domain_xml (&m, &wishes);
  rawview_error err;

  keep (text);
  xml_free (xml);
  xml = xml_parse ("domain", text, strlen (text), &err);
  if (!CHECK (xml != NULL))
    fprintf (stderr, "%s\n%s\n", err.msg, text);
}

/* path: "devices/disk/source", where "disk:2" is the third one. */
static const struct xml_node *
find (const char *path)
{
  const struct xml_node *node = xml != NULL ? xml_root (xml) : NULL;
  char part[64];
  unsigned n;

  while (node != NULL && *path != '\0') {
    const size_t len = strcspn (path, "/");

    snprintf (part, sizeof part, "%.*s", (int) len, path);
    n = strchr (part, ':') != NULL
            ? (unsigned) strtoul (strchr (part, ':') + 1, NULL, 10)
            : 0;
    part[strcspn (part, ":")] = '\0';
    for (node = xml_child (node, NULL, part); n > 0; n--)
      node = xml_next (node, NULL, part);
    path += len + (path[len] == '/');
  }
  return node;
}

static void
has (const char *path, const char *attribute, const char *value)
{
  CLEANUP_FREE char *got = xml_attribute (find (path), attribute);

  if (!CHECK_STR_EQ (got, value))
    TEST_FAIL ("%s %s", path, attribute);
}

static void
says (const char *path, const char *text)
{
  CLEANUP_FREE char *got = xml_text (find (path));

  if (!CHECK_STR_EQ (got, text))
    TEST_FAIL ("%s", path);
}

static void
a_bios_machine (void)
{
  begin ();
  m.memory = UINT64_C (3) << 30;
  m.cpus = 4;
  wishes.virtio = true;
  add_disk (MACHINE_BUS_SCSI, DOMAIN_DISK_FILE, "/images/vm.raw");
  add_nic ("VM Network", "00:50:56:12:34:56", "vmxnet3");
  make ();
  has ("", "type", "kvm");
  says ("name", "vm");
  says ("memory", "3145728");
  says ("vcpu", "4");
  CHECK (find ("os/firmware") == NULL);
  has ("os/type", "machine", "pc");
  has ("devices/disk", "type", "file");
  has ("devices/disk/driver", "type", "raw");
  has ("devices/disk/source", "file", "/images/vm.raw");
  has ("devices/disk/target", "dev", "vda");
  has ("devices/disk/target", "bus", "virtio");
  has ("devices/disk/boot", "order", "1");
  has ("devices/interface/source", "network", "default");
  has ("devices/interface/mac", "address", "00:50:56:12:34:56");
  has ("devices/interface/model", "type", "virtio");
  has ("devices/memballoon", "model", "virtio");
  CHECK (find ("devices/controller") == NULL);
}

static void
a_uefi_machine (void)
{
  begin ();
  m.firmware = MACHINE_FIRMWARE_UEFI;
  wishes.type = "qemu";
  add_disk (MACHINE_BUS_IDE, DOMAIN_DISK_BLOCK, "/dev/vg/vm");
  make ();
  has ("", "type", "qemu");
  has ("os", "firmware", "efi");
  has ("os/type", "machine", "q35");
  has ("os/firmware/feature", "name", "secure-boot");
  has ("os/firmware/feature", "enabled", "no");
  has ("cpu", "mode", "maximum");
  has ("devices/disk", "type", "block");
  has ("devices/disk/source", "dev", "/dev/vg/vm");
  has ("devices/disk/target", "bus", "sata"); /* q35 has no IDE */
  has ("devices/memballoon", "model", "none");
  CHECK (find ("devices/rng") == NULL && find ("devices/channel") == NULL);
}

static void
secure_boot_has_its_keys (void)
{
  begin ();
  m.firmware = MACHINE_FIRMWARE_UEFI;
  m.secure_boot = true;
  add_disk (MACHINE_BUS_SATA, DOMAIN_DISK_FILE, "/vm.raw");
  make ();
  has ("os/firmware/feature", "name", "enrolled-keys");
  has ("os/firmware/feature:1", "name", "secure-boot");
  has ("os/firmware/feature:1", "enabled", "yes");
  has ("os/loader", "secure", "yes");
  has ("features/smm", "state", "on");
}

static void
the_firmware_that_is_wished_for_counts (void)
{
  begin ();
  m.firmware = MACHINE_FIRMWARE_BIOS;
  wishes.firmware = MACHINE_FIRMWARE_UEFI;
  make ();
  has ("os", "firmware", "efi");
}

static void
disks_keep_their_buses (void)
{
  begin ();
  for (unsigned i = 0; i < 5; i++)
    add_disk (MACHINE_BUS_IDE, DOMAIN_DISK_FILE, "/ide");
  add_disk (MACHINE_BUS_SCSI, DOMAIN_DISK_FILE, "/scsi");
  add_disk (MACHINE_BUS_NVME, DOMAIN_DISK_FILE, "/nvme");
  add_disk (MACHINE_BUS_VIRTIO, DOMAIN_DISK_FILE, "/virtio");
  make ();
  has ("devices/disk:3/target", "dev", "hdd");
  has ("devices/disk:4/target", "bus", "sata"); /* the fifth of IDE */
  has ("devices/disk:4/target", "dev", "sda");
  has ("devices/disk:5/target", "bus", "scsi");
  has ("devices/disk:5/target", "dev", "sdb");
  has ("devices/disk:6/target", "bus", "sata");
  has ("devices/disk:7/target", "dev", "vda");
  has ("devices/disk:7/boot", "order", "8");
  has ("devices/controller", "type", "scsi");
}

static void
there_may_be_many_disks (void)
{
  begin ();
  wishes.virtio = true;
  for (unsigned i = 0; i < 60; i++)
    add_disk (MACHINE_BUS_SCSI, DOMAIN_DISK_FILE, "/x");
  make ();
  has ("devices/disk:25/target", "dev", "vdz");
  has ("devices/disk:26/target", "dev", "vdaa");
  has ("devices/disk:52/target", "dev", "vdba");
}

static void
disks_may_be_on_servers_and_in_pools (void)
{
  begin ();
  add_disk (MACHINE_BUS_SATA, DOMAIN_DISK_NBD, "nbd://host:10810/a%20b");
  add_disk (MACHINE_BUS_SATA, DOMAIN_DISK_NBD,
            "nbd+unix:///?socket=/run/a%2Fb.sock");
  add_disk (MACHINE_BUS_SATA, DOMAIN_DISK_NBD, "nbds://[::1]");
  add_disk (MACHINE_BUS_SATA, DOMAIN_DISK_VOLUME, "default/vm.qcow2");
  disks[3].format = "qcow2";
  make ();
  has ("devices/disk/source", "protocol", "nbd");
  has ("devices/disk/source", "name", "a b");
  has ("devices/disk/source/host", "name", "host");
  has ("devices/disk/source/host", "port", "10810");
  has ("devices/disk:1/source/host", "transport", "unix");
  has ("devices/disk:1/source/host", "socket", "/run/a/b.sock");
  has ("devices/disk:2/source", "tls", "yes");
  has ("devices/disk:2/source/host", "name", "::1");
  has ("devices/disk:2/source/host", "port", "10809");
  has ("devices/disk:3", "type", "volume");
  has ("devices/disk:3/driver", "type", "qcow2");
  has ("devices/disk:3/source", "pool", "default");
  has ("devices/disk:3/source", "volume", "vm.qcow2");
}

static void
networks_are_mapped (void)
{
  static const struct domain_network maps[] = {
    { "VM Network", "bridge", "br0" },
    { NULL, "network", "rest" },
    { "VM Network", "network", "never" },
  };

  begin ();
  wishes.networks = maps;
  wishes.n_networks = CLI_COUNT (maps);
  add_nic ("VM Network", NULL, "E1000");
  add_nic ("other", NULL, "PCNet32");
  add_nic (NULL, NULL, NULL);
  make ();
  has ("devices/interface", "type", "bridge");
  has ("devices/interface/source", "bridge", "br0");
  has ("devices/interface/model", "type", "e1000");
  CHECK (find ("devices/interface/mac") == NULL);
  has ("devices/interface:1/source", "network", "rest");
  has ("devices/interface:1/model", "type", "pcnet");
  has ("devices/interface:2/source", "network", "rest");
}

static void
windows_has_local_time (void)
{
  begin ();
  make ();
  has ("clock", "offset", "utc");
  m.os = cli_format ("Microsoft Windows Server 2022 (64-bit)");
  make ();
  has ("clock", "offset", "localtime");
}

static void
hostile_words_are_only_words (void)
{
  begin ();
  free (m.name);
  m.name = cli_format ("</name><evil a='\"'/>&amp;\n/x\xff\x01");
  add_disk (MACHINE_BUS_SATA, DOMAIN_DISK_FILE, "/a'b\"c<d>&e");
  add_nic ("'/><evil/>", "01:00:5e:00:00:01", "'/><evil/>");
  make ();
  says ("name", "<_name><evil a='\"'_>&amp; _x??");
  has ("devices/disk/source", "file", "/a'b\"c<d>&e");
  has ("devices/interface/model", "type", "e1000");
  CHECK (find ("devices/interface/mac") == NULL); /* that of a group */
}

int
main (int argc, char *argv[])
{
  folder = argc > 1 ? argv[1] : NULL;
  TEST (a_bios_machine);
  TEST (a_uefi_machine);
  TEST (secure_boot_has_its_keys);
  TEST (the_firmware_that_is_wished_for_counts);
  TEST (disks_keep_their_buses);
  TEST (there_may_be_many_disks);
  TEST (disks_may_be_on_servers_and_in_pools);
  TEST (networks_are_mapped);
  TEST (windows_has_local_time);
  TEST (hostile_words_are_only_words);
  machine_clear (&m);
  xml_free (xml);
  return test_result ();
}
