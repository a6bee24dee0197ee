/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a guest comes from: images, a folder of them, an OVA, a VMX file, NBD
 * URIs, and what nbdkit's plugins can reach (ssh://, https://, vddk://).
 */

#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "machine.h"

struct source;

/* Finds out what guest the operands name; each of several must be one disk.
 * Starts the servers that remote ones need, which live until source_close or
 * until this process ends, however it does.  options: the user's, for opening
 * images.  password_file: NULL, or where the transport's password is.
 */
int source_open (char *const *operands, size_t n,
                 const rawview_options *options, const char *password_file,
                 struct source **source, rawview_error *err);

/* Lives as long as the source.  Sizes are known. */
const struct machine *source_machine (const struct source *source);

/* Have all servers that it started been alive until now?  If not, *err says
 * which one ended and what it said last.
 */
int source_check (struct source *source, rawview_error *err);

/* NULL is allowed. */
void source_close (struct source *source);

#endif /* CLI_SOURCE_H */
