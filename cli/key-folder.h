/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A private folder for secrets that another program reads by path: 0700, its
 * files 0600, in memory where the machine has such a place.
 *
 * While it is in use it is locked (flock), so that one that a process left
 * behind when it was killed can be told from one in use.
 */

#ifndef CLI_KEY_FOLDER_H
#define CLI_KEY_FOLDER_H

#include "cli.h"

struct key_folder;

/* Removes what dead processes of this user left, and makes one.  NULL: *err. */
struct key_folder *key_folder_new (rawview_error *err);

/* Writes the next file and returns its absolute path, to be freed.  NULL: *err.
 */
char *key_folder_add (struct key_folder *folder, const char *text,
                      rawview_error *err);

/* Removes the folder with its files.  NULL is allowed. */
void key_folder_free (struct key_folder *folder);

#endif /* CLI_KEY_FOLDER_H */
