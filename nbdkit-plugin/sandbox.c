/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What nbdkit itself does after .after_fork has to go on: it answers clients on
 * sockets that it has, writes to the system's log, and removes the socket that
 * it has made for -U -.  Sockets with a name of the user's, and pid files, it
 * leaves where they are.
 */

#include <config.h>

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "log.h"
#include "sandbox.h"

/* nbdkit's descriptors are among the first ones; libraries are loaded and
 * images are open already, which is some more.
 */
#define MAX_FD 4096

/* What nbdkit calls the socket of -U -: a folder from mkdtemp, and in it */
#define PRIVATE_FOLDER "nbdkit"
#define PRIVATE_NAME   "socket"

/* The path of a unix socket that listens, "" for everything else. */
static void
find_path (int fd, struct sockaddr_un *addr)
{
  socklen_t len = sizeof *addr - 1, optlen = sizeof (int);
  int listens = 0;

  memset (addr, 0, sizeof *addr);
  if (getsockopt (fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &optlen) == -1 ||
      !listens || getsockname (fd, (struct sockaddr *) addr, &len) == -1 ||
      addr->sun_family != AF_UNIX)
    addr->sun_path[0] = '\0';
}

/* If path is one of -U -, shortens folder, a copy of it, to its folder. */
static bool
is_private (const char *path, char *folder)
{
  const char *name = strrchr (path, '/'), *parent;

  if (name == NULL || name == path || strcmp (name + 1, PRIVATE_NAME) != 0)
    return false;
  folder[name - path] = '\0';
  parent = strrchr (folder, '/');
  return parent != NULL &&
         strncmp (parent + 1, PRIVATE_FOLDER, strlen (PRIVATE_FOLDER)) == 0;
}

int
sandbox_enter (const rawview_options *options, rawview_exports *exports)
{
  char path[sizeof (struct sockaddr_un)], folder[sizeof path];
  const char *removes[] = { NULL, NULL, NULL };
  rawview_sandbox_needs needs = {
    .options = options, .exports = exports, .syslog = true, .removes = removes
  };
  struct sockaddr_un addr;
  rawview_sandbox state;
  rawview_error err;

  for (int fd = 0; fd < MAX_FD && removes[0] == NULL; fd++) {
    find_path (fd, &addr);
    strcpy (path, addr.sun_path);
    strcpy (folder, path);
    if (is_private (path, folder)) {
      removes[0] = path;
      removes[1] = folder;
    }
  }
  if (rawview_sandbox_enter (&needs, &state, &err) == -1) {
    nbdkit_error ("%s", err.msg);
    return -1;
  }
  if (state.weaker)
    log_line (state.text);
  else
    nbdkit_debug ("%s", state.text);
  return 0;
}
