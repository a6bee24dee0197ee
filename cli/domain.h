/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's storage volumes: names for files and devices that it knows. */

#ifndef CLI_DOMAIN_H
#define CLI_DOMAIN_H

#include "cli.h"

struct domain_host;

/* uri: of libvirt, NULL for its usual one. */
int domain_connect (const char *uri, struct domain_host **host,
                    rawview_error *err);

/* NULL is allowed. */
void domain_disconnect (struct domain_host *host);

/* The path of a volume "POOL/VOLUME", to be freed; NULL in *path if the pool
 * has none of that name.  What has no path on this machine is refused.
 */
int domain_find_volume (struct domain_host *host, const char *name, char **path,
                        rawview_error *err);

/* Makes one of so many bytes at least. */
int domain_create_volume (struct domain_host *host, const char *name,
                          const char *format, uint64_t size, bool preallocated,
                          char **path, rawview_error *err);

/* Removes one that was made.  What goes wrong is not told: it is called when
 * something else has gone wrong already.
 */
void domain_delete_volume (struct domain_host *host, const char *name);

/* Has libvirt look anew at what has been written. */
void domain_refresh_pool (struct domain_host *host, const char *name);

#endif /* CLI_DOMAIN_H */
