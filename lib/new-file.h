/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A new file, all or nothing: whoever finds it under its name, even after a
 * power cut, finds all of it.
 */

#ifndef RV_NEW_FILE_H
#define RV_NEW_FILE_H

#include <stdbool.h>

#include <rawview.h>

struct rv_new_file {
  const char *path; /* where it will be */
  const char *what; /* for messages: "the overlay" */
  bool replace;     /* a regular file of that name */

  /* Fills the empty file fd, which stays the caller's; need not sync it. */
  int (*fill) (void *opaque, int fd, rawview_error *err);
  void *opaque;
};

/* 0600 but for the umask.  Unless it may replace, it never does: *exists tells
 * that something is there.
 */
int rv_new_file (const struct rv_new_file *how, bool *exists,
                 rawview_error *err);

#endif /* RV_NEW_FILE_H */
