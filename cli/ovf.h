/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The OVF envelope (DMTF DSP0243, 1.x) of a guest.
 *
 * Hostile until proven otherwise: counts and numbers have limits, nothing
 * recurses, and names of files are handed out as data.
 */

#ifndef CLI_OVF_H
#define CLI_OVF_H

#include "machine.h"

/* Fills an empty machine with what the envelope says of its only virtual
 * system.  Its disks have a bus and, as their name, the reference (href) to
 * their file, which nobody has judged; they are in the order of controllers.
 * A description without hardware has the disks of its disk section.  name is
 * for messages.  On failure the machine is to be cleared all the same.
 */
int ovf_parse (const char *name, const char *text, size_t len,
               struct machine *machine, rawview_error *err);

/* References are URIs: "%20" of one is a space.  Fresh memory; exits when
 * memory is short.
 */
char *ovf_decode_reference (const char *href);

#endif /* CLI_OVF_H */
