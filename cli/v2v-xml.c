/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How virt-v2v is told of a guest: as much of libvirt's XML as it reads. */

#include <config.h>

#include <errno.h>

#include "v2v.h"

/* The bus says what the guest calls its disks now: virt-v2v renames them in
 * fstab and boot loader.  It knows no NVMe.
 */
struct bus {
  const char *name, *prefix;
};

static struct bus
bus_of (const struct machine_disk *disk)
{
  switch (disk->bus) {
  case MACHINE_BUS_IDE:
    return (struct bus){ "ide", "hd" };
  case MACHINE_BUS_SATA:
    return (struct bus){ "sata", "sd" };
  case MACHINE_BUS_VIRTIO:
    return (struct bus){ "virtio", "vd" };
  case MACHINE_BUS_UNKNOWN:
  case MACHINE_BUS_SCSI:
  case MACHINE_BUS_NVME:
    break;
  }
  return (struct bus){ "scsi", "sd" };
}

static void
write_disk (FILE *out, const struct v2v_wishes *w, size_t i)
{
  const struct bus bus = bus_of (&w->machine->disks[i]);
  char letters[CLI_DISK_LETTERS_MAX];

  if (w->program->sockets) {
    fputs ("    <disk type='network' device='disk'>\n"
           "      <driver name='qemu' type='raw'/>\n"
           "      <source protocol='nbd' name=''>\n"
           "        <host transport='unix' socket='",
           out);
    cli_write_xml (out, w->disks[i]);
    fputs ("'/>\n      </source>\n", out);
  }
  else {
    fputs ("    <disk type='file' device='disk'>\n"
           "      <driver name='qemu' type='raw'/>\n"
           "      <source file='",
           out);
    cli_write_xml (out, w->disks[i]);
    fputs ("'/>\n", out);
  }
  fprintf (out, "      <target dev='%s%s' bus='%s'/>\n    </disk>\n",
           bus.prefix, cli_disk_letters (i, letters), bus.name);
}

static void
write_nic (FILE *out, const struct machine_nic *nic)
{
  fputs ("    <interface type='network'>\n      <source network='", out);
  cli_write_xml (out, nic->network != NULL ? nic->network : "default");
  fputs ("'/>\n", out);
  if (nic->mac != NULL) {
    fputs ("      <mac address='", out);
    cli_write_xml (out, nic->mac);
    fputs ("'/>\n", out);
  }
  fputs ("    </interface>\n", out);
}

static void
write_os (FILE *out, const struct machine *m)
{
  fprintf (out, "  <os%s>\n    <type arch='x86_64'>hvm</type>\n",
           m->firmware == MACHINE_FIRMWARE_UEFI   ? " firmware='efi'"
           : m->firmware == MACHINE_FIRMWARE_BIOS ? " firmware='bios'"
                                                  : "");
  fputs ("    <boot dev='hd'/>\n"
         "  </os>\n"
         "  <features>\n"
         "    <acpi/>\n"
         "    <apic/>\n"
         "  </features>\n",
         out);
}

static void
write_domain (FILE *out, const struct v2v_wishes *w)
{
  const struct machine *m = w->machine;

  fputs ("<domain type='kvm'>\n  <name>", out);
  cli_write_xml (out, m->name);
  fprintf (out,
           "</name>\n"
           "  <memory unit='b'>%llu</memory>\n"
           "  <vcpu>%u</vcpu>\n",
           m->memory != 0 ? (unsigned long long) m->memory : 1ULL << 30,
           m->cpus != 0 ? m->cpus : 1);
  write_os (out, m);
  fputs ("  <devices>\n", out);
  for (size_t i = 0; i < m->n_disks; i++)
    write_disk (out, w, i);
  for (size_t i = 0; i < m->n_nics; i++)
    write_nic (out, &m->nics[i]);
  fputs ("  </devices>\n</domain>\n", out);
}

int
v2v_write_xml (const char *path, const struct v2v_wishes *wishes,
               rawview_error *err)
{
  FILE *out = fopen (path, "wxe");
  bool bad;

  if (out == NULL)
    return cli_error_errno (err, errno, "%s", path);
  write_domain (out, wishes);
  bad = ferror (out) != 0;
  if (fclose (out) != 0 || bad)
    return cli_error_errno (err, errno, "%s", path);
  return 0;
}
