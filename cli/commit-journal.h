/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal of a commit: what overlay goes into what image.
 *
 * It has its name only when it is complete and durable, so that it is there or
 * not there.  It is text, a value a line, to be read by people who wonder what
 * it is.
 */

#ifndef CLI_COMMIT_JOURNAL_H
#define CLI_COMMIT_JOURNAL_H

#include <sys/stat.h>

#include "cli.h"

#define COMMIT_JOURNAL_FIRST_LINE "rawview-commit 1"
#define COMMIT_JOURNAL_MAX        (1 << 20) /* bytes */

/* Which file it was.  Images change, so size and time are an overlay's only.
 * A block device has its number as dev, and no ino.
 */
struct commit_file {
  uint64_t dev, ino, size, mtime_sec, mtime_nsec;
};

struct commit_entry {
  char *image; /* absolute, without dots and doubled slashes, as overlay */
  struct commit_file image_file;
  char *format;            /* as the image's facts call it */
  uint64_t size;           /* of the disk, bytes */
  struct cli_list options; /* "NAME=VALUE", file names are absolute */
  char *overlay;
  struct commit_file overlay_file;
};

struct commit_journal {
  char *path;   /* absolute */
  bool applied; /* all images are durable: overlays may be gone */
  char *boot;   /* of this machine when it was written: device numbers are the
                   same until the next */
  struct commit_entry *entries;
  size_t n;
};

/* An empty one, to be freed by commit_journal_clear. */
void commit_journal_init (struct commit_journal *j, const char *path);
void commit_journal_clear (struct commit_journal *j);
struct commit_entry *commit_journal_add (struct commit_journal *j);

/* Makes the file, or replaces it.  *there: it may be there now, also when this
 * failed.
 */
int commit_journal_write (const struct commit_journal *j, bool *there,
                          rawview_error *err);

/* Removes it for good, with what an interrupted write may have left. */
int commit_journal_remove (const struct commit_journal *j, rawview_error *err);

/* Removes what an interrupted write may have left, and not the journal: a write
 * that is under way fails then.
 */
void commit_journal_remove_new (const struct commit_journal *j);

/* Were the device numbers of the journal given in this boot of the machine? */
bool commit_journal_is_of_this_boot (const struct commit_journal *j);

struct commit_file commit_file_of (const struct stat *st);

/* Makes what happened in the folder of path durable. */
int commit_sync_folder (const char *path, rawview_error *err);

/*--- commit-journal-read.c ----------------------------------------------*/

/* Returns 1 if there is none.  Refused is what others than its user or root
 * could have written, and what is no journal.  Whether files are still those is
 * not looked at.
 */
int commit_journal_read (struct commit_journal *j, rawview_error *err);

#endif /* CLI_COMMIT_JOURNAL_H */
