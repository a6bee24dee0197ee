/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <unistd.h>

#include "engine/workers.h"
#include "options.h"
#include "util/cleanup.h"
#include "util/test.h"
#include "util/text.h"

static rawview_error err;

static void
cleanup_options (rawview_options **o)
{
  rawview_options_free (*o);
}
#define CLEANUP_OPTIONS RV_CLEANUP (cleanup_options)

#define CHECK_SET(o, key, value) \
  CHECK_OK (rawview_options_set ((o), (key), (value), &err), err)

#define CHECK_WRONG(o, key, value, pattern) \
  do { \
    CHECK_EQ_INT (rawview_options_set ((o), (key), (value), &err), -1); \
    CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, (pattern)); \
  } while (0)

/* One value that is wrong for a fresh set. */
static void
check_wrong (const char *key, const char *value, const char *pattern)
{
  CLEANUP_OPTIONS rawview_options *o = rawview_options_new ();

  CHECK_WRONG (o, key, value, pattern);
}

static void
every_option_has_a_name_and_one_line_of_help (void)
{
  size_t i;

  for (i = 0; rawview_option_get (i); i++) {
    const rawview_option_info *info = rawview_option_get (i);

    CHECK (info->name[0] && info->arg[0] && info->help[0]);
    CHECK (strchr (info->help, '\n') == NULL);
    for (size_t j = 0; j < i; j++)
      CHECK (strcmp (info->name, rawview_option_get (j)->name) != 0);
  }
  CHECK (i >= 15);
  CHECK (rawview_option_get (i + 1000) == NULL);
}

static void
nothing_is_allowed_from_the_start (void)
{
  CLEANUP_OPTIONS rawview_options *o = rawview_options_new ();

  CHECK (o->format == NULL && o->parent == NULL && o->data_file == NULL);
  CHECK (!o->allow_devices && !o->allow_truncated);
  CHECK (o->same_directory && !o->references_given);
  CHECK_EQ_U64 (o->max_size, 64ull << 40);
  CHECK_EQ_INT (o->fd, -1);
  CHECK (o->workers >= 1 && o->workers <= RV_WORKERS_MAX);
}

static void
unknown_options_are_refused (void)
{
  check_wrong ("colour", "blue", "colour*no such option");
  check_wrong ("", "", "*no such option");
  check_wrong ("Format", "raw", "*no such option");
}

static void
options_are_given_once_unless_repeatable (void)
{
  CLEANUP_OPTIONS rawview_options *o = rawview_options_new ();

  CHECK_SET (o, "format", "raw");
  CHECK_WRONG (o, "format", "raw", "format is given twice");
  CHECK (o->format == &rv_format_raw);
  CHECK_SET (o, "references", "/a");
  CHECK_SET (o, "references", "/b");
  CHECK_EQ_U64 (o->directories.len, 2);
}

static void
a_wrong_value_may_be_followed_by_a_right_one (void)
{
  CLEANUP_OPTIONS rawview_options *o = rawview_options_new ();

  CHECK_WRONG (o, "workers", "many", "workers=many*0 to*");
  CHECK_SET (o, "workers", "3");
  CHECK_EQ_U64 (o->workers, 3);
  CHECK_WRONG (o, "references", "", "references=*");
  CHECK (o->same_directory);
  CHECK_SET (o, "references", "none");
}

static void
formats_have_names (void)
{
  static const char *const names[] = { "qcow2", "vmdk", "raw", "QCOW2" };

  for (size_t i = 0; i < 4; i++) {
    CLEANUP_OPTIONS rawview_options *o = rawview_options_new ();

    CHECK_SET (o, "format", names[i]);
    CHECK (o->format != NULL);
    CHECK_SET (o, "parent-format", names[i]);
    CHECK (o->parent_format == o->format);
  }
  check_wrong ("format", "vhdx", "*auto, qcow2, vmdk and raw");
  check_wrong ("format", "", "*auto, qcow2, vmdk and raw");
  check_wrong ("parent-format", "qcow", "*auto, qcow2, vmdk and raw");
}

static void
numbers_and_sizes_are_limited (void)
{
  CLEANUP_OPTIONS rawview_options *o = rawview_options_new ();

  check_wrong ("workers", "65", "*0 to 64");
  check_wrong ("workers", "-1", "*0 to 64");
  check_wrong ("workers", "99999999999999999999", "*0 to 64");
  check_wrong ("connections", "0", "*1 to 16");
  check_wrong ("connections", "17", "*1 to 16");
  check_wrong ("cache", "2T", "*size up to*");
  check_wrong ("cache", "64 M", "*size up to*");
  check_wrong ("max-size", "8E", "*size up to*");
  check_wrong ("max-size", "", "*size up to*");
  check_wrong ("fd", "-1", "*0 to*");
  check_wrong ("fd", "2147483648", "*0 to*");
  check_wrong ("fd", "three", "*0 to*");
  CHECK_SET (o, "workers", "0");
  CHECK_SET (o, "cache", "0");
  CHECK_SET (o, "max-size", "1.5G");
  CHECK_EQ_U64 (o->max_size, 3ull << 29);
  CHECK_SET (o, "fd", "7");
  CHECK_EQ_INT (o->fd, 7);
}

static void
switches_are_yes_or_no (void)
{
  CLEANUP_OPTIONS rawview_options *o = rawview_options_new ();

  CHECK_SET (o, "allow-devices", "yes");
  CHECK (o->allow_devices);
  CHECK_SET (o, "allow-truncated", "off");
  CHECK (!o->allow_truncated);
  CHECK_SET (o, "rescue", "on");
  CHECK (o->rescue);
  check_wrong ("rescue", "", "*yes or no");
  check_wrong ("allow-devices", "maybe", "*yes or no");
  CHECK_SET (o, "locking", "on");
  CHECK_EQ_INT (o->locking, RV_LOCKING_ON);
  check_wrong ("locking", "perhaps", "*auto, on or off");
}

static void
the_first_reference_replaces_the_default (void)
{
  CLEANUP_OPTIONS rawview_options *o = rawview_options_new ();

  CHECK_SET (o, "references", "/srv/./base//x/../y/");
  CHECK (!o->same_directory && o->references_given);
  REQUIRE (o->directories.len == 1);
  CHECK_STR_EQ (o->directories.ptr[0], "/srv/base/y");
  CHECK_SET (o, "references", "same-directory");
  CHECK (o->same_directory);
  CHECK_EQ_U64 (o->directories.len, 1);
}

static void
names_are_absolute_from_then_on (void)
{
  CLEANUP_OPTIONS rawview_options *o = rawview_options_new ();
  CLEANUP_FREE char *cwd = getcwd (NULL, 0);
  CLEANUP_FREE char *parent = rv_text_format ("%s/x/../base.qcow2", cwd);
  CLEANUP_FREE char *dir = rv_text_format ("%s/refs", cwd);

  CHECK_SET (o, "parent", "x/../base.qcow2");
  CHECK_STR_EQ (o->parent, parent);
  CHECK_SET (o, "data-file", "nbd://host/export");
  CHECK_STR_EQ (o->data_file, "nbd://host/export");
  CHECK_SET (o, "references", "refs");
  CHECK_STR_EQ (o->directories.ptr[0], dir);
}

static void
changes_go_into_one_file_or_into_a_folder (void)
{
  CLEANUP_OPTIONS rawview_options *o = rawview_options_new (), *copy = NULL;
  CLEANUP_FREE char *cwd = getcwd (NULL, 0);
  CLEANUP_FREE char *dir = rv_text_format ("%s/x", cwd);

  CHECK (!rv_options_have_overlay (o));
  CHECK_SET (o, "overlay-dir", "x");
  CHECK (rv_options_have_overlay (o));
  CHECK_STR_EQ (o->overlay_dir, dir);
  CHECK_WRONG (o, "overlay", "y", "*overlay-dir= or overlay=, not both");
  copy = rawview_options_dup (o);
  CHECK_STR_EQ (copy->overlay_dir, dir);
  CHECK_SET (copy, "overlay", "/y");
  CHECK_STR_EQ (copy->overlay, "/y");
  CHECK (copy->overlay_dir == NULL);
  check_wrong ("overlay", "", "*a file or folder here");
  check_wrong ("overlay", "nbd://host/x", "*a file or folder here");
  CHECK_SET (copy, "check", "full");
  CHECK_EQ_INT (copy->check, RV_CHECK_FULL);
  check_wrong ("check", "some", "*lazy or full");
}

static void
dots_are_resolved_without_looking (void)
{
  static const struct {
    const char *base, *path, *want;
  } cases[] = {
    { "/", "", "/" },
    { "/", "..", "/" },
    { "/a", "b", "/a/b" },
    { "/a/", "./b/.", "/a/b" },
    { "/a/b", "../c", "/a/c" },
    { "/a/b", "../../../../c", "/c" },
    { "/a", "/b//c/", "/b/c" },
    { "/a", "...", "/a/..." },
    { "/a", "..b/.c", "/a/..b/.c" },
    { "//", "//", "/" },
  };

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    CLEANUP_FREE char *got = rv_path_normalize (cases[i].base, cases[i].path);

    CHECK_STR_EQ (got, cases[i].want);
  }
}

static void
a_copy_stands_alone_and_may_be_changed (void)
{
  rawview_options *o = rawview_options_new ();
  CLEANUP_OPTIONS rawview_options *copy = NULL;

  CHECK_SET (o, "snapshot", "s");
  CHECK_SET (o, "disk", "d");
  CHECK_SET (o, "parent", "/p");
  CHECK_SET (o, "data-file", "/d");
  CHECK_SET (o, "references", "/r");
  CHECK_SET (o, "format", "vmdk");
  copy = rawview_options_dup (o);
  rawview_options_free (o);
  REQUIRE (copy != NULL);
  CHECK_STR_EQ (copy->snapshot, "s");
  CHECK_STR_EQ (copy->disk, "d");
  CHECK_STR_EQ (copy->parent, "/p");
  CHECK_STR_EQ (copy->data_file, "/d");
  CHECK_STR_EQ (copy->directories.ptr[0], "/r");
  CHECK (copy->references_given && !copy->same_directory);
  CHECK (copy->format == &rv_format_vmdk);
  CHECK_SET (copy, "snapshot", "other");
  CHECK_STR_EQ (copy->snapshot, "other");
  CHECK_SET (copy, "references", "same-directory");
  CHECK_EQ_U64 (copy->directories.len, 0);
}

static void
nothing_can_be_freed (void)
{
  rawview_options_free (NULL);
}

int
main (void)
{
  TEST (every_option_has_a_name_and_one_line_of_help);
  TEST (nothing_is_allowed_from_the_start);
  TEST (unknown_options_are_refused);
  TEST (options_are_given_once_unless_repeatable);
  TEST (a_wrong_value_may_be_followed_by_a_right_one);
  TEST (formats_have_names);
  TEST (numbers_and_sizes_are_limited);
  TEST (switches_are_yes_or_no);
  TEST (the_first_reference_replaces_the_default);
  TEST (names_are_absolute_from_then_on);
  TEST (changes_go_into_one_file_or_into_a_folder);
  TEST (dots_are_resolved_without_looking);
  TEST (a_copy_stands_alone_and_may_be_changed);
  TEST (nothing_can_be_freed);
  return test_result ();
}
