/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of what is freed: fresh, gone, released, reusable; see E5 and E6 in
 * epoch.c, which says when each step may be.
 */

#include <config.h>

#include "engine/epoch-internal.h"

void
rv_epoch_move (struct rv_epoch_freed *to, struct rv_epoch_freed *from)
{
  if (to->list.len == 0) {
    struct rv_epoch_freed empty = *to;

    *to = *from;
    *from = empty;
  }
  for (size_t i = 0; i < from->list.len; i++)
    if (rv_freed_list_append (&to->list, from->list.ptr[i]) == 0)
      to->bytes += from->list.ptr[i].len;
  rv_freed_list_release (&from->list);
  from->bytes = 0;
}

void
rv_epoch_release (struct rv_epoch *e, struct rv_epoch_freed *gone)
{
  struct rv_epoch_freed done = { 0 };
  rawview_error error;

  for (size_t i = 0; i < gone->list.len; i++) {
    const struct rv_freed *freed = &gone->list.ptr[i];

    if (atomic_load (&e->refusing))
      break;
    if (e->ops->release == NULL ||
        e->ops->release (e->format, freed, &error) == 0) {
      if (rv_freed_list_append (&done.list, *freed) == 0)
        done.bytes += freed->len;
    }
    else if (error.kind == RAWVIEW_ERROR_CORRUPT)
      rv_epoch_stop (e, &error);
  }
  rv_freed_list_release (&gone->list);
  LOCKED (&e->lock);
  rv_epoch_move (&e->released, &done);
}

void
rv_epoch_reuse (struct rv_epoch *e)
{
  struct rv_epoch_freed freed = { 0 };

  pthread_mutex_lock (&e->lock);
  rv_epoch_move (&freed, &e->reusable);
  pthread_mutex_unlock (&e->lock);
  if (freed.list.len > 0)
    rv_grace_wait (e->grace); /* E6 */
  for (size_t i = 0; i < freed.list.len && !atomic_load (&e->refusing); i++)
    if (e->ops->reuse)
      e->ops->reuse (e->format, &freed.list.ptr[i]);
  rv_freed_list_release (&freed.list);
}
