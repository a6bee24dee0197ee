/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What io-file.c, which opens and reads, and io-file-write.c share. */

#ifndef RV_IO_FILE_H
#define RV_IO_FILE_H

#include "io/io.h"

struct rv_file_io {
  struct rv_io base;
  int fd;
  bool locked;             /* are QEMU's locks held? */
  bool locked_for_writing; /* are they a writer's? */
};

static inline struct rv_file_io *
rv_file_io (struct rv_io *io)
{
  return (struct rv_file_io *) io;
}

/* Of the vtable. */
int rv_file_pwrite (struct rv_io *io, const void *buf, size_t len, uint64_t off,
                    rawview_error *err);
int rv_file_zero (struct rv_io *io, uint64_t off, uint64_t len, unsigned flags,
                  rawview_error *err);
int rv_file_sync (struct rv_io *io, rawview_error *err);

#endif /* RV_IO_FILE_H */
