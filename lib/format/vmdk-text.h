/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pieces of a descriptor's text.  Not NUL-terminated; they point into it. */

#ifndef RV_VMDK_TEXT_H
#define RV_VMDK_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"

struct rv_vmdk_span {
  const char *p;
  size_t len;
};

/* The text of a file, without a byte order mark. */
struct rv_vmdk_span rv_vmdk_skip_byte_order_mark (struct rv_view head);

/* Takes the next line off the text; blanks and CR around it are cut off. */
struct rv_vmdk_span rv_vmdk_take_line (struct rv_vmdk_span *text);

struct rv_vmdk_span rv_vmdk_trim (const char *p, size_t len);

/* Is the text equal to word, in any letter case? */
bool rv_vmdk_span_is (struct rv_vmdk_span text, const char *word);

/* "key = value"; false if the line is something else. */
bool rv_vmdk_split_key (struct rv_vmdk_span line, struct rv_vmdk_span *key,
                        struct rv_vmdk_span *value);

/* Removes one pair of quotes around the whole value, if there is one; false if
 * there are others.
 */
bool rv_vmdk_unquote (struct rv_vmdk_span *value);

/* 1 to 8 hexadecimal digits */
bool rv_vmdk_parse_hex (struct rv_vmdk_span text, uint32_t *n);

#endif /* RV_VMDK_TEXT_H */
