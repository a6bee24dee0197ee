/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The overlays of a run of "rawview inject", from before they are made until
 * they are kept or gone.
 *
 * A marker beside the first one, FILE.rawview-unfinished, lists them.  It is
 * there before they are, and goes when they are complete.  This process and its
 * servers hold a lock on it, so that one which nobody has locked belongs to a
 * run that was killed: the next run removes what it lists.  Without a marker,
 * an overlay that is there is somebody's work, and refused.
 */

#ifndef CLI_INJECT_PLACE_H
#define CLI_INJECT_PLACE_H

#include "cli.h"

struct inject_place {
  char *const *overlays; /* absolute */
  size_t n;
  char *marker; /* NULL: there is none */
  int lock;
};

/* Cleans up after dead runs in the overlays' folders and sets the marker.
 * journal: of the commit to come, NULL if none comes.  What a dead run has left
 * is not touched once its commit was decided.  The overlays are borrowed.
 */
int inject_place_make (struct inject_place *place, char *const *overlays,
                       size_t n, const char *journal, rawview_error *err);

/* Removes the overlays and the marker. */
void inject_place_remove (struct inject_place *place);

/* Removes the marker, durably: the overlays stay.  If that fails, both are
 * gone.
 */
int inject_place_keep (struct inject_place *place, rawview_error *err);

/* Removes what dead runs have left in the folder of this file. */
void inject_place_clean (const char *path);

#endif /* CLI_INJECT_PLACE_H */
