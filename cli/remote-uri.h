/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* URIs of images behind nbdkit's plugins, and the command lines for them. */

#ifndef CLI_REMOTE_URI_H
#define CLI_REMOTE_URI_H

#include "cli.h"

enum remote_kind { REMOTE_NONE, REMOTE_SSH, REMOTE_HTTP, REMOTE_VDDK };

struct remote_uri {
  enum remote_kind kind;
  bool https;
  /* NULL: the URI has none; all but rest are decoded. */
  char *user, *host, *port, *path;
  char *rest;                       /* http: the URI without its user */
  char *file, *thumbprint, *libdir; /* vddk: parameters */
  char *name;                       /* of the image, never NULL */
};

enum remote_kind remote_kind_of (const char *operand);

/* RAWVIEW_ERROR_USAGE for what lacks something, and for passwords in it. */
int remote_uri_parse (const char *text, struct remote_uri *uri,
                      rawview_error *err);
void remote_uri_clear (struct remote_uri *uri);

/* Appends plugin and parameters to nbdkit's command line. */
void remote_uri_add_argv (const struct remote_uri *uri,
                          const char *password_file, struct cli_list *argv);

#endif /* CLI_REMOTE_URI_H */
