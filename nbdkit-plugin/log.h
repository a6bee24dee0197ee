/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines for the administrator that are no answer to a call of nbdkit's. */

#ifndef RAWVIEW_PLUGIN_LOG_H
#define RAWVIEW_PLUGIN_LOG_H

/* A warning, or that an image was skipped: "nbdkit: rawview: ..." on stderr.
 * After log_serving it goes where nbdkit's errors go, as stderr may be closed.
 */
void log_line (const char *msg);
void log_serving (void);

/* An error of a request; what says which, msg why.  A reason that was written a
 * moment ago is not repeated, and a burst of different ones is cut short: an
 * image that is damaged throughout must not fill the disk.  What was left out
 * is counted.
 */
void log_request_error (const char *what, const char *msg);

#endif /* RAWVIEW_PLUGIN_LOG_H */
