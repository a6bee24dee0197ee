/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libguestfs needs, looked for before anything starts: it would tell of it
 * late, and in many lines.
 */

#include <config.h>

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "v2v.h"

#define CACHE_BYTES (UINT64_C (1) << 30)

/*--- A kernel -----------------------------------------------------------*/

enum kernel { KERNEL_NONE, KERNEL_UNREADABLE, KERNEL_THERE };

/* prefix: what comes before the version in its path. */
static enum kernel
look_at (const char *path, const char *prefix)
{
  CLEANUP_FREE char *modules =
      cli_format ("/lib/modules/%s/modules.dep", path + strlen (prefix));

  if (access (modules, R_OK) == -1)
    return KERNEL_NONE;
  return access (path, R_OK) == 0 ? KERNEL_THERE : KERNEL_UNREADABLE;
}

static enum kernel
find_kernel (void)
{
  enum kernel best = KERNEL_NONE;
  glob_t g;

  if (glob ("/boot/vmlinu[xz]-*", 0, NULL, &g) == 0) {
    for (size_t i = 0; i < g.gl_pathc; i++) {
      const enum kernel k = look_at (g.gl_pathv[i], "/boot/vmlinuz-");

      if (k > best)
        best = k;
    }
    globfree (&g);
  }
  /* Some distributions have it beside its modules. */
  if (best != KERNEL_THERE &&
      glob ("/lib/modules/*/vmlinuz", 0, NULL, &g) == 0) {
    for (size_t i = 0; i < g.gl_pathc; i++)
      if (access (g.gl_pathv[i], R_OK) == 0)
        best = KERNEL_THERE;
    globfree (&g);
  }
  return best;
}

/* Both name an appliance, or a kernel for it, that was prepared before. */
static bool
kernel_is_given (void)
{
  return getenv ("LIBGUESTFS_PATH") != NULL ||
         getenv ("SUPERMIN_KERNEL") != NULL;
}

static int
check_kernel (rawview_error *err)
{
  const enum kernel kernel = kernel_is_given () ? KERNEL_THERE : find_kernel ();

  if (kernel == KERNEL_UNREADABLE)
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, EACCES,
                          "the kernel in /boot, from which libguestfs makes "
                          "its appliance, cannot be read: let root make it "
                          "readable (chmod +r /boot/vmlinuz-*), or set "
                          "LIBGUESTFS_PATH to an appliance");
  if (kernel == KERNEL_NONE)
    return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOENT,
                          "there is no kernel with its modules for the "
                          "appliance of libguestfs: install one (package "
                          "linux-image-amd64; in a container too), or set "
                          "LIBGUESTFS_PATH to an appliance");
  return 0;
}

/*--- Its cache ----------------------------------------------------------*/

static const char *
cache_dir (void)
{
  static const char *const names[] = { "LIBGUESTFS_CACHEDIR", "TMPDIR" };

  for (size_t i = 0; i < CLI_COUNT (names); i++) {
    const char *dir = getenv (names[i]);

    if (dir != NULL && *dir != '\0')
      return dir;
  }
  return "/var/tmp";
}

static int
check_cache (rawview_error *err)
{
  const char *dir = cache_dir ();
  char room[CLI_SIZE_MAX];
  struct statvfs st;
  uint64_t bytes;

  if (statvfs (dir, &st) == -1)
    return cli_error_errno (err, errno,
                            "%s, where libguestfs keeps its appliance (see "
                            "LIBGUESTFS_CACHEDIR)",
                            dir);
  bytes = (uint64_t) st.f_bavail * st.f_frsize;
  if (bytes >= CACHE_BYTES)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_IO, ENOSPC,
                        "%s has %s left, and virt-v2v needs 1 GiB there: make "
                        "room, or set LIBGUESTFS_CACHEDIR to another folder",
                        dir, cli_format_size (bytes, room));
}

int
v2v_check_appliance (rawview_error *err)
{
  return check_kernel (err) == -1 || check_cache (err) == -1 ? -1 : 0;
}
