/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unit tests: one program per unit, beside the code that it tests.
 *
 *   static void
 *   a_size_may_have_a_fraction (void)
 *   {
 *     uint64_t n;
 *
 *     REQUIRE (rv_text_parse_size ("1.5k", &n));
 *     CHECK_EQ_U64 (n, 1536);
 *   }
 *
 *   int
 *   main (void)
 *   {
 *     TEST (a_size_may_have_a_fraction);
 *     return test_result ();
 *   }
 *
 * A function's name is the behaviour, and is printed as a sentence.  CHECK goes
 * on after a failure, REQUIRE leaves the function, which must return void; both
 * may be used in other threads and in helpers.  Only for one .c file per
 * program, since the state below is static.
 */

#ifndef RV_TEST_H
#define RV_TEST_H

#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <rawview.h>

#define TEST_UNUSED __attribute__ ((unused))

static TEST_UNUSED atomic_uint test_failures; /* of the running test */
static TEST_UNUSED unsigned test_failed;      /* tests */
static TEST_UNUSED const char *test_skipped;  /* why, NULL: it was not */

/* Prints the place of a failure; always false, so that it can end an ||. */
static TEST_UNUSED bool __attribute__ ((format (printf, 3, 4)))
test_fail (const char *file, int line, const char *fmt, ...)
{
  char msg[1024];
  va_list args;

  va_start (args, fmt);
  vsnprintf (msg, sizeof msg, fmt, args);
  va_end (args);
  fprintf (stderr, "# %s:%d: %s\n", file, line, msg);
  atomic_fetch_add (&test_failures, 1);
  return false;
}

#define TEST_FAIL(...) test_fail (__FILE__, __LINE__, __VA_ARGS__)

/* The values of these are true if the check held. */
#define CHECK(cond) test_true (__FILE__, __LINE__, #cond, (cond))
#define CHECK_EQ_U64(a, b) \
  test_eq_u64 (__FILE__, __LINE__, #a " == " #b, (a), (b))
#define CHECK_EQ_INT(a, b) \
  test_eq_int (__FILE__, __LINE__, #a " == " #b, (a), (b))
#define CHECK_STR_EQ(a, b) \
  test_str_eq (__FILE__, __LINE__, #a " == " #b, (a), (b))
#define CHECK_MEM_EQ(a, b, len) \
  test_mem_eq (__FILE__, __LINE__, #a " == " #b, (a), (b), (len))

/* pattern: as in the shell, over the whole string: "*no such*". */
#define CHECK_STR_MATCH(s, pattern) \
  test_str_match (__FILE__, __LINE__, #s, (s), (pattern))

/* err: a rawview_error that must be of this kind and message. */
#define CHECK_ERROR(err, kind, pattern) \
  test_error (__FILE__, __LINE__, #err, &(err), (kind), (pattern))

/* A call that returns 0 or -1 and has filled err. */
#define CHECK_OK(call, err) test_ok (__FILE__, __LINE__, #call, (call), &(err))

#define REQUIRE(cond) \
  do { \
    if (!CHECK (cond)) \
      return; \
  } while (0)
#define REQUIRE_OK(call, err) \
  do { \
    if (!CHECK_OK (call, err)) \
      return; \
  } while (0)

/* Leaves a test that cannot run here. */
#define SKIP(why) \
  do { \
    test_skipped = (why); \
    return; \
  } while (0)

#define TEST(fn) test_run (#fn, fn)

static TEST_UNUSED bool
test_true (const char *file, int line, const char *what, bool value)
{
  return value || test_fail (file, line, "not true: %s", what);
}

static TEST_UNUSED bool
test_ok (const char *file, int line, const char *what, int r,
         const rawview_error *err)
{
  return r == 0 || test_fail (file, line, "%s: %s", what, err->msg);
}

static TEST_UNUSED bool
test_eq_u64 (const char *file, int line, const char *what, uint64_t a,
             uint64_t b)
{
  return a == b || test_fail (file, line,
                              "%s: %" PRIu64 " (%#" PRIx64 ") is not %" PRIu64
                              " (%#" PRIx64 ")",
                              what, a, a, b, b);
}

static TEST_UNUSED bool
test_eq_int (const char *file, int line, const char *what, int64_t a, int64_t b)
{
  return a == b ||
         test_fail (file, line, "%s: %" PRId64 " is not %" PRId64, what, a, b);
}

static TEST_UNUSED bool
test_str_eq (const char *file, int line, const char *what, const char *a,
             const char *b)
{
  if (a == NULL || b == NULL)
    return a == b || test_fail (file, line, "%s: one is NULL", what);
  return strcmp (a, b) == 0 ||
         test_fail (file, line, "%s: \"%s\" is not \"%s\"", what, a, b);
}

static TEST_UNUSED bool
test_str_match (const char *file, int line, const char *what, const char *s,
                const char *pattern)
{
  if (s == NULL)
    return test_fail (file, line, "%s is NULL", what);
  return fnmatch (pattern, s, 0) == 0 ||
         test_fail (file, line, "%s: \"%s\" does not match \"%s\"", what, s,
                    pattern);
}

static TEST_UNUSED bool
test_mem_eq (const char *file, int line, const char *what, const void *a,
             const void *b, size_t len)
{
  const uint8_t *p = a, *q = b;

  for (size_t i = 0; i < len; i++)
    if (p[i] != q[i])
      return test_fail (file, line, "%s: byte %zu of %zu is %02x, not %02x",
                        what, i, len, p[i], q[i]);
  return true;
}

static TEST_UNUSED bool
test_error (const char *file, int line, const char *what,
            const rawview_error *err, rawview_error_kind kind,
            const char *pattern)
{
  bool ok = err->kind == kind ||
            test_fail (file, line, "%s is of kind %s, not %s: %s", what,
                       rawview_error_kind_name (err->kind),
                       rawview_error_kind_name (kind), err->msg);

  if (err->kind != RAWVIEW_ERROR_NONE && err->errnum == 0)
    ok = test_fail (file, line, "%s has no errnum: %s", what, err->msg);
  return test_str_match (file, line, what, err->msg, pattern) && ok;
}

static TEST_UNUSED void
test_run (const char *name, void (*fn) (void))
{
  unsigned failures;

  atomic_store (&test_failures, 0);
  test_skipped = NULL;
  fn ();
  failures = atomic_load (&test_failures);
  test_failed += failures > 0;
  fputs (failures ? "not ok - " : "ok - ", stdout);
  for (; *name; name++)
    putchar (*name == '_' ? ' ' : *name);
  if (test_skipped)
    printf (" # SKIP %s", test_skipped);
  putchar ('\n');
  fflush (stdout);
}

/* For the end of main. */
static TEST_UNUSED int
test_result (void)
{
  return test_failed > 0;
}

#endif /* RV_TEST_H */
