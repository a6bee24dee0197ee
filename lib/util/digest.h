/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checksums of bytes that come one after the other.  The only user of GnuTLS.
 */

#ifndef RV_DIGEST_H
#define RV_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rv_digest_kind { RV_SHA1, RV_SHA256, RV_SHA512, RV_DIGEST_KINDS };

#define RV_DIGEST_BIT(kind) (1u << (kind))
#define RV_DIGEST_ALL       (RV_DIGEST_BIT (RV_DIGEST_KINDS) - 1)
#define RV_DIGEST_MAX       64u /* bytes */

/* Bytes of a checksum of this kind: 20, 32 or 64. */
size_t rv_digest_len (enum rv_digest_kind kind);

struct rv_digest_values {
  unsigned kinds; /* bits of those that are there */
  uint8_t bytes[RV_DIGEST_KINDS][RV_DIGEST_MAX];
};

struct rv_digest;

/* kinds: bits.  NULL when out of memory or where one of them is forbidden on
 * this machine.
 */
struct rv_digest *rv_digest_new (unsigned kinds);
void rv_digest_update (struct rv_digest *d, const void *bytes, size_t len);

/* Frees d; values may be NULL. */
void rv_digest_end (struct rv_digest *d, struct rv_digest_values *values);

#endif /* RV_DIGEST_H */
