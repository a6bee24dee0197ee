/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan of an import, before it is done. */

#include <config.h>

#include <string.h>

#include "import.h"
#include "json.h"

static const char *
conversion_name (const struct import_wishes *w)
{
  return w->format && w->virtio ? "format,virtio"
         : w->format            ? "format"
         : w->virtio            ? "virtio"
                                : "none";
}

static const char *
firmware_name (enum machine_firmware firmware)
{
  return firmware == MACHINE_FIRMWARE_UEFI   ? "uefi"
         : firmware == MACHINE_FIRMWARE_BIOS ? "bios"
                                             : NULL;
}

static const char *
what_is_there (const struct dest *d)
{
  return d->used ? "overwritten" : d->exists ? "there" : "new";
}

/*--- For programs -------------------------------------------------------*/

static struct cli_json *
json_destination (const struct dest *d)
{
  static const char *const kinds[] = { "file", "block", "nbd", "volume" };
  struct cli_json *o = cli_json_object ();

  cli_json_set_text (o, "type", kinds[d->kind]);
  cli_json_set_text (o, "name", d->where);
  cli_json_set_text (o, "format", d->format);
  cli_json_set_text (o, "allocation",
                     d->preallocated ? "preallocated" : "sparse");
  cli_json_set_bool (o, "exists", d->exists);
  if (d->size > 0)
    cli_json_set_number (o, "size", d->size);
  return o;
}

static struct cli_json *
json_disk (const struct import *im, size_t i)
{
  const struct import_disk *d = &im->disks[i];
  struct cli_json *o = cli_json_object ();

  cli_json_set_text (o, "source", im->machine.disks[i].source);
  cli_json_set_text (o, "name", im->machine.disks[i].name);
  if (d->format)
    cli_json_set_text (o, "format", d->format);
  cli_json_set_number (o, "size", d->size);
  if (d->actual_size > 0)
    cli_json_set_number (o, "actual-size", d->actual_size);
  cli_json_set (o, "destination", json_destination (&im->dests.items[i]));
  return o;
}

static struct cli_json *
json_plan (const struct import *im)
{
  struct cli_json *o = cli_json_object (), *disks = cli_json_array ();

  cli_json_set_text (o, "name", im->machine.name);
  cli_json_set_text (o, "conversion", conversion_name (im->wishes));
  if (im->system)
    cli_json_set_text (o, "system", im->system);
  if (firmware_name (im->firmware))
    cli_json_set_text (o, "firmware", firmware_name (im->firmware));
  cli_json_set_number (o, "size", im->total);
  for (size_t i = 0; i < im->dests.n; i++)
    cli_json_append (disks, json_disk (im, i));
  cli_json_set (o, "disks", disks);
  return o;
}

/*--- For people ---------------------------------------------------------*/

static void
print_disk (const struct import *im, size_t i)
{
  const struct import_disk *d = &im->disks[i];
  const struct dest *to = &im->dests.items[i];
  char size[CLI_SIZE_MAX], room[CLI_SIZE_MAX];

  printf ("  %s: %s%s%s\n    -> %s (%s, %s", im->machine.disks[i].name,
          d->format ? d->format : "", d->format ? ", " : "",
          cli_format_size (d->size, size), to->where, dest_describe (to),
          what_is_there (to));
  if (to->size > d->size)
    printf (", %s: larger than the disk", cli_format_size (to->size, room));
  else if (to->preallocated)
    printf (", preallocated");
  printf (")\n");
}

static void
print_text (const struct import *im)
{
  printf ("guest: %s\n", im->machine.name);
  if (im->system)
    printf ("system: %s\n", im->system);
  if (firmware_name (im->firmware))
    printf ("firmware: %s\n", firmware_name (im->firmware));
  printf ("conversion: %s\ndisks:\n", conversion_name (im->wishes));
  for (size_t i = 0; i < im->dests.n; i++)
    print_disk (im, i);
}

void
import_print_plan (const struct import *im)
{
  struct cli_json *line;

  if (im->wishes->progress == PROGRESS_JSON && !im->wishes->dry_run) {
    line = cli_json_object ();
    cli_json_set_text (line, "phase", "analyse");
    cli_json_set_real (line, "percent", 0);
    cli_json_set (line, "plan", json_plan (im));
    cli_json_print_line (stdout, line);
    putchar ('\n');
  }
  else if (im->wishes->json)
    cli_json_print (json_plan (im));
  else
    print_text (im);
  fflush (stdout);
}
