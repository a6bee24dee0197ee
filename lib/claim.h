/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One writer per file in this process, also where there are no locks.
 *
 * The kernel's locks (io/lock.h) keep two handles of one process apart as well,
 * but locking=off and some filesystems have none, and two writers in one
 * process are never meant: each would give out the same free clusters.
 */

#ifndef RV_CLAIM_H
#define RV_CLAIM_H

#include "io/io.h"

/* From now on io's storage is written by its owner alone.  Somebody else's
 * claim is RAWVIEW_ERROR_REFUSED with errnum EBUSY.  Thread-safe, never waits.
 */
int rv_claim (struct rv_io *io, rawview_error *err);
void rv_unclaim (struct rv_io *io);

#endif /* RV_CLAIM_H */
