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

#endif /* CLI_NBD_ADDRESS_H */
