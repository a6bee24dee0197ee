/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "claim.h"
#include "util/error.h"
#include "util/vector.h"

DEFINE_VECTOR (claims, struct rv_io *);

/* What the process as a whole writes: the only state of the library that
 * belongs to no handle.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct claims claims; /* one reference each */

/* Storage that is not on this machine is known by its name only. */
static bool
is_same (const struct rv_io *a, const struct rv_io *b)
{
  return rv_io_same (a, b) ||
         (!a->has_id && !b->has_id && strcmp (a->name, b->name) == 0);
}

int
rv_claim (struct rv_io *io, rawview_error *err)
{
  LOCKED (&lock);

  for (size_t i = 0; i < claims.len; i++)
    if (is_same (claims.ptr[i], io))
      return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EBUSY,
                           "%s is in use: this process writes it already, "
                           "as another disk",
                           io->name);
  if (claims_append (&claims, io) == -1)
    return rv_error_nomem (err);
  rv_io_ref (io);
  return 0;
}

void
rv_unclaim (struct rv_io *io)
{
  bool found = false;

  pthread_mutex_lock (&lock);
  for (size_t i = 0; !found && i < claims.len; i++)
    if (claims.ptr[i] == io) {
      claims.ptr[i] = claims.ptr[--claims.len];
      found = true;
    }
  if (claims.len == 0)
    claims_release (&claims);
  pthread_mutex_unlock (&lock);
  if (found)
    rv_io_unref (io);
}
