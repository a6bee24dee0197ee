/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What both programs say of the commands about whole guests. */

#ifndef CLI_GUEST_COMMANDS_H
#define CLI_GUEST_COMMANDS_H

#define INSPECT_OPERANDS "IMAGE..."
#define INSPECT_SUMMARY  "Tells what system is on a guest's disks"

#define INJECT_OPERANDS "[SOURCE...]"
#define INJECT_SUMMARY \
  "Gives a guest the drivers for virtio where its disks lie"

#define IMPORT_OPERANDS "SOURCE..."
#define IMPORT_SUMMARY  "Brings a guest's disks, converted, to where they stay"

#endif /* CLI_GUEST_COMMANDS_H */
