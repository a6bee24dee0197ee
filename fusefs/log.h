/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines for the administrator: to stderr, once in the background to syslog.
 *
 * The state is the process's, not an object's, because libfuse's log hook takes
 * no argument of ours.  Every function may be called from any thread.
 */

#ifndef RAWVIEWFS_LOG_H
#define RAWVIEWFS_LOG_H

#include <stdbool.h>

/* Starts to catch what libfuse has to say.  Until log_serving its messages are
 * kept back, see log_fuse_reason.  debug: its trace goes to stderr.
 */
void log_init (bool debug);

/* One line: "rawviewfs: ...".  No newline in the format. */
void log_line (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));

/* The same for an error of a request.  A line that was written a moment ago is
 * not repeated, and a burst of different ones is cut short: an image that is
 * damaged throughout must not fill the disk.  What was left out is counted.
 */
void log_request_error (const char *msg);

/* Why the last call into libfuse failed, or otherwise if it did not say. */
const char *log_fuse_reason (const char *otherwise);

/* From here on libfuse's messages are lines of their own. */
void log_serving (void);

/* From here on lines go to syslog: stderr is about to be closed. */
void log_to_syslog (void);

#endif /* RAWVIEWFS_LOG_H */
