/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "rawview import" relies on when it runs "rawview inject":
 *
 *   rawview-guest inject --overlay-dir=DIR --progress=json [OPTION...]
 * SOURCE...
 *
 * - DIR is there, and empty.  The overlay of a machine's disk is made where
 *   inject_overlay_path says, and complete and durable when the status is 0.
 * - Each line on stdout that begins with "{" is an object with "percent", a
 *   number from 0 to 100.
 * - On failure the last line on stderr says why, the status is a kind of error,
 *   and there is nothing in DIR but virt-v2v's log, unless --log=FILE puts it
 *   elsewhere.
 * - SIGTERM stops it cleanly.
 * - With --check it only looks whether everything is there that it needs, and
 *   changes nothing.
 */

#ifndef CLI_INJECT_CONTRACT_H
#define CLI_INJECT_CONTRACT_H

#include "machine.h"

/* The caller frees it. */
static inline char *
inject_overlay_path (const char *dir, const struct machine_disk *disk)
{
  return cli_format ("%s/%s.overlay.qcow2", dir, disk->name);
}

#endif /* CLI_INJECT_CONTRACT_H */
