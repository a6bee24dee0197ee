/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What hostilecheck, readcheck and writecheck share: how they end, and what
 * their arguments mean.  None of it returns from an argument that is wrong.
 */

#ifndef CHECKTOOL_H
#define CHECKTOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rawview.h>

#define MAX_RANGES 256u

/* Bytes of a disk. */
struct range {
  uint64_t off, len;
};

struct ranges {
  size_t n;
  struct range r[MAX_RANGES];
};

/* Each program says what it is called. */
extern const char checktool_name[];

/* Says so on stderr, in one line behind the name, and ends with status 1. */
void die (const char *fmt, ...)
    __attribute__ ((noreturn, format (printf, 1, 2)));

/* Does any of the ranges have one of these bytes? */
bool touches (const struct ranges *ranges, uint64_t off, uint64_t len);

/* arg: OFF:LEN, in any base that strtoull(3) knows; NULL: it is missing. */
void add_range (struct ranges *ranges, const char *arg);

/* arg: KEY=VALUE, which is cut in two. */
void set_option (rawview_options *opts, char *arg);

#endif /* CHECKTOOL_H */
