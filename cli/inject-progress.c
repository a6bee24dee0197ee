/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "inject-progress.h"
#include "json.h"

static void
show_json (const struct inject_progress *p)
{
  struct cli_json *o = cli_json_object ();

  cli_json_set_text (o, "phase", p->phase);
  cli_json_set_real (o, "percent", p->percent);
  cli_json_set_real (o, "elapsed", progress_seconds_since (&p->start));
  cli_json_print_line (stdout, o);
  putchar ('\n');
  fflush (stdout);
}

/* "K" of the terminal clears what a longer line has left. */
static void
show_bar (const struct inject_progress *p)
{
  const unsigned s = (unsigned) progress_seconds_since (&p->start);

  fprintf (stderr, "\r%3u%%  %u:%02u  %.60s\033[K", p->percent, s / 60, s % 60,
           p->phase);
  fflush (stderr);
}

void
inject_progress_start (struct inject_progress *p, enum progress_mode mode)
{
  *p = (struct inject_progress){ .mode = mode };
  clock_gettime (CLOCK_MONOTONIC, &p->start);
}

void
inject_progress_show (struct inject_progress *p, const char *phase,
                      unsigned percent)
{
  const bool is_new = strcmp (p->phase, phase) != 0 || percent > p->percent;
  const double interval = p->mode == PROGRESS_BAR ? 1 : 10;

  if (p->mode == PROGRESS_NONE ||
      (!is_new && progress_seconds_since (&p->shown) < interval))
    return;
  snprintf (p->phase, sizeof p->phase, "%s", phase);
  if (percent > p->percent)
    p->percent = percent;
  if (p->mode == PROGRESS_JSON)
    show_json (p);
  else
    show_bar (p);
  clock_gettime (CLOCK_MONOTONIC, &p->shown);
}

void
inject_progress_end (struct inject_progress *p)
{
  if (p->mode == PROGRESS_BAR && p->phase[0] != '\0')
    fputc ('\n', stderr);
  p->phase[0] = '\0';
}
