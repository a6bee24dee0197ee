/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The only user of libguestfs.  What comes from the guest may be anything; it
 * is cut short, made printable, and never obeyed: no program of the guest is
 * run.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <guestfs.h>

#include "appliance.h"
#include "confined.h"
#include "guest.h"
#include "initramfs.h"
#include "machine.h"

#define MAX_SYSTEMS     16
#define MAX_MOUNTPOINTS 64
#define MAX_KERNELS     32
/* For decompressing an initramfs. */
#define MAX_MEMORY  (256ul << 20)
#define MAX_SECONDS 60

static void
cleanup_guestfs (guestfs_h **g)
{
  if (*g != NULL)
    guestfs_close (*g);
}

static void
cleanup_strings (char ***strings)
{
  for (size_t i = 0; *strings != NULL && (*strings)[i] != NULL; i++)
    free ((*strings)[i]);
  free (*strings);
}

#define CLEANUP_GUESTFS __attribute__ ((cleanup (cleanup_guestfs)))
#define CLEANUP_STRINGS __attribute__ ((cleanup (cleanup_strings)))

static size_t
count (char *const *strings, size_t max)
{
  size_t n = 0;

  while (strings != NULL && strings[n] != NULL && n < max)
    n++;
  return n;
}

/* Exits when memory is short: there is nothing to undo. */
static void *
allocate (size_t n, size_t size)
{
  void *p = calloc (n + 1, size);

  if (p == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  return p;
}

/* Cleans a text of libguestfs and frees it; "unknown" and "" are NULL. */
static char *
take (char *text)
{
  char *clean = NULL;

  if (text != NULL && *text != '\0' && strcmp (text, "unknown") != 0)
    clean = machine_clean_text (text);
  free (text);
  return clean;
}

static int
set_error (guestfs_h *g, const char *what, rawview_error *err)
{
  const char *said = guestfs_last_error (g);
  CLEANUP_FREE char *clean =
      machine_clean_text (said != NULL ? said : "no reason given");

  return cli_error_set (err, RAWVIEW_ERROR_IO, EIO, "libguestfs: %s: %s", what,
                        clean);
}

/*--- Drivers ------------------------------------------------------------*/

struct scan {
  int fd; /* the end of a pipe */
  struct initramfs *found;
};

static void
run_scan (void *opaque)
{
  struct scan *scan = opaque;

  initramfs_scan (scan->fd, scan->found);
}

/* libguestfs writes the file into the pipe, a confined process reads it. */
static int
scan_through_pipe (guestfs_h *g, const char *path,
                   const rawview_options *options, const int pipe_fds[2],
                   struct initramfs *found, rawview_error *err)
{
  struct scan scan = { pipe_fds[0], found };
  const struct confined_work work = { .options = options,
                                      .max_memory = MAX_MEMORY,
                                      .max_seconds = MAX_SECONDS,
                                      .fd = pipe_fds[0],
                                      .run = run_scan,
                                      .opaque = &scan };
  CLEANUP_FREE char *out = cli_format ("/dev/fd/%d", pipe_fds[1]);
  struct confined c;
  int r;

  if (confined_start (&c, &work, err) == -1) {
    close (pipe_fds[0]);
    close (pipe_fds[1]);
    return -1;
  }
  close (pipe_fds[0]);
  r = guestfs_download (g, path, out);
  close (pipe_fds[1]);
  return confined_wait (&c, path, err) == -1 ? -1 : r;
}

/* What cannot be read or understood is not complete. */
static struct initramfs
scan_initramfs (guestfs_h *g, const char *path, const rawview_options *options)
{
  struct initramfs *shared, found = { 0 };
  rawview_error err;
  int pipe_fds[2];

  shared = confined_alloc (sizeof *shared, &err);
  if (shared == NULL)
    return found;
  if (pipe2 (pipe_fds, O_CLOEXEC) == 0 &&
      scan_through_pipe (g, path, options, pipe_fds, shared, &err) == 0)
    found = *shared;
  confined_free (shared, sizeof *shared);
  return found;
}

/* Does a list of modules, a path at the start of each line, have this one?  1,
 * 0, or -1 if there is no such list.
 */
static int
is_listed (guestfs_h *g, const char *version, const char *list,
           const char *module)
{
  CLEANUP_FREE char *path = cli_format ("/lib/modules/%s/%s", version, list);
  CLEANUP_FREE char *regex = cli_format ("^[^:]*/%s\\.ko", module);
  CLEANUP_STRINGS char **lines = NULL;

  if (guestfs_is_file_opts (g, path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1,
                            -1) != 1)
    return -1;
  lines = guestfs_grep_opts (g, regex, path, -1);
  return lines == NULL ? -1 : lines[0] != NULL;
}

static enum guest_driver
find_driver (guestfs_h *g, const char *version, const char *module,
             const struct initramfs *initramfs, bool in_initramfs)
{
  int r;

  if (is_listed (g, version, "modules.builtin", module) == 1)
    return GUEST_DRIVER_BUILTIN;
  if (in_initramfs)
    return GUEST_DRIVER_INITRAMFS;
  r = is_listed (g, version, "modules.dep", module);
  if (r == 0)
    return GUEST_DRIVER_MISSING;
  return r == 1 && initramfs->complete ? GUEST_DRIVER_MODULE
                                       : GUEST_DRIVER_UNKNOWN;
}

/*--- Kernels ------------------------------------------------------------*/

/* The initramfs that belongs to a kernel, by the names that distributions give
 * them; NULL: none.
 */
static char *
find_initramfs (guestfs_h *g, const char *version)
{
  static const char *const names[][2] = {
    { "/boot/initrd.img-", "" },
    { "/boot/initramfs-", ".img" },
    { "/boot/initrd-", "" },
    { "/boot/initrd-", ".img" },
  };

  for (size_t i = 0; i < CLI_COUNT (names); i++) {
    char *path = cli_format ("%s%s%s", names[i][0], version, names[i][1]);

    if (guestfs_is_file_opts (g, path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1,
                              -1) == 1)
      return path;
    free (path);
  }
  return NULL;
}

static void
inspect_kernel (guestfs_h *g, const char *path, const rawview_options *options,
                struct guest_kernel *kernel)
{
  const char *dash = strchr (path, '-');
  const char *version = dash != NULL ? dash + 1 : path;
  CLEANUP_FREE char *file = find_initramfs (g, version);
  struct initramfs initramfs = { 0 };

  kernel->version = machine_clean_text (version);
  kernel->filename = machine_clean_text (path);
  if (file != NULL) {
    kernel->initramfs = machine_clean_text (file);
    initramfs = scan_initramfs (g, file, options);
  }
  /* Without one there is nothing in it. */
  initramfs.complete |= file == NULL;
  kernel->virtio_blk =
      find_driver (g, version, "virtio_blk", &initramfs, initramfs.virtio_blk);
  kernel->virtio_scsi = find_driver (g, version, "virtio_scsi", &initramfs,
                                     initramfs.virtio_scsi);
}

static void
inspect_kernels (guestfs_h *g, const rawview_options *options,
                 struct guest_system *system)
{
  CLEANUP_STRINGS char **paths = guestfs_glob_expand (g, "/boot/vmlinu[xz]-*");
  const size_t n = count (paths, MAX_KERNELS);

  system->kernels = allocate (n, sizeof *system->kernels);
  system->n_kernels = n;
  for (size_t i = 0; i < n; i++)
    inspect_kernel (g, paths[i], options, &system->kernels[i]);
}

/*--- Systems ------------------------------------------------------------*/

/* By length, so that each is mounted on what is there already. */
static int
compare_mountpoints (const void *a, const void *b)
{
  const struct guest_mountpoint *one = a, *other = b;
  const size_t len = strlen (one->path), other_len = strlen (other->path);

  return len != other_len ? (len < other_len ? -1 : 1)
                          : strcmp (one->path, other->path);
}

/* Pairs of path and device, of which libguestfs makes a list. */
static void
mount_system (guestfs_h *g, const char *root, struct guest_system *system)
{
  CLEANUP_STRINGS char **pairs = guestfs_inspect_get_mountpoints (g, root);
  const size_t n = count (pairs, 2 * MAX_MOUNTPOINTS) / 2;
  struct guest_mountpoint *m = allocate (n, sizeof *m);

  for (size_t i = 0; i < n; i++)
    m[i] = (struct guest_mountpoint){ pairs[2 * i], pairs[2 * i + 1] };
  qsort (m, n, sizeof *m, compare_mountpoints);
  for (size_t i = 0; i < n; i++) {
    /* One that cannot be mounted is as good as one that is not there. */
    guestfs_mount_ro (g, m[i].device, m[i].path);
    m[i].path = machine_clean_text (m[i].path);
    m[i].device = machine_clean_text (m[i].device);
  }
  system->mountpoints = m;
  system->n_mountpoints = n;
}

static void
inspect_system (guestfs_h *g, const char *root, const rawview_options *options,
                struct guest_system *system)
{
  system->root = machine_clean_text (root);
  system->name = take (guestfs_inspect_get_type (g, root));
  system->arch = take (guestfs_inspect_get_arch (g, root));
  system->distro = take (guestfs_inspect_get_distro (g, root));
  system->product = take (guestfs_inspect_get_product_name (g, root));
  system->hostname = take (guestfs_inspect_get_hostname (g, root));
  system->osinfo = take (guestfs_inspect_get_osinfo (g, root));
  system->major = guestfs_inspect_get_major_version (g, root);
  system->minor = guestfs_inspect_get_minor_version (g, root);
  mount_system (g, root, system);
  if (system->name != NULL && strcmp (system->name, "linux") == 0)
    inspect_kernels (g, options, system);
  guestfs_umount_all (g);
}

/*--- The appliance ------------------------------------------------------*/

static int
add_disk (guestfs_h *g, const char *socket, rawview_error *err)
{
  CLEANUP_FREE char *server = cli_format ("unix:%s", socket);
  char *const servers[] = { server, NULL };

  if (guestfs_add_drive_opts (g, "", GUESTFS_ADD_DRIVE_OPTS_READONLY, 1,
                              GUESTFS_ADD_DRIVE_OPTS_FORMAT, "raw",
                              GUESTFS_ADD_DRIVE_OPTS_PROTOCOL, "nbd",
                              GUESTFS_ADD_DRIVE_OPTS_SERVER, servers, -1) == -1)
    return set_error (g, "adding a disk", err);
  return 0;
}

static guestfs_h *
launch (const char *const *sockets, size_t n, rawview_error *err)
{
  guestfs_h *g = guestfs_create ();
  int r = 0;

  if (g == NULL) {
    cli_error_errno (err, errno, "libguestfs");
    return NULL;
  }
  guestfs_set_error_handler (g, NULL, NULL);
  for (size_t i = 0; r == 0 && i < n; i++)
    r = add_disk (g, sockets[i], err);
  if (r == 0 && guestfs_launch (g) == -1)
    r = set_error (g,
                   "its appliance cannot start (libguestfs-test-tool tells "
                   "more)",
                   err);
  if (r == 0)
    return g;
  guestfs_close (g);
  return NULL;
}

int
guest_check (rawview_error *err)
{
  return appliance_check (0, err);
}

int
guest_inspect (const char *const *sockets, size_t n,
               const rawview_options *options, struct guest *guest,
               rawview_error *err)
{
  CLEANUP_GUESTFS guestfs_h *g = NULL;
  CLEANUP_STRINGS char **roots = NULL;

  *guest = (struct guest){ 0 };
  g = launch (sockets, n, err);
  if (g == NULL)
    return -1;
  roots = guestfs_inspect_os (g);
  if (roots == NULL)
    return set_error (g, "looking for systems", err);
  /* Should the process at the other end of a pipe die. */
  signal (SIGPIPE, SIG_IGN);
  guest->n_systems = count (roots, MAX_SYSTEMS);
  guest->systems = allocate (guest->n_systems, sizeof *guest->systems);
  for (size_t i = 0; i < guest->n_systems; i++)
    inspect_system (g, roots[i], options, &guest->systems[i]);
  return 0;
}
