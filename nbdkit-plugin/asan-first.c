/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preloaded beside AddressSanitizer, to have it set up before anything else.
 *
 * Otherwise that happens in the first call of malloc, which in nbdkit is one
 * by p11-kit's constructor, inside newlocale and with glibc's lock on locales
 * held.  The setup's own call of dlerror unlocks it, and nbdkit hangs at exit.
 * This library's constructor is the first of all: it is linked with
 * "-z initfirst".
 */

#include <stdlib.h>

static void __attribute__ ((constructor)) set_up_sanitizer (void)
{
  void *volatile p = malloc (1);

  free (p);
}
