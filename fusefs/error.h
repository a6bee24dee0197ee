/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors of our own in the library's form.  Each returns -1. */

#ifndef RAWVIEWFS_ERROR_H
#define RAWVIEWFS_ERROR_H

#include <rawview.h>

int error_set (rawview_error *err, rawview_error_kind kind, int errnum,
               const char *fmt, ...) __attribute__ ((format (printf, 4, 5)));

/* "WHAT: strerror (errno)" */
int error_system (rawview_error *err, const char *what);

int error_nomem (rawview_error *err);

#define error_usage(err, ...) \
  error_set ((err), RAWVIEW_ERROR_USAGE, EINVAL, __VA_ARGS__)

#endif /* RAWVIEWFS_ERROR_H */
