/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libblkid finds on a raw disk.  The result points nowhere, so that it can
 * lie in memory that two processes share, and the one that reads it need not
 * trust the other.
 */

#ifndef CLI_INSPECT_PROBE_H
#define CLI_INSPECT_PROBE_H

#include "cli.h"

/* As many as Linux shows of one disk. */
#define PROBE_MAX_PARTS 256

/* Texts are as on the disk, cut to fit. */
struct probe_part {
  unsigned number;
  uint64_t off, len; /* bytes */
  char part_type[64];
  char type[32];
  char label[256];
  char uuid[64];
};

enum probe_outcome {
  PROBE_UNFINISHED, /* what zeroed memory says */
  PROBE_DONE,
  PROBE_TOO_MANY, /* partitions: n_parts says how many */
  PROBE_FAILED,   /* to read, or for want of memory: errnum */
};

struct probe_result {
  enum probe_outcome outcome;
  int errnum;
  unsigned failed_part; /* 0: the table itself, or a disk without one */
  size_t n_parts;
  char table[16];
  struct probe_part parts[PROBE_MAX_PARTS];
};

/* Without a table there is one part, number 0, which is the whole disk.  size
 * in bytes.  result was zeroed by the caller.
 */
void probe_disk (int fd, uint64_t size, struct probe_result *result);

#endif /* CLI_INSPECT_PROBE_H */
