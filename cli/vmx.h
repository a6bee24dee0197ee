/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VMX: the configuration of a guest of VMware's, lines of KEY = "VALUE". */

#ifndef CLI_VMX_H
#define CLI_VMX_H

#include "machine.h"

/* Fills an empty machine.  Its disks have a bus and, as their name, the name of
 * their file as it is written, which nobody has judged; they are in the order
 * in which the guest's firmware meets them: what bios.hddOrder names, then
 * SCSI, SATA, IDE, NVMe, by controller and unit.  Text that is not UTF-8 is
 * taken for Windows-1252.  name is for messages.  On failure the machine is to
 * be cleared all the same.
 */
int vmx_parse (const char *name, const char *text, size_t len,
               struct machine *machine, rawview_error *err);

#endif /* CLI_VMX_H */
