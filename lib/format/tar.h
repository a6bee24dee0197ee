/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tar: one member after the other.  (POSIX pax and ustar; GNU's long names and
 * base-256 sizes)
 */

#ifndef RV_TAR_H
#define RV_TAR_H

#include "io/io.h"
#include "util/bytes.h"

#define RV_TAR_BLOCK 512u

struct rv_tar_header {
  char type;      /* '0' a file, '5' a folder, '1' and '2' links, ... */
  uint64_t size;  /* bytes that follow, padded to RV_TAR_BLOCK */
  char name[257]; /* prefix, slash and name */
};

/* One header block, which is not all zeros.  Returns NULL or what is wrong. */
const char *rv_tar_header_parse (const uint8_t block[RV_TAR_BLOCK],
                                 struct rv_tar_header *header);

/* Looks up key in pax records; *value is not terminated.  Returns NULL or what
 * is wrong with the records; value->p is NULL if the key is not there.
 */
const char *rv_tar_pax_find (struct rv_view records, const char *key,
                             struct rv_view *value);

struct rv_tar_walk {
  struct rv_io *io;
  uint64_t next;    /* where the next header is */
  unsigned entries; /* headers seen */
  bool ended;       /* with a mark, not just because the file did */
};

struct rv_tar_member {
  char type;
  char *name;   /* owned by the caller */
  uint64_t off; /* of its bytes */
  uint64_t len;
  bool sparse; /* stored with holes left out: not its real bytes */
};

/* The next member: 1, at the end of the archive 0, or -1. */
int rv_tar_next (struct rv_tar_walk *walk, struct rv_tar_member *member,
                 rawview_error *err);

#endif /* RV_TAR_H */
