/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A crash leaves leaks, grain tables that differ, files that end early.  What
 * if it is written again from there, and crashes once more?
 */

#include "crash.h"

#define REQUESTS 16u
#define SUBSETS  1u

struct second {
  struct crash_judge judge;
  struct crash_verdict *v;
  uint64_t states;
};

static bool
judge_state (void *opaque, const struct crash_state *state)
{
  struct second *s = opaque;
  struct crash_verdict v;

  s->states++;
  if (crash_judge (&s->judge, state, &v))
    return true;
  s->v->good = false;
  snprintf (s->v->why, sizeof s->v->why, "second crash, state %ju: %.500s",
            (uintmax_t) state->number, v.why);
  return false;
}

static void
write_and_crash (struct second *s, const struct crash_image *image,
                 uint64_t seed)
{
  struct crash_plan plan = { .seed = seed, .requests = REQUESTS };
  struct crash_choice choice = { .subsets = SUBSETS, .only = UINT64_MAX };
  struct crash_run run;
  bool good = crash_run_start (&run, image, &plan);

  if (good) {
    crash_run_requests (&run);
    crash_run_finish (&run);
    crash_model_finish (&run.model);
    good = run.failed_requests == 0;
  }
  if (good)
    crash_states (&run, &choice, judge_state, s);
  else {
    s->v->good = false;
    snprintf (s->v->why, sizeof s->v->why, "after a crash: %.500s",
              run.err.msg);
  }
  crash_run_release (&run);
}

uint64_t
crash_judge_second (struct crash_judge *j, const struct crash_state *state,
                    struct crash_verdict *v)
{
  struct crash_image image = *state->run->image;
  struct second s = { .v = v };
  uint8_t *expected = crash_alloc (image.size);

  /* j has read it. */
  memcpy (expected, j->buf, image.size);
  image.expected = expected;
  image.leaks = UINT64_MAX;
  image.begun = true;
  for (unsigned i = 0; i < image.nr_files; i++) {
    image.files[i].bytes = state->bytes[i];
    image.files[i].len = state->len[i];
  }
  crash_judge_init (&s.judge, &image);
  write_and_crash (&s, &image,
                   crash_mix (state->run->plan.seed + state->number));
  crash_judge_release (&s.judge);
  free (expected);
  return s.states;
}
