/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where imported disks go: files, block devices, NBD servers and libvirt's
 * volumes.
 */

#ifndef CLI_DEST_H
#define CLI_DEST_H

#include "copy.h"
#include "machine.h"

enum dest_kind {
  DEST_FILE,
  DEST_BLOCK,
  DEST_NBD,
  DEST_VOLUME, /* of libvirt: a file or block device behind a name */
};

struct dest {
  enum dest_kind kind;
  char *where;        /* an absolute path, a URI, or "POOL/VOLUME" */
  char *path;         /* what is opened: of a volume NULL until it is known */
  const char *format; /* "raw", "qcow2"; NULL: nobody has said */
  bool preallocated;
  bool exists;   /* was there when dest_look came by */
  bool used;     /* and is a file with something in it */
  bool is_new;   /* a volume that was made for us, empty but not of size 0 */
  uint64_t size; /* of what is there and cannot grow, 0: not known */
  int fd;        /* open already, as its user may not open it, -1: not */
};

struct dests {
  struct dest *items;
  size_t n;
};

/* What --to and --allocation said, as many as there were.  Nothing is looked
 * at but whether a name is a folder or a device.
 */
int dests_parse (const struct cli_list *to, const char *allocation,
                 struct dests *dests, rawview_error *err);

/* One for each disk of the machine, in its order: a folder becomes a file for
 * each.  formats: what each gets if neither the user nor the name's suffix says
 * something else, NULL: raw.  as_is: all are raw, and names keep their suffix.
 */
int dests_assign (struct dests *dests, const struct machine *machine,
                  const char *const *formats, bool as_is, rawview_error *err);

void dests_clear (struct dests *dests);

/* Looks at what is there, and refuses what will not do for a disk of this many
 * bytes.  Changes nothing.
 */
int dest_look (struct dest *d, uint64_t size, bool force, rawview_error *err);

/* Opens block devices now, for who gives up privileges afterwards. */
int dest_open_early (struct dest *d, rawview_error *err);

/* As copy_file_open and the others; path is known. */
struct copy_target *dest_open (struct dest *d,
                               const struct copy_target_options *options,
                               rawview_error *err);

/* "raw file", "qcow2 file", "block device", ... */
const char *dest_describe (const struct dest *d);

#endif /* CLI_DEST_H */
