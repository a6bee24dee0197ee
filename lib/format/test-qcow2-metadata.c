/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "format/qcow2-metadata.h"
#include "format/test-qcow2.h"

#define N 5000u

static int
compare (const void *a, const void *b)
{
  uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

  return x < y ? -1 : x > y;
}

/* Sorts N offsets as qsort does, and finds what is there more than once. */
static void
check (uint64_t (*offset) (uint64_t i))
{
  static uint64_t expected[N];
  struct rv_offsets v = { 0 }, dup = { 0 };
  size_t n = 0, twice = 0;

  for (uint64_t i = 0; i < N; i++) {
    expected[i] = offset (i);
    REQUIRE (rv_offsets_append (&v, expected[i]) == 0);
  }
  qsort (expected, N, sizeof expected[0], compare);
  REQUIRE (rv_offsets_sort (&v, &dup) == 0);
  for (size_t i = 0; i < N; i++) {
    if (i > 0 && expected[i] == expected[i - 1])
      continue;
    CHECK (n < v.len && v.ptr[n] == expected[i]);
    n++;
    if (i + 1 < N && expected[i] == expected[i + 1])
      CHECK (twice < dup.len && dup.ptr[twice++] == expected[i]);
  }
  CHECK_EQ_U64 (v.len, n);
  CHECK_EQ_U64 (dup.len, twice);
  rv_offsets_release (&v);
  rv_offsets_release (&dup);
}

static uint64_t
in_order (uint64_t i)
{
  return i << 12;
}

static uint64_t
backwards (uint64_t i)
{
  return (N - i) << 16;
}

static uint64_t
same (uint64_t i)
{
  return 0x10000;
}

static uint64_t
all_bits (uint64_t i)
{
  return (i + 1) * 0x9e3779b97f4a7c15;
}

static uint64_t
often (uint64_t i)
{
  return i * 7919 % 100 << 9;
}

static uint64_t
far_apart (uint64_t i)
{
  return (i % 2 << 55) + (i % 64 << 20) + (i * 31 % 40 << 9);
}

static void
offsets_are_sorted_whatever_their_order (void)
{
  check (in_order);
  check (backwards);
  check (same);
  check (all_bits);
  check (often);
  check (far_apart);
}

int
main (void)
{
  TEST (offsets_are_sorted_whatever_their_order);
  return test_result ();
}
