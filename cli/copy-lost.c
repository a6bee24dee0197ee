/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What rawview copy --rescue could not read: told in the disk's order, as it
 * goes, so that nothing of it is kept.
 *
 * A worker notes what its piece has lost and tells it when it is the piece's
 * turn.  Neighbours are told as one, and so are those of neighbouring pieces.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"

/*--- Of one piece -------------------------------------------------------*/

static void
note (void *opaque, uint64_t len, uint64_t off, const rawview_error *why)
{
  struct copy_losses *l = opaque;
  struct copy_range *last = l->n > 0 ? &l->ranges[l->n - 1] : NULL;

  if (last && last->off + last->len == off) {
    last->len += len;
    return;
  }
  if (l->n == l->room) {
    size_t room = l->room ? l->room * 2 : 64;
    struct copy_range *r = reallocarray (l->ranges, room, sizeof *r);

    l->failed = l->failed || r == NULL;
    if (r == NULL)
      return;
    l->ranges = r;
    l->room = room;
  }
  l->ranges[l->n++] = (struct copy_range){ off, len };
}

int
copy_lost_read (rawview_image *image, void *buf, size_t len, uint64_t off,
                struct copy_losses *losses, rawview_error *err)
{
  losses->n = 0;
  losses->failed = false;
  if (rawview_salvage (image, buf, len, off, note, losses, err) == -1)
    return -1;
  return losses->failed ? cli_error_errno (err, ENOMEM, "copy") : 0;
}

/*--- Telling ------------------------------------------------------------*/

static void
map_block (struct copy_lost *l, uint64_t end, char status)
{
  if (l->map && end > l->mapped)
    fprintf (l->map, "0x%08" PRIX64 "  0x%08" PRIX64 "  %c\n", l->mapped,
             end - l->mapped, status);
  l->mapped = end;
}

static void
tell_pending (struct copy_lost *l)
{
  uint64_t off = l->pending.off, len = l->pending.len;

  if (len == 0)
    return;
  l->pending.len = 0;
  l->ranges++;
  l->bytes += len;
  map_block (l, off, '+');
  map_block (l, off + len, '-');
  if (l->json)
    fprintf (l->json,
             "{\"lost-offset\": %" PRIu64 ", \"lost-length\": %" PRIu64 "}\n",
             off, len);
  /* "K" of the terminal clears the bar, which is drawn anew. */
  fprintf (stderr, "%slost: %" PRIu64 "+%" PRIu64 "\n",
           l->bar ? "\r\033[K" : "", off, len);
}

static void
add_range (struct copy_lost *l, struct copy_range r)
{
  if (l->pending.len > 0 && l->pending.off + l->pending.len == r.off) {
    l->pending.len += r.len;
    return;
  }
  tell_pending (l);
  l->pending = r;
}

void
copy_lost_tell (struct copy_lost *l, const struct copy_losses *losses,
                uint64_t end)
{
  for (size_t i = 0; i < losses->n; i++)
    add_range (l, losses->ranges[i]);
  if (l->pending.off + l->pending.len < end || end == l->size)
    tell_pending (l);
}

/*--- The mapfile --------------------------------------------------------*/

static int
open_map_fd (struct copy_lost *l, const char *name, bool force,
             const rawview_image *source, rawview_error *err)
{
  int fd = open (name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  struct stat st;

  l->created = fd >= 0;
  if (fd == -1 && errno == EEXIST)
    fd = open (name, O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (fd == -1 || fstat (fd, &st) == -1) {
    cli_error_errno (err, errno, "%s", name);
    goto failed;
  }
  if (!S_ISREG (st.st_mode)) {
    cli_error_set (err, RAWVIEW_ERROR_USAGE, EINVAL,
                   "%s: the mapfile must be a regular file", name);
    goto failed;
  }
  if (st.st_size > 0 && !force) {
    cli_error_set (err, RAWVIEW_ERROR_REFUSED, EEXIST,
                   "%s: exists and is not empty (--force overwrites it)", name);
    goto failed;
  }
  if (copy_lock_destination (fd, name, source, err) == -1)
    goto failed;
  if (ftruncate (fd, 0) == 0)
    return fd;
  cli_error_errno (err, errno, "%s: cannot empty it", name);
failed:
  if (fd >= 0)
    close (fd);
  return -1;
}

int
copy_lost_open_map (struct copy_lost *l, const char *name, bool force,
                    const rawview_image *source, rawview_error *err)
{
  int fd = open_map_fd (l, name, force, source, err);

  if (fd == -1)
    return -1;
  l->map_name = name;
  l->map = fdopen (fd, "w");
  if (l->map == NULL) {
    cli_error_errno (err, errno, "%s", name);
    close (fd);
    return -1;
  }
  fprintf (l->map,
           "# Mapfile. Created by rawview %s\n"
           "# current_pos  current_status  current_pass\n"
           "0x00000000     +               1\n"
           "#      pos        size  status\n",
           PACKAGE_VERSION);
  return 0;
}

int
copy_lost_finish (struct copy_lost *l, rawview_error *err)
{
  FILE *map = l->map;
  bool failed;

  tell_pending (l);
  map_block (l, l->size, '+');
  l->map = NULL;
  if (map == NULL)
    return 0;
  failed = ferror (map) != 0;
  if (fclose (map) == 0 && !failed)
    return 0;
  return cli_error_errno (err, errno ? errno : EIO, "%s: cannot write",
                          l->map_name);
}

void
copy_lost_abandon (struct copy_lost *l)
{
  if (l->map)
    fclose (l->map);
  l->map = NULL;
  if (l->map_name && l->created)
    unlink (l->map_name);
}

/*--- Without --rescue ---------------------------------------------------*/

/* The first loss of a piece. */
struct first {
  bool found;
  uint64_t off;
};

static void
note_first (void *opaque, uint64_t len, uint64_t off, const rawview_error *why)
{
  struct first *f = opaque;

  if (!f->found)
    *f = (struct first){ true, off };
}

static void
append (rawview_error *err, const char *text)
{
  size_t len = strlen (err->msg), room = sizeof err->msg - 1 - strlen (text);

  if (len > room)
    len = room;
  strcpy (err->msg + len, text);
}

void
copy_lost_explain (rawview_image *image, void *buf, size_t len, uint64_t off,
                   rawview_error *err)
{
  struct first first = { .off = off };
  char text[100];

  if (rawview_salvage (image, buf, len, off, note_first, &first, NULL) == -1 ||
      !first.found)
    return;
  snprintf (text, sizeof text,
            " (at offset %" PRIu64 " of the disk; --rescue copies the rest)",
            first.off);
  append (err, text);
}

void
copy_lost_suggest (const char *source, rawview_options *options,
                   rawview_error *err)
{
  CLEANUP_IMAGE rawview_image *image = NULL;

  /* A file is missing: is it the image, or one that the image names? */
  if (err->kind == RAWVIEW_ERROR_IO &&
      (rawview_options_set (options, "rescue", "yes", NULL) == -1 ||
       rawview_open (source, options, &image, NULL) == -1))
    return;
  if (err->kind == RAWVIEW_ERROR_IO || err->kind == RAWVIEW_ERROR_CORRUPT)
    append (err, " (--rescue copies what can be read, if anything can)");
}
