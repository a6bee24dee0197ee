/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "image.h"
#include "sandbox.h"
#include "test-files.h"
#include "util/test-deny.h"

#define LANDLOCK_CREATE_RULESET 444

static rawview_error err;

/* Each test runs in a process of its own, for it does not come back. */
#define IN_SANDBOX(name) \
  static void name##_inside (void); \
  static void name (void) \
  { \
    test_in_child (name##_inside); \
  } \
  static void name##_inside (void)

static bool
has_all (void)
{
  rawview_sandbox state;

  rawview_sandbox_probe (&state);
  return state.landlock > 0 && state.seccomp &&
         strncmp (state.text, "none", 4) != 0;
}

static bool
is_open_for_nobody (void)
{
  rawview_sandbox state;

  rawview_sandbox_probe (&state);
  return strncmp (state.text, "none (", 6) == 0; /* a sanitizer */
}

static int
enter (const char *mode, rawview_sandbox *state)
{
  rawview_options *opts = rawview_options_new ();
  const rawview_sandbox_needs needs = { .options = opts };
  int r;

  CHECK (rawview_options_set (opts, "sandbox", mode, NULL) == 0);
  r = rawview_sandbox_enter (&needs, state, &err);
  rawview_options_free (opts);
  return r;
}

static int
open_in_test_dir (const char *name, int flags)
{
  CLEANUP_FREE char *path = test_path (name);
  CLEANUP_CLOSE int fd = open (path, flags, 0600);

  return fd == -1 ? errno : 0;
}

static int
make_socket (int domain, int type)
{
  CLEANUP_CLOSE int fd = socket (domain, type, 0);

  return fd == -1 ? errno : 0;
}

/*--- What is denied -----------------------------------------------------*/

IN_SANDBOX (auto_denies_writing_to_other_files_but_not_reading_them)
{
  rawview_sandbox state;

  test_file ("there", "x", 1);
  REQUIRE (enter ("auto", &state) == 0);
  CHECK_EQ_INT (open_in_test_dir ("there", O_RDWR), EPERM);
  CHECK_EQ_INT (open_in_test_dir ("there", O_RDONLY | O_TRUNC), EPERM);
  CHECK_EQ_INT (open_in_test_dir ("new", O_WRONLY | O_CREAT), EPERM);
  CHECK_EQ_INT (open_in_test_dir (".", O_RDWR | O_TMPFILE), EPERM);
  CHECK_EQ_INT (open_in_test_dir ("there", O_RDONLY), 0);
  CHECK (strstr (state.text, "sandbox=auto (Landlock ") != NULL);
  CHECK (!state.weaker);
}

IN_SANDBOX (on_denies_reading_too)
{
  rawview_sandbox state;

  test_file ("there", "x", 1);
  REQUIRE (enter ("on", &state) == 0);
  CHECK_EQ_INT (open_in_test_dir ("there", O_RDONLY), EPERM);
  CHECK (strstr (state.text, "sandbox=on (Landlock ") != NULL);
}

IN_SANDBOX (what_is_open_stays_as_it_is)
{
  CLEANUP_FREE char *path = test_path ("open");
  CLEANUP_CLOSE int fd = -1;
  rawview_sandbox state;

  test_file ("open", "x", 1);
  fd = open (path, O_RDWR);
  REQUIRE (enter ("on", &state) == 0);
  CHECK (pwrite (fd, "yy", 2, 1) == 2);
  CHECK (ftruncate (fd, 4096) == 0);
  CHECK (fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 10) ==
             0 ||
         errno == EOPNOTSUPP);
  CHECK (fsync (fd) == 0);
}

static void *
try_to_write (void *result)
{
  *(int *) result = open_in_test_dir ("there", O_RDWR);
  return NULL;
}

static atomic_bool go;

static void *
try_when_told (void *result)
{
  while (!atomic_load (&go))
    usleep (1000);
  return try_to_write (result);
}

IN_SANDBOX (threads_of_the_time_after_are_in_it)
{
  rawview_sandbox state;
  pthread_t thread;
  int result = -1;

  test_file ("there", "x", 1);
  REQUIRE (enter ("on", &state) == 0);
  REQUIRE (pthread_create (&thread, NULL, try_to_write, &result) == 0);
  pthread_join (thread, NULL);
  CHECK_EQ_INT (result, EPERM);
}

IN_SANDBOX (auto_reaches_threads_that_were_there_and_says_how_far)
{
  rawview_sandbox state;
  pthread_t thread;
  int result = -1;

  test_file ("there", "x", 1);
  REQUIRE (pthread_create (&thread, NULL, try_when_told, &result) == 0);
  REQUIRE (enter ("auto", &state) == 0);
  atomic_store (&go, true);
  pthread_join (thread, NULL);
  CHECK_EQ_INT (result, EPERM);
  CHECK (state.weaker);
  CHECK (strstr (state.text, "Landlock does not reach threads") != NULL);
}

IN_SANDBOX (on_is_refused_where_threads_are)
{
  rawview_sandbox state;
  pthread_t thread;
  int result = -1;

  test_file ("there", "x", 1);
  REQUIRE (pthread_create (&thread, NULL, try_when_told, &result) == 0);
  CHECK (enter ("on", &state) == -1);
  CHECK_EQ_INT (err.kind, RAWVIEW_ERROR_UNSUPPORTED);
  atomic_store (&go, true);
  pthread_join (thread, NULL);
}

IN_SANDBOX (only_the_socket_of_the_log_can_be_made)
{
  rawview_options *opts = rawview_options_new ();
  rawview_sandbox_needs needs = { .options = opts, .syslog = true };
  rawview_sandbox state;

  REQUIRE (rawview_sandbox_enter (&needs, &state, &err) == 0);
  CHECK_EQ_INT (make_socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC), 0);
  CHECK_EQ_INT (make_socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC), EPERM);
  CHECK_EQ_INT (make_socket (AF_INET, SOCK_DGRAM), EPERM);
  CHECK_EQ_INT (make_socket (AF_INET, SOCK_STREAM), EPERM);
  rawview_options_free (opts);
}

IN_SANDBOX (no_socket_can_be_made_without_a_log)
{
  rawview_sandbox state;

  REQUIRE (enter ("auto", &state) == 0);
  CHECK_EQ_INT (make_socket (AF_UNIX, SOCK_DGRAM), EPERM);
}

IN_SANDBOX (off_denies_nothing)
{
  rawview_sandbox state;

  REQUIRE (enter ("off", &state) == 0);
  CHECK_EQ_INT (open_in_test_dir ("new", O_WRONLY | O_CREAT), 0);
  CHECK_EQ_INT (make_socket (AF_UNIX, SOCK_STREAM), 0);
  CHECK (strcmp (state.text, "sandbox=off") == 0);
}

/*--- Places -------------------------------------------------------------*/

IN_SANDBOX (files_are_removed_only_where_that_was_said)
{
  CLEANUP_FREE char *here = test_path ("here"),
                    *there = test_path ("elsewhere");
  CLEANUP_FREE char *file = test_path ("here/file");
  CLEANUP_FREE char *other = test_path ("elsewhere/file");
  const char *removes[] = { file, here, NULL };
  const rawview_sandbox_needs needs = { .removes = removes };
  rawview_sandbox state;

  REQUIRE (mkdir (here, 0700) == 0 && mkdir (there, 0700) == 0);
  test_file ("here/file", "x", 1);
  test_file ("elsewhere/file", "x", 1);
  REQUIRE (rawview_sandbox_enter (&needs, &state, &err) == 0);
  CHECK (unlink (other) == -1 && errno == EACCES);
  CHECK_EQ_INT (open_in_test_dir ("here/file", O_RDWR), EPERM);
  CHECK (unlink (file) == 0);
  CHECK (rmdir (here) == 0);
}

/*--- Kernels that lack something ----------------------------------------*/

static void
auto_goes_on_and_says (const char *what)
{
  rawview_sandbox state;

  REQUIRE (enter ("auto", &state) == 0);
  CHECK (state.weaker);
  CHECK (strstr (state.text, what) != NULL);
}

/* err says why. */
static void
on_is_refused (void)
{
  rawview_sandbox state;

  CHECK (enter ("on", &state) == -1);
  CHECK_EQ_INT (err.kind, RAWVIEW_ERROR_UNSUPPORTED);
}

static void
hide_landlock (void)
{
  REQUIRE (test_deny (LANDLOCK_CREATE_RULESET, -1, 0, ENOSYS));
}

IN_SANDBOX (auto_goes_on_without_landlock_and_says_so)
{
  hide_landlock ();
  test_file ("there", "x", 1);
  auto_goes_on_and_says ("this kernel has no Landlock");
  CHECK_EQ_INT (open_in_test_dir ("there", O_RDWR), EPERM);
  CHECK_EQ_INT (open_in_test_dir ("there", O_RDONLY), 0);
}

IN_SANDBOX (on_is_refused_without_landlock)
{
  hide_landlock ();
  on_is_refused ();
  CHECK (strstr (err.msg, "this kernel has no Landlock") != NULL);
}

/* prctl(PR_SET_SECCOMP), by which it is looked for. */
static void
hide_seccomp (void)
{
  REQUIRE (test_deny (SYS_prctl, 0, PR_SET_SECCOMP, EINVAL));
}

IN_SANDBOX (auto_goes_on_without_seccomp_and_says_so)
{
  hide_seccomp ();
  test_file ("there", "x", 1);
  auto_goes_on_and_says ("seccomp");
  CHECK_EQ_INT (open_in_test_dir ("there", O_RDWR), EACCES);
  CHECK_EQ_INT (open_in_test_dir ("new", O_WRONLY | O_CREAT), EACCES);
  CHECK_EQ_INT (open_in_test_dir ("there", O_RDONLY), 0);
}

IN_SANDBOX (on_is_refused_without_seccomp)
{
  hide_seccomp ();
  on_is_refused ();
}

IN_SANDBOX (auto_goes_on_with_neither)
{
  hide_landlock ();
  hide_seccomp ();
  auto_goes_on_and_says ("nothing is denied");
  CHECK_EQ_INT (open_in_test_dir ("new", O_WRONLY | O_CREAT), 0);
}

/*--- Sanitizers ---------------------------------------------------------*/

IN_SANDBOX (a_sanitizer_turns_auto_off_and_refuses_on)
{
  rawview_sandbox state;

  REQUIRE (enter ("auto", &state) == 0);
  CHECK (strcmp (state.text, "sandbox=off: this build has a sanitizer") == 0);
  CHECK (!state.weaker);
  CHECK_EQ_INT (open_in_test_dir ("new", O_WRONLY | O_CREAT), 0);
  CHECK (enter ("on", &state) == -1);
  CHECK_EQ_INT (err.kind, RAWVIEW_ERROR_UNSUPPORTED);
}

/*--- Options ------------------------------------------------------------*/

static void
other_values_are_refused (void)
{
  rawview_options *opts = rawview_options_new ();

  CHECK (rawview_options_set (opts, "sandbox", "maybe", &err) == -1);
  CHECK_EQ_INT (err.kind, RAWVIEW_ERROR_USAGE);
  rawview_options_free (opts);
}

static void
run_inside (void)
{
  TEST (auto_denies_writing_to_other_files_but_not_reading_them);
  TEST (on_denies_reading_too);
  TEST (what_is_open_stays_as_it_is);
  TEST (threads_of_the_time_after_are_in_it);
  TEST (auto_reaches_threads_that_were_there_and_says_how_far);
  TEST (on_is_refused_where_threads_are);
  TEST (only_the_socket_of_the_log_can_be_made);
  TEST (no_socket_can_be_made_without_a_log);
  TEST (files_are_removed_only_where_that_was_said);
  test_files_clear ();
  TEST (auto_goes_on_without_landlock_and_says_so);
  TEST (on_is_refused_without_landlock);
  TEST (auto_goes_on_without_seccomp_and_says_so);
  TEST (on_is_refused_without_seccomp);
  TEST (auto_goes_on_with_neither);
}

int
main (void)
{
  test_files_begin ();
  TEST (other_values_are_refused);
  TEST (off_denies_nothing);
  if (has_all ())
    run_inside ();
  else if (is_open_for_nobody ())
    TEST (a_sanitizer_turns_auto_off_and_refuses_on);
  test_files_end ();
  return test_result ();
}
