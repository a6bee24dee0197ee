/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks made visible to other programs as raw ones: files of rawviewfs, or
 * sockets of nbdkit.  One server per disk, each in its own process, in a
 * private folder (0700) that goes away with them.
 *
 * The servers end when this process does, however it ends (PR_SET_PDEATHSIG),
 * and leave no mount behind.
 */

#ifndef CLI_EXPOSE_H
#define CLI_EXPOSE_H

#include "cli.h"

enum expose_how {
  EXPOSE_FILES,   /* rawviewfs: what any program can open */
  EXPOSE_SOCKETS, /* nbdkit: one unix socket each, the default export */
};

struct expose_disk {
  const char *source;              /* as rawview_open takes it */
  const struct cli_list *options;  /* "NAME=VALUE" each, NULL: none */
  const struct cli_list *options2; /* more, which count before these */
  const char *overlay; /* absolute; made if not there.  NULL: read-only */
};

struct expose;

/* Returns when all can be used; or when a signal that asks us to end is
 * pending, blocked, which then stays so.  The thread that calls it must outlive
 * the servers.  What a server says on stderr goes to log_fd, -1: to ours; if
 * one fails its own sentence is in *err.
 */
int expose_start (const struct expose_disk *disks, size_t n,
                  enum expose_how how, int log_fd, struct expose **expose,
                  rawview_error *err);

/* The absolute path of the i-th disk's file or socket. */
const char *expose_path (const struct expose *expose, size_t i);

/* Are all servers alive?  If not, *err says which one ended and what it said
 * last.
 */
int expose_check (struct expose *expose, rawview_error *err);

/* Ends the servers, waits for their last flush and for their exit, and frees.
 * -1 if any of them ended badly, or had ended before: what was written may not
 * be durable then.  NULL is allowed and does nothing.
 */
int expose_stop (struct expose *expose, rawview_error *err);

#endif /* CLI_EXPOSE_H */
