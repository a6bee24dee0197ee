/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Things that an administrator should know although the image was opened. */

#ifndef RV_WARNINGS_H
#define RV_WARNINGS_H

#include <stddef.h>

#include "util/vector.h"

DEFINE_VECTOR (rv_warnings, char *);

/* Adds one line.  Bounded: past RV_WARNINGS_MAX they are dropped, and so is one
 * for which there is no memory.
 */
#define RV_WARNINGS_MAX 100
void rv_warn (struct rv_warnings *w, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));

void rv_warnings_free (struct rv_warnings *w);

#endif /* RV_WARNINGS_H */
