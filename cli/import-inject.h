/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "rawview inject" as a process beside the one that copies; see
 * inject-contract.h.
 */

#ifndef CLI_IMPORT_INJECT_H
#define CLI_IMPORT_INJECT_H

#include "child.h"
#include "import.h"

struct injection {
  struct child child;
  bool started; /* and not ended, or nobody has looked */
  bool done;    /* with success */
  double percent;
  char *log;               /* of virt-v2v */
  bool is_ours;            /* nobody has asked for the log */
  const char *overlay_dir; /* its end tells what is in there */
  off_t heard;             /* how much of what it says */
  char line[512], words[512];
  size_t len; /* of a line that is not complete */
};

/* Is everything there that it needs?  Takes as long as looking at the disks. */
int injection_check (const struct import *im, rawview_error *err);

/* overlay_dir: a folder that is there and empty. */
int injection_start (struct injection *j, const struct import *im,
                     const char *overlay_dir, rawview_error *err);

/* Looks how far it is, and waits for nothing.  -1: it has failed. */
int injection_watch (struct injection *j, rawview_error *err);

/* Ends it, if it has not ended, and waits for that. */
void injection_stop (struct injection *j);

#endif /* CLI_IMPORT_INJECT_H */
