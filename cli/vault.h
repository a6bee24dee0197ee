/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Passphrases of encrypted disks, from a file that names them per guest and
 * device, to virt-v2v, by files that nobody else can read.
 *
 *   { "GUEST": [ { "device": "/dev/sda1", "key": "..." }, ... ], ... }
 *
 * They are never part of a command line, a message or a log.
 */

#ifndef CLI_VAULT_H
#define CLI_VAULT_H

#include "cli.h"

struct vault;

/* Reads and checks the file: one that is not ours or root's, or that group or
 * others can reach, is refused.  path: NULL for ~/.v2v_luks_keys_vault.json,
 * which need not exist.  May be called by root before privileges are dropped.
 */
int vault_open (const char *path, struct vault **vault, rawview_error *err);

/* Writes the guest's keys into a private folder, in memory where the machine
 * has one, and returns what tells virt-v2v of them: "--key", "DEVICE:file:PATH"
 * each, none if the vault does not name the guest.  The list lives as long as
 * the vault.  Call it at most once, as the user that virt-v2v runs as.  Folders
 * of processes that died before vault_close are removed here.  NULL: *err.
 */
const struct cli_list *vault_hand_on (struct vault *vault, const char *guest,
                                      rawview_error *err);

/* Removes the files and wipes what is in memory.  NULL is allowed. */
void vault_close (struct vault *vault);

#endif /* CLI_VAULT_H */
