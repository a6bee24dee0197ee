/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview serve, inside. */

#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "cli.h"

/* The options of the command. */
struct serve_values {
  bool daemon, libvirt_xml, read_only, rw, tls_verify_peer, verbose;
  const char *ipaddr, *pid_file, *run, *selinux_label, *socket, *tls;
  const char *tls_certificates, *tls_psk;
  struct cli_list filters, names, nbdkit;
  unsigned port, threads;
};

/* What there is to serve, found by opening it once. */
struct serve_exports {
  struct cli_list names;
  size_t *counts; /* of the names that the sources up to this one have */
  bool writes;    /* may clients write? */
  bool *readonly; /* if so: not to this one, see its name */
};

bool serve_is_folder (const char *source);

/* What the user calls the i-th source, or NULL. */
const char *serve_given_name (const struct cli_args *args, size_t i);

/* Where the server listens. */
struct serve_address {
  const char *socket; /* absolute path, NULL for TCP */
  const char *host;
  unsigned port;
  bool tls; /* clients have to use it */
};

/* A line with the URI of the export, or its libvirt <disk> element; i counts
 * the exports from 0.
 */
void serve_print_uri (const struct serve_address *a, const char *name);
void serve_print_disk (const struct serve_address *a, const char *name,
                       bool readonly, size_t i);

/* The files that belong to a server, in a directory of our own (0700) unless
 * the user says where.
 */
struct serve_place {
  char *dir;      /* NULL if none was needed */
  char *socket;   /* absolute path, NULL for TCP */
  char *pid_file; /* NULL if nobody waits for it */
};

struct serve_wishes {
  const char *socket;   /* NULL: in the directory, unless tcp */
  const char *pid_file; /* NULL: in the directory, unless daemon */
  bool tcp, daemon;
};

/* A socket that nobody listens on any more is removed, as nbdkit cannot bind
 * over it; one that somebody listens on is refused.
 */
int serve_place_make (struct serve_place *p, const struct serve_wishes *wishes,
                      rawview_error *err);

/* Removes the directory with what is in it and, if the server has been ready
 * and so they are ours, the other files.
 */
void serve_place_remove (struct serve_place *p, bool been_ready);
void serve_place_free (struct serve_place *p);

/* Makes nbdkit's command line, with the NULL at its end.  The caller frees the
 * list with its texts.
 */
void serve_make_argv (struct cli_list *argv, const struct cli_args *args,
                      const struct serve_exports *exports,
                      const struct serve_place *place);

/* Runs nbdkit in the foreground until it ends, and ends it when asked to by a
 * signal.  Calls ready when its pid file appears: then it accepts connections.
 * Returns the exit status.
 */
int serve_supervise (char *const argv[], const char *pid_file,
                     int (*ready) (void *opaque), void *opaque);

/* Waits until nbdkit has put itself into the background; it listens by then.
 */
int serve_daemonize (char *const argv[], int (*ready) (void *opaque),
                     void *opaque);

/* Becomes nbdkit; returns only on failure. */
int serve_exec (char *const argv[]);

#endif /* CLI_SERVE_H */
