/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answers to requests that change something.
 *
 * A disk has its size for ever, so it behaves as a block device does rather
 * than as a file: a write at its end fails with ENOSPC, one across it is cut
 * short, and it cannot be truncated.
 *
 * The kernel has no writeback cache here, so every write(2) comes at once, and
 * its page cache agrees with us.  Dirty pages there come from mmap alone, and
 * the kernel writes them before it sends FSYNC or FLUSH.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "log.h"
#include "ops-internal.h"

static void
reply_error (fuse_req_t req, const rawview_error *err)
{
  log_request_error (err->msg);
  fuse_reply_err (req, err->errnum);
}

void
ops_write (fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
           off_t off, struct fuse_file_info *fi)
{
  rawview_image *image = ops_disk_of (fi)->image;
  uint64_t disk_size = rawview_get_size (image);
  uint64_t start = (uint64_t) off;
  rawview_error err;

  if (start >= disk_size && size > 0) {
    fuse_reply_err (req, ENOSPC);
    return;
  }
  if (size > disk_size - start)
    size = disk_size - start;
  if (rawview_pwrite (image, buf, size, start, &err) == -1) {
    reply_error (req, &err);
    return;
  }
  tree_written (ops_tree_of (req), ino);
  fuse_reply_write (req, size);
}

/* Of the modes of fallocate(2) those that write zeros.  There is no promise
 * that later writes find space, so what asks for one is not supported.
 */
void
ops_fallocate (fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
               struct fuse_file_info *fi)
{
  rawview_image *image = ops_disk_of (fi)->image;
  uint64_t disk_size = rawview_get_size (image);
  uint64_t start = (uint64_t) off, n = (uint64_t) len;
  unsigned flags = 0;
  rawview_error err;

  if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
    flags = RAWVIEW_ZERO_MAY_TRIM;
  else if ((mode & ~FALLOC_FL_KEEP_SIZE) != FALLOC_FL_ZERO_RANGE) {
    fuse_reply_err (req, EOPNOTSUPP);
    return;
  }
  if (start > disk_size || n > disk_size - start) {
    if (!(mode & FALLOC_FL_KEEP_SIZE)) {
      fuse_reply_err (req, ENOSPC);
      return;
    }
    n = start < disk_size ? disk_size - start : 0;
  }
  if (n > 0 && rawview_zero (image, n, start, flags, &err) == -1) {
    reply_error (req, &err);
    return;
  }
  tree_written (ops_tree_of (req), ino);
  fuse_reply_err (req, 0);
}

static int
flush (rawview_image *image)
{
  rawview_error err;

  if (rawview_flush (image, &err) == 0)
    return 0;
  log_request_error (err.msg);
  return err.errnum;
}

int
ops_flush_disk (const struct open_disk *disk)
{
  return disk->writes ? flush (disk->image) : 0;
}

/* close(2): the last chance to tell of an error. */
void
ops_flush (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  fuse_reply_err (req, ops_flush_disk (ops_disk_of (fi)));
}

/* Also for who has opened it for reading: "sync FILE" does. */
void
ops_fsync (fuse_req_t req, fuse_ino_t ino, int datasync,
           struct fuse_file_info *fi)
{
  fuse_reply_err (req, flush (ops_disk_of (fi)->image));
}

/*--- Attributes and names: they are not the user's to change ------------*/

/* Times are accepted and forgotten: programs that copy set them, and their
 * truth is the image's.
 */
void
ops_setattr (fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
             struct fuse_file_info *fi)
{
  const int size = FUSE_SET_ATTR_SIZE;
  const int forbidden =
      FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;
  struct tree *tree = ops_tree_of (req);
  struct stat st;
  int r = tree_stat (tree, ino, &st);

  if (r == 0 && !tree_is_writable (tree))
    r = EROFS;
  if (r == 0 && ((to_set & forbidden) != 0 ||
                 ((to_set & size) != 0 && attr->st_size != st.st_size)))
    r = EPERM;
  if (r != 0)
    fuse_reply_err (req, r);
  else
    fuse_reply_attr (req, &st, tree_timeout (tree));
}

static void
refuse (fuse_req_t req)
{
  fuse_reply_err (req, tree_is_writable (ops_tree_of (req)) ? EPERM : EROFS);
}

void
ops_refuse_mknod (fuse_req_t req, fuse_ino_t parent, const char *name,
                  mode_t mode, dev_t rdev)
{
  refuse (req);
}

void
ops_refuse_mkdir (fuse_req_t req, fuse_ino_t parent, const char *name,
                  mode_t mode)
{
  refuse (req);
}

void
ops_refuse_unlink (fuse_req_t req, fuse_ino_t parent, const char *name)
{
  refuse (req);
}

void
ops_refuse_symlink (fuse_req_t req, const char *target, fuse_ino_t parent,
                    const char *name)
{
  refuse (req);
}

void
ops_refuse_rename (fuse_req_t req, fuse_ino_t parent, const char *name,
                   fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
  refuse (req);
}

void
ops_refuse_link (fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent,
                 const char *new_name)
{
  refuse (req);
}
