/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nodes, their attributes, opening and closing; tree-internal.h has the rules.
 */

#include <config.h>

#include <errno.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "log.h"
#include "tree-internal.h"

/* Names and attributes of a tree that does not change. */
#define FIXED_SECONDS 86400.0

#define BLOCK_SIZE 512 /* of st_blocks, whatever st_blksize is */

/*--- Nodes --------------------------------------------------------------*/

static int
compare_names (const void *a, const void *b)
{
  return strcmp (((const struct node *) a)->name,
                 ((const struct node *) b)->name);
}

struct node *
node_find_by_name (struct tree *tree, const char *name)
{
  struct node key = { .name = (char *) name };
  struct node **found = tfind (&key, &tree->by_name, compare_names);

  return found ? *found : NULL;
}

struct node *
node_find_by_ino (struct tree *tree, uint64_t ino)
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

char *
node_shown_name (const char *export)
{
  char *name;

  return asprintf (&name, "%s.raw", export) == -1 ? NULL : name;
}

struct node *
node_add (struct tree *tree, const char *export)
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
  node->name = node_shown_name (export);
  if (node->export == NULL || node->name == NULL ||
      tsearch (node, &tree->by_name, compare_names) == NULL) {
    free_node (node);
    return NULL;
  }
  tree->node[tree->count++] = node;
  return node;
}

void
node_detach (struct tree *tree, struct node *node)
{
  tdelete (node, &tree->by_name, compare_names);
  node->detached = true;
}

/*--- Threads ------------------------------------------------------------*/

/* Those that the library starts must not be the ones to get the signals that
 * end the session: the main thread waits for them.
 */
static void
block_signals (sigset_t *old)
{
  sigset_t all;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, old);
}

static int
start_image (rawview_image *image, rawview_error *err)
{
  sigset_t old;
  int r;

  block_signals (&old);
  r = rawview_start (image, err);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  return r;
}

static int
make_writable (rawview_image *image, rawview_error *err)
{
  sigset_t old;
  int r;

  block_signals (&old);
  r = rawview_make_writable (image, err);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  return r;
}

/*--- Writing ------------------------------------------------------------*/

bool
tree_is_writable (const struct tree *tree)
{
  return tree->writing == TREE_IN_PLACE || tree->writing == TREE_OVERLAY;
}

/* Of a folder's image the log says why it cannot be written, when that shows
 * for the first time.
 */
static int
node_make_writable (struct tree *tree, struct node *node, rawview_image *image,
                    rawview_error *err)
{
  int r = make_writable (image, err);
  bool known;

  pthread_mutex_lock (&tree->lock);
  known = node->refuses;
  node->refuses = r == -1;
  pthread_mutex_unlock (&tree->lock);
  if (r == -1 && !known && tree->shape == TREE_FOLDER)
    log_line ("%s is read-only: %s", node->name, err->msg);
  return r;
}

/* Drops the last reference of the tree's. */
static void
end_image (struct tree *tree, rawview_image *image)
{
  rawview_error err;

  if (image != NULL && rawview_is_writable (image) &&
      rawview_finish (image, &err) == -1) {
    log_line ("%s", err.msg);
    pthread_mutex_lock (&tree->lock);
    tree->finish_failed = true;
    pthread_mutex_unlock (&tree->lock);
  }
  rawview_close (image);
}

void
tree_written (struct tree *tree, uint64_t ino)
{
  struct timespec now;
  struct node *node;

  clock_gettime (CLOCK_REALTIME, &now);
  pthread_mutex_lock (&tree->lock);
  node = node_find_by_ino (tree, ino);
  if (node != NULL)
    node->written = now;
  pthread_mutex_unlock (&tree->lock);
}

int
tree_finish (struct tree *tree)
{
  for (size_t i = 0; i < tree->count; i++) {
    end_image (tree, tree->node[i]->image);
    tree->node[i]->image = NULL;
  }
  return tree->finish_failed ? -1 : 0;
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

static bool
is_open (struct tree *tree, const struct node *node)
{
  bool open;

  pthread_mutex_lock (&tree->lock);
  open = node->opens > 0;
  pthread_mutex_unlock (&tree->lock);
  return open;
}

/* Opens the disk for a moment, to count its blocks and to see whether it can be
 * written.
 */
static uint64_t
look_at_disk (struct tree *tree, struct node *node)
{
  rawview_image *image;
  rawview_error err;
  uint64_t blocks;

  if (rawview_exports_open (tree->exports, node->export, &image, NULL) == -1)
    return 0;
  blocks = count_blocks (image);
  if (tree->writing == TREE_IN_PLACE && !is_open (tree, node)) {
    node_make_writable (tree, node, image, &err);
    end_image (tree, image);
  }
  else
    rawview_close (image);
  return blocks;
}

/* With overlays nothing is opened, because that would make one. */
static void
measure (struct tree *tree, struct node *node)
{
  uint64_t blocks = node->size / BLOCK_SIZE;

  if (tree->writing != TREE_OVERLAY && tree->writing != TREE_OVERLAY_SHOWN) {
    pthread_mutex_lock (&tree->handles);
    blocks = look_at_disk (tree, node);
    pthread_mutex_unlock (&tree->handles);
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

static struct timespec
later_of (struct timespec a, struct timespec b)
{
  return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec)
             ? a
             : b;
}

static void
fill_disk (const struct tree *tree, const struct node *node, struct stat *st)
{
  struct timespec mtime = later_of (node->mtime, node->written);

  *st = (struct stat){
    .st_ino = node->ino,
    .st_mode =
        S_IFREG | (tree_is_writable (tree) && !node->refuses ? 0644 : 0444),
    .st_nlink = 1,
    .st_uid = tree->uid,
    .st_gid = tree->gid,
    .st_size = (off_t) node->size,
    .st_blocks = (blkcnt_t) node->blocks,
    .st_atim = mtime,
    .st_mtim = mtime,
    .st_ctim = mtime,
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
  node = node_find_by_ino (tree, ino);
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
  node = node_find_by_name (tree, name);
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

  if (tree_is_fresh (tree))
    node = find_listed (tree, name);
  if (node == NULL) {
    int r = tree_rescan (tree);

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
  node = node_find_by_ino (tree, ino);
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
  node->blocks = count_blocks (fresh);
  *ours = true;
  return 0;
}

/* Opens the image of a node that nobody has open. */
static int
open_node (struct tree *tree, struct node *node, rawview_image **image,
           bool *same)
{
  rawview_image *fresh = NULL;
  rawview_error err;
  bool ours;
  int r;

  if (rawview_exports_open (tree->exports, node->export, &fresh, &err) == -1 ||
      start_image (fresh, &err) == -1) {
    rawview_close (fresh);
    if (err.errnum != ENOENT)
      log_request_error (err.msg);
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

/* For a reader. */
static int
open_for_reading (struct tree *tree, uint64_t ino, struct node **node,
                  rawview_image **image, bool *same)
{
  bool detached;
  int r;

  pthread_mutex_lock (&tree->lock);
  *node = node_find_by_ino (tree, ino);
  *same = *node != NULL && share_open (*node, image);
  detached = *node == NULL || (*node)->detached;
  pthread_mutex_unlock (&tree->lock);
  if (*same)
    return 0;
  if (detached)
    return ESTALE;

  pthread_mutex_lock (&tree->handles);
  r = open_node (tree, *node, image, same);
  pthread_mutex_unlock (&tree->handles);
  return r;
}

int
tree_open (struct tree *tree, uint64_t ino, bool writes, rawview_image **image,
           bool *same)
{
  struct node *node;
  rawview_error err;
  int r;

  if (ino == ROOT_INO && tree->shape != TREE_FILE)
    return EISDIR;
  /* Also after "mount -o remount,rw", which nobody asks us about. */
  if (writes && !tree_is_writable (tree))
    return EROFS;

  r = open_for_reading (tree, ino, &node, image, same);
  if (r != 0 || !writes || rawview_is_writable (*image))
    return r;
  if (node_make_writable (tree, node, *image, &err) == 0)
    return 0;
  tree_close (tree, ino);
  return EROFS;
}

void
tree_close (struct tree *tree, uint64_t ino)
{
  rawview_image *last = NULL;
  struct node *node;
  bool written;

  pthread_mutex_lock (&tree->handles);
  pthread_mutex_lock (&tree->lock);
  node = node_find_by_ino (tree, ino);
  if (--node->opens == 0) {
    last = node->image;
    node->image = NULL;
  }
  pthread_mutex_unlock (&tree->lock);
  written = last != NULL && rawview_is_writable (last);
  end_image (tree, last);
  pthread_mutex_unlock (&tree->handles);

  /* The set has a reference too, until it looks again; with that goes the
   * lock that keeps other writers out.
   */
  if (written)
    tree_rescan (tree);
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
    if (tree_is_writable (tree) &&
        node_make_writable (tree, node, node->image, err) == -1)
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
tree_new (enum tree_shape shape, enum tree_writing writing,
          rawview_exports *exports, struct tree **tree_out, rawview_error *err)
{
  struct tree *tree = calloc (1, sizeof *tree);

  if (tree == NULL)
    return error_nomem (err);
  tree->shape = shape;
  tree->writing = writing;
  tree->exports = exports;
  tree->uid = getuid ();
  tree->gid = getgid ();
  pthread_mutex_init (&tree->handles, NULL);
  pthread_mutex_init (&tree->scan, NULL);
  pthread_mutex_init (&tree->lock, NULL);

  if (tree_scan (tree, err) == -1 ||
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
  pthread_mutex_destroy (&tree->handles);
  pthread_mutex_destroy (&tree->scan);
  pthread_mutex_destroy (&tree->lock);
  free (tree);
}
