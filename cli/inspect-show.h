/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How "rawview inspect" shows what it has found. */

#ifndef CLI_INSPECT_SHOW_H
#define CLI_INSPECT_SHOW_H

#include "guest.h"
#include "inspect.h"

/* What an image says of itself.  Texts that are not known are NULL. */
struct inspect_image {
  char *filename, *format;
  uint64_t virtual_size;
  uint64_t actual_size;
  bool has_actual_size;
};

struct inspection {
  const struct machine *machine;
  struct inspect_image *images; /* as many as the machine has disks, */
  struct inspect_disk *disks;   /* of these too */
  bool full;                    /* is there a guest? */
  struct guest guest;
};

void inspect_show_text (const struct inspection *in);
void inspect_show_json (const struct inspection *in);

/* "bios", "uefi", "unknown" */
const char *inspect_firmware_name (enum machine_firmware firmware);

#endif /* CLI_INSPECT_SHOW_H */
