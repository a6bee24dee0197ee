/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The manifest of an OVA: a line per member, "SHA256(disk1.vmdk)= 0a1b...". */

#ifndef RV_OVA_MANIFEST_H
#define RV_OVA_MANIFEST_H

#include <rawview.h>

#include "util/bytes.h"
#include "util/digest.h"
#include "util/vector.h"

#define RV_OVA_MAX_MANIFEST (1u << 20) /* bytes */

struct rv_ova_line {
  char *name; /* without leading "./" */
  enum rv_digest_kind kind;
  uint8_t digest[RV_DIGEST_MAX];
  bool verified;
};

DEFINE_VECTOR (rv_ova_manifest, struct rv_ova_line);

/* file: for messages.  On failure nothing needs to be released. */
int rv_ova_manifest_parse (struct rv_view text, const char *file,
                           struct rv_ova_manifest *manifest,
                           rawview_error *err);
void rv_ova_manifest_free (struct rv_ova_manifest *manifest);

/* The kinds of checksum that it has of a member, as bits. */
unsigned rv_ova_manifest_kinds (const struct rv_ova_manifest *manifest,
                                const char *name);

/* Compares what it says of a member with what came.  A member of which it says
 * nothing is right.
 */
int rv_ova_manifest_compare (struct rv_ova_manifest *manifest, const char *name,
                             const struct rv_digest_values *values,
                             const char *file, rawview_error *err);

/* At the end: has every member that it names been compared? */
int rv_ova_manifest_verify (const struct rv_ova_manifest *manifest,
                            const char *file, rawview_error *err);

#endif /* RV_OVA_MANIFEST_H */
