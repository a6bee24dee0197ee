/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-256 of files, and lists of it.  The only user of GnuTLS
 * here.
 */

#ifndef CLI_CHECKSUM_H
#define CLI_CHECKSUM_H

#include "cli.h"

#define CHECKSUM_HEX 64

struct checksum {
  char hex[CHECKSUM_HEX + 1]; /* lower case */
};

/* Of the whole file, wherever fd stands; name is for messages. */
int checksum_of_file (int fd, const char *name, struct checksum *sum,
                      rawview_error *err);

/* Finds a file's sum in text, which is as sha256sum prints it; list is the
 * text's own name, for messages.  A file that is not named, or twice, is an
 * error.
 */
int checksum_find (const char *text, const char *list, const char *name,
                   struct checksum *sum, rawview_error *err);

bool checksum_equal (const struct checksum *a, const struct checksum *b);

#endif /* CLI_CHECKSUM_H */
