/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for what the QCOW2 driver cannot do yet.  Weak: the real function
 * wins.  To be removed with it.
 */

#include <config.h>

#include "format/qcow2-write.h"
#include "util/error.h"

#define PENDING __attribute__ ((weak))

PENDING int
rv_qcow2_create (struct rv_io *io, const struct rv_qcow2_create *how,
                 rawview_error *err)
{
  return rv_error_unsupported (err, "this build cannot make overlays");
}
