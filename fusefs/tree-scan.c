/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From what the set of disks says to the tree's listing. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "log.h"
#include "tree-internal.h"

/* What the set said, before it becomes the tree's. */
struct found {
  bool out_of_memory; /* a walk that is ended early is no error to the set */
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
      return found->out_of_memory = true;
    found->disk = disk;
    found->space = space;
  }
  disk = &found->disk[found->count];
  disk->export = strdup (e->name);
  if (disk->export == NULL)
    return found->out_of_memory = true;
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
    node_detach (tree, node);
    node = NULL;
  }
  if (node == NULL) {
    node = node_add (tree, disk->export);
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

/* Makes what was found the tree's listing; false when out of memory. */
static bool
merge (struct tree *tree, const struct found *found)
{
  struct tree_listing *listing =
      malloc (sizeof *listing + found->count * sizeof listing->ino[0]);

  if (listing == NULL)
    return false;
  listing->count = 0;

  for (size_t i = 0; i < tree->count; i++)
    tree->node[i]->listed = false;

  for (size_t i = 0; i < found->count; i++) {
    char *name = node_shown_name (found->disk[i].export);
    struct node *node = name ? node_find_by_name (tree, name) : NULL;

    free (name);
    if (node != NULL && node->listed)
      continue; /* "a:b" is a file, and b a member of the OVA a */
    node = update_node (tree, node, &found->disk[i]);
    if (node == NULL) {
      free (listing);
      return false;
    }
    node->listed = true;
    listing->ino[listing->count++] = node->ino;
  }

  if (!same_listing (tree->listing, listing))
    clock_gettime (CLOCK_REALTIME, &tree->root_mtime);
  free (tree->listing);
  tree->listing = listing;
  clock_gettime (CLOCK_MONOTONIC, &tree->listed_at);
  return true;
}

int
tree_scan (struct tree *tree, rawview_error *err)
{
  struct found found = { 0 };
  int r;

  pthread_mutex_lock (&tree->scan);
  r = rawview_exports_list (tree->exports, collect, &found, err);
  if (r == 0) {
    pthread_mutex_lock (&tree->lock);
    if (found.out_of_memory || !merge (tree, &found))
      r = error_nomem (err);
    pthread_mutex_unlock (&tree->lock);
  }
  pthread_mutex_unlock (&tree->scan);
  free_found (&found);
  return r;
}

bool
tree_is_fresh (struct tree *tree)
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

int
tree_rescan (struct tree *tree)
{
  rawview_error err;

  if (tree->shape != TREE_FOLDER || tree_scan (tree, &err) == 0)
    return 0;
  log_request_error (err.msg);
  return err.errnum;
}

int
tree_list (struct tree *tree, struct tree_listing **listing)
{
  int r = tree_rescan (tree);
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
