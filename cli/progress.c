/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bar on stderr, or a JSON object per line. */

#include <config.h>

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "json.h"
#include "progress.h"

#define BAR_WIDTH 30

bool
progress_parse_mode (const char *value, enum progress_mode *mode)
{
  if (value == NULL)
    *mode = isatty (STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_NONE;
  else if (*value == '\0' || strcmp (value, "bar") == 0)
    *mode = PROGRESS_BAR;
  else if (strcmp (value, "json") == 0)
    *mode = PROGRESS_JSON;
  else if (strcmp (value, "none") == 0)
    *mode = PROGRESS_NONE;
  else
    return false;
  return true;
}

double
progress_seconds_since (const struct timespec *then)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (double) (now.tv_sec - then->tv_sec) +
         (double) (now.tv_nsec - then->tv_nsec) / 1e9;
}

/* What is printed: in bytes, bytes per second and seconds. */
struct figures {
  unsigned permille; /* rounded down: 1000 is the end and nothing else */
  uint64_t done, rate, eta;
};

static struct figures
figures_of (const struct progress *p, uint64_t done)
{
  struct figures f = { .done = done, .permille = 1000 };
  double elapsed = progress_seconds_since (&p->start);

  if (p->total > 0)
    f.permille = (unsigned) ((double) done / (double) p->total * 1000);
  if (f.permille >= 1000 && done < p->total)
    f.permille = 999;
  if (elapsed > 0)
    f.rate = (uint64_t) ((double) done / elapsed);
  if (f.rate > 0)
    f.eta = (p->total - done) / f.rate;
  return f;
}

/* Columns of the terminal; a longer line could not be drawn over. */
static int
terminal_width (const struct progress *p)
{
  struct winsize size;

  if (ioctl (fileno (p->out), TIOCGWINSZ, &size) == -1 || size.ws_col == 0)
    return 80;
  return size.ws_col;
}

static void
show_bar (const struct progress *p, const struct figures *f)
{
  char done[CLI_SIZE_MAX], total[CLI_SIZE_MAX], rate[CLI_SIZE_MAX];
  char text[120], left[40] = "", bar[BAR_WIDTH + 1];
  int width = terminal_width (p) - 1, len;
  int filled;

  if (f->rate > 0)
    snprintf (left, sizeof left, ", %llu:%02u:%02u left",
              (unsigned long long) (f->eta / 3600),
              (unsigned) (f->eta / 60 % 60), (unsigned) (f->eta % 60));
  len = snprintf (
      text, sizeof text, "%3u.%u%%  %s of %s, %s/s%s", f->permille / 10,
      f->permille % 10, cli_format_size (f->done, done),
      cli_format_size (p->total, total), cli_format_size (f->rate, rate), left);
  /* What does not fit is left out: first the bar's length, then the bar, then
   * the end of the text.
   */
  width -= len + 3;
  if (width > BAR_WIDTH)
    width = BAR_WIDTH;
  fputc ('\r', p->out);
  if (width > 4) {
    filled = (int) f->permille * width / 1000;
    memset (bar, ' ', (size_t) width);
    memset (bar, '=', (size_t) filled);
    fprintf (p->out, "[%.*s] ", width, bar);
  }
  /* "K" of the terminal clears what a longer line has left. */
  fprintf (p->out, "%.*s\033[K", terminal_width (p) - 1, text);
}

static void
show_json (const struct progress *p, const struct figures *f)
{
  struct cli_json *o = cli_json_object ();

  cli_json_set_number (o, "bytes", f->done);
  cli_json_set_number (o, "total", p->total);
  cli_json_set_real (o, "percent", f->permille / 10.0);
  cli_json_set_number (o, "rate", f->rate);
  cli_json_set_number (o, "eta", f->eta);
  cli_json_print_line (p->out, o);
  fputc ('\n', p->out);
}

static void
show (struct progress *p, uint64_t done)
{
  struct figures f = figures_of (p, done);

  if (p->mode == PROGRESS_BAR)
    show_bar (p, &f);
  else
    show_json (p, &f);
  fflush (p->out);
  clock_gettime (CLOCK_MONOTONIC, &p->shown);
}

void
progress_start (struct progress *p, enum progress_mode mode, uint64_t total,
                FILE *json_out)
{
  *p = (struct progress){ .mode = mode,
                          .out = mode == PROGRESS_JSON ? json_out : stderr,
                          .total = total };
  clock_gettime (CLOCK_MONOTONIC, &p->start);
  if (mode != PROGRESS_NONE)
    show (p, 0);
}

void
progress_update (struct progress *p, uint64_t done)
{
  const double interval = p->mode == PROGRESS_BAR ? 0.2 : 1;

  if (p->mode != PROGRESS_NONE &&
      progress_seconds_since (&p->shown) >= interval)
    show (p, done);
}

void
progress_end (struct progress *p, uint64_t done)
{
  if (p->mode == PROGRESS_NONE)
    return;
  show (p, done);
  if (p->mode == PROGRESS_BAR)
    fputc ('\n', p->out);
}
