/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far an import has come, of which two parts run at the same time. */

#include <config.h>

#include <string.h>
#include <time.h>

#include "import.h"
#include "json.h"

#define BAR_WIDTH 24

static const char *const phase_names[] = {
  [IMPORT_COPY] = "copy",   [IMPORT_INJECT] = "inject", [IMPORT_SHIP] = "ship",
  [IMPORT_FLUSH] = "flush", [IMPORT_DONE] = "done",
};

static double
share (uint64_t done, uint64_t total)
{
  return total > 0 ? (double) done / (double) total : 1;
}

/* Nobody knows beforehand which part takes longer, so each has the same weight,
 * and what comes after them little.
 */
static double
percent (const struct import_progress *p)
{
  const double copied = share (p->copied, p->total);

  if (p->phase == IMPORT_DONE)
    return 100;
  if (!p->virtio)
    return copied * 98;
  return copied * 45 + p->injected * 0.45 + share (p->shipped, p->total) * 8;
}

static double
rounded (double value)
{
  return (double) (unsigned) (value * 10) / 10;
}

static void
show_json (const struct import_progress *p)
{
  struct cli_json *o = cli_json_object ();

  cli_json_set_text (o, "phase", phase_names[p->phase]);
  cli_json_set_real (o, "percent", rounded (p->told));
  cli_json_set_number (o, "bytes", p->copied);
  cli_json_set_number (o, "total", p->total);
  if (p->virtio)
    cli_json_set_real (o, "injected", rounded (p->injected));
  cli_json_print_line (stdout, o);
  putchar ('\n');
  fflush (stdout);
}

static void
show_bar (const struct import_progress *p)
{
  char copied[CLI_SIZE_MAX], total[CLI_SIZE_MAX], bar[BAR_WIDTH + 1];
  char injected[32] = "";
  int filled = (int) (p->told * BAR_WIDTH / 100);

  memset (bar, ' ', BAR_WIDTH);
  memset (bar, '=', (size_t) filled);
  if (p->virtio && p->phase <= IMPORT_INJECT)
    snprintf (injected, sizeof injected, ", drivers %.0f%%", p->injected);
  /* "K" of the terminal clears what a longer line has left. */
  fprintf (stderr, "\r[%.*s] %5.1f%%  %s: %s of %s%s\033[K", BAR_WIDTH, bar,
           rounded (p->told), phase_names[p->phase],
           cli_format_size (p->copied, copied),
           cli_format_size (p->total, total), injected);
  fflush (stderr);
}

void
import_progress_show (struct import_progress *p, enum import_phase phase)
{
  const double interval = p->mode == PROGRESS_BAR ? 0.2 : 1;
  const bool changed = phase != p->phase || p->shown.tv_sec == 0;

  if (p->mode == PROGRESS_NONE ||
      (!changed && progress_seconds_since (&p->shown) < interval))
    return;
  p->phase = phase;
  if (percent (p) > p->told)
    p->told = percent (p);
  if (p->mode == PROGRESS_BAR)
    show_bar (p);
  else
    show_json (p);
  clock_gettime (CLOCK_MONOTONIC, &p->shown);
}

void
import_progress_end (struct import_progress *p)
{
  if (p->mode == PROGRESS_BAR && p->shown.tv_sec != 0)
    fputc ('\n', stderr);
}
