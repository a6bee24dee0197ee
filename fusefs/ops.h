/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answers to the kernel's requests. */

#ifndef RAWVIEWFS_OPS_H
#define RAWVIEWFS_OPS_H

#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>

#include "tree.h"

/* The largest read that the kernel sends, in bytes: it has to be told both in
 * the mount option max_read and when the session starts.
 */
#define OPS_MAX_READ      1048576
#define OPS_MAX_READ_TEXT "1048576"

struct ops;

/* NULL when out of memory.  The tree must outlive it. */
struct ops *ops_new (struct tree *tree);
void ops_free (struct ops *ops);

/* The table for fuse_session_new, whose userdata is a struct ops. */
extern const struct fuse_lowlevel_ops ops_table;

#endif /* RAWVIEWFS_OPS_H */
