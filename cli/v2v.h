/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virt-v2v-in-place: found, asked what it can do, run, and understood. */

#ifndef CLI_V2V_H
#define CLI_V2V_H

#include "machine.h"

struct v2v_program {
  const char *path; /* or a name that is looked for on the path */
  unsigned major, minor;
  bool sockets; /* it takes NBD on Unix sockets and writes the guest's new
                   libvirt XML: since 2.12 */
};

/* RAWVIEW_VIRT_V2V_IN_PLACE names another program than the usual one. */
int v2v_find (struct v2v_program *program, rawview_error *err);

/* Bytes that it wants to be free where libguestfs keeps its appliance. */
#define V2V_SPACE (UINT64_C (1) << 30)

struct v2v_wishes {
  const struct v2v_program *program;
  const struct machine *machine;
  const char *const *disks;    /* a path per disk: files, or sockets if the
                                  program takes those */
  const struct cli_list *args; /* more for its command line */
  const struct cli_list *env;  /* "NAME=VALUE", more for its environment */
  const char *root;            /* which system of several */
  const char *dir;             /* private, for what it reads and writes */
  int log_fd;                  /* gets all that it says */
};

struct v2v;

int v2v_start (const struct v2v_wishes *wishes, struct v2v **v2v,
               rawview_error *err);

/* 1: it is still running; 0: the guest is converted; -1: *err says in its own
 * words why not.  Waits for nothing; relays to the log what it has said.
 */
int v2v_watch (struct v2v *v2v, rawview_error *err);

/* What it does now, "" at first, and a guess how much of all is done. */
const char *v2v_phase (const struct v2v *v2v);
unsigned v2v_percent (const struct v2v *v2v);

/* Ends it with all its processes if it still runs, and frees.  NULL is
 * allowed.
 */
void v2v_end (struct v2v *v2v);

/* The libvirt XML from which it learns of the guest and its disks, in a new
 * file.
 */
int v2v_write_xml (const char *path, const struct v2v_wishes *wishes,
                   rawview_error *err);

#endif /* CLI_V2V_H */
