/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Giving up root's privileges. */

#ifndef CLI_USER_H
#define CLI_USER_H

#include "cli.h"

/* Becomes the user for good, with that user's groups.  no_new_privs: programs
 * that would give privileges back do not; mounting a FUSE file needs one that
 * does.
 */
int user_become (const char *name, bool no_new_privs, rawview_error *err);

#endif /* CLI_USER_H */
