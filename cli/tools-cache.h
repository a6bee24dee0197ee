/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder of files that were downloaded, checked, and are fetched again when
 * they have become old.
 */

#ifndef CLI_TOOLS_CACHE_H
#define CLI_TOOLS_CACHE_H

#include "tools-config.h"

struct tools_cache_file {
  const char *name; /* in the URL's folder and in the cache */
  uint64_t max;     /* bytes that it may have */
};

/* Makes sure that the files are there, as new as the configuration wants.  A
 * file that was there and cannot be renewed is kept, with a warning on stderr.
 * Without a URL nothing is fetched, and files may be missing afterwards; with
 * one, that is an error.
 *
 * A file appears with its whole content or not at all, and only if it has its
 * checksum.  Processes that want the same wait for each other.
 */
int tools_cache_fill (const struct tools_config *config,
                      const struct tools_cache_file *files, size_t n,
                      rawview_error *err);

#endif /* CLI_TOOLS_CACHE_H */
