/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The QEMU guest agent, which virt-v2v has the guest install at its first
 * boot, from the guest's repositories: not everybody wants that.
 */

#ifndef CLI_GUEST_AGENT_H
#define CLI_GUEST_AGENT_H

#include "child.h"

/* Starts guestfish, which removes from the guest what virt-v2v has queued for
 * that purpose and nothing else.  RAWVIEW_GUESTFISH names another program.
 * disks: paths of files, or of sockets; dir: private; keys: as for virt-v2v.
 */
int guest_agent_start (const char *const *disks, size_t n, bool sockets,
                       const struct cli_list *keys, const char *dir,
                       struct child *child, rawview_error *err);

/* Is guestfish there? */
int guest_agent_check (rawview_error *err);

#endif /* CLI_GUEST_AGENT_H */
