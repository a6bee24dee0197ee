/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One list, in the order in which the ranges were asked for, of those that are
 * held and those that wait.  A range waits as long as one before it in the list
 * is in its way, held or not: so a stream of shared ones cannot keep an
 * exclusive one waiting.  The list is as long as there are threads.
 */

#include <config.h>

#include "engine/ranges.h"
#include "util/checked.h"
#include "util/cleanup.h"
#include "util/error.h"

struct rv_ranges {
  pthread_mutex_t lock;   /* protects the list; nothing is taken under it */
  struct rv_range *first; /* the oldest */
};

int
rv_ranges_new (struct rv_ranges **ranges, rawview_error *err)
{
  struct rv_ranges *r = calloc (1, sizeof *r);

  if (r == NULL)
    return rv_error_nomem (err);
  pthread_mutex_init (&r->lock, NULL);
  *ranges = r;
  return 0;
}

void
rv_ranges_free (struct rv_ranges *ranges)
{
  if (ranges == NULL)
    return;
  pthread_mutex_destroy (&ranges->lock);
  free (ranges);
}

static bool
conflict (const struct rv_range *a, const struct rv_range *b)
{
  return (a->exclusive || b->exclusive) &&
         rv_ranges_overlap (a->off, a->len, b->off, b->len);
}

/* Is one that came before range in its way? */
static bool
blocked (const struct rv_ranges *ranges, const struct rv_range *range)
{
  for (const struct rv_range *r = ranges->first; r != range; r = r->next)
    if (conflict (r, range))
      return true;
  return false;
}

/* Where the pointer to range stands; range NULL: where the last one's does. */
static struct rv_range **
find (struct rv_ranges *ranges, const struct rv_range *range)
{
  struct rv_range **p = &ranges->first;

  while (*p != range)
    p = &(*p)->next;
  return p;
}

void
rv_ranges_lock (struct rv_ranges *ranges, struct rv_range *range)
{
  LOCKED (&ranges->lock);

  range->next = NULL;
  *find (ranges, NULL) = range;
  range->held = !blocked (ranges, range);
  if (range->held)
    return;
  pthread_cond_init (&range->wake, NULL);
  while (!range->held)
    pthread_cond_wait (&range->wake, &ranges->lock);
  pthread_cond_destroy (&range->wake);
}

void
rv_ranges_unlock (struct rv_ranges *ranges, struct rv_range *range)
{
  struct rv_range *r;

  LOCKED (&ranges->lock);
  *find (ranges, range) = r = range->next;
  for (; r != NULL; r = r->next) {
    if (r->held || !conflict (r, range) || blocked (ranges, r))
      continue;
    r->held = true;
    pthread_cond_signal (&r->wake);
  }
}
