/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What kind of container is it?  Only structured formats are recognised;
 * nothing is ever guessed to be raw.
 */

#ifndef RV_PROBE_H
#define RV_PROBE_H

#include "format/format.h"

struct rv_probe_result {
  const struct rv_format_ops *format; /* one that we read, or */
  bool ova;                           /* a tar archive, or */
  const char *foreign; /* the name of one that we know but do not read */
  bool raw_disk;       /* foreign is nothing but what raw disks have in them */
  const char *second;  /* what else the file looks like, NULL if nothing */
};

/* What whoever guesses formats may take it for; NULL for what may be a disk. */
const char *rv_probe_image_name (const struct rv_probe_result *result);

/* Nothing recognised is not an error: all fields are empty then. */
int rv_probe (struct rv_io *io, struct rv_probe_result *result,
              rawview_error *err);

/* The same for the first bytes, RV_PROBE_HEAD of them or all that there are. */
#define RV_PROBE_HEAD (32769u + 5u)
void rv_probe_head (struct rv_view head, struct rv_probe_result *result);

#endif /* RV_PROBE_H */
