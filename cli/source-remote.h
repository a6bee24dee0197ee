/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images that nbdkit's plugins reach: ssh://, http://, https://, vddk://.  One
 * nbdkit per image, read-only, on a unix socket in a private folder; it ends
 * with us.
 */

#ifndef CLI_SOURCE_REMOTE_H
#define CLI_SOURCE_REMOTE_H

#include "cli.h"

struct remote;

/* By its scheme. */
bool remote_is_uri (const char *operand);

/* Starts the server for it.  password_file: absolute, or NULL; it must be
 * nobody's business but its owner's, and only its name is on the command line.
 */
int remote_start (const char *uri, const char *password_file,
                  struct remote **remote, rawview_error *err);

/* As rawview_open takes it. */
const char *remote_source (const struct remote *remote);

/* "NAME=VALUE" that it must be opened with; NULL: nothing.  A static text. */
const char *remote_option (const struct remote *remote);

/* The name of the image, without folder. */
const char *remote_name (const struct remote *remote);

/* Does it still serve?  If not, *err says what it said last. */
int remote_check (struct remote *remote, rawview_error *err);

/* Opening its image has failed with *err: says it again in terms of the URI,
 * with what the server knows of it.
 */
void remote_explain (struct remote *remote, rawview_error *err);

/* Ends the server.  NULL is allowed. */
void remote_stop (struct remote *remote);

#endif /* CLI_SOURCE_REMOTE_H */
