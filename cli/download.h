/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files from the web.  The only user of libcurl. */

#ifndef CLI_DOWNLOAD_H
#define CLI_DOWNLOAD_H

#include "cli.h"

struct download {
  const char *url; /* https://, or http:// if permitted */
  const char *ca;  /* a file of certificates to trust, NULL: the system's */
  bool allow_http; /* of the URL itself; redirects lead to https only */
  uint64_t max;    /* bytes; more is an error */
};

/* Writes what the URL gives to fd, from where fd stands.  Several megabytes a
 * second or one a minute: it goes on as long as something comes.  A download
 * that ends too early, is longer than max, or cannot be written is an error.
 */
int download_fetch (const struct download *what, int fd, rawview_error *err);

#endif /* CLI_DOWNLOAD_H */
