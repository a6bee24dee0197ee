/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "guest-agent.h"

/* Of Linux guests: scripts that run in order, to wait for the network, quieten
 * SELinux, install and start.  Of Windows: a script, what it calls, and the
 * installer.  A glob that matches nothing does nothing.
 */
static const char script[] =
    "glob rm-f /usr/lib/virt-sysprep/scripts/*-wait-online\n"
    "glob rm-f /usr/lib/virt-sysprep/scripts/*-setenforce-0\n"
    "glob rm-f /usr/lib/virt-sysprep/scripts/*-install-qga\n"
    "glob rm-f /usr/lib/virt-sysprep/scripts/*-setenforce-restore\n"
    "glob rm-f /usr/lib/virt-sysprep/scripts/*-start-qga\n"
    "glob rm-f \"/Program Files/Guestfs/Firstboot/scripts/"
    "*-install-qemu-ga-*.bat\"\n"
    "glob rm-f /Windows/Temp/install-qemu-ga-*.ps1\n"
    "glob rm-f /qemu-ga-*.msi\n";

static const char *
program (void)
{
  const char *other = getenv ("RAWVIEW_GUESTFISH");

  return other != NULL && *other != '\0' ? other : "guestfish";
}

static int
not_installed (rawview_error *err)
{
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOENT,
                        "--no-guest-agent: %s is not installed (package "
                        "guestfish, or libguestfs-tools)",
                        program ());
}

int
guest_agent_check (rawview_error *err)
{
  char *argv[] = { (char *) program (), (char *) "--version", NULL };
  const struct child_wishes wishes = { .argv = argv, .death_signal = SIGTERM };
  struct child child;

  if (child_start (&child, &wishes, err) == -1)
    return err->errnum == ENOENT ? not_installed (err) : -1;
  child_wait (&child, 60000);
  child_stop (&child, 0);
  child_free (&child);
  return 0;
}

static int
write_script (const char *path, rawview_error *err)
{
  const int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  bool ok;

  if (fd == -1)
    return cli_error_errno (err, errno, "%s", path);
  ok = write (fd, script, sizeof script - 1) == (ssize_t) sizeof script - 1;
  close (fd);
  return ok ? 0 : cli_error_errno (err, EIO, "%s", path);
}

static void
make_argv (struct cli_list *argv, const char *const *disks, size_t n,
           bool sockets, const struct cli_list *keys, const char *path)
{
  static const char *const options[] = { "--rw", "--inspector",
                                         "--format=raw" };

  cli_list_add (argv, cli_format ("%s", program ()));
  for (size_t i = 0; i < CLI_COUNT (options); i++)
    cli_list_add (argv, cli_format ("%s", options[i]));
  for (size_t i = 0; keys != NULL && i < keys->len; i++)
    cli_list_add (argv, cli_format ("%s", keys->items[i]));
  for (size_t i = 0; i < n; i++) {
    cli_list_add (argv, cli_format ("-a"));
    cli_list_add (argv, sockets ? cli_nbd_unix_uri (disks[i], "")
                                : cli_format ("%s", disks[i]));
  }
  cli_list_add (argv, cli_format ("-f"));
  cli_list_add (argv, cli_format ("%s", path));
  cli_list_add (argv, NULL);
}

int
guest_agent_start (const char *const *disks, size_t n, bool sockets,
                   const struct cli_list *keys, const char *dir,
                   struct child *child, rawview_error *err)
{
  CLEANUP_FREE char *path = cli_format ("%s/no-guest-agent.fish", dir);
  struct child_wishes wishes = { .death_signal = SIGKILL, .session = true };
  struct cli_list argv = { 0 };
  int r;

  if (write_script (path, err) == -1)
    return -1;
  make_argv (&argv, disks, n, sockets, keys, path);
  wishes.argv = (char *const *) argv.items;
  r = child_start (child, &wishes, err);
  cli_list_free (&argv);
  return r;
}
