/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line. */

#ifndef RAWVIEWFS_OPTIONS_H
#define RAWVIEWFS_OPTIONS_H

#include <stdbool.h>

#define FUSE_USE_VERSION 35
#include <fuse_opt.h>

#include <rawview.h>

struct options {
  bool help;
  bool version;
  bool foreground;
  bool single_threaded;
  bool debug;
  const char *pid_file; /* or NULL */
  bool rw;              /* images are written in place */
  char *overlay;        /* FILE of the option overlay, or NULL */
  char *overlay_dir;    /* DIR of the option overlay-dir, or NULL */
  bool ro;              /* -o ro: not written, whatever else is said */
  const char *source;
  const char *mountpoint;
  rawview_options *image; /* all that the library knows */
  struct fuse_args mount; /* all that libfuse or the kernel may know */
};

/* Is the mount to be written? */
bool options_want_writing (const struct options *options);

/* Fills *options, to be released also after a failure.  Without help or
 * version there is a mountpoint on success.
 */
int options_parse (struct options *options, int argc, char *argv[],
                   rawview_error *err);
void options_release (struct options *options);

/* To stdout. */
void options_print_help (void);

#endif /* RAWVIEWFS_OPTIONS_H */
