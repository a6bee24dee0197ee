/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answers to the kernel's requests, in the order in which a reader meets
 * them; the table is at the bottom, those that write are in ops-write.c.
 *
 * What is missing there is missing on purpose:
 *   forget                       nodes live as long as the mount, see tree.c
 *   create                       the kernel then tries mknod, which is refused
 *   getxattr, listxattr          answered once with ENOSYS, after which the
 *                                kernel itself says "not supported"
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "ops-internal.h"

#define PAGE 4096

/* Buffers of OPS_MAX_READ bytes, kept for the next request: fresh memory of
 * that size would cost as many page faults as the read itself.  There are never
 * more than requests were answered at the same time.
 */
struct buffer {
  struct buffer *next; /* while it is free */
};

struct ops {
  struct tree *tree;
  pthread_mutex_t lock; /* over free_buffers */
  struct buffer *free_buffers;
};

struct ops *
ops_new (struct tree *tree)
{
  struct ops *ops = calloc (1, sizeof *ops);

  if (ops == NULL)
    return NULL;
  ops->tree = tree;
  pthread_mutex_init (&ops->lock, NULL);
  return ops;
}

void
ops_free (struct ops *ops)
{
  struct buffer *buffer;

  if (ops == NULL)
    return;
  while ((buffer = ops->free_buffers) != NULL) {
    ops->free_buffers = buffer->next;
    free (buffer);
  }
  pthread_mutex_destroy (&ops->lock);
  free (ops);
}

static void *
get_buffer (struct ops *ops)
{
  struct buffer *buffer;

  pthread_mutex_lock (&ops->lock);
  buffer = ops->free_buffers;
  if (buffer != NULL)
    ops->free_buffers = buffer->next;
  pthread_mutex_unlock (&ops->lock);
  return buffer ? buffer : aligned_alloc (PAGE, OPS_MAX_READ);
}

static void
put_buffer (struct ops *ops, void *memory)
{
  struct buffer *buffer = memory;

  pthread_mutex_lock (&ops->lock);
  buffer->next = ops->free_buffers;
  ops->free_buffers = buffer;
  pthread_mutex_unlock (&ops->lock);
}

struct tree *
ops_tree_of (fuse_req_t req)
{
  return ((struct ops *) fuse_req_userdata (req))->tree;
}

/*--- The session --------------------------------------------------------*/

/* Reads in parallel (FUSE_CAP_ASYNC_READ, _ASYNC_DIO) are libfuse's default.
 * The writeback cache is not, and would hide data from SEEK_DATA.  Splicing
 * does not help: the bytes come from memory, and one copy is needed anyway.
 */
static void
do_init (void *userdata, struct fuse_conn_info *conn)
{
  conn->max_read = OPS_MAX_READ;
  /* The kernel takes the smaller one of this and its own read_ahead_kb. */
  conn->max_readahead = OPS_MAX_READ;
  /* O_TRUNC must come as a setattr, which is refused. */
  conn->want &= ~FUSE_CAP_ATOMIC_O_TRUNC;
  /* Every write changes the time of modification, and nobody but us changes
   * what a node shows: no reason to drop the page cache.
   */
  if (tree_is_writable (((struct ops *) userdata)->tree))
    conn->want &= ~FUSE_CAP_AUTO_INVAL_DATA;
}

/*--- Names --------------------------------------------------------------*/

static void
do_lookup (fuse_req_t req, fuse_ino_t parent, const char *name)
{
  struct tree *tree = ops_tree_of (req);
  struct fuse_entry_param entry = {
    .attr_timeout = tree_timeout (tree),
    .entry_timeout = tree_timeout (tree),
  };
  int r = tree_lookup (tree, parent, name, &entry.attr);

  if (r != 0) {
    fuse_reply_err (req, r);
    return;
  }
  entry.ino = entry.attr.st_ino;
  fuse_reply_entry (req, &entry);
}

static void
do_getattr (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  struct tree *tree = ops_tree_of (req);
  struct stat st;
  int r = tree_stat (tree, ino, &st);

  if (r != 0)
    fuse_reply_err (req, r);
  else
    fuse_reply_attr (req, &st, tree_timeout (tree));
}

static void
do_access (fuse_req_t req, fuse_ino_t ino, int mask)
{
  struct stat st;
  int r = tree_stat (ops_tree_of (req), ino, &st);

  if (r == 0 && (mask & W_OK) && !(st.st_mode & S_IWUSR))
    r = EROFS;
  if (r == 0 && (mask & X_OK) && S_ISREG (st.st_mode))
    r = EACCES;
  fuse_reply_err (req, r);
}

static void
do_opendir (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  struct tree_listing *listing;
  int r = tree_list (ops_tree_of (req), &listing);

  if (r != 0) {
    fuse_reply_err (req, r);
    return;
  }
  fi->fh = (uintptr_t) listing;
  if (fuse_reply_open (req, fi) == -ENOENT)
    free (listing); /* interrupted: there will be no releasedir */
}

/* One entry of a folder: its place i counts ".", "..", then the disks.  Returns
 * the bytes that it takes, which may be more than there is room for; 0 for a
 * disk that has gone since.
 */
static size_t
add_entry (fuse_req_t req, const struct tree_listing *listing, size_t i,
           bool plus, char *buf, size_t room)
{
  struct tree *tree = ops_tree_of (req);
  struct fuse_entry_param entry = {
    .attr_timeout = tree_timeout (tree),
    .entry_timeout = tree_timeout (tree),
  };
  const char *name;

  if (i < 2) {
    name = i == 0 ? "." : "..";
    entry.attr.st_ino = FUSE_ROOT_ID;
    entry.attr.st_mode = S_IFDIR;
    /* entry.ino 0: the kernel does not take these for looked up */
  }
  else {
    uint64_t ino = listing->ino[i - 2];

    name = tree_name (tree, ino);
    entry.attr.st_ino = ino;
    entry.attr.st_mode = S_IFREG;
    if (plus) {
      if (tree_stat (tree, ino, &entry.attr) != 0)
        return 0;
      entry.ino = ino;
    }
  }
  if (plus)
    return fuse_add_direntry_plus (req, buf, room, name, &entry, (off_t) i + 1);
  return fuse_add_direntry (req, buf, room, name, &entry.attr, (off_t) i + 1);
}

static void
reply_entries (fuse_req_t req, size_t size, off_t off,
               const struct fuse_file_info *fi, bool plus)
{
  const struct tree_listing *listing =
      (const struct tree_listing *) (uintptr_t) fi->fh;
  char *buf = malloc (size);
  size_t used = 0;

  if (buf == NULL) {
    fuse_reply_err (req, ENOMEM);
    return;
  }
  for (size_t i = (size_t) off; i < listing->count + 2; i++) {
    size_t n = add_entry (req, listing, i, plus, buf + used, size - used);

    if (n > size - used)
      break;
    used += n;
  }
  fuse_reply_buf (req, buf, used);
  free (buf);
}

static void
do_readdir (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
            struct fuse_file_info *fi)
{
  reply_entries (req, size, off, fi, false);
}

static void
do_readdirplus (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                struct fuse_file_info *fi)
{
  reply_entries (req, size, off, fi, true);
}

static void
do_releasedir (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  free ((void *) (uintptr_t) fi->fh);
  fuse_reply_err (req, 0);
}

static void
do_statfs (fuse_req_t req, fuse_ino_t ino)
{
  struct statvfs stv;

  tree_statfs (ops_tree_of (req), &stv);
  fuse_reply_statfs (req, &stv);
}

/*--- Disks --------------------------------------------------------------*/

static rawview_image *
image_of (const struct fuse_file_info *fi)
{
  return ops_disk_of (fi)->image;
}

static void
close_disk (struct tree *tree, fuse_ino_t ino, struct open_disk *disk)
{
  tree_close (tree, ino);
  free (disk);
}

static int
open_disk (struct tree *tree, fuse_ino_t ino, struct open_disk *disk,
           bool *same, int flags)
{
  disk->writes = (flags & O_ACCMODE) != O_RDONLY;
  /* The kernel asks this of setattr, but may come to do it here. */
  if (flags & O_TRUNC)
    return EPERM;
  return tree_open (tree, ino, disk->writes, &disk->image, same);
}

static void
do_open (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  struct tree *tree = ops_tree_of (req);
  struct open_disk *disk = malloc (sizeof *disk);
  bool same = false;
  int r = disk != NULL ? open_disk (tree, ino, disk, &same, fi->flags) : ENOMEM;

  if (r != 0) {
    free (disk);
    fuse_reply_err (req, r);
    return;
  }
  fi->fh = (uintptr_t) disk;
  fi->keep_cache = same;
  if (fuse_reply_open (req, fi) == -ENOENT)
    close_disk (tree, ino, disk); /* interrupted: there will be no release */
}

static void
do_read (fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
         struct fuse_file_info *fi)
{
  struct ops *ops = fuse_req_userdata (req);
  rawview_image *image = image_of (fi);
  uint64_t disk_size = rawview_get_size (image);
  uint64_t start = (uint64_t) off;
  rawview_error err;
  void *buf;

  if (start >= disk_size || size == 0) {
    fuse_reply_buf (req, NULL, 0);
    return;
  }
  if (size > disk_size - start)
    size = disk_size - start;
  if (size > OPS_MAX_READ) {
    fuse_reply_err (req, EINVAL); /* the kernel has agreed not to */
    return;
  }

  buf = get_buffer (ops);
  if (buf == NULL) {
    fuse_reply_err (req, ENOMEM);
    return;
  }
  if (rawview_pread (image, buf, size, start, &err) == -1) {
    log_request_error (err.msg);
    fuse_reply_err (req, err.errnum);
  }
  else
    fuse_reply_buf (req, buf, size);
  put_buffer (ops, buf);
}

/* The walk of one lseek: the first place that is, or is not, all zeros. */
struct seek {
  uint64_t off; /* so far */
  bool want_zero;
  bool found;
};

static int
seek_extent (void *opaque, const rawview_extent *extent)
{
  struct seek *seek = opaque;

  if (extent->zero == seek->want_zero) {
    seek->found = true;
    return 1;
  }
  seek->off = extent->off + extent->len;
  return 0;
}

/* SEEK_DATA and SEEK_HOLE; the kernel answers the others itself.  Only what
 * reads as zeros is called a hole.  What cannot be mapped is called data, so
 * that damage shows when it is read and not as a disk without content.
 */
static void
do_lseek (fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
          struct fuse_file_info *fi)
{
  rawview_image *image = image_of (fi);
  uint64_t disk_size = rawview_get_size (image);
  struct seek seek = { .off = (uint64_t) off,
                       .want_zero = whence == SEEK_HOLE };

  if (whence != SEEK_DATA && whence != SEEK_HOLE) {
    fuse_reply_err (req, EINVAL);
    return;
  }
  if (off < 0 || seek.off >= disk_size) {
    fuse_reply_err (req, ENXIO);
    return;
  }

  while (!seek.found && seek.off < disk_size) {
    if (fuse_req_interrupted (req)) {
      fuse_reply_err (req, EINTR);
      return;
    }
    if (rawview_extents (image, disk_size - seek.off, seek.off, 0, seek_extent,
                         &seek, NULL) == -1) {
      if (seek.want_zero)
        seek.off = disk_size;
      break;
    }
  }

  if (whence == SEEK_DATA && seek.off >= disk_size)
    fuse_reply_err (req, ENXIO);
  else
    fuse_reply_lseek (req, (off_t) seek.off);
}

static void
do_release (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  struct open_disk *disk = (struct open_disk *) (uintptr_t) fi->fh;

  /* Pages of a mapping that outlived close(2) come after its FLUSH.  Nobody
   * waits for the answer: an error goes to the log.
   */
  ops_flush_disk (disk);
  close_disk (ops_tree_of (req), ino, disk);
  fuse_reply_err (req, 0);
}

const struct fuse_lowlevel_ops ops_table = {
  .init = do_init,
  .lookup = do_lookup,
  .getattr = do_getattr,
  .access = do_access,
  .opendir = do_opendir,
  .readdir = do_readdir,
  .readdirplus = do_readdirplus,
  .releasedir = do_releasedir,
  .statfs = do_statfs,
  .open = do_open,
  .read = do_read,
  .lseek = do_lseek,
  .write = ops_write,
  .fallocate = ops_fallocate,
  .fsync = ops_fsync,
  .flush = ops_flush,
  .release = do_release,
  .setattr = ops_setattr,
  .mknod = ops_refuse_mknod,
  .mkdir = ops_refuse_mkdir,
  .unlink = ops_refuse_unlink,
  .rmdir = ops_refuse_unlink,
  .symlink = ops_refuse_symlink,
  .rename = ops_refuse_rename,
  .link = ops_refuse_link,
};
