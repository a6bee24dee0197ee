/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OVA: a tar archive (ustar or pax) with an OVF description and the disks,
 * which are read in place.
 */

#ifndef RV_OVA_H
#define RV_OVA_H

#include "format/tar.h"
#include "io/io.h"
#include "util/vector.h"
#include "util/warnings.h"

struct rv_ova_member {
  char *name;   /* as in the archive, printable, without leading "./" */
  uint64_t off; /* of its bytes in the archive */
  uint64_t len;
};

DEFINE_VECTOR (rv_ova_members, struct rv_ova_member);

/* Lists the disks: members called *.vmdk in any case, in archive order.
 * Refused: archives that are cut, whose disks are links, compressed or cut in
 * chunks, or have the same name.  Reads the member headers only.  *disks is
 * empty before the call, and after it if it fails.
 */
int rv_ova_disks (struct rv_io *io, struct rv_ova_members *disks,
                  struct rv_warnings *warnings, rawview_error *err);
void rv_ova_members_free (struct rv_ova_members *members);

/* The same for one member after the other: a disk is added, what cannot be read
 * is refused.  head: its first two bytes, or fewer if it has not as many.
 */
int rv_ova_look_at (const char *file, const struct rv_tar_member *m,
                    struct rv_view head, unsigned *nr_ovf,
                    struct rv_ova_members *disks, rawview_error *err);

/* Finds the OVF description, wherever it is: 1, ovf->name is the caller's to
 * free; 0 if there is none, -1 on error: two of them, or one that is not stored
 * as its bytes.  Reads the member headers only.
 */
int rv_ova_description (struct rv_io *io, struct rv_ova_member *ovf,
                        rawview_error *err);

/* Finds the disk that the option disk= means: a member's name, its last part if
 * only one ends so, or a number from 1 on.  NULL: the only disk.
 */
int rv_ova_choose (const struct rv_io *io, const struct rv_ova_members *disks,
                   const char *disk, size_t *index, rawview_error *err);

#endif /* RV_OVA_H */
