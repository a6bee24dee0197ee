/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of backing files in the headers of overlays: what QEMU would open
 * to read what rawview reads.
 */

#ifndef RV_BACKING_NAME_H
#define RV_BACKING_NAME_H

#include "format/format.h"
#include "image.h"

#define RV_BACKING_NAME_MAX 1023u /* bytes; the format's own limit */

/* The image that changes are kept apart from. */
struct rv_import {
  const struct rv_source *source;
  const struct rv_io *file; /* what source is, as a whole */
  const struct rv_format *format;
  bool is_member; /* of an OVA: these bytes of file */
  uint64_t off, len;
};

/* *name is to be freed: an absolute path, a URI as it was given, or for a disk
 * inside an OVA a "json:" text.  Fails where there is no such name.
 */
int rv_backing_name (const struct rv_import *import, char **name,
                     rawview_error *err);

/* Does recorded, the name in an overlay in the folder dirfd, mean the import?
 * Opens nothing.
 */
bool rv_backing_name_is (const char *recorded, int dirfd,
                         const struct rv_import *import);

#endif /* RV_BACKING_NAME_H */
