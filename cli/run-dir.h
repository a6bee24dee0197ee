/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private folders (0700) for sockets, mountpoints and the like, in
 * $XDG_RUNTIME_DIR, $TMPDIR or /tmp.
 */

#ifndef CLI_RUN_DIR_H
#define CLI_RUN_DIR_H

#include "cli.h"

/* A folder that belongs to us and to the children that inherit its lock. */
struct run_dir {
  char *path;
  int lock; /* not closed by exec: when nobody has it the folder is left over */
};

/* Makes a folder PREFIX-XXXXXX; the caller frees its path.  NULL: *err. */
char *run_dir_new (const char *prefix, rawview_error *err);

/* Removes the folders whose owners are all dead, with the mounts in them, and
 * makes one.
 */
int run_dir_make (struct run_dir *dir, rawview_error *err);

/* Removes it with all that is in it, which is no folder, and frees; of a zeroed
 * one does nothing.
 */
void run_dir_remove (struct run_dir *dir);

/* Ends the mount on a file, if there is one whose server is gone; whoever may
 * still use it.
 */
void run_dir_unmount (const char *path);

#endif /* CLI_RUN_DIR_H */
