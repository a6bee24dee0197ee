/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview mount: rawviewfs by another name.  Its options are its own, so that
 * nothing here has to follow when one is added.
 */

#include <config.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static int
run_raw (int argc, char **argv)
{
  argv[0] = (char *) "rawviewfs";
  execvp (argv[0], argv);
  return cli_failf (errno == ENOENT ? RAWVIEW_ERROR_UNSUPPORTED
                                    : RAWVIEW_ERROR_IO,
                    "mount: cannot run rawviewfs: %s", strerror (errno));
}

const struct cli_command cmd_mount = {
  .name = "mount",
  .operands = "SOURCE MOUNTPOINT",
  .summary = "Shows an image, or a folder of images, as raw files",
  .run_raw = run_raw,
};
