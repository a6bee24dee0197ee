/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/qcow2-snapshot.h"
#include "util/checked.h"

#define MAX_EXTRA_LEN   1024u
#define EXTRA_USED      16u
#define MAX_TABLE_BYTES (64u << 20)

void
rv_qcow2_snapshot_release (struct rv_qcow2_snapshot *s)
{
  free (s->id);
  free (s->name);
  *s = (struct rv_qcow2_snapshot){ 0 };
}

static int
read_text (struct rv_io *io, uint64_t off, uint16_t len, char **text,
           rawview_error *err)
{
  char *s = calloc (1, (size_t) len + 1);

  if (s == NULL)
    return rv_error_nomem (err);
  if (len > 0 && rv_io_pread (io, s, len, off, err) == -1) {
    free (s);
    return -1;
  }
  *text = s;
  return 0;
}

/* Extra data: 8 bytes VM state size, 8 bytes disk size, then more. */
static int
read_extra (struct rv_io *io, uint64_t off, uint32_t len,
            struct rv_qcow2_snapshot *s, rawview_error *err)
{
  uint8_t extra[EXTRA_USED];

  if (len > MAX_EXTRA_LEN)
    return rv_error_limit (err,
                           "%s: %u bytes of extra data in a QCOW2 snapshot "
                           "are more than %u",
                           io->name, len, MAX_EXTRA_LEN);
  len = rv_min_u64 (len, sizeof extra);
  if (len >= 8 && rv_io_pread (io, extra, len, off, err) == -1)
    return -1;
  if (len >= 8)
    s->vm_state_size = rv_be64 (extra);
  s->has_disk_size = len >= 16;
  if (s->has_disk_size)
    s->disk_size = rv_be64 (extra + 8);
  return 0;
}

int
rv_qcow2_snapshot_read (struct rv_io *io, const struct rv_qcow2_header *header,
                        uint64_t *off, struct rv_qcow2_snapshot *s,
                        rawview_error *err)
{
  uint8_t e[QCOW2_SNAPSHOT_MIN_LEN];
  uint16_t id_len, name_len;
  uint32_t extra_len;
  uint64_t at = *off;

  *s = (struct rv_qcow2_snapshot){ .disk_size = header->size };
  if (rv_io_pread (io, e, sizeof e, at, err) == -1)
    return -1;
  s->l1_off = rv_be64 (e);
  s->l1_size = rv_be32 (e + 8);
  id_len = rv_be16 (e + 12);
  name_len = rv_be16 (e + 14);
  s->date_sec = rv_be32 (e + 16);
  s->date_nsec = rv_be32 (e + 20);
  s->vm_clock_nsec = rv_be64 (e + 24);
  s->vm_state_size = rv_be32 (e + 32);
  extra_len = rv_be32 (e + 36);
  at += QCOW2_SNAPSHOT_MIN_LEN;
  if (read_extra (io, at, extra_len, s, err) == -1)
    return -1;
  at += extra_len;
  if (read_text (io, at, id_len, &s->id, err) == -1 ||
      read_text (io, at + id_len, name_len, &s->name, err) == -1) {
    rv_qcow2_snapshot_release (s);
    return -1;
  }
  at += id_len + name_len;
  *off = (at + 7) / 8 * 8;
  if (*off - header->snapshots_off > MAX_TABLE_BYTES) {
    rv_qcow2_snapshot_release (s);
    return rv_error_limit (err,
                           "%s: the QCOW2 snapshot table is larger than %u "
                           "bytes",
                           io->name, MAX_TABLE_BYTES);
  }
  return 0;
}

int
rv_qcow2_snapshot_find (struct rv_io *io, const struct rv_qcow2_header *header,
                        const char *id_or_name, struct rv_qcow2_snapshot *found,
                        rawview_error *err)
{
  struct rv_qcow2_snapshot by_name = { 0 };
  uint64_t off = header->snapshots_off;

  for (uint32_t i = 0; i < header->nb_snapshots; i++) {
    struct rv_qcow2_snapshot s;

    if (rv_qcow2_snapshot_read (io, header, &off, &s, err) == -1) {
      rv_qcow2_snapshot_release (&by_name);
      return -1;
    }
    if (strcmp (s.id, id_or_name) == 0) {
      rv_qcow2_snapshot_release (&by_name);
      *found = s;
      return 0;
    }
    if (by_name.name == NULL && strcmp (s.name, id_or_name) == 0)
      by_name = s;
    else
      rv_qcow2_snapshot_release (&s);
  }
  if (by_name.name == NULL)
    return rv_error_usage (err,
                           "%s: there is no internal snapshot with the id or "
                           "name \"%s\"; rawview info lists them",
                           io->name, id_or_name);
  *found = by_name;
  return 0;
}
