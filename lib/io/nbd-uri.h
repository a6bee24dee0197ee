/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of an NBD URI may be shown.  Users, key files and certificates are
 * nobody's business but the server's.
 */

#ifndef RV_NBD_URI_H
#define RV_NBD_URI_H

#include <stdbool.h>

/* The URI without user, fragment and parameters other than the socket, in fresh
 * memory; NULL when out of memory.
 */
char *rv_nbd_uri_show (const char *uri);

/* Does text quote the user or a hidden parameter's value?  True also when that
 * cannot be found out.
 */
bool rv_nbd_uri_is_quoted (const char *uri, const char *text);

#endif /* RV_NBD_URI_H */
