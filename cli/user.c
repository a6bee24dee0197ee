/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "user.h"

static const struct passwd *
find (const char *name, rawview_error *err)
{
  const struct passwd *pw;

  errno = 0;
  pw = getpwnam (name);
  if (pw != NULL)
    return pw;
  cli_error_set (err, RAWVIEW_ERROR_USAGE, errno, "--user=%s: %s", name,
                 errno != 0 ? strerror (errno) : "there is no such user");
  return NULL;
}

/* Programs that are started must not look for root's files. */
static void
change_environment (const struct passwd *pw)
{
  setenv ("HOME", pw->pw_dir, 1);
  setenv ("USER", pw->pw_name, 1);
  setenv ("LOGNAME", pw->pw_name, 1);
  unsetenv ("XDG_RUNTIME_DIR");
  unsetenv ("XDG_CACHE_HOME");
  unsetenv ("XDG_CONFIG_HOME");
}

int
user_become (const char *name, bool no_new_privs, rawview_error *err)
{
  const struct passwd *pw;

  if (geteuid () != 0)
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, EPERM,
                          "--user is for root, who alone can become another");
  pw = find (name, err);
  if (pw == NULL)
    return -1;
  /* In this order: without being root the groups could not be changed. */
  if (initgroups (pw->pw_name, pw->pw_gid) == -1 ||
      setresgid (pw->pw_gid, pw->pw_gid, pw->pw_gid) == -1 ||
      setresuid (pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1)
    return cli_error_errno (err, errno, "--user=%s", name);
  if (pw->pw_uid != 0 && (setuid (0) == 0 || geteuid () == 0))
    return cli_error_set (err, RAWVIEW_ERROR_IO, EPERM,
                          "--user=%s: root could not be given up", name);
  if (no_new_privs && prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
    return cli_error_errno (err, errno, "no_new_privs");
  change_environment (pw);
  return 0;
}
