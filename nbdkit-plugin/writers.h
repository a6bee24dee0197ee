/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The images that clients write, and how each is ended.
 *
 * An image becomes writable with its first client who may write, because only
 * then does nbdkit tell.  The images of the command line stay so until nbdkit
 * ends: a client that reconnects finds them as they were, and nobody else can
 * get the lock meanwhile.  The images of a folder, which may be many and may
 * come and go, are ended with their last client.
 */

#ifndef RAWVIEW_PLUGIN_WRITERS_H
#define RAWVIEW_PLUGIN_WRITERS_H

#include <stdbool.h>

#include <rawview.h>

struct writers_wish {
  const char *name; /* of the export */
  bool writes;      /* may this client? */
  bool required;    /* it is an error if it cannot; otherwise the log says why,
                       once, and the client only reads */
  bool keep;        /* stays writable after its last client */
};

/* A new reference to an image for one client; *writes says whether he writes.
 */
int writers_open (rawview_exports *exports, const struct writers_wish *wish,
                  rawview_image **image, bool *writes, rawview_error *err);

/* Drops it. */
void writers_close (rawview_exports *exports, rawview_image *image,
                    bool writes);

/* Ends writing to all images; errors go to the log.  No client may be left. */
void writers_finish (void);

#endif /* RAWVIEW_PLUGIN_WRITERS_H */
