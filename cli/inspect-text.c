/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "inspect-show.h"

const char *
inspect_firmware_name (enum machine_firmware firmware)
{
  switch (firmware) {
  case MACHINE_FIRMWARE_BIOS:
    return "bios";
  case MACHINE_FIRMWARE_UEFI:
    return "uefi";
  case MACHINE_FIRMWARE_UNKNOWN:
    break;
  }
  return "unknown";
}

static const char *
or_dash (const char *text)
{
  return text != NULL ? text : "-";
}

/*--- Disks --------------------------------------------------------------*/

static void
print_part (const struct inspect_part *part)
{
  char start[CLI_SIZE_MAX], size[CLI_SIZE_MAX];

  if (part->number == 0)
    printf ("  %3s", "-");
  else
    printf ("  %3u", part->number);
  printf ("  %8s  %8s  %-12s  %-36s  %s%s%s\n",
          cli_format_size (part->off, start), cli_format_size (part->len, size),
          or_dash (part->type), or_dash (part->uuid), or_dash (part->label),
          part->encrypted ? "  [encrypted]" : "",
          part->esp ? "  [EFI system partition]" : "");
}

static void
print_disk (const struct inspect_image *image, const struct inspect_disk *disk)
{
  char size[CLI_SIZE_MAX];

  printf ("\nimage: %s\nfile format: %s\n", or_dash (image->filename),
          or_dash (image->format));
  printf ("virtual size: %s (%llu bytes)\n",
          cli_format_size (image->virtual_size, size),
          (unsigned long long) image->virtual_size);
  printf ("disk size: %s\n", image->has_actual_size
                                 ? cli_format_size (image->actual_size, size)
                                 : "unavailable");
  printf ("partition table: %s\n", disk->table != NULL ? disk->table : "none");
  if (disk->n_parts > 0)
    printf ("  %3s  %8s  %8s  %-12s  %-36s  %s\n", "NR", "START", "SIZE",
            "TYPE", "UUID", "LABEL");
  for (size_t i = 0; i < disk->n_parts; i++)
    print_part (&disk->parts[i]);
}

/*--- What libguestfs has found ------------------------------------------*/

static void
print_line (const char *label, const char *text)
{
  if (text != NULL)
    printf ("%s: %s\n", label, text);
}

static void
print_kernel (const struct guest_kernel *kernel)
{
  printf ("kernel: %s (virtio_blk: %s, virtio_scsi: %s)\n",
          or_dash (kernel->version), guest_driver_name (kernel->virtio_blk),
          guest_driver_name (kernel->virtio_scsi));
}

static void
print_system (const struct guest_system *s)
{
  printf ("\noperating system: %s\n", or_dash (s->product));
  print_line ("type", s->name);
  print_line ("distribution", s->distro);
  if (s->major >= 0 && s->minor >= 0)
    printf ("version: %d.%d\n", s->major, s->minor);
  print_line ("architecture", s->arch);
  print_line ("host name", s->hostname);
  print_line ("osinfo", s->osinfo);
  print_line ("root", s->root);
  for (size_t i = 0; i < s->n_mountpoints; i++)
    printf ("mount point: %s (%s)\n", s->mountpoints[i].path,
            s->mountpoints[i].device);
  for (size_t i = 0; i < s->n_kernels; i++)
    print_kernel (&s->kernels[i]);
}

/*--- All of it ----------------------------------------------------------*/

void
inspect_show_text (const struct inspection *in)
{
  const size_t n = in->machine->n_disks;

  printf ("system: %s\nfirmware: %s\nencrypted: %s\n",
          inspect_system_name (inspect_verdict (in->disks, n)),
          inspect_firmware_name (inspect_firmware (in->disks, n)),
          inspect_encrypted (in->disks, n) ? "yes" : "no");
  for (size_t i = 0; i < n; i++)
    print_disk (&in->images[i], &in->disks[i]);
  for (size_t i = 0; i < in->guest.n_systems; i++)
    print_system (&in->guest.systems[i]);
  if (in->full && in->guest.n_systems == 0)
    puts ("\noperating system: none that libguestfs can find");
}
