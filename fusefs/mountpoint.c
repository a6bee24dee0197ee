/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "mountpoint.h"

#define READ_AHEAD_KB 1024

static bool
is_same (const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is the folder fd the same as *other, or somewhere below it?  Takes over fd.
 * Goes up by "..", which leaves mounts and cannot be fooled by links.
 */
static bool
is_beneath (int fd, const struct stat *other)
{
  struct stat here = { 0 }, child;
  bool found = false;

  while (fd != -1) {
    int up = -1;

    child = here;
    if (fstat (fd, &here) == 0 && !is_same (&here, &child)) {
      found = is_same (&here, other);
      if (!found)
        up = openat (fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    close (fd);
    fd = up;
  }
  return found;
}

static int
open_folder (const char *path)
{
  return open (path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The folder that a file lies in. */
static int
open_folder_of (const char *path)
{
  char *copy = strdup (path);
  int fd;

  if (copy == NULL)
    return -1;
  fd = open_folder (dirname (copy));
  free (copy);
  return fd;
}

/* The folder that a local source is, or lies in. */
static int
open_source_folder (const struct places *places)
{
  return places->source_is_folder ? open_folder (places->source)
                                  : open_folder_of (places->source);
}

static int
check_overlap (const struct places *places, const struct stat *source,
               const struct stat *mountpoint, rawview_error *err)
{
  if (is_same (source, mountpoint))
    return error_usage (err,
                        "%s: MOUNTPOINT is SOURCE itself; choose another one",
                        places->mountpoint);
  if (!places->mountpoint_is_folder)
    return 0;
  if (places->source_is_folder &&
      is_beneath (open_folder (places->mountpoint), source))
    return error_usage (
        err, "%s: MOUNTPOINT lies inside SOURCE; choose one elsewhere",
        places->mountpoint);
  if (is_beneath (open_source_folder (places), mountpoint))
    return error_usage (
        err, "%s: SOURCE lies inside MOUNTPOINT; choose one elsewhere",
        places->mountpoint);
  return 0;
}

int
places_find (struct places *places, const char *source, const char *mountpoint,
             rawview_error *err)
{
  struct stat source_st, mountpoint_st;
  bool local;

  *places = (struct places){ 0 };

  places->mountpoint = realpath (mountpoint, NULL);
  if (places->mountpoint == NULL || stat (mountpoint, &mountpoint_st) == -1)
    return error_system (err, mountpoint);
  places->mountpoint_is_folder = S_ISDIR (mountpoint_st.st_mode);
  if (!places->mountpoint_is_folder && !S_ISREG (mountpoint_st.st_mode))
    return error_usage (
        err, "%s: MOUNTPOINT must be a regular file or a folder", mountpoint);

  /* What is no file is left for the library to judge: a URI, or an error. */
  places->source = realpath (source, NULL);
  local = places->source != NULL && stat (source, &source_st) == 0;
  if (places->source == NULL)
    places->source = strdup (source);
  if (places->source == NULL)
    return error_nomem (err);
  if (!local)
    return 0;

  places->source_is_folder = S_ISDIR (source_st.st_mode);
  if (places->source_is_folder && !places->mountpoint_is_folder)
    return error_usage (err,
                        "%s: SOURCE is a folder, so MOUNTPOINT must be one too",
                        mountpoint);
  return check_overlap (places, &source_st, &mountpoint_st, err);
}

/*--- Overlays -----------------------------------------------------------*/

int
places_check_overlay (const struct places *places, const char *file,
                      rawview_error *err)
{
  struct stat st, mountpoint;

  if (stat (places->mountpoint, &mountpoint) == -1)
    return error_system (err, places->mountpoint);
  if (stat (file, &st) == 0 && is_same (&st, &mountpoint))
    return error_usage (
        err, "%s: MOUNTPOINT is the overlay itself; choose another one",
        places->mountpoint);
  if (places->mountpoint_is_folder &&
      is_beneath (open_folder_of (file), &mountpoint))
    return error_usage (
        err, "%s: the overlay lies inside MOUNTPOINT; choose one elsewhere",
        places->mountpoint);
  return 0;
}

int
places_check_overlay_dir (const struct places *places, const char *dir,
                          rawview_error *err)
{
  struct stat st, mountpoint;
  int fd;

  if (stat (places->mountpoint, &mountpoint) == -1)
    return error_system (err, places->mountpoint);
  if (!places->mountpoint_is_folder)
    return 0;
  if (stat (dir, &st) == 0 &&
      is_beneath (open_folder (places->mountpoint), &st))
    return error_usage (
        err, "%s: MOUNTPOINT lies in the folder of overlays; choose another",
        places->mountpoint);
  fd = open_folder (dir);
  if (is_beneath (fd != -1 ? fd : open_folder_of (dir), &mountpoint))
    return error_usage (
        err,
        "%s: the folder of overlays lies inside MOUNTPOINT; choose one "
        "elsewhere",
        places->mountpoint);
  return 0;
}

void
places_release (struct places *places)
{
  free (places->source);
  free (places->mountpoint);
}

/*--- Tuning -------------------------------------------------------------*/

void
mountpoint_set_read_ahead (const char *mountpoint)
{
  struct statx stx;
  char path[64];
  int fd;

  /* Without DONT_SYNC this would ask ourselves, who do not answer yet. */
  if (statx (AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0,
             &stx) == -1)
    return;
  snprintf (path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb",
            stx.stx_dev_major, stx.stx_dev_minor);
  fd = open (path, O_WRONLY | O_CLOEXEC);
  if (fd == -1)
    return;
  /* A failure costs speed, nothing else. */
  if (dprintf (fd, "%u\n", READ_AHEAD_KB) < 0) {
  }
  close (fd);
}
