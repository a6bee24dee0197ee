/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where SOURCE and MOUNTPOINT lie, and what can be tuned about a mount. */

#ifndef RAWVIEWFS_MOUNTPOINT_H
#define RAWVIEWFS_MOUNTPOINT_H

#include <stdbool.h>

#include <rawview.h>

struct places {
  char *source;     /* absolute if it is local, otherwise as given */
  char *mountpoint; /* absolute */
  bool source_is_folder;
  bool mountpoint_is_folder;
};

/* Looks at both before anything is mounted, and refuses what does not fit or
 * would make the mount wait for itself: a mountpoint that is the source image,
 * or a folder that is SOURCE, lies inside it or contains it.  *places is to be
 * released also after a failure.
 */
int places_find (struct places *places, const char *source,
                 const char *mountpoint, rawview_error *err);

/* The same for the file of an overlay, or the folder of overlays, neither of
 * which need be there yet.  After places_find.
 */
int places_check_overlay (const struct places *places, const char *file,
                          rawview_error *err);
int places_check_overlay_dir (const struct places *places, const char *dir,
                              rawview_error *err);
void places_release (struct places *places);

/* Lets the kernel read further ahead than its 128 KiB, if we may say so, which
 * takes root.  Between the mount and the first request answered.
 */
void mountpoint_set_read_ahead (const char *mountpoint);

#endif /* RAWVIEWFS_MOUNTPOINT_H */
