/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawviewfs [OPTION...] SOURCE MOUNTPOINT
 *
 * The order of things, which matters:
 *   1. look at SOURCE and MOUNTPOINT, open SOURCE: what is wrong with them is
 *      said before anything is mounted
 *   2. mount
 *   3. go into the background
 *   4. fork the process that will do what the sandbox denies: see ending.h
 *   5. write the pid file, go into the sandbox
 *   6. start threads: the library's workers, then libfuse's
 *   7. let the parent go, answer requests
 *   8. unmount, end writing to the images, remove the pid file
 */

#include <config.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "ending.h"
#include "error.h"
#include "log.h"
#include "mountpoint.h"
#include "ops.h"
#include "options.h"
#include "tree.h"

/* Threads that libfuse keeps for the next request. */
#define IDLE_THREADS 10

struct rawviewfs {
  struct options options;
  struct places places;
  rawview_exports *exports;
  struct tree *tree;
  struct ops *ops;
  struct pid_file pid_file;
  struct ending ending;
  struct fuse_session *session;
  bool has_handlers;
  bool is_mounted;
};

static void
log_from_library (void *opaque, const char *msg)
{
  log_line ("%s", msg);
}

static enum tree_writing
find_writing (const struct options *options)
{
  if (options->rw)
    return TREE_IN_PLACE;
  if (options->overlay == NULL && options->overlay_dir == NULL)
    return TREE_READ_ONLY;
  return options->ro ? TREE_OVERLAY_SHOWN : TREE_OVERLAY;
}

static int
open_source (struct rawviewfs *fs, rawview_error *err)
{
  const struct places *places = &fs->places;
  enum tree_shape shape;
  int r;

  fs->exports = rawview_exports_new ();
  if (fs->exports == NULL)
    return error_nomem (err);
  rawview_exports_set_log (fs->exports, log_from_library, NULL);

  if (places->source_is_folder) {
    shape = TREE_FOLDER;
    r = rawview_exports_add_folder (fs->exports, places->source,
                                    fs->options.image, err);
  }
  else {
    shape = places->mountpoint_is_folder ? TREE_DISKS : TREE_FILE;
    r = rawview_exports_add_source (fs->exports, NULL, places->source,
                                    fs->options.image, err);
  }
  if (r == -1)
    return -1;
  return tree_new (shape, find_writing (&fs->options), fs->exports, &fs->tree,
                   err);
}

/*--- Mounting -----------------------------------------------------------*/

/* Says what is mounted, so that mount(8) and df(1) show SOURCE; a wish of the
 * user's comes later in the list and wins.
 */
static int
insert_name (struct fuse_args *args, const char *source)
{
  char *fsname = NULL;
  char *escaped = NULL;
  int r = -1;

  if (asprintf (&fsname, "fsname=%s", source) != -1 &&
      fuse_opt_add_opt_escaped (&escaped, fsname) == 0)
    r = fuse_opt_insert_arg (args, 1, "-osubtype=rawviewfs");
  if (r == 0)
    r = fuse_opt_insert_arg (args, 1, escaped);
  if (r == 0)
    r = fuse_opt_insert_arg (args, 1, "-o");
  free (fsname);
  free (escaped);
  return r;
}

static int
add_our_mount_options (struct rawviewfs *fs, rawview_error *err)
{
  struct fuse_args *args = &fs->options.mount;
  /* Who may write is for the kernel to judge, by owner and mode. */
  const char *access =
      options_want_writing (&fs->options) ? "-orw,default_permissions" : "-oro";

  if (insert_name (args, fs->places.source) == -1 ||
      fuse_opt_add_arg (args, "-omax_read=" OPS_MAX_READ_TEXT) == -1 ||
      fuse_opt_add_arg (args, access) == -1 ||
      (fs->options.debug && fuse_opt_add_arg (args, "-d") == -1))
    return error_nomem (err);
  return 0;
}

static int
mount_tree (struct rawviewfs *fs, rawview_error *err)
{
  const char *mountpoint = fs->places.mountpoint;

  if (add_our_mount_options (fs, err) == -1)
    return -1;
  fs->ops = ops_new (fs->tree);
  if (fs->ops == NULL)
    return error_nomem (err);

  fs->session = fuse_session_new (&fs->options.mount, &ops_table,
                                  sizeof ops_table, fs->ops);
  if (fs->session == NULL)
    return error_usage (err, "%s",
                        log_fuse_reason ("libfuse refuses an option of -o"));
  if (fuse_set_signal_handlers (fs->session) == -1)
    return error_set (err, RAWVIEW_ERROR_IO, EIO, "%s",
                      log_fuse_reason ("cannot set signal handlers"));
  fs->has_handlers = true;
  if (fuse_session_mount (fs->session, mountpoint) == -1)
    return error_set (err, RAWVIEW_ERROR_IO, EIO, "cannot mount on %s: %s",
                      mountpoint, log_fuse_reason ("libfuse failed"));
  fs->is_mounted = true;
  mountpoint_set_read_ahead (mountpoint);
  return 0;
}

/*--- Serving ------------------------------------------------------------*/

static int
enter_sandbox (struct rawviewfs *fs, rawview_error *err)
{
  const rawview_sandbox_needs needs = { .options = fs->options.image,
                                        .exports = fs->exports,
                                        .syslog = !fs->options.foreground };
  rawview_sandbox state;

  if (ending_start (&fs->ending, fs->places.mountpoint, fs->pid_file.path,
                    err) == -1 ||
      rawview_sandbox_enter (&needs, &state, err) == -1)
    return -1;
  if (fs->options.debug || state.weaker)
    log_line ("%s", state.text);
  return 0;
}

static int
get_ready (struct rawviewfs *fs, rawview_error *err)
{
  struct background bg;

  if (!fs->options.foreground && daemon_fork (&bg, err) == -1)
    return -1;
  if (pid_file_write (&fs->pid_file, err) == -1 ||
      enter_sandbox (fs, err) == -1 || tree_start (fs->tree, err) == -1)
    return -1;
  if (!fs->options.foreground) {
    if (daemon_ready (&bg, err) == -1)
      return -1;
    log_to_syslog ();
  }
  log_serving ();
  return 0;
}

/* Until the mount goes away or a signal comes. */
static int
answer_requests (struct rawviewfs *fs, rawview_error *err)
{
  struct fuse_loop_config config = { .max_idle_threads = IDLE_THREADS };
  int r;

  if (fs->options.single_threaded)
    r = fuse_session_loop (fs->session);
  else
    r = fuse_session_loop_mt (fs->session, &config);
  if (r < 0)
    return error_set (err, RAWVIEW_ERROR_IO, -r, "session ended: %s",
                      strerror (-r));
  return 0; /* also by a signal, whose number r then is */
}

static int
find_places (struct rawviewfs *fs, rawview_error *err)
{
  const struct options *options = &fs->options;

  if (places_find (&fs->places, options->source, options->mountpoint, err) ==
      -1)
    return -1;
  if (options->overlay != NULL &&
      places_check_overlay (&fs->places, options->overlay, err) == -1)
    return -1;
  if (options->overlay_dir != NULL &&
      places_check_overlay_dir (&fs->places, options->overlay_dir, err) == -1)
    return -1;
  return 0;
}

static int
run (struct rawviewfs *fs, rawview_error *err)
{
  const struct options *options = &fs->options;

  if (find_places (fs, err) == -1 || open_source (fs, err) == -1 ||
      pid_file_open (&fs->pid_file, options->pid_file, err) == -1 ||
      mount_tree (fs, err) == -1 || get_ready (fs, err) == -1)
    return -1;
  return answer_requests (fs, err);
}

/* Somebody may have unmounted it, and mounted something else since. */
static bool
is_still_mounted (const struct rawviewfs *fs)
{
  struct pollfd pfd = { .fd = fuse_session_fd (fs->session) };

  return fs->is_mounted && !(poll (&pfd, 1, 0) == 1 && pfd.revents & POLLERR);
}

/* Whoever asks again must not cut off what is written at the end.  libfuse
 * leaves alone what is not its own handler.
 */
static void
ignore_signals (void)
{
  signal (SIGHUP, SIG_IGN);
  signal (SIGINT, SIG_IGN);
  signal (SIGTERM, SIG_IGN);
}

/* The session's descriptor is closed first, or unmounting would wait for us. */
static void
unmount_tree (struct rawviewfs *fs)
{
  bool by_other = fs->ending.pid != 0 && is_still_mounted (fs);

  if (fs->is_mounted && fs->ending.pid == 0)
    fuse_session_unmount (fs->session);
  ignore_signals ();
  if (fs->has_handlers)
    fuse_remove_signal_handlers (fs->session);
  if (fs->session != NULL)
    fuse_session_destroy (fs->session);
  if (by_other)
    ending_unmount (&fs->ending);
}

/* Unmounts, and ends writing: -1 if the images are not as they should be. */
static int
release (struct rawviewfs *fs)
{
  int r = 0;

  unmount_tree (fs);
  ops_free (fs->ops);
  if (fs->tree != NULL)
    r = tree_finish (fs->tree);
  tree_free (fs->tree);
  rawview_exports_free (fs->exports);
  if (fs->ending.pid != 0)
    ending_remove_pid_file (&fs->ending);
  else
    pid_file_remove (&fs->pid_file);
  pid_file_release (&fs->pid_file);
  ending_release (&fs->ending);
  places_release (&fs->places);
  options_release (&fs->options);
  return r;
}

static void
print_version (void)
{
  printf ("rawviewfs %s (librawview %s, libfuse %s)\n", PACKAGE_VERSION,
          rawview_version (), fuse_pkgversion ());
}

int
main (int argc, char *argv[])
{
  struct rawviewfs fs = { 0 };
  rawview_error err = { 0 };
  int r = options_parse (&fs.options, argc, argv, &err);

  /* To write beyond a limit on the size of files is to be an error. */
  signal (SIGXFSZ, SIG_IGN);
  rawview_allow_many_files ();
  if (r == 0 && fs.options.help)
    options_print_help ();
  else if (r == 0 && fs.options.version)
    print_version ();
  else if (r == 0) {
    log_init (fs.options.debug);
    r = run (&fs, &err);
  }
  if (r == -1)
    log_line ("%s", err.msg);
  if (release (&fs) == -1 && r == 0) {
    err.kind = RAWVIEW_ERROR_IO;
    r = -1;
  }
  /* The kinds of error are numbered as the exit statuses are. */
  return r == 0 ? EXIT_SUCCESS : (int) err.kind;
}
