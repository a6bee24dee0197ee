/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The changes of a guest, from the overlays of its disks into their images, as
 * a set: after a crash at any moment either no image has changed, or
 * commit_recover makes all of them what their overlays said.
 *
 * The overlays themselves are the log.  The decision is a small file, the
 * journal, which says what overlay goes into what image.  Before it is there
 * no image has changed; from then on the overlays are applied, again after a
 * crash, as often as it takes; they are removed when all images are durable,
 * and the journal last.
 *
 * The functions run in the calling thread and may take long.  They neither
 * print nor exit but for memory that is short before the decision.  Whoever
 * blocks signals during a run ends it at its end only; a kill is a crash.
 */

#ifndef CLI_COMMIT_H
#define CLI_COMMIT_H

#include "cli.h"

struct commit_disk {
  const char *image; /* what is written in place: a file, or a block device */
  const struct cli_list *options;  /* "NAME=VALUE" each to open it with, NULL:
                                      none */
  const struct cli_list *options2; /* more of them */
  const char *overlay;             /* a file, which nobody has open any more */
};

/* Called now and then; total is 0 until it is known.  In bytes. */
typedef void (*commit_progress_cb) (void *opaque, uint64_t done,
                                    uint64_t total);

/* What can be known before anything starts: that each image can be written in
 * place, that no two of them are the same, that no unfinished commit is in the
 * way, and that the journal has a place.  Changes nothing; the overlays need
 * not be there yet.  journal: as below.
 */
int commit_check (const struct commit_disk *disks, size_t n,
                  const char *journal, rawview_error *err);

/* Refuses an image beside which there is the journal of a commit: it may be
 * half of what it was and half of what it will be.
 */
int commit_check_finished (const char *image, rawview_error *err);

/* Where the journal is if nobody says otherwise: IMAGE.rawview-commit, beside
 * the set's first image.  To be freed.
 */
char *commit_journal_path (const char *image);

/* Puts all overlays into their images and removes them.  journal: NULL, or a
 * file to make instead of the usual one; it must be on storage that a crash
 * leaves alone.  cb may be NULL.
 *
 * On failure *decided tells what holds.  False: no image has changed, the
 * overlays are as they were and the caller's to remove.  True: the journal is
 * there, and overlays and images are left alone until commit_recover has been
 * called; the error says so.
 */
int commit_run (const struct commit_disk *disks, size_t n, const char *journal,
                commit_progress_cb cb, void *opaque, bool *decided,
                rawview_error *err);

enum commit_recovered {
  COMMIT_NOTHING, /* there is no journal, so nothing was decided: images are
                     as before the commit, overlays may be left over */
  COMMIT_DONE,    /* all images have their changes, overlays and journal are
                     gone */
};

/* Finishes a commit that was interrupted; safe to be repeated.  A journal that
 * others could have written, that names other files than those that lie there
 * now, or that does not fit them is RAWVIEW_ERROR_REFUSED, and nothing changes.
 */
int commit_recover (const char *journal, commit_progress_cb cb, void *opaque,
                    enum commit_recovered *what, rawview_error *err);

#endif /* CLI_COMMIT_H */
