/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libguestfs boots a small machine that supermin makes from this one: with its
 * kernel, and with its programs copied into a disk of some 400 MB, which is
 * kept for the next time.
 */

#include <config.h>

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "appliance.h"

#define APPLIANCE_SPACE (UINT64_C (512) << 20)

static const char *
get_variable (const char *name)
{
  const char *value = getenv (name);

  return value != NULL && *value != '\0' ? value : NULL;
}

/*--- The kernel ---------------------------------------------------------*/

/* Is it of use, for which its modules must be there too?  0, or ENOENT, or
 * EACCES.
 */
static int
judge_kernel (const char *path, const char *version)
{
  CLEANUP_FREE char *modules =
      cli_format ("/lib/modules/%s/modules.dep", version);

  if (access (modules, R_OK) == -1)
    return ENOENT;
  return access (path, R_OK) == 0 ? 0 : EACCES;
}

/* What is wrong with all of them. */
static int
find_kernel (void)
{
  glob_t found;
  int best = ENOENT;

  if (glob ("/boot/vmlinu[xz]-*", 0, NULL, &found) != 0)
    return best;
  for (size_t i = 0; best != 0 && i < found.gl_pathc; i++) {
    const int r =
        judge_kernel (found.gl_pathv[i], strchr (found.gl_pathv[i], '-') + 1);

    best = r == ENOENT ? best : r;
  }
  globfree (&found);
  return best;
}

/* Some distributions have it beside its modules. */
static bool
is_with_modules (void)
{
  glob_t found;
  bool readable = false;

  if (glob ("/lib/modules/*/vmlinuz", 0, NULL, &found) != 0)
    return false;
  for (size_t i = 0; i < found.gl_pathc; i++)
    readable |= access (found.gl_pathv[i], R_OK) == 0;
  globfree (&found);
  return readable;
}

static int
check_kernel (rawview_error *err)
{
  int r;

  /* Somebody has prepared one, or the whole appliance. */
  if (get_variable ("SUPERMIN_KERNEL") != NULL ||
      get_variable ("LIBGUESTFS_PATH") != NULL)
    return 0;
  r = find_kernel ();
  if (r == 0 || is_with_modules ())
    return 0;
  if (r == EACCES)
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, r,
                          "libguestfs needs a kernel for its appliance, and "
                          "this user can read none of /boot/vmlinuz-*: change "
                          "their mode to 0644, or be root");
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, r,
                        "libguestfs needs a kernel for its appliance, and none "
                        "with its modules is in /boot: install one, as the "
                        "package linux-image-amd64 (Debian), "
                        "linux-image-virtual (Ubuntu) or kernel-core (Fedora)");
}

/*--- The cache ----------------------------------------------------------*/

static const char *
cache_dir (void)
{
  const char *dir = get_variable ("LIBGUESTFS_CACHEDIR");

  if (dir == NULL)
    dir = get_variable ("TMPDIR");
  return dir != NULL ? dir : "/var/tmp";
}

static bool
is_cached (const char *dir)
{
  CLEANUP_FREE char *path = cli_format ("%s/.guestfs-%u/appliance.d/root", dir,
                                        (unsigned) geteuid ());

  return access (path, R_OK) == 0;
}

static int
check_cache (uint64_t space, rawview_error *err)
{
  const char *dir = cache_dir ();
  char need[CLI_SIZE_MAX], is[CLI_SIZE_MAX];
  struct statvfs fs;
  uint64_t available;

  if (access (dir, R_OK | W_OK | X_OK) == -1 || statvfs (dir, &fs) == -1)
    return cli_error_errno (err, errno,
                            "libguestfs keeps its appliance in %s: set "
                            "LIBGUESTFS_CACHEDIR to a folder that can be "
                            "written",
                            dir);
  if (space < APPLIANCE_SPACE && !is_cached (dir))
    space = APPLIANCE_SPACE;
  if (__builtin_mul_overflow (fs.f_bavail, fs.f_frsize, &available) ||
      available >= space)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_IO, ENOSPC,
                        "libguestfs keeps its appliance in %s, which has %s "
                        "left, and needs %s: make space, or set "
                        "LIBGUESTFS_CACHEDIR to another folder",
                        dir, cli_format_size (available, is),
                        cli_format_size (space, need));
}

int
appliance_check (uint64_t space, rawview_error *err)
{
  return check_kernel (err) == -1 ? -1 : check_cache (space, err);
}
