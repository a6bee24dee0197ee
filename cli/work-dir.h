/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A private folder (0700) for what an import needs only for a while, which
 * remembers what else the import has created.  If the import is killed, the
 * next one beside it removes both.
 */

#ifndef CLI_WORK_DIR_H
#define CLI_WORK_DIR_H

#include "cli.h"

struct work_dir {
  char *path; /* absolute, NULL: none */
  int state;  /* its file of notes, locked as long as somebody lives */
};

/* Removes in the folder "parent" what killed imports of this user have left. */
void work_dir_remove_leftovers (const char *parent);

/* Makes one. */
int work_dir_make (const char *parent, struct work_dir *dir,
                   rawview_error *err);

/* This file is ours and of no use before the end. */
void work_dir_note_created (struct work_dir *dir, const char *path);

/* To be called about once a second while those are written: what changes later
 * is somebody else's.
 */
void work_dir_show_life (const struct work_dir *dir);

/* Removes it with all that is in it, but not what was noted. */
void work_dir_remove (struct work_dir *dir);

#endif /* CLI_WORK_DIR_H */
