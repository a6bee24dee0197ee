/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The checksums that the files of a cache must have: those of the user's own
 * list if there is one, otherwise of SHA256SUMS beside the files, which comes
 * by https.
 *
 * The user's list says what is wanted, so a file that has its checksum is never
 * old, and one that has not is as good as none.  The other one tells a broken
 * download, and whether an old file has to be fetched again.
 */

#ifndef CLI_TOOLS_SUMS_H
#define CLI_TOOLS_SUMS_H

#include "checksum.h"
#include "tools-config.h"

/* All but config is zero at first. */
struct tools_sums {
  const struct tools_config *config;
  char *text; /* NULL: nobody has needed them yet */
  char *name; /* where they are from */
};

/* Both load the checksums when they are first called, which may download. */
int tools_sums_find (struct tools_sums *sums, const char *name,
                     struct checksum *sum, rawview_error *err);

/* Has the open file the checksum of this name?  1: yes.  0: no, *err says so.
 * -1: that is not known, *err says why.
 */
int tools_sums_verify (struct tools_sums *sums, int fd, const char *name,
                       rawview_error *err);

void tools_sums_clear (struct tools_sums *sums);

#endif /* CLI_TOOLS_SUMS_H */
