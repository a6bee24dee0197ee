/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The only user of libblkid: its low-level probing, which looks at one file and
 * at nothing else of the machine.
 */

#include <config.h>

#include <errno.h>
#include <string.h>

#include <blkid/blkid.h>

#include "inspect-probe.h"

/* libblkid counts in these, whatever the sectors of the disk are. */
#define UNIT 512u

static void
cleanup_probe (blkid_probe *probe)
{
  if (*probe != NULL)
    blkid_free_probe (*probe);
}

#define CLEANUP_PROBE __attribute__ ((cleanup (cleanup_probe)))

static void
copy_text (char *to, size_t size, const char *from)
{
  snprintf (to, size, "%s", from != NULL ? from : "");
}

/*--- One part -----------------------------------------------------------*/

static void
copy_value (blkid_probe probe, const char *name, char *to, size_t size)
{
  const char *value = NULL;

  if (blkid_probe_lookup_value (probe, name, &value, NULL) == 0)
    copy_text (to, size, value);
}

/* What libblkid returns of superblocks of several kinds in one place; other
 * numbers below -1 are of errno.
 */
#define AMBIVALENT (-2)

/* Superblocks of several kinds are no kind: not known. */
static int
probe_superblocks (int fd, uint64_t size, struct probe_part *part)
{
  CLEANUP_PROBE blkid_probe probe = blkid_new_probe ();
  const uint64_t len = part->off >= size || part->len < size - part->off
                           ? part->len
                           : size - part->off;
  int r;

  /* To libblkid a length of 0 is all the rest. */
  if (part->off >= size || len == 0)
    return 0;
  errno = 0;
  if (probe == NULL ||
      blkid_probe_set_device (probe, fd, (blkid_loff_t) part->off,
                              (blkid_loff_t) len) != 0)
    return errno != 0 ? errno : ENOMEM;
  blkid_probe_enable_superblocks (probe, 1);
  blkid_probe_set_superblocks_flags (
      probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID);
  errno = 0;
  r = blkid_do_safeprobe (probe);
  if (r == 1 || r == AMBIVALENT)
    return 0;
  if (r != 0)
    return r < -1 ? -r : errno != 0 ? errno : EIO;
  copy_value (probe, "TYPE", part->type, sizeof part->type);
  copy_value (probe, "LABEL", part->label, sizeof part->label);
  copy_value (probe, "UUID", part->uuid, sizeof part->uuid);
  return 0;
}

/*--- The table ----------------------------------------------------------*/

/* Of an extended partition it is only the place that is of interest. */
static void
copy_part (blkid_partition from, struct probe_part *to)
{
  const char *type = blkid_partition_get_type_string (from);
  uint64_t off = (uint64_t) blkid_partition_get_start (from);
  uint64_t len = (uint64_t) blkid_partition_get_size (from);

  to->number = (unsigned) blkid_partition_get_partno (from);
  to->off = off > UINT64_MAX / UNIT ? UINT64_MAX : off * UNIT;
  to->len = len > UINT64_MAX / UNIT ? UINT64_MAX : len * UNIT;
  if (type != NULL)
    copy_text (to->part_type, sizeof to->part_type, type);
  else
    snprintf (to->part_type, sizeof to->part_type, "0x%x",
              (unsigned) blkid_partition_get_type (from));
}

static int
probe_parts (int fd, uint64_t size, blkid_partlist list,
             struct probe_result *result)
{
  for (size_t i = 0; i < result->n_parts; i++) {
    struct probe_part *part = &result->parts[i];
    blkid_partition from = blkid_partlist_get_partition (list, (int) i);
    int r;

    if (from == NULL)
      return EIO;
    copy_part (from, part);
    result->failed_part = part->number;
    if (blkid_partition_is_extended (from))
      continue;
    r = probe_superblocks (fd, size, part);
    if (r != 0)
      return r;
  }
  return 0;
}

/* Finds a table on a disk with sectors of this size, and what is in its
 * partitions; no table is no failure.
 */
static int
probe_table (int fd, uint64_t size, unsigned sector,
             struct probe_result *result)
{
  CLEANUP_PROBE blkid_probe probe = blkid_new_probe ();
  blkid_partlist list;
  blkid_parttable table;
  int n;

  errno = 0;
  if (probe == NULL ||
      blkid_probe_set_device (probe, fd, 0, (blkid_loff_t) size) != 0 ||
      blkid_probe_set_sectorsize (probe, sector) != 0)
    return errno != 0 ? errno : ENOMEM;
  errno = 0;
  list = blkid_probe_get_partitions (probe);
  if (list == NULL)
    return errno;
  table = blkid_partlist_get_table (list);
  if (table == NULL)
    return 0;
  copy_text (result->table, sizeof result->table,
             blkid_parttable_get_type (table));
  n = blkid_partlist_numof_partitions (list);
  result->n_parts = n > 0 ? (size_t) n : 0;
  if (result->n_parts > PROBE_MAX_PARTS) {
    result->outcome = PROBE_TOO_MANY;
    return 0;
  }
  return probe_parts (fd, size, list, result);
}

/* A boot sector of BitLocker or FAT also looks like an empty table. */
static int
probe_whole (int fd, uint64_t size, struct probe_result *result)
{
  struct probe_part *whole = &result->parts[0];
  int r;

  whole->len = size;
  r = probe_superblocks (fd, size, whole);
  if (result->table[0] == '\0' || whole->type[0] != '\0') {
    result->table[0] = '\0';
    result->n_parts = 1;
  }
  return r;
}

void
probe_disk (int fd, uint64_t size, struct probe_result *result)
{
  /* Images do not say which sectors their disk has. */
  int r = probe_table (fd, size, 512, result);

  if (r == 0 && result->table[0] == '\0')
    r = probe_table (fd, size, 4096, result);
  if (r == 0 && result->n_parts == 0)
    r = probe_whole (fd, size, result);
  if (r != 0) {
    result->outcome = PROBE_FAILED;
    result->errnum = r;
  }
  else if (result->outcome == PROBE_UNFINISHED)
    result->outcome = PROBE_DONE;
}
