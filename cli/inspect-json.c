/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Key names are those of "qemu-img info", of lsblk(8), and of virt-inspector(1)
 * for what libguestfs has found.
 */

#include <config.h>

#include "inspect-show.h"
#include "json.h"

static void
set_known (struct cli_json *object, const char *key, const char *text)
{
  if (text != NULL)
    cli_json_set_text (object, key, text);
}

/*--- Disks --------------------------------------------------------------*/

static struct cli_json *
part_to_json (const struct inspect_part *part)
{
  struct cli_json *o = cli_json_object ();

  if (part->number != 0)
    cli_json_set_number (o, "partn", part->number);
  cli_json_set_number (o, "start", part->off);
  cli_json_set_number (o, "size", part->len);
  set_known (o, "parttype", part->part_type);
  set_known (o, "fstype", part->type);
  set_known (o, "label", part->label);
  set_known (o, "uuid", part->uuid);
  cli_json_set_bool (o, "encrypted", part->encrypted);
  cli_json_set_bool (o, "esp", part->esp);
  return o;
}

static struct cli_json *
disk_to_json (const char *name, const struct inspect_image *image,
              const struct inspect_disk *disk)
{
  struct cli_json *o = cli_json_object (), *parts = cli_json_array ();

  set_known (o, "name", name);
  set_known (o, "filename", image->filename);
  set_known (o, "format", image->format);
  cli_json_set_number (o, "virtual-size", image->virtual_size);
  if (image->has_actual_size)
    cli_json_set_number (o, "actual-size", image->actual_size);
  set_known (o, "pttype", disk->table);
  for (size_t i = 0; i < disk->n_parts; i++)
    cli_json_append (parts, part_to_json (&disk->parts[i]));
  cli_json_set (o, "partitions", parts);
  return o;
}

/*--- What libguestfs has found ------------------------------------------*/

static struct cli_json *
kernel_to_json (const struct guest_kernel *kernel)
{
  struct cli_json *o = cli_json_object ();

  set_known (o, "version", kernel->version);
  set_known (o, "filename", kernel->filename);
  set_known (o, "initramfs", kernel->initramfs);
  cli_json_set_text (o, "virtio_blk", guest_driver_name (kernel->virtio_blk));
  cli_json_set_text (o, "virtio_scsi", guest_driver_name (kernel->virtio_scsi));
  return o;
}

static struct cli_json *
mountpoints_to_json (const struct guest_system *s)
{
  struct cli_json *o = cli_json_object ();

  for (size_t i = 0; i < s->n_mountpoints; i++)
    cli_json_set_text (o, s->mountpoints[i].path, s->mountpoints[i].device);
  return o;
}

static struct cli_json *
system_to_json (const struct guest_system *s)
{
  struct cli_json *o = cli_json_object (), *kernels = cli_json_array ();

  set_known (o, "root", s->root);
  set_known (o, "name", s->name);
  set_known (o, "arch", s->arch);
  set_known (o, "distro", s->distro);
  set_known (o, "product_name", s->product);
  if (s->major >= 0 && s->minor >= 0) {
    cli_json_set_number (o, "major_version", (uint64_t) s->major);
    cli_json_set_number (o, "minor_version", (uint64_t) s->minor);
  }
  set_known (o, "hostname", s->hostname);
  set_known (o, "osinfo", s->osinfo);
  cli_json_set (o, "mountpoints", mountpoints_to_json (s));
  for (size_t i = 0; i < s->n_kernels; i++)
    cli_json_append (kernels, kernel_to_json (&s->kernels[i]));
  cli_json_set (o, "kernels", kernels);
  return o;
}

/*--- All of it ----------------------------------------------------------*/

void
inspect_show_json (const struct inspection *in)
{
  const size_t n = in->machine->n_disks;
  struct cli_json *o = cli_json_object (), *disks = cli_json_array (), *systems;

  cli_json_set_text (o, "system",
                     inspect_system_name (inspect_verdict (in->disks, n)));
  cli_json_set_text (o, "firmware",
                     inspect_firmware_name (inspect_firmware (in->disks, n)));
  cli_json_set_bool (o, "encrypted", inspect_encrypted (in->disks, n));
  for (size_t i = 0; i < n; i++)
    cli_json_append (disks,
                     disk_to_json (n > 1 ? in->machine->disks[i].name : NULL,
                                   &in->images[i], &in->disks[i]));
  cli_json_set (o, "disks", disks);
  if (in->full) {
    systems = cli_json_array ();
    for (size_t i = 0; i < in->guest.n_systems; i++)
      cli_json_append (systems, system_to_json (&in->guest.systems[i]));
    cli_json_set (o, "operatingsystems", systems);
  }
  cli_json_print (o);
}
