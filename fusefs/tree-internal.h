/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a tree, for tree.c and tree-scan.c.
 *
 * An inode stands for one disk, and the kernel caches pages by inode.  So:
 *
 * 1. A name keeps its inode number as long as the mount lives, and nodes are
 *    never freed before.  That makes the kernel's FORGET superfluous.
 * 2. While a node is open its image is changed by nobody but us: the library
 *    holds the image's lock, and getattr answers from what was found at open
 *    and from when we wrote.
 * 3. If meanwhile another file takes the name, the node loses the name and a
 *    new one gets it.  Never do two images share one inode's page cache.
 *
 * Three locks, taken in this order, but never the first two together:
 *   handles  while an image is opened or closed: nobody may be given a handle
 *            whose writing is just being ended
 *   scan  while the set is listed, which may take long; nothing else needs it
 *   lock  all fields of the tree and its nodes; held for short times only
 * Name, export and number of a node never change and are read without a lock.
 */

#ifndef RAWVIEWFS_TREE_INTERNAL_H
#define RAWVIEWFS_TREE_INTERNAL_H

#include <pthread.h>
#include <time.h>

#include "tree.h"

#define ROOT_INO 1 /* FUSE_ROOT_ID */

/* A listing of a folder is believed for so long. */
#define FOLDER_SECONDS 1.0

struct node {
  uint64_t ino;
  char *export; /* name in the set */
  char *name;   /* as shown */

  uint64_t size;
  struct timespec mtime;
  struct timespec written; /* by us, for the last time; or 0 */
  bool measured;
  uint64_t blocks; /* valid if measured */
  bool refuses;    /* cannot be written, as far as is known */

  bool listed;   /* in the listing of the moment */
  bool detached; /* lost its name, see 3. above */
  unsigned opens;
  rawview_image *image; /* not NULL if opens > 0 */
};

struct tree {
  enum tree_shape shape;
  enum tree_writing writing;
  rawview_exports *exports;
  uid_t uid;
  gid_t gid;

  pthread_mutex_t handles;
  pthread_mutex_t scan;
  pthread_mutex_t lock;

  bool finish_failed; /* writing to an image did not end well */

  size_t count; /* of all nodes there have ever been */
  size_t space;
  struct node **node;
  void *by_name; /* tsearch(3) tree of the nodes not detached */

  struct tree_listing *listing; /* the last one */
  struct timespec listed_at;    /* CLOCK_MONOTONIC */
  struct timespec root_mtime;
};

/*--- Called with the lock held ------------------------------------------*/

/* NULL if no node has the name. */
struct node *node_find_by_name (struct tree *tree, const char *name);

/* NULL if there never was such an inode. */
struct node *node_find_by_ino (struct tree *tree, uint64_t ino);

/* The name under which a disk of the set is shown; NULL when out of memory. */
char *node_shown_name (const char *export);

/* A new node for a name that no other one has; NULL when out of memory. */
struct node *node_add (struct tree *tree, const char *export);

/* Takes the name away from the node. */
void node_detach (struct tree *tree, struct node *node);

/*--- Called without locks -----------------------------------------------*/

/* Lists the set, whatever the shape of the tree. */
int tree_scan (struct tree *tree, rawview_error *err);

/* Lists a folder again; nothing to do for the other shapes.  Returns 0 or an
 * errno value.
 */
int tree_rescan (struct tree *tree);

/* May the last listing still be believed? */
bool tree_is_fresh (struct tree *tree);

#endif /* RAWVIEWFS_TREE_INTERNAL_H */
