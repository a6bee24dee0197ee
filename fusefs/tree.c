/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and inodes.
 *
 * An inode stands for one disk, and the kernel caches pages by inode.  So:
 *
 * 1. A name keeps its inode number as long as the mount lives, and nodes are
 *    never freed before.  That makes the kernel's FORGET superfluous.
 * 2. While a node is open its image does not change: the library holds the
 *    image's lock, and getattr answers from what was found at open.
 * 3. If meanwhile another file takes the name, the node loses the name and a
 *    new one gets it.  Never do two images share one inode's page cache.
 *
 * Two locks, taken in this order:
 *   scan  while the set is listed, which may take long; nothing else needs it
 *   lock  all fields of the tree and its nodes; held for short times only
 * Name, export and number of a node never change and are read without a lock.
 */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "log.h"
#include "tree.h"

#define ROOT_INO 1 /* FUSE_ROOT_ID */

/* A listing of a folder is believed for so long. */
#define FOLDER_SECONDS 1.0
#define FIXED_SECONDS  86400.0

#define BLOCK_SIZE 512 /* of st_blocks, whatever st_blksize is */

struct node {
  uint64_t ino;
  char *export; /* name in the set */
  char *name;   /* as shown */

  uint64_t size;
  struct timespec mtime;
  bool measured;
  uint64_t blocks; /* valid if measured */

  bool listed;   /* in the listing of the moment */
  bool detached; /* lost its name, see 3. above */
  unsigned opens;
  rawview_image *image; /* not NULL if opens > 0 */
};

struct tree {
  enum tree_shape shape;
  rawview_exports *exports;
  uid_t uid;
  gid_t gid;

  pthread_mutex_t scan;
  pthread_mutex_t lock;

  size_t count; /* of all nodes there have ever been */
  size_t space;
  struct node **node;
  void *by_name; /* tsearch(3) tree of the nodes not detached */

  struct tree_listing *listing; /* the last one */
  struct timespec listed_at;    /* CLOCK_MONOTONIC */
  struct timespec root_mtime;
};

/*--- Nodes --------------------------------------------------------------*/

static int
compare_names (const void *a, const void *b)
{
  return strcmp (((const struct node *) a)->name,
                 ((const struct node *) b)->name);
}

static struct node *
find_by_name (struct tree *tree, const char *name)
{
  struct node key = { .name = (char *) name };
  struct node **found = tfind (&key, &tree->by_name, compare_names);

  return found ? *found : NULL;
}

static struct node *
find_by_ino (struct tree *tree, uint64_t ino)
{
  uint64_t first = tree->shape == TREE_FILE ? ROOT_INO : ROOT_INO + 1;

  if (ino < first || ino - first >= tree->count)
    return NULL;
  return tree->node[ino - first];
}

static void
free_node (struct node *node)
{
  rawview_close (node->image);
  free (node->export);
  free (node->name);
  free (node);
}

/* A disk of an archive may have a path for a name. */
static char *
shown_name (const char *export)
{
  char *name;

  if (asprintf (&name, "%s.raw", export) == -1)
    return NULL;
  for (char *p = name; *p != '\0'; p++)
    if (*p == '/')
      *p = '_';
  return name;
}

static struct node *
add_node (struct tree *tree, const char *export)
{
  struct node *node;

  if (tree->count == tree->space) {
    size_t space = tree->space > 0 ? 2 * tree->space : 16;
    struct node **p = reallocarray (tree->node, space, sizeof *p);

    if (p == NULL)
      return NULL;
    tree->node = p;
    tree->space = space;
  }

  node = calloc (1, sizeof *node);
  if (node == NULL)
    return NULL;
  node->ino =
      tree->count + (tree->shape == TREE_FILE ? ROOT_INO : ROOT_INO + 1);
  node->export = strdup (export);
  node->name = shown_name (export);
  if (node->export == NULL || node->name == NULL ||
      tsearch (node, &tree->by_name, compare_names) == NULL) {
    free_node (node);
    return NULL;
  }
  tree->node[tree->count++] = node;
  return node;
}

/*--- Listing ------------------------------------------------------------*/

/* What the set said, before it becomes the tree's. */
struct found {
  size_t count;
  size_t space;
  struct found_disk {
    char *export;
    uint64_t size;
    struct timespec mtime;
  } * disk;
};

static void
free_found (struct found *found)
{
  for (size_t i = 0; i < found->count; i++)
    free (found->disk[i].export);
  free (found->disk);
}

static int
collect (void *opaque, const rawview_export *e)
{
  struct found *found = opaque;
  struct found_disk *disk;

  if (found->count == found->space) {
    size_t space = found->space > 0 ? 2 * found->space : 16;

    disk = reallocarray (found->disk, space, sizeof *disk);
    if (disk == NULL)
      return ENOMEM;
    found->disk = disk;
    found->space = space;
  }
  disk = &found->disk[found->count];
  disk->export = strdup (e->name);
  if (disk->export == NULL)
    return ENOMEM;
  disk->size = e->size;
  disk->mtime.tv_sec = e->mtime_sec;
  disk->mtime.tv_nsec = e->mtime_nsec;
  found->count++;
  return 0;
}

static bool
has_changed (const struct node *node, const struct found_disk *disk)
{
  return node->size != disk->size || node->mtime.tv_sec != disk->mtime.tv_sec ||
         node->mtime.tv_nsec != disk->mtime.tv_nsec;
}

/* The node for a disk that was found; NULL when out of memory. */
static struct node *
update_node (struct tree *tree, struct node *node,
             const struct found_disk *disk)
{
  if (node != NULL && node->opens > 0 && has_changed (node, disk)) {
    tdelete (node, &tree->by_name, compare_names);
    node->detached = true;
    node = NULL;
  }
  if (node == NULL) {
    node = add_node (tree, disk->export);
    if (node == NULL)
      return NULL;
  }
  if (has_changed (node, disk))
    node->measured = false;
  node->size = disk->size;
  node->mtime = disk->mtime;
  return node;
}

static bool
same_listing (const struct tree_listing *a, const struct tree_listing *b)
{
  return a != NULL && a->count == b->count &&
         memcmp (a->ino, b->ino, a->count * sizeof a->ino[0]) == 0;
}

/* Makes what was found the tree's listing. */
static int
merge (struct tree *tree, const struct found *found)
{
  struct tree_listing *listing =
      malloc (sizeof *listing + found->count * sizeof listing->ino[0]);

  if (listing == NULL)
    return ENOMEM;
  listing->count = 0;

  for (size_t i = 0; i < tree->count; i++)
    tree->node[i]->listed = false;

  for (size_t i = 0; i < found->count; i++) {
    char *name = shown_name (found->disk[i].export);
    struct node *node = name ? find_by_name (tree, name) : NULL;

    free (name);
    if (node != NULL && node->listed)
      continue; /* "a/b" and "a_b": the first one has it */
    node = update_node (tree, node, &found->disk[i]);
    if (node == NULL) {
      free (listing);
      return ENOMEM;
    }
    node->listed = true;
    listing->ino[listing->count++] = node->ino;
  }

  if (!same_listing (tree->listing, listing))
    clock_gettime (CLOCK_REALTIME, &tree->root_mtime);
  free (tree->listing);
  tree->listing = listing;
  clock_gettime (CLOCK_MONOTONIC, &tree->listed_at);
  return 0;
}

static int
scan (struct tree *tree, rawview_error *err)
{
  struct found found = { 0 };
  rawview_error list_err = { 0 };
  int r;

  pthread_mutex_lock (&tree->scan);
  r = rawview_exports_list (tree->exports, collect, &found, &list_err);
  pthread_mutex_lock (&tree->lock);
  if (r == 0)
    r = merge (tree, &found);
  else
    *err = list_err;
  pthread_mutex_unlock (&tree->lock);
  pthread_mutex_unlock (&tree->scan);
  free_found (&found);
  return r <= 0 ? r : error_nomem (err);
}

static bool
is_fresh (struct tree *tree)
{
  struct timespec now;
  double age;

  if (tree->shape != TREE_FOLDER)
    return true;
  clock_gettime (CLOCK_MONOTONIC, &now);
  pthread_mutex_lock (&tree->lock);
  age = (double) (now.tv_sec - tree->listed_at.tv_sec) +
        (double) (now.tv_nsec - tree->listed_at.tv_nsec) / 1e9;
  pthread_mutex_unlock (&tree->lock);
  return age < FOLDER_SECONDS;
}

/* Lists a folder again; nothing to do for the other shapes. */
static int
rescan (struct tree *tree)
{
  rawview_error err;

  if (tree->shape != TREE_FOLDER || scan (tree, &err) == 0)
    return 0;
  log_read_error (err.msg);
  return err.errnum;
}

int
tree_list (struct tree *tree, struct tree_listing **listing)
{
  int r = rescan (tree);
  size_t bytes;

  if (r != 0)
    return r;

  pthread_mutex_lock (&tree->lock);
  bytes = sizeof **listing + tree->listing->count * sizeof (*listing)->ino[0];
  *listing = malloc (bytes);
  if (*listing != NULL)
    memcpy (*listing, tree->listing, bytes);
  pthread_mutex_unlock (&tree->lock);
  return *listing != NULL ? 0 : ENOMEM;
}

/*--- Attributes ---------------------------------------------------------*/

/* What the files of the chain take on their disk, but never more than the disk
 * is large: so du(1) tells the truth about an import, and cp(1) and tar(1) see
 * a sparse file and look for its holes.
 */
static uint64_t
count_blocks (const rawview_image *image)
{
  uint64_t size = rawview_get_size (image);
  uint64_t bytes = 0;
  bool known = false;

  for (unsigned depth = 0; depth < rawview_get_depth (image); depth++) {
    const rawview_fact *fact;

    for (size_t i = 0; (fact = rawview_get_fact (image, depth, i)); i++)
      if (strcmp (fact->key, "actual-size") == 0) {
        if (fact->number > size - bytes)
          bytes = size;
        else
          bytes += fact->number;
        known = true;
      }
  }
  if (!known)
    bytes = size;
  return bytes / BLOCK_SIZE + (bytes % BLOCK_SIZE != 0);
}

/* Counts the blocks of a disk that nobody has open. */
static void
measure (struct tree *tree, struct node *node)
{
  rawview_image *image;
  uint64_t blocks = 0;

  if (rawview_exports_open (tree->exports, node->export, &image, NULL) == 0) {
    blocks = count_blocks (image);
    rawview_close (image);
  }
  pthread_mutex_lock (&tree->lock);
  node->blocks = blocks;
  node->measured = true;
  pthread_mutex_unlock (&tree->lock);
}

static void
fill_root (const struct tree *tree, struct stat *st)
{
  *st = (struct stat){
    .st_ino = ROOT_INO,
    .st_mode = S_IFDIR | 0555,
    .st_nlink = 2,
    .st_uid = tree->uid,
    .st_gid = tree->gid,
    .st_atim = tree->root_mtime,
    .st_mtim = tree->root_mtime,
    .st_ctim = tree->root_mtime,
  };
}

static void
fill_disk (const struct tree *tree, const struct node *node, struct stat *st)
{
  *st = (struct stat){
    .st_ino = node->ino,
    .st_mode = S_IFREG | 0444,
    .st_nlink = 1,
    .st_uid = tree->uid,
    .st_gid = tree->gid,
    .st_size = (off_t) node->size,
    .st_blocks = (blkcnt_t) node->blocks,
    .st_atim = node->mtime,
    .st_mtim = node->mtime,
    .st_ctim = node->mtime,
  };
}

static int
stat_node (struct tree *tree, struct node *node, struct stat *st)
{
  bool measured;

  pthread_mutex_lock (&tree->lock);
  measured = node->measured;
  pthread_mutex_unlock (&tree->lock);
  if (!measured)
    measure (tree, node);

  pthread_mutex_lock (&tree->lock);
  fill_disk (tree, node, st);
  pthread_mutex_unlock (&tree->lock);
  return 0;
}

int
tree_stat (struct tree *tree, uint64_t ino, struct stat *st)
{
  struct node *node;
  bool present;

  if (ino == ROOT_INO && tree->shape != TREE_FILE) {
    pthread_mutex_lock (&tree->lock);
    fill_root (tree, st);
    pthread_mutex_unlock (&tree->lock);
    return 0;
  }

  pthread_mutex_lock (&tree->lock);
  node = find_by_ino (tree, ino);
  present = node != NULL && (node->listed || node->opens > 0);
  pthread_mutex_unlock (&tree->lock);
  return present ? stat_node (tree, node, st) : ESTALE;
}

/* A disk that is listed now. */
static struct node *
find_listed (struct tree *tree, const char *name)
{
  struct node *node;

  pthread_mutex_lock (&tree->lock);
  node = find_by_name (tree, name);
  if (node != NULL && !node->listed)
    node = NULL;
  pthread_mutex_unlock (&tree->lock);
  return node;
}

int
tree_lookup (struct tree *tree, uint64_t parent, const char *name,
             struct stat *st)
{
  struct node *node = NULL;

  if (parent != ROOT_INO || tree->shape == TREE_FILE)
    return ENOTDIR;

  if (is_fresh (tree))
    node = find_listed (tree, name);
  if (node == NULL) {
    int r = rescan (tree);

    if (r != 0)
      return r;
    node = find_listed (tree, name);
  }
  return node != NULL ? stat_node (tree, node, st) : ENOENT;
}

const char *
tree_name (struct tree *tree, uint64_t ino)
{
  struct node *node;

  pthread_mutex_lock (&tree->lock);
  node = find_by_ino (tree, ino);
  pthread_mutex_unlock (&tree->lock);
  return node->name;
}

void
tree_statfs (struct tree *tree, struct statvfs *stv)
{
  uint64_t bytes = 0;

  *stv = (struct statvfs){
    .f_bsize = 4096,
    .f_frsize = BLOCK_SIZE,
    .f_namemax = 255,
  };
  pthread_mutex_lock (&tree->lock);
  for (size_t i = 0; i < tree->count; i++)
    if (tree->node[i]->listed) {
      bytes += tree->node[i]->size;
      stv->f_files++;
    }
  pthread_mutex_unlock (&tree->lock);
  stv->f_blocks = bytes / BLOCK_SIZE;
}

double
tree_timeout (const struct tree *tree)
{
  return tree->shape == TREE_FOLDER ? FOLDER_SECONDS : FIXED_SECONDS;
}

/*--- Open and close -----------------------------------------------------*/

/* The workers must not be the ones to get the signals that end the session:
 * the main thread waits for them.
 */
static int
start_image (rawview_image *image, rawview_error *err)
{
  sigset_t all, old;
  int r;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);
  r = rawview_start (image, err);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  return r;
}

/* Joins those who have the node open.  Called with the lock held. */
static bool
share_open (struct node *node, rawview_image **image)
{
  if (node->image == NULL)
    return false;
  node->opens++;
  *image = node->image;
  return true;
}

/* Gives a freshly opened image to the node.  Returns 0 or an errno value;
 * *ours says whether the node has taken it.
 */
static int
first_open (struct tree *tree, struct node *node, rawview_image **image,
            bool *ours)
{
  rawview_image *fresh = *image;

  *ours = false;
  if (share_open (node, image))
    return 0; /* another was faster */
  if (node->size != rawview_get_size (fresh)) {
    tree->listed_at = (struct timespec){ 0 };
    return ESTALE; /* makes the kernel look the name up again */
  }
  node->image = fresh;
  node->opens = 1;
  *ours = true;
  return 0;
}

int
tree_open (struct tree *tree, uint64_t ino, rawview_image **image, bool *same)
{
  struct node *node;
  rawview_image *fresh = NULL;
  rawview_error err;
  bool ours, detached;
  int r;

  if (ino == ROOT_INO && tree->shape != TREE_FILE)
    return EISDIR;

  pthread_mutex_lock (&tree->lock);
  node = find_by_ino (tree, ino);
  *same = node != NULL && share_open (node, image);
  detached = node == NULL || node->detached;
  pthread_mutex_unlock (&tree->lock);
  if (*same)
    return 0;
  if (detached)
    return ESTALE;

  if (rawview_exports_open (tree->exports, node->export, &fresh, &err) == -1 ||
      start_image (fresh, &err) == -1) {
    rawview_close (fresh);
    if (err.errnum != ENOENT)
      log_read_error (err.msg);
    return err.errnum;
  }

  *image = fresh;
  pthread_mutex_lock (&tree->lock);
  r = first_open (tree, node, image, &ours);
  pthread_mutex_unlock (&tree->lock);
  if (!ours)
    rawview_close (fresh);
  *same = !ours;
  return r;
}

void
tree_close (struct tree *tree, uint64_t ino)
{
  rawview_image *last = NULL;
  struct node *node;

  pthread_mutex_lock (&tree->lock);
  node = find_by_ino (tree, ino);
  if (--node->opens == 0) {
    last = node->image;
    node->image = NULL;
  }
  pthread_mutex_unlock (&tree->lock);
  rawview_close (last);
}

/*--- The tree -----------------------------------------------------------*/

/* Opens the disks of a fixed tree for its whole life. */
static int
hold_disks (struct tree *tree, rawview_error *err)
{
  for (size_t i = 0; i < tree->count; i++) {
    struct node *node = tree->node[i];

    if (rawview_exports_open (tree->exports, node->export, &node->image, err) ==
        -1)
      return -1;
    node->opens = 1;
    node->size = rawview_get_size (node->image);
    node->blocks = count_blocks (node->image);
    node->measured = true;
  }
  return 0;
}

static int
check_single (const struct tree *tree, rawview_error *err)
{
  if (tree->listing->count == 1)
    return 0;
  return error_usage (err,
                      "SOURCE has %zu disks: choose one with the option disk, "
                      "or mount them all on a folder",
                      tree->listing->count);
}

int
tree_new (enum tree_shape shape, rawview_exports *exports,
          struct tree **tree_out, rawview_error *err)
{
  struct tree *tree = calloc (1, sizeof *tree);

  if (tree == NULL)
    return error_nomem (err);
  tree->shape = shape;
  tree->exports = exports;
  tree->uid = getuid ();
  tree->gid = getgid ();
  pthread_mutex_init (&tree->scan, NULL);
  pthread_mutex_init (&tree->lock, NULL);

  if (scan (tree, err) == -1 ||
      (shape == TREE_FILE && check_single (tree, err) == -1) ||
      (shape != TREE_FOLDER && hold_disks (tree, err) == -1)) {
    tree_free (tree);
    return -1;
  }
  *tree_out = tree;
  return 0;
}

int
tree_start (struct tree *tree, rawview_error *err)
{
  for (size_t i = 0; i < tree->count; i++)
    if (tree->node[i]->image != NULL &&
        start_image (tree->node[i]->image, err) == -1)
      return -1;
  return 0;
}

static void
keep_node (void *node)
{
}

void
tree_free (struct tree *tree)
{
  if (tree == NULL)
    return;
  tdestroy (tree->by_name, keep_node);
  for (size_t i = 0; i < tree->count; i++)
    free_node (tree->node[i]);
  free (tree->node);
  free (tree->listing);
  pthread_mutex_destroy (&tree->scan);
  pthread_mutex_destroy (&tree->lock);
  free (tree);
}
