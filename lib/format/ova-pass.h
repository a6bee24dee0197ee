/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An OVA in one pass, as it comes out of a pipe: finds the disk that is meant,
 * and compares everything with the manifest, wherever that stands.
 */

#ifndef RV_OVA_PASS_H
#define RV_OVA_PASS_H

#include "format/ova-manifest.h"
#include "format/ova.h"
#include "format/tar.h"
#include "io/pipe.h"

/* What has passed, until there is a manifest to compare it with. */
struct rv_ova_passed {
  char *name;
  struct rv_digest_values values;
};

DEFINE_VECTOR (rv_ova_passed_list, struct rv_ova_passed);

struct rv_ova_pass {
  struct rv_pipe *pipe;
  struct rv_io *io; /* the same, for walk */
  struct rv_tar_walk walk;
  const char *disk; /* which is meant; NULL: the only one */
  unsigned nr_ovf;
  struct rv_ova_members disks; /* seen so far */
  char *chosen;                /* its name; NULL: not found yet */
  char *current;               /* name of the member that is being taken */
  bool has_manifest;
  struct rv_ova_manifest manifest;
  struct rv_ova_passed_list passed;
};

/* disk: as the option, must outlive the pass.  To be released in any case. */
int rv_ova_pass_init (struct rv_ova_pass *pass, struct rv_pipe *pipe,
                      const char *disk, rawview_error *err);
void rv_ova_pass_release (struct rv_ova_pass *pass);

/* Takes the pipe up to the disk's first byte.  The caller then takes exactly
 * *len bytes.  pass->chosen is its name.
 */
int rv_ova_pass_find (struct rv_ova_pass *pass, uint64_t *len,
                      rawview_error *err);

/* Takes the rest, up to the pipe's end, and verifies it. */
int rv_ova_pass_finish (struct rv_ova_pass *pass, rawview_error *err);

#endif /* RV_OVA_PASS_H */
