/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Into the sandbox: what the process will still do is asked of the images, all
 * else is given up for good.
 */

#include <config.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image.h"
#include "sandbox.h"
#include "util/error.h"
#include "util/text.h"

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature (x)
#else
#define HAS_FEATURE(x) 0
#endif

/* At the end they trace the process, and they write reports. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer) || \
    HAS_FEATURE(memory_sanitizer)
#define HAS_SANITIZER true
#else
#define HAS_SANITIZER false
#endif

/*--- Rules --------------------------------------------------------------*/

unsigned
rv_sandbox_may (const struct rv_sandbox_rules *rules)
{
  unsigned may = 0;

  for (size_t i = 0; i < rules->places.len; i++)
    may |= rules->places.ptr[i].may;
  return may;
}

static void
release_rules (struct rv_sandbox_rules *rules)
{
  for (size_t i = 0; i < rules->places.len; i++)
    close (rules->places.ptr[i].fd);
  rv_places_release (&rules->places);
}

int
rv_sandbox_add (struct rv_sandbox_rules *rules, int fd, unsigned may,
                rawview_error *err)
{
  struct rv_place place = { .may = may };

  if (fd == -1)
    return 0;
  place.fd = fcntl (fd, F_DUPFD_CLOEXEC, 0);
  if (place.fd == -1)
    return rv_error_errno (err, errno, "sandbox");
  if (rv_places_append (&rules->places, place) == 0)
    return 0;
  close (place.fd);
  return rv_error_nomem (err);
}

int
rv_sandbox_add_path (struct rv_sandbox_rules *rules, const char *path,
                     unsigned may, rawview_error *err)
{
  CLEANUP_CLOSE int fd = open (path, O_PATH | O_CLOEXEC);

  if (fd == -1 && errno != ENOENT && errno != EACCES && errno != ENOTDIR)
    return rv_error_errno (err, errno, "sandbox: %s", path);
  return rv_sandbox_add (rules, fd, may, err);
}

static bool
is_on_server (const rawview_image *image, const rawview_options *opts)
{
  bool yes = (opts->parent && rv_text_is_nbd_uri (opts->parent)) ||
             (opts->data_file && rv_text_is_nbd_uri (opts->data_file));

  for (size_t i = 0; i < image->chain.len && !yes; i++)
    yes = rv_text_is_nbd_uri (image->chain.ptr[i]->io->name);
  return yes;
}

int
rv_sandbox_add_image (struct rv_sandbox_rules *rules,
                      const rawview_image *image, const rawview_options *opts,
                      rawview_error *err)
{
  const struct rv_writing *w = &image->writing;

  if (is_on_server (image, opts))
    rules->network = true;
  /* Before the first write, what lies beside it is looked at (beside.c). */
  if (w->wanted && !w->overlay)
    return rv_sandbox_add (rules, w->base.dirfd, RV_MAY_READ, err);
  return 0;
}

/* Whoever removes a file changes its folder. */
static int
add_removed (struct rv_sandbox_rules *rules, const char *path,
             rawview_error *err)
{
  size_t len = rv_text_basename (path) - path;
  CLEANUP_FREE char *folder = len > 0 ? strndup (path, len) : strdup (".");
  struct stat st;
  bool is_folder = lstat (path, &st) == 0 && S_ISDIR (st.st_mode);

  if (folder == NULL)
    return rv_error_nomem (err);
  return rv_sandbox_add_path (
      rules, folder, is_folder ? RV_MAY_REMOVE_DIR : RV_MAY_REMOVE_FILE, err);
}

static int
find_rules (const rawview_sandbox_needs *needs, struct rv_sandbox_rules *rules,
            rawview_error *err)
{
  rules->syslog = needs->syslog;
  if (needs->exports && rv_exports_sandbox (needs->exports, rules, err) == -1)
    return -1;
  if (needs->image &&
      rv_sandbox_add_image (rules, needs->image, needs->options, err) == -1)
    return -1;
  for (const char *const *p = needs->removes; p != NULL && *p != NULL; p++)
    if (add_removed (rules, *p, err) == -1)
      return -1;
  /* To find the server's address, and certificates. */
  if (rules->strict && rules->network)
    return rv_sandbox_add_path (rules, "/", RV_MAY_READ, err);
  return 0;
}

/*--- What is told -------------------------------------------------------*/

static void RV_PRINTF (2, 3) tell (rawview_sandbox *state, const char *fmt, ...)
{
  size_t used = strlen (state->text);
  va_list ap;

  va_start (ap, fmt);
  vsnprintf (state->text + used, sizeof state->text - used, fmt, ap);
  va_end (ap);
}

/* "Landlock 7, seccomp", or what of them there is. */
static void
tell_means (rawview_sandbox *state)
{
  if (state->landlock > 0)
    tell (state, "Landlock %u", state->landlock);
  if (state->seccomp)
    tell (state, "%sseccomp", state->landlock > 0 ? ", " : "");
}

static void
tell_rules (rawview_sandbox *state, const struct rv_sandbox_rules *rules)
{
  tell (state, "sandbox=%s (", rules->strict ? "on" : "auto");
  tell_means (state);
  if (rules->strict)
    tell (state, "): all that serving does not need is denied");
  else
    tell (state, "): %s%swriting to other files are denied",
          state->seccomp || state->landlock > 0 ? "programs, " : "",
          rules->network ? "" : "connections and ");
  if (rules->network)
    tell (state, "; connections stay possible, because an image is on a "
                 "server");
  if (rv_sandbox_may (rules) & (RV_MAY_WRITE | RV_MAY_CREATE))
    tell (state, "; the folders of images and overlays stay writable");
}

static void
tell_missing (rawview_sandbox *state, const char *reason)
{
  state->weaker = true;
  tell (state, "; %s", reason);
}

/* Landlock does not reach them.  Each is a folder, and so a link. */
static unsigned
count_other_threads (void)
{
  struct stat st;

  return stat ("/proc/self/task", &st) == 0 && st.st_nlink > 3 ? st.st_nlink - 3
                                                               : 0;
}

/*--- Entering -----------------------------------------------------------*/

/* What libc would open later: the time zone, for dates, and the library without
 * which threads cannot be cancelled.
 */
static void
load_early (void)
{
  tzset ();
  dlopen ("libgcc_s.so.1", RTLD_NOW | RTLD_NODELETE);
}

/* Both or neither. */
static int
enter_strictly (struct rv_sandbox_rules *rules, rawview_sandbox *state,
                rawview_error *err)
{
  int version = rv_landlock_version ();

  if (version == 0 || !rv_seccomp_is_there ())
    return rv_error_unsupported (
        err, "sandbox=on: %s; sandbox=auto uses what there is",
        version == 0
            ? "this kernel has no Landlock"
            : "there are no filters of system calls (seccomp), in the kernel "
              "or in this build");
  if (count_other_threads () > 0)
    return rv_error_unsupported (err, "sandbox=on: the process has threads "
                                      "already, which Landlock does not "
                                      "reach");
  load_early ();
  rules->landlocked = true;
  if (rv_landlock_enter (rules, err) == -1 ||
      rv_seccomp_enter (rules, err) == -1)
    return -1;
  state->landlock = version;
  state->seccomp = true;
  tell_rules (state, rules);
  return 0;
}

static void
enter_if_possible (struct rv_sandbox_rules *rules, rawview_sandbox *state)
{
  unsigned threads = count_other_threads ();
  rawview_error landlock, seccomp;

  if (rv_landlock_enter (rules, &landlock) == 0) {
    state->landlock = rv_landlock_version ();
    rules->landlocked = threads == 0;
  }
  state->seccomp = rv_seccomp_enter (rules, &seccomp) == 0;

  if (state->landlock > 0 || state->seccomp)
    tell_rules (state, rules);
  else
    tell (state, "sandbox=auto: nothing is denied");
  if (state->landlock == 0)
    tell_missing (state, landlock.msg);
  else if (threads > 0)
    tell_missing (state, "Landlock does not reach threads that others started "
                         "before");
  if (!state->seccomp)
    tell_missing (state, seccomp.msg);
}

static enum rv_sandbox_mode
find_mode (const rawview_sandbox_needs *needs)
{
  if (needs->options)
    return needs->options->sandbox;
  return RV_SANDBOX_AUTO;
}

int
rawview_sandbox_enter (const rawview_sandbox_needs *needs,
                       rawview_sandbox *state, rawview_error *err)
{
  enum rv_sandbox_mode mode = find_mode (needs);
  struct rv_sandbox_rules rules = { .strict = mode == RV_SANDBOX_ON };
  int r;

  *state = (rawview_sandbox){ 0 };
  if (mode == RV_SANDBOX_OFF || (HAS_SANITIZER && mode == RV_SANDBOX_AUTO)) {
    tell (state, "sandbox=off%s",
          mode == RV_SANDBOX_OFF ? "" : ": this build has a sanitizer");
    return 0;
  }
  if (HAS_SANITIZER)
    return rv_error_unsupported (err, "sandbox=on: this build has a "
                                      "sanitizer, which needs more");
  r = find_rules (needs, &rules, err);
  if (r == 0 && prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
    r = rv_error_errno (err, errno, "sandbox: no_new_privs");
  if (r == 0 && rules.strict)
    r = enter_strictly (&rules, state, err);
  else if (r == 0)
    enter_if_possible (&rules, state);
  release_rules (&rules);
  return r;
}

void
rawview_sandbox_probe (rawview_sandbox *state)
{
  *state = (rawview_sandbox){ .landlock = rv_landlock_version (),
                              .seccomp = rv_seccomp_is_there () };
  state->weaker = state->landlock == 0 || !state->seccomp;
  if (HAS_SANITIZER)
    tell (state, "none (this build has a sanitizer)");
  else if (state->landlock > 0 || state->seccomp)
    tell_means (state);
  else
    tell (state, "none");
}
