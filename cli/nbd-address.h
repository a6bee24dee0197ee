/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An NBD URI taken apart, for programs that want its parts. */

#ifndef CLI_NBD_ADDRESS_H
#define CLI_NBD_ADDRESS_H

#include "cli.h"

struct nbd_address {
  bool tls;
  char *socket; /* of a unix socket; NULL: host and port */
  char *host;   /* without the brackets of an IPv6 address */
  char *port;   /* "10809" unless the URI says another */
  char *export; /* decoded, "" for the default one */
};

/* uri: what cli_is_nbd_uri accepts, but for vsock.  Exits when memory is short.
 */
void nbd_address_parse (const char *uri, struct nbd_address *address);
void nbd_address_clear (struct nbd_address *address);

/* The parts of any URI, for those that are alike.  Fresh memory.
 * Percent-encoding is undone, but for that of a NUL.
 */
char *nbd_address_decode (const char *s, size_t len);

/* The value of a parameter in a query, which begins with "?" or is empty; NULL:
 * it is not there.
 */
char *nbd_address_parameter (const char *query, const char *name);

#endif /* CLI_NBD_ADDRESS_H */
