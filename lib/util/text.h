/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text from users and from images. */

#ifndef RV_TEXT_H
#define RV_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Replaces, in place, what is not printable UTF-8 by '?': control characters,
 * broken sequences, surrogates, and the marks that reverse text direction.
 */
void rv_text_make_printable (char *s);

/* "10", "64k", "1.5G": a count of bytes with an optional binary suffix b, k,
 * M, G, T, P or E in either case, as qemu-img and nbdkit take it.
 */
bool rv_text_parse_size (const char *s, uint64_t *size);

/* true, yes, on, 1 and their opposites, in either case. */
bool rv_text_parse_bool (const char *s, bool *value);

/* Does the name start like a URI or a QEMU protocol, "nbd:", "json:", ... */
bool rv_text_has_scheme (const char *s);

/* "C:\vm\a.vmdk", "\\server\vm\a.vmdk" or "/vmfs/volumes/datastore/a.vmdk":
 * a file name in another system's terms?
 */
bool rv_text_is_foreign_path (const char *s);

/* Is it an NBD URI that libnbd can connect to? */
bool rv_text_is_nbd_uri (const char *s);

/* printf into fresh memory; NULL when out of memory. */
char *rv_text_format (const char *fmt, ...)
    __attribute__ ((format (printf, 1, 2)));

/* The part after the last slash. */
const char *rv_text_basename (const char *path);

/* The same in this or another system's terms: VMware writes "C:\vm\a.vmdk"
 * too.
 */
const char *rv_text_foreign_basename (const char *path);

#endif /* RV_TEXT_H */
