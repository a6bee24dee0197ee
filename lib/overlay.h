/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Overlays: a standard QCOW2 file whose backing file is the import.  QEMU can
 * open, check, commit and rebase it.
 *
 * What an overlay says about its backing file is only compared with what the
 * operator named, never opened: the import is the one that he named.
 */

#ifndef RV_OVERLAY_H
#define RV_OVERLAY_H

#include "backing-name.h"

/* What follows an image's name in overlay-dir. */
#define RV_OVERLAY_SUFFIX ".overlay.qcow2"

/* Opens the overlay that the options want for this import, or makes it. */
int rv_overlay_open (const struct rv_import *import,
                     const rawview_options *opts,
                     const struct rv_io_file_options *fo, struct rv_io **io,
                     rawview_error *err);

/* Is this, as its driver has read it, an overlay of the import? */
int rv_overlay_match (const struct rv_format *overlay,
                      const struct rv_import *import,
                      struct rv_warnings *warnings, rawview_error *err);

#endif /* RV_OVERLAY_H */
