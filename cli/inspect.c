/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verdict over all disks of a guest. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "expose.h"
#include "inspect.h"

/*--- What a part says ---------------------------------------------------*/

static bool
is_one_of (const char *text, const char *const *words, size_t n)
{
  for (size_t i = 0; text != NULL && i < n; i++)
    if (strcmp (text, words[i]) == 0)
      return true;
  return false;
}

/* Dynamic disks (LDM) have their file systems where nobody here looks. */
static bool
says_windows (const struct inspect_part *part)
{
  static const char *const types[] = { "ntfs", "BitLocker", "ReFS" };
  static const char *const part_types[] = {
    "0x42",
    "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3",
    "af9b60a0-1431-4f62-bc68-3311714a69ad",
  };

  return is_one_of (part->type, types, CLI_COUNT (types)) ||
         is_one_of (part->part_type, part_types, CLI_COUNT (part_types));
}

static bool
says_linux (const struct inspect_part *part)
{
  static const char *const types[] = {
    "LVM1_member", "LVM2_member", "bcache",    "bcachefs", "btrfs",
    "crypto_LUKS", "erofs",       "ext2",      "ext3",     "ext4",
    "ext4dev",     "f2fs",        "gfs2",      "jfs",      "linux_raid_member",
    "nilfs2",      "ocfs2",       "reiser4",   "reiserfs", "squashfs",
    "stratis",     "swap",        "swsuspend", "xfs",
  };

  return is_one_of (part->type, types, CLI_COUNT (types));
}

static bool
is_encrypted (const struct inspect_part *part)
{
  return part->encrypted;
}

static bool
is_esp (const struct inspect_part *part)
{
  return part->esp;
}

/*--- What all disks say -------------------------------------------------*/

static bool
any_part (const struct inspect_disk *disks, size_t n,
          bool (*says) (const struct inspect_part *part))
{
  for (size_t d = 0; d < n; d++)
    for (size_t i = 0; i < disks[d].n_parts; i++)
      if (says (&disks[d].parts[i]))
        return true;
  return false;
}

static bool
boots_by_bios (const struct inspect_disk *disk)
{
  static const char *const bios_boot[] = {
    "21686148-6449-6e6f-744e-656564454649"
  };

  if (disk->table != NULL && strcmp (disk->table, "dos") == 0)
    return true;
  for (size_t i = 0; i < disk->n_parts; i++)
    if (is_one_of (disk->parts[i].part_type, bios_boot, 1))
      return true;
  return false;
}

enum inspect_system
inspect_verdict (const struct inspect_disk *disks, size_t n)
{
  if (any_part (disks, n, says_windows))
    return INSPECT_WINDOWS;
  return any_part (disks, n, says_linux) ? INSPECT_LINUX : INSPECT_UNKNOWN;
}

const char *
inspect_system_name (enum inspect_system system)
{
  switch (system) {
  case INSPECT_LINUX:
    return "linux";
  case INSPECT_WINDOWS:
    return "windows";
  case INSPECT_UNKNOWN:
    break;
  }
  return "unknown";
}

/* A disk that has what both need boots by either. */
enum machine_firmware
inspect_firmware (const struct inspect_disk *disks, size_t n)
{
  if (any_part (disks, n, is_esp))
    return MACHINE_FIRMWARE_UEFI;
  for (size_t d = 0; d < n; d++)
    if (boots_by_bios (&disks[d]))
      return MACHINE_FIRMWARE_BIOS;
  return MACHINE_FIRMWARE_UNKNOWN;
}

bool
inspect_encrypted (const struct inspect_disk *disks, size_t n)
{
  return any_part (disks, n, is_encrypted);
}

/*--- A machine ----------------------------------------------------------*/

struct expose *
inspect_expose (const struct machine *machine, const struct cli_list *passed,
                enum expose_how how, rawview_error *err)
{
  struct expose_disk *disks = calloc (machine->n_disks, sizeof *disks);
  struct expose *expose = NULL;

  if (disks == NULL) {
    cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
    return NULL;
  }
  for (size_t i = 0; i < machine->n_disks; i++) {
    disks[i].source = machine->disks[i].source;
    disks[i].options = passed;
    disks[i].options2 = &machine->disks[i].options;
  }
  if (expose_start (disks, machine->n_disks, how, -1, &expose, err) == -1)
    expose = NULL;
  free (disks);
  return expose;
}

/* Says the disk's name for the path of a file that will be gone. */
static void
name_disk (rawview_error *err, const char *path, const char *name)
{
  const size_t len = strlen (path);
  CLEANUP_FREE char *rest = NULL;

  if (strncmp (err->msg, path, len) != 0)
    return;
  rest = cli_format ("%s", err->msg + len);
  snprintf (err->msg, sizeof err->msg, "%s%s", name, rest);
}

int
inspect_machine (const struct machine *machine, const rawview_options *options,
                 const struct cli_list *passed, struct inspect_disk *disks,
                 rawview_error *err)
{
  struct expose *expose;
  rawview_error ended;
  int r = 0;

  memset (disks, 0, machine->n_disks * sizeof *disks);
  expose = inspect_expose (machine, passed, EXPOSE_FILES, err);
  if (expose == NULL)
    return -1;
  for (size_t i = 0; r == 0 && i < machine->n_disks; i++) {
    r = inspect_disk_probe (expose_path (expose, i), options, &disks[i], err);
    if (r == -1)
      name_disk (err, expose_path (expose, i), machine->disks[i].name);
  }
  if (expose_stop (expose, r == 0 ? err : &ended) == -1)
    r = -1;
  return r;
}
