/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libnbd, loaded when the first NBD URI is opened.
 *
 * It brings half a dozen libraries with it, one of them of 30 MB, and loading
 * them would take longer than all else that opening a file does.  So librawview
 * is not linked with it: its functions are called through a table, and those
 * alone that are listed here.
 */

#ifndef RV_LIBNBD_LAZY_H
#define RV_LIBNBD_LAZY_H

#include <libnbd.h>

#include <rawview.h>

/* The functions, without their nbd_. */
#define RV_LIBNBD_FUNCTIONS(X) \
  X (add_meta_context) \
  X (aio_connect_uri) \
  X (aio_disconnect) \
  X (aio_is_connecting) \
  X (aio_is_ready) \
  X (block_status) \
  X (can_meta_context) \
  X (close) \
  X (create) \
  X (get_block_size) \
  X (get_errno) \
  X (get_error) \
  X (get_size) \
  X (get_strict_mode) \
  X (poll) \
  X (pread) \
  X (set_strict_mode) \
  X (set_uri_allow_local_file) \
  X (set_uri_allow_transports)

/* Their types are those of <libnbd.h>. */
struct rv_libnbd {
#define RV_LIBNBD_POINTER(name) __typeof__ (nbd_##name) *name;
  RV_LIBNBD_FUNCTIONS (RV_LIBNBD_POINTER)
#undef RV_LIBNBD_POINTER
};

/* Loads libnbd, unless it is there, and fills the table.  May be called by any
 * thread at any time.  The library stays until the process ends, since threads
 * keep data of it, so nothing is to be released.  Without a library that has
 * them all it is RAWVIEW_ERROR_UNSUPPORTED.
 */
int rv_libnbd_load (struct rv_libnbd *nbd, rawview_error *err);

#endif /* RV_LIBNBD_LAZY_H */
