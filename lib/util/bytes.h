/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Integers as they lie in a file: unaligned, big or little endian. */

#ifndef RV_BYTES_H
#define RV_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define RV_DEFINE_GET(name, type, convert) \
  static inline type name (const void *p) \
  { \
    type v; \
    memcpy (&v, p, sizeof v); \
    return convert (v); \
  }

RV_DEFINE_GET (rv_be16, uint16_t, be16toh)
RV_DEFINE_GET (rv_be32, uint32_t, be32toh)
RV_DEFINE_GET (rv_be64, uint64_t, be64toh)
RV_DEFINE_GET (rv_le16, uint16_t, le16toh)
RV_DEFINE_GET (rv_le32, uint32_t, le32toh)
RV_DEFINE_GET (rv_le64, uint64_t, le64toh)

#define RV_DEFINE_PUT(name, type, convert) \
  static inline void name (void *p, type v) \
  { \
    v = convert (v); \
    memcpy (p, &v, sizeof v); \
  }

RV_DEFINE_PUT (rv_put_be16, uint16_t, htobe16)
RV_DEFINE_PUT (rv_put_be32, uint32_t, htobe32)
RV_DEFINE_PUT (rv_put_be64, uint64_t, htobe64)
RV_DEFINE_PUT (rv_put_le16, uint16_t, htole16)
RV_DEFINE_PUT (rv_put_le32, uint32_t, htole32)
RV_DEFINE_PUT (rv_put_le64, uint64_t, htole64)

/* A piece of a file that a parser looks at.  Parsers take views and return
 * structs, so that tests and fuzzers need no files.
 */
struct rv_view {
  const uint8_t *p;
  size_t len;
};

#endif /* RV_BYTES_H */
