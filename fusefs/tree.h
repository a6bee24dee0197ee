/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the mount shows: names, inodes, and the image behind each.
 *
 * A tree is one of three shapes:
 *   TREE_FILE    the root is the disk itself: an image on a regular file
 *   TREE_DISKS   the root is a folder with the disks of one source
 *   TREE_FOLDER  the root is a folder with the images of another folder, which
 *                is read again from time to time
 * The disks of the first two are held open as long as the tree lives, those of
 * a folder as long as somebody has the file open.
 *
 * Every function but tree_new and tree_free may be called from any thread.
 */

#ifndef RAWVIEWFS_TREE_H
#define RAWVIEWFS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <rawview.h>

enum tree_shape { TREE_FILE, TREE_DISKS, TREE_FOLDER };

/* Where writes go; the overlays of TREE_OVERLAY_SHOWN are only read. */
enum tree_writing {
  TREE_READ_ONLY,
  TREE_OVERLAY_SHOWN,
  TREE_IN_PLACE,
  TREE_OVERLAY,
};

struct tree;

/* Lists the set once, and opens the disks that it will hold; it is an error if
 * they are to be written and cannot be.  Those of a folder stay read-only then,
 * each with a line in the log.  The set must outlive the tree.  Starts no
 * thread.
 */
int tree_new (enum tree_shape shape, enum tree_writing writing,
              rawview_exports *exports, struct tree **tree, rawview_error *err);

/* Ends all writing.  Returns -1 if that failed, now or for an image that was
 * closed before; the log says why.  Nobody may use the tree meanwhile.
 */
int tree_finish (struct tree *tree);
void tree_free (struct tree *tree);

/* Starts the workers of the disks that are held.  After the last fork. */
int tree_start (struct tree *tree, rawview_error *err);

/* Seconds for which names and attributes may be believed. */
double tree_timeout (const struct tree *tree);

bool tree_is_writable (const struct tree *tree);

/* Takes note that the disk was written just now. */
void tree_written (struct tree *tree, uint64_t ino);

/* The functions below return 0 or an errno value, after a line in the log where
 * that alone would not explain it.
 */

int tree_lookup (struct tree *tree, uint64_t parent, const char *name,
                 struct stat *st);
int tree_stat (struct tree *tree, uint64_t ino, struct stat *st);

/* The image stays open until tree_close.  With writes it is writable, or the
 * error is EROFS or what else the reason is.  *same says that it is known to be
 * what earlier readers of this inode saw, so that their cached pages hold.
 */
int tree_open (struct tree *tree, uint64_t ino, bool writes,
               rawview_image **image, bool *same);
void tree_close (struct tree *tree, uint64_t ino);

/* The disks at one moment, in a fixed order, to be freed with free(). */
struct tree_listing {
  size_t count;
  uint64_t ino[];
};
int tree_list (struct tree *tree, struct tree_listing **listing);

/* The name of a disk's inode.  Lives as long as the tree. */
const char *tree_name (struct tree *tree, uint64_t ino);

void tree_statfs (struct tree *tree, struct statvfs *stv);

#endif /* RAWVIEWFS_TREE_H */
