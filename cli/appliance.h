/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libguestfs needs on this machine before its appliance can start: whoever
 * uses it, or a program that does, asks here first, because what libguestfs
 * says of it later is hard to understand.
 */

#ifndef CLI_APPLIANCE_H
#define CLI_APPLIANCE_H

#include "cli.h"

/* Are there a kernel for it and space where it is kept?  space, in bytes, is
 * what its user needs there besides.  -1: *err names what is missing, and the
 * package to install.  Begins nothing.
 */
int appliance_check (uint64_t space, rawview_error *err);

#endif /* CLI_APPLIANCE_H */
