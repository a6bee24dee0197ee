/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What nbd-read and nbd-write share: numbers that are the same in every run,
 * and a clock.
 */

#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdint.h>
#include <time.h>

static uint64_t random_state = 88172645463325252u;

static uint64_t
next_random (void)
{
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

static double
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

#endif /* BENCH_CLIENT_H */
