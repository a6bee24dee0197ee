/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's disks shown to virt-v2v-in-place, each in an overlay, until it is
 * done with them.
 */

#ifndef CLI_INJECT_H
#define CLI_INJECT_H

#include <signal.h>

#include "inject-progress.h"
#include "source.h"
#include "v2v.h"

struct inject {
  struct source *source;         /* open, and watched meanwhile */
  const struct cli_list *passed; /* the user's image options */
  const struct v2v_program *program;
  char *const *overlays;       /* a path per disk, none of which is there */
  const struct cli_list *args; /* the user's, for virt-v2v */
  const struct cli_list *keys; /* "--key", "DEVICE:file:PATH"; NULL */
  const struct cli_list *env;  /* for virt-v2v */
  const char *root;
  bool no_guest_agent;
  int log_fd;
  const sigset_t *signals; /* that end it; they are blocked */
  struct inject_progress *progress;
  int signum; /* the one that has ended it; 0 */
};

/* Returns when the overlays are complete and durable, and nobody has them open.
 * On failure, or at a signal, they may be there in any state.  In both cases no
 * process is left that was started here.
 */
int inject_run (struct inject *inject, rawview_error *err);

#endif /* CLI_INJECT_H */
