/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of the answers, for ops.c and ops-write.c. */

#ifndef RAWVIEWFS_OPS_INTERNAL_H
#define RAWVIEWFS_OPS_INTERNAL_H

#include "ops.h"

/* One open(2) of a disk, whose address is fi->fh. */
struct open_disk {
  rawview_image *image;
  bool writes;
};

static inline const struct open_disk *
ops_disk_of (const struct fuse_file_info *fi)
{
  return (const struct open_disk *) (uintptr_t) fi->fh;
}

/* The tree of the session. */
struct tree *ops_tree_of (fuse_req_t req);

/* In ops-write.c */
void ops_write (fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
                off_t off, struct fuse_file_info *fi);
void ops_fallocate (fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
                    off_t len, struct fuse_file_info *fi);
void ops_flush (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_fsync (fuse_req_t req, fuse_ino_t ino, int datasync,
                struct fuse_file_info *fi);
void ops_setattr (fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                  struct fuse_file_info *fi);
void ops_refuse_mknod (fuse_req_t req, fuse_ino_t parent, const char *name,
                       mode_t mode, dev_t rdev);
void ops_refuse_mkdir (fuse_req_t req, fuse_ino_t parent, const char *name,
                       mode_t mode);
void ops_refuse_unlink (fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_refuse_symlink (fuse_req_t req, const char *target, fuse_ino_t parent,
                         const char *name);
void ops_refuse_rename (fuse_req_t req, fuse_ino_t parent, const char *name,
                        fuse_ino_t new_parent, const char *new_name,
                        unsigned flags);
void ops_refuse_link (fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent,
                      const char *new_name);

/* Makes durable what was written through this open file; returns 0 or an errno
 * value, after a line in the log.
 */
int ops_flush_disk (const struct open_disk *disk);

#endif /* RAWVIEWFS_OPS_INTERNAL_H */
