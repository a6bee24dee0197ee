/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where downloads come from and where they are kept: options, environment,
 * configuration file, defaults, in this order.
 */

#ifndef CLI_TOOLS_CONFIG_H
#define CLI_TOOLS_CONFIG_H

#include "windows-tools.h"

/* All texts are ours. */
struct tools_config {
  char *cache;       /* an absolute path */
  char *url;         /* NULL: nothing is fetched; no '/' at its end */
  char *sha256, *ca; /* may be NULL */
  unsigned max_age;  /* days */
};

/* The configuration file need not exist. */
int tools_config_read (const struct windows_tools_options *options,
                       struct tools_config *config, rawview_error *err);
void tools_config_clear (struct tools_config *config);

#endif /* CLI_TOOLS_CONFIG_H */
