/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an image says is a fact about it.  What is opened is decided here. */

#ifndef RV_POLICY_H
#define RV_POLICY_H

#include "format/format.h"
#include "options.h"

/* Where the referring file lies. */
struct rv_base {
  int dirfd;  /* its folder, -1 if it has none: NBD, fd=, member of an OVA */
  char *path; /* the same, absolute; NULL if there is none */
};

void rv_base_release (struct rv_base *base);
int rv_base_dup (const struct rv_base *base, struct rv_base *copy,
                 rawview_error *err);

/* The folder of an operator's file name, below dirfd unless absolute. */
int rv_base_of (int dirfd, const char *name, struct rv_base *base,
                rawview_error *err);

/* A file that may be opened. */
struct rv_permit {
  /* Named by the operator: to be opened as he says, and no base of names. */
  const char *source; /* path or URI; NULL otherwise */

  /* Named by the image: to be opened below dirfd, following no link. */
  int dirfd;  /* owned */
  char *name; /* relative; owned */
  char *path; /* for messages and further bases; owned */
};

void rv_permit_release (struct rv_permit *permit);

/* The folder of a file that an image named and that is permitted. */
int rv_base_of_permit (const struct rv_permit *permit, struct rv_base *base,
                       rawview_error *err);

struct rv_policy {
  const rawview_options *opts;
  bool folder; /* the image is one of many in a folder */
};

/* What the reference is, in words for a message. */
const char *rv_policy_role_name (const struct rv_ref *ref);

/* May the reference of the image called image, at this depth of the chain, be
 * followed, and to where?  Opens folders at most.  RAWVIEW_ERROR_REFUSED names
 * image, reference and the option that would allow it.
 */
int rv_policy_judge (const struct rv_policy *policy, const char *image,
                     unsigned depth, const struct rv_base *base,
                     const struct rv_ref *ref, struct rv_permit *permit,
                     rawview_error *err);

#endif /* RV_POLICY_H */
