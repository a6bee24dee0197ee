/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: the header extensions, between the header and the backing file name.
 * (QEMU's docs/interop/qcow2, "Header extensions")
 */

#ifndef RV_QCOW2_EXTENSION_H
#define RV_QCOW2_EXTENSION_H

#include "format/qcow2-header.h"

#define QCOW2_MAX_BACKING_FORMAT 15u

struct rv_qcow2_extensions {
  char backing_format[QCOW2_MAX_BACKING_FORMAT + 1]; /* "" if not recorded */
  struct rv_view feature_names; /* into the parsed view; 48 bytes each */
  struct rv_view data_file;     /* name without NUL; p NULL if none */
  struct rv_view bitmaps;       /* p NULL if none */
};

/* cluster: the first cluster of the file, or as much of it as there is. */
int rv_qcow2_extensions_parse (struct rv_view cluster, const char *name,
                               const struct rv_qcow2_header *header,
                               struct rv_qcow2_extensions *ext,
                               rawview_error *err);

/* What the image calls incompatible feature bit, "unknown" if it does not say.
 * Fills buf; not sanitised.
 */
#define QCOW2_FEATURE_NAME_LEN 46
void rv_qcow2_feature_name (struct rv_view feature_names, unsigned bit,
                            char buf[QCOW2_FEATURE_NAME_LEN + 1]);

#endif /* RV_QCOW2_EXTENSION_H */
