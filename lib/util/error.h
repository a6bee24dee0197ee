/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors: a kind, an errno value and one sentence, by value. */

#ifndef RV_ERROR_H
#define RV_ERROR_H

#include <stdarg.h>

#include <rawview.h>

#define RV_PRINTF(fmt, args) __attribute__ ((format (printf, fmt, args)))

/* Fills *err (which may be NULL) and returns -1, so that a caller can write
 * "return rv_error_set (...)".  errnum 0 stands for the usual one of the kind.
 * The message is made printable: what an image says cannot break the line.
 */
#define rv_error_set(...) (rv_error_fill (__VA_ARGS__), rv_failed ())

void rv_error_fill (rawview_error *err, rawview_error_kind kind, int errnum,
                    const char *fmt, ...) RV_PRINTF (4, 5);

/* So that compilers, too, see the -1. */
static inline int
rv_failed (void)
{
  return -1;
}

/* Short forms for the common kinds. */
#define rv_error_corrupt(err, ...) \
  rv_error_set ((err), RAWVIEW_ERROR_CORRUPT, 0, __VA_ARGS__)
#define rv_error_format(err, ...) \
  rv_error_set ((err), RAWVIEW_ERROR_FORMAT, 0, __VA_ARGS__)
#define rv_error_unsupported(err, ...) \
  rv_error_set ((err), RAWVIEW_ERROR_UNSUPPORTED, 0, __VA_ARGS__)
#define rv_error_limit(err, ...) \
  rv_error_set ((err), RAWVIEW_ERROR_LIMIT, 0, __VA_ARGS__)
#define rv_error_refused(err, ...) \
  rv_error_set ((err), RAWVIEW_ERROR_REFUSED, 0, __VA_ARGS__)
#define rv_error_usage(err, ...) \
  rv_error_set ((err), RAWVIEW_ERROR_USAGE, 0, __VA_ARGS__)

/* The error of a failed system call: "WHAT: strerror (errnum)". */
#define rv_error_errno(...) (rv_error_fill_errno (__VA_ARGS__), rv_failed ())

void rv_error_fill_errno (rawview_error *err, int errnum, const char *fmt, ...)
    RV_PRINTF (3, 4);

#define rv_error_nomem(err) \
  rv_error_set ((err), RAWVIEW_ERROR_NOMEM, 0, "out of memory")

#endif /* RV_ERROR_H */
