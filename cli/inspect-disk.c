/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is on one disk.  libblkid was not written for disks that strangers made:
 * it looks at them in a process that can do nothing else, and what that says is
 * checked here.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "confined.h"
#include "inspect-probe.h"
#include "inspect.h"

/* A table of partitions may call itself as large as the disk. */
#define MAX_MEMORY  (64ul << 20)
#define MAX_SECONDS 20

static void
cleanup_close (int *fd)
{
  if (*fd != -1)
    close (*fd);
}

#define CLEANUP_CLOSE __attribute__ ((cleanup (cleanup_close)))

/*--- What it says -------------------------------------------------------*/

static int
judge_outcome (const char *path, const struct probe_result *result,
               rawview_error *err)
{
  switch (result->outcome) {
  case PROBE_DONE:
    return 0;
  case PROBE_TOO_MANY:
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, EFBIG,
                          "%s: the partition table has %zu partitions, at most "
                          "%d are looked at",
                          path, result->n_parts, PROBE_MAX_PARTS);
  case PROBE_FAILED:
  case PROBE_UNFINISHED:
    break;
  }
  if (result->errnum == ENOMEM)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, ENOMEM,
                          "%s: its partition table or a superblock needs more "
                          "than %lu MiB of memory",
                          path, MAX_MEMORY >> 20);
  if (result->failed_part == 0)
    return cli_error_errno (err, result->errnum,
                            "%s: reading the partition table", path);
  return cli_error_errno (err, result->errnum, "%s: reading partition %u", path,
                          result->failed_part);
}

/* NULL if there is none. */
static char *
take_text (char *text, size_t size)
{
  text[size - 1] = '\0';
  return *text != '\0' ? machine_clean_text (text) : NULL;
}

static bool
is_text (const char *text, const char *value)
{
  return text != NULL && strcmp (text, value) == 0;
}

static bool
is_esp (const struct inspect_part *part)
{
  return is_text (part->part_type, "0xef") ||
         is_text (part->part_type, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
}

static void
take_part (struct probe_part *from, struct inspect_part *to)
{
  to->number = from->number;
  to->off = from->off;
  to->len = from->len;
  to->part_type = take_text (from->part_type, sizeof from->part_type);
  to->type = take_text (from->type, sizeof from->type);
  to->label = take_text (from->label, sizeof from->label);
  to->uuid = take_text (from->uuid, sizeof from->uuid);
  to->encrypted =
      is_text (to->type, "crypto_LUKS") || is_text (to->type, "BitLocker");
  to->esp = is_esp (to);
}

static int
take_result (struct probe_result *result, struct inspect_disk *disk,
             rawview_error *err)
{
  const size_t n =
      result->n_parts < PROBE_MAX_PARTS ? result->n_parts : PROBE_MAX_PARTS;

  disk->parts = calloc (n + 1, sizeof *disk->parts);
  if (disk->parts == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
  disk->n_parts = n;
  disk->table = take_text (result->table, sizeof result->table);
  for (size_t i = 0; i < n; i++)
    take_part (&result->parts[i], &disk->parts[i]);
  return 0;
}

/*--- All of it ----------------------------------------------------------*/

struct look {
  int fd;
  uint64_t size;
  struct probe_result *result;
};

static void
run_probe (void *opaque)
{
  const struct look *look = opaque;

  probe_disk (look->fd, look->size, look->result);
}

static int
probe_confined (const char *path, const rawview_options *options,
                struct look *look, rawview_error *err)
{
  const struct confined_work work = { .options = options,
                                      .max_memory = MAX_MEMORY,
                                      .max_seconds = MAX_SECONDS,
                                      .fd = look->fd,
                                      .run = run_probe,
                                      .opaque = look };
  struct confined c;

  if (confined_start (&c, &work, err) == -1 ||
      confined_wait (&c, path, err) == -1)
    return -1;
  return judge_outcome (path, look->result, err);
}

/* Of a block device, too. */
static int
get_size (const char *path, int fd, uint64_t *size, rawview_error *err)
{
  const off_t end = lseek (fd, 0, SEEK_END);

  if (end == -1)
    return cli_error_errno (err, errno, "%s: finding its size", path);
  *size = (uint64_t) end;
  return 0;
}

int
inspect_disk_probe (const char *path, const rawview_options *options,
                    struct inspect_disk *disk, rawview_error *err)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC);
  struct look look = { .fd = fd };
  int r;

  *disk = (struct inspect_disk){ 0 };
  if (fd == -1)
    return cli_error_errno (err, errno, "%s", path);
  if (get_size (path, fd, &look.size, err) == -1)
    return -1;
  look.result = confined_alloc (sizeof *look.result, err);
  if (look.result == NULL)
    return -1;
  r = probe_confined (path, options, &look, err);
  if (r == 0)
    r = take_result (look.result, disk, err);
  confined_free (look.result, sizeof *look.result);
  return r;
}

void
inspect_disk_clear (struct inspect_disk *disk)
{
  for (size_t i = 0; i < disk->n_parts; i++) {
    free (disk->parts[i].part_type);
    free (disk->parts[i].type);
    free (disk->parts[i].label);
    free (disk->parts[i].uuid);
  }
  free (disk->parts);
  free (disk->table);
  *disk = (struct inspect_disk){ 0 };
}
