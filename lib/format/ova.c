/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "format/ova.h"
#include "format/tar.h"
#include "util/checked.h"
#include "util/error.h"
#include "util/text.h"

#define MAX_DISKS 256u

void
rv_ova_members_free (struct rv_ova_members *members)
{
  for (size_t i = 0; i < members->len; i++)
    free (members->ptr[i].name);
  rv_ova_members_release (members);
}

static bool
ends_with (const char *name, const char *suffix)
{
  size_t n = strlen (name), s = strlen (suffix);

  return n >= s && strcasecmp (name + n - s, suffix) == 0;
}

/* "disk.vmdk.000000001" */
static bool
is_chunk (const char *name)
{
  const char *dot = strrchr (name, '.');
  const char *p = dot ? dot + 1 : name;

  if (dot == NULL || *p == '\0' || dot - name < 5 ||
      strncasecmp (dot - 5, ".vmdk", 5) != 0)
    return false;
  while (isdigit ((unsigned char) *p))
    p++;
  return *p == '\0';
}

/* Members that are disks but not readable in place.  NULL: none of them. */
static const char *
unreadable (const struct rv_tar_member *m)
{
  if (is_chunk (m->name))
    return "is a chunk of a disk that was cut; join the chunks first";
  if (ends_with (m->name, ".vmdk.gz"))
    return "is compressed with gzip; unpack it first";
  if (!ends_with (m->name, ".vmdk"))
    return NULL;
  if (m->type != '0' && m->type != '7')
    return "is a link or device, not a file";
  if (m->sparse)
    return "is stored as a sparse file; repack the archive without";
  return NULL;
}

static int
check_gzip (const char *file, const struct rv_tar_member *m,
            struct rv_view head, rawview_error *err)
{
  if (head.len >= 2 && head.p[0] == 0x1f && head.p[1] == 0x8b)
    return rv_error_unsupported (err,
                                 "%s: the disk \"%s\" is compressed with "
                                 "gzip; unpack it first",
                                 file, m->name);
  return 0;
}

static int
append_disk (struct rv_ova_members *disks, const struct rv_tar_member *m,
             char *name, rawview_error *err)
{
  if (rv_ova_members_append (
          disks, (struct rv_ova_member){ name, m->off, m->len }) == -1)
    return rv_error_nomem (err);
  return 0;
}

static int
add_disk (const char *file, const struct rv_tar_member *m, struct rv_view head,
          struct rv_ova_members *disks, rawview_error *err)
{
  const char *name = m->name;
  CLEANUP_FREE char *shown = NULL;

  while (strncmp (name, "./", 2) == 0)
    name += 2;
  shown = strdup (name);
  if (shown == NULL)
    return rv_error_nomem (err);
  rv_text_make_printable (shown);
  for (size_t i = 0; i < disks->len; i++)
    if (strcmp (disks->ptr[i].name, shown) == 0)
      return rv_error_corrupt (err, "%s: two members are called \"%s\"", file,
                               shown);
  if (disks->len >= MAX_DISKS)
    return rv_error_limit (err, "%s: more than %u disks in the archive", file,
                           MAX_DISKS);
  if (check_gzip (file, m, head, err) == -1 ||
      append_disk (disks, m, shown, err) == -1)
    return -1;
  shown = NULL;
  return 0;
}

int
rv_ova_look_at (const char *file, const struct rv_tar_member *m,
                struct rv_view head, unsigned *nr_ovf,
                struct rv_ova_members *disks, rawview_error *err)
{
  const char *why = unreadable (m);

  if (why)
    return rv_error_unsupported (err, "%s: the member \"%s\" %s", file, m->name,
                                 why);
  if (ends_with (m->name, ".ovf") && ++*nr_ovf > 1)
    return rv_error_corrupt (err, "%s: more than one OVF description", file);
  if (!ends_with (m->name, ".vmdk"))
    return 0;
  return add_disk (file, m, head, disks, err);
}

static int
look_at (struct rv_io *io, const struct rv_tar_member *m, unsigned *nr_ovf,
         struct rv_ova_members *disks, rawview_error *err)
{
  uint8_t bytes[2];
  struct rv_view head = { bytes, 0 };

  if (ends_with (m->name, ".vmdk"))
    head.len = rv_min_u64 (m->len, sizeof bytes);
  if (head.len > 0 && rv_io_pread (io, bytes, head.len, m->off, err) == -1)
    return -1;
  return rv_ova_look_at (io->name, m, head, nr_ovf, disks, err);
}

static int
find_disks (struct rv_io *io, struct rv_ova_members *disks,
            struct rv_warnings *warnings, rawview_error *err)
{
  struct rv_tar_walk walk = { .io = io };
  struct rv_tar_member m;
  unsigned nr_ovf = 0;
  int r;

  while ((r = rv_tar_next (&walk, &m, err)) == 1) {
    int looked = look_at (io, &m, &nr_ovf, disks, err);

    free (m.name);
    if (looked == -1)
      return -1;
  }
  if (r == -1)
    return -1;
  if (disks->len == 0)
    return rv_error_format (err, "%s: there is no VMDK disk in this archive",
                            io->name);
  if (nr_ovf == 0)
    rv_warn (warnings, "%s: an archive of disks without an OVF description",
             io->name);
  if (!walk.ended)
    rv_warn (warnings, "%s: the archive has no end mark, it may be truncated",
             io->name);
  return 0;
}

int
rv_ova_disks (struct rv_io *io, struct rv_ova_members *disks,
              struct rv_warnings *warnings, rawview_error *err)
{
  if (find_disks (io, disks, warnings, err) == 0)
    return 0;
  rv_ova_members_free (disks);
  return -1;
}

/*--- The description ----------------------------------------------------*/

/* Takes over m->name. */
static int
note_description (const struct rv_io *io, struct rv_tar_member *m,
                  struct rv_ova_member *ovf, rawview_error *err)
{
  if (!ends_with (m->name, ".ovf")) {
    free (m->name);
    return 0;
  }
  if (ovf->name != NULL) {
    free (m->name);
    return rv_error_corrupt (err, "%s: more than one OVF description",
                             io->name);
  }
  rv_text_make_printable (m->name);
  *ovf = (struct rv_ova_member){ m->name, m->off, m->len };
  if ((m->type != '0' && m->type != '7') || m->sparse)
    return rv_error_unsupported (err,
                                 "%s: the description \"%s\" is not stored as "
                                 "a plain file; repack the archive",
                                 io->name, m->name);
  return 0;
}

int
rv_ova_description (struct rv_io *io, struct rv_ova_member *ovf,
                    rawview_error *err)
{
  struct rv_tar_walk walk = { .io = io };
  struct rv_tar_member m;
  int r;

  *ovf = (struct rv_ova_member){ 0 };
  while ((r = rv_tar_next (&walk, &m, err)) == 1)
    if (note_description (io, &m, ovf, err) == -1) {
      r = -1;
      break;
    }
  if (r == 0)
    return ovf->name != NULL;
  free (ovf->name);
  ovf->name = NULL;
  return -1;
}

/*--- Choosing -----------------------------------------------------------*/

/* The only member whose last part is disk; -1 if none or several. */
static ssize_t
find_by_last_part (const struct rv_ova_members *disks, const char *disk)
{
  ssize_t found = -1;

  for (size_t i = 0; i < disks->len; i++)
    if (strcmp (rv_text_basename (disks->ptr[i].name), disk) == 0) {
      if (found != -1)
        return -1;
      found = i;
    }
  return found;
}

static ssize_t
find_disk (const struct rv_ova_members *disks, const char *disk)
{
  uint64_t n;

  for (size_t i = 0; i < disks->len; i++)
    if (strcmp (disks->ptr[i].name, disk) == 0)
      return i;
  if (rv_text_parse_size (disk, &n) && n >= 1 && n <= disks->len)
    return n - 1;
  return find_by_last_part (disks, disk);
}

int
rv_ova_choose (const struct rv_io *io, const struct rv_ova_members *disks,
               const char *disk, size_t *index, rawview_error *err)
{
  ssize_t i;

  if (disk == NULL && disks->len > 1)
    return rv_error_usage (err,
                           "%s: has %zu disks, the first is \"%s\"; say which "
                           "with disk=NAME or disk=1 to disk=%zu",
                           io->name, disks->len, disks->ptr[0].name,
                           disks->len);
  i = disk ? find_disk (disks, disk) : 0;
  if (i == -1)
    return rv_error_usage (err,
                           "%s: there is no disk \"%s\" among the %zu in it; "
                           "the first is \"%s\"",
                           io->name, disk, disks->len, disks->ptr[0].name);
  *index = i;
  return 0;
}
