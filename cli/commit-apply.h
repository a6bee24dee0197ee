/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an overlay says, put into its image. */

#ifndef CLI_COMMIT_APPLY_H
#define CLI_COMMIT_APPLY_H

#include "cli.h"

/* Opens an overlay for what it says itself.  Its backing file is left out of
 * it: that is being changed, and nothing of it is wanted.  options: as for its
 * image.
 */
int commit_open_overlay (const char *overlay, const struct cli_list *options,
                         rawview_image **image, rawview_error *err);

/* Bytes that it says something about.  Fails if it is damaged. */
int commit_measure (rawview_image *overlay, uint64_t *bytes,
                    rawview_error *err);

/* Writes all of that into image; not flushed.  done is called with bytes. */
int commit_apply (rawview_image *overlay, rawview_image *image,
                  void (*done) (void *opaque, uint64_t bytes), void *opaque,
                  rawview_error *err);

#endif /* CLI_COMMIT_APPLY_H */
