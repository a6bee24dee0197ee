/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sandbox of the process, which is nbdkit's. */

#ifndef PLUGIN_SANDBOX_H
#define PLUGIN_SANDBOX_H

#include <rawview.h>

/* For .after_fork: nbdkit has written its pid file and run its command, and
 * accepts nobody yet.  -1 after nbdkit_error.
 */
int sandbox_enter (const rawview_options *options, rawview_exports *exports);

#endif /* PLUGIN_SANDBOX_H */
