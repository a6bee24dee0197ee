/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lies beside an image that is to be written in place.
 *
 * Only the container's own folder is looked at, with bounds on how much: this
 * keeps from accidents.  It cannot know of children in other places.
 */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "format/format.h"
#include "format/vmdk-sparse.h"
#include "format/vmdk-descriptor.h"
#include "util/checked.h"
#include "util/error.h"
#include "util/text.h"
#include "writable.h"

#define MAX_FILES 1000u
#define MAX_BYTES (64u << 10) /* of each */

/*--- VMware's locks -----------------------------------------------------*/

static int
check_lock (const struct rv_base *base, const char *name, rawview_error *err)
{
  /* Absolute, or in the container's folder. */
  const char *where = name[0] == '/' ? name : rv_text_basename (name);
  CLEANUP_FREE char *lock = rv_text_format ("%s.lck", where);

  if (lock == NULL)
    return rv_error_nomem (err);
  if (name[0] != '/' && base->dirfd == -1)
    return 0;
  if (faccessat (base->dirfd, lock, F_OK, AT_SYMLINK_NOFOLLOW) == -1)
    return 0;
  return rv_error_set (err, RAWVIEW_ERROR_REFUSED, EBUSY,
                       "%s is in use: VMware's lock %s.lck is beside it; stop "
                       "the virtual machine, or remove the lock if it is left "
                       "over",
                       name, rv_text_basename (name));
}

int
rv_beside_locked (const struct rv_base *base, const struct rv_ios *files,
                  rawview_error *err)
{
  for (size_t i = 0; i < files->len; i++)
    if (files->ptr[i]->has_id &&
        check_lock (base, files->ptr[i]->name, err) == -1)
      return -1;
  return 0;
}

/*--- Children that are VMDKs --------------------------------------------*/

struct search {
  const struct rv_format *format; /* the one that may be a parent */
  const struct rv_file_id *ignored;
  char found[NAME_MAX + 1]; /* the child's name, "" if none */
};

/* Content ids alone do not tell: fresh disks all have the same. */
static bool
names_us (const struct rv_vmdk_descriptor *d, const struct rv_format *f)
{
  return d->parent_cid != RV_VMDK_NO_PARENT && d->parent_hint != NULL &&
         d->parent_cid == f->content_id &&
         strcasecmp (rv_text_foreign_basename (d->parent_hint),
                     rv_text_foreign_basename (f->io->name)) == 0;
}

/* Where is the descriptor in the first bytes of a file of this size? */
static bool
find_text (struct rv_view head, uint64_t size, const char *name,
           struct rv_view *text)
{
  struct rv_vmdk_header header;
  uint64_t off, len;

  *text = head;
  if (!rv_vmdk_header_probe (head))
    return rv_vmdk_descriptor_probe (head) && head.len == size;
  if (head.len < RV_VMDK_HEADER_LEN ||
      rv_vmdk_header_parse (head, name, &header, NULL) == -1 ||
      rv_vmdk_header_descriptor (&header, size, name, &off, &len, NULL) == -1 ||
      len == 0 || !rv_range_fits (off, len, head.len))
    return false;
  *text = (struct rv_view){ head.p + off, len };
  return true;
}

static bool
is_vmdk_child (struct rv_view head, uint64_t size, const char *name,
               const struct rv_format *f)
{
  struct rv_vmdk_descriptor d;
  struct rv_view text;
  bool r;

  if (f->ops != &rv_format_vmdk || !f->has_content_id ||
      !find_text (head, size, name, &text) ||
      rv_vmdk_descriptor_parse (text, name, &d, NULL) == -1)
    return false;
  r = names_us (&d, f);
  rv_vmdk_descriptor_release (&d);
  return r;
}

/*--- Children that are QCOW2: overlays ----------------------------------*/

#define BACKING_OFF 8u
#define BACKING_LEN 16u
#define MAX_NAME    1023u

/* Compared as rv_overlay_match does it: by what is there, not by name. */
static bool
is_qcow2_child (struct rv_view head, int dirfd, const struct rv_format *f)
{
  char name[MAX_NAME + 1];
  struct stat st;
  uint64_t off;
  uint32_t len;

  if (head.len < BACKING_LEN + 4 || !rv_format_qcow2.probe (head))
    return false;
  off = rv_be64 (head.p + BACKING_OFF);
  len = rv_be32 (head.p + BACKING_LEN);
  if (off == 0 || len == 0 || len > MAX_NAME ||
      !rv_range_fits (off, len, head.len))
    return false;
  memcpy (name, head.p + off, len);
  name[len] = '\0';
  return fstatat (dirfd, name, &st, 0) == 0 && st.st_dev == f->io->dev &&
         st.st_ino == f->io->ino;
}

/*--- The folder ---------------------------------------------------------*/

static bool
is_ignored (const struct search *s, const struct stat *st)
{
  const struct rv_io *io = s->format->io;

  return (st->st_dev == io->dev && st->st_ino == io->ino) ||
         (s->ignored->known && st->st_dev == s->ignored->dev &&
          st->st_ino == s->ignored->ino);
}

/* A file that cannot be read, or understood, is no reason to refuse. */
static bool
look_at (int dirfd, const char *name, const struct search *s, uint8_t *bytes)
{
  CLEANUP_CLOSE int fd =
      openat (dirfd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  struct rv_view head = { bytes, 0 };
  struct stat st;
  ssize_t n;

  if (fd == -1 || fstat (fd, &st) == -1 || !S_ISREG (st.st_mode) ||
      is_ignored (s, &st))
    return false;
  n = pread (fd, bytes, MAX_BYTES, 0);
  if (n <= 0)
    return false;
  head.len = n;
  return is_vmdk_child (head, st.st_size, name, s->format) ||
         is_qcow2_child (head, dirfd, s->format);
}

static bool
may_be_child (const char *name)
{
  const char *dot = strrchr (name, '.');

  return dot &&
         (strcasecmp (dot, ".vmdk") == 0 || strcasecmp (dot, ".qcow2") == 0);
}

static int
search_dir (DIR *dir, struct search *s, rawview_error *err)
{
  CLEANUP_FREE uint8_t *bytes = malloc (MAX_BYTES);
  struct dirent *d;
  unsigned n = 0;

  if (bytes == NULL)
    return rv_error_nomem (err);
  while (n < MAX_FILES && s->found[0] == '\0' && (d = readdir (dir))) {
    if (!may_be_child (d->d_name))
      continue;
    n++;
    if (look_at (dirfd (dir), d->d_name, s, bytes))
      strcpy (s->found, d->d_name);
  }
  return 0;
}

int
rv_beside_children (const struct rv_base *base, const struct rv_format *format,
                    const struct rv_file_id *ignored, rawview_error *err)
{
  struct search s = { .format = format, .ignored = ignored };
  DIR *dir;
  int fd, r;

  if (base->dirfd == -1 || !format->io->has_id)
    return 0;
  fd = openat (base->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd == -1)
    return 0; /* a folder that we may pass but not list */
  dir = fdopendir (fd);
  if (dir == NULL) {
    close (fd);
    return rv_error_nomem (err);
  }
  r = search_dir (dir, &s, err);
  closedir (dir);
  if (r == -1 || s.found[0] == '\0')
    return r;
  return rv_error_refused (
      err,
      "%s is the parent or backing file of %s, which would "
      "be ruined by changes to it; write to that one, or "
      "move it away if it is not needed",
      format->io->name, s.found);
}
