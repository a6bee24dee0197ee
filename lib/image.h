/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handle, and how open.c makes one. */

#ifndef RV_IMAGE_H
#define RV_IMAGE_H

#include <stdatomic.h>

#include "engine/engine.h"
#include "options.h"
#include "writable.h"

DEFINE_VECTOR (rv_layer_facts, struct rv_facts);

struct rawview_image {
  atomic_uint refs;
  struct rv_chain chain;       /* the image first, then its backing files */
  struct rv_layer_facts facts; /* one for each of the chain */
  struct rv_warnings warnings;
  struct rv_tables *tables;
  struct rv_engine *engine;
  struct rv_writing writing;
};

/* The image that the operator named, below its overlay if it has one. */
static inline struct rv_format *
rv_image_import (const struct rawview_image *image)
{
  return image->chain.ptr[image->writing.overlay ? 1 : 0];
}

/* RAWVIEW_ERROR_USAGE if it is not inside the disk. */
int rv_image_check_range (const struct rawview_image *image, uint64_t len,
                          uint64_t off, rawview_error *err);

/* One source of an image: a name, and where it is looked up. */
struct rv_source {
  const char *name;   /* path or URI; NULL with opts->fd */
  int dirfd;          /* for relative paths: AT_FDCWD or a folder's */
  const char *folder; /* NULL, or the absolute path of dirfd: name is one of the
                         files in it, opened beneath it */
  bool look;          /* only to see what it is: it will not be written */
  struct rv_strings *extents; /* NULL, or where to note the names of extents */
};

/* Opens the bytes of a source, not yet as an image. */
int rv_source_open (const struct rv_source *source, const rawview_options *opts,
                    struct rv_warnings *warnings, struct rv_io **io,
                    rawview_error *err);

/* Makes a handle of container, which came from source. */
int rv_image_open (struct rv_io *container, const struct rv_source *source,
                   const rawview_options *opts, struct rawview_image **image,
                   rawview_error *err);

#endif /* RV_IMAGE_H */
