/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a handle that reads to one that writes, and back. */

#ifndef RV_WRITABLE_H
#define RV_WRITABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "io/io.h"
#include "options.h"
#include "policy.h"

/* One reference to each. */
DEFINE_VECTOR (rv_ios, struct rv_io *);

void rv_ios_free (struct rv_ios *ios);

/* What a handle knows about writing.  The first part is set when the image is
 * opened.
 */
struct rv_writing {
  bool wanted;         /* its files were opened for that */
  bool overlay;        /* what is written is an overlay */
  bool snapshot;       /* an internal snapshot is shown */
  bool member;         /* of an OVA */
  bool rescue;         /* perhaps damaged: it is never written */
  bool folder;         /* one of many in a folder */
  enum rv_check check; /* before the first change */
  struct rv_base base; /* the container's folder, for what lies beside it */
  struct rv_file_id ignored_child; /* which is not looked at there */

  pthread_mutex_t lock; /* protects what follows, but for on */
  atomic_bool on;
  atomic_bool finished;
  rawview_error refused; /* what the driver or the check said, for good */
  struct rv_ios files;   /* locked and claimed, one reference each */

  /* Requests that write share it; finish and check have it alone.  Taken after
   * lock.
   */
  pthread_rwlock_t requests;
};

void rv_writing_init (struct rv_writing *w);

/* Gives back locks and claims. */
void rv_writing_release (struct rv_writing *w);

/*--- beside.c -----------------------------------------------------------*/

/* Refuses if VMware has locked one of the files, or if a VMDK or QCOW2 beside
 * the container names it as its parent or backing file: whoever writes a parent
 * ruins the child.  base: the container's folder; nothing is known without one.
 * ignored: one that is no reason.
 */
struct rv_format;
int rv_beside_locked (const struct rv_base *base, const struct rv_ios *files,
                      rawview_error *err);
int rv_beside_children (const struct rv_base *base,
                        const struct rv_format *format,
                        const struct rv_file_id *ignored, rawview_error *err);

#endif /* RV_WRITABLE_H */
