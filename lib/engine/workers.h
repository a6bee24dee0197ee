/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that help a request to decode its units. */

#ifndef RV_WORKERS_H
#define RV_WORKERS_H

#include <rawview.h>

#define RV_WORKERS_MAX 64u

struct rv_workers;

/* n threads, none of which runs before rv_workers_start.  n may be 0. */
int rv_workers_new (unsigned n, struct rv_workers **workers,
                    rawview_error *err);
int rv_workers_start (struct rv_workers *workers, rawview_error *err);

/* Joins the threads.  No rv_workers_run may be under way. */
void rv_workers_free (struct rv_workers *workers);

/* Calls task (opaque, i) once for each i below n and returns when all are done.
 * The caller does what the workers do not come to, so it always makes progress.
 * A task must not wait for another task.
 */
void rv_workers_run (struct rv_workers *workers, size_t n,
                     void (*task) (void *opaque, size_t i), void *opaque);

#endif /* RV_WORKERS_H */
