/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads of the library's own. */

#ifndef RV_THREAD_H
#define RV_THREAD_H

#include <pthread.h>

/* As pthread_create with default attributes; but no signal is ever delivered to
 * the thread, since signals are the program's business.
 */
int rv_thread_create (pthread_t *thread, void *(*start) (void *), void *opaque);

#endif /* RV_THREAD_H */
