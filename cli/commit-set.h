/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of a commit: which they are, and opening all of them. */

#ifndef CLI_COMMIT_SET_H
#define CLI_COMMIT_SET_H

#include "commit-journal.h"
#include "commit.h"

/* An entry and its open files. */
struct commit_open {
  rawview_image *image;   /* writable, locked */
  rawview_image *overlay; /* what it says itself, see commit-apply.h */
};

struct commit_set {
  struct commit_journal journal;
  struct commit_open *open; /* journal.n of them; NULL: none is open */
};

/* Sets the journal's path and its entries' names and options, and looks whether
 * they name different files.  with_overlays: these must be there.  To be
 * cleared in every case.
 */
int commit_set_init (struct commit_set *set, const struct commit_disk *disks,
                     size_t n, const char *journal, bool with_overlays,
                     rawview_error *err);
void commit_set_clear (struct commit_set *set);

/* Notes which files the entries name now. */
int commit_set_note_files (struct commit_set *set, rawview_error *err);

/* Are the files still those that were noted?  An overlay that is gone is one
 * if all have been applied.
 */
int commit_set_compare_files (const struct commit_set *set, rawview_error *err);

/* Says that path is another file than the journal is about. */
int commit_refuse_other (const char *path, const struct commit_set *set,
                         rawview_error *err);

/* Refuses those that say where changes go, or that something else is shown. */
int commit_check_option (const char *image, const char *option,
                         rawview_error *err);

/*--- commit-open.c ------------------------------------------------------*/

/* Locks and opens all images for writing, and with_overlays those too, after it
 * was verified that each is one of its image.  Format and size are noted, or
 * compared if they were.  Changes nothing.
 */
int commit_set_open (struct commit_set *set, bool with_overlays,
                     rawview_error *err);

/* What is being written is finished as well as it can be. */
void commit_set_close (struct commit_set *set);

#endif /* CLI_COMMIT_SET_H */
