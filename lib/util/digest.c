/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <stdlib.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "util/digest.h"

struct rv_digest {
  unsigned kinds; /* whose handle is there */
  gnutls_hash_hd_t handles[RV_DIGEST_KINDS];
};

static const struct {
  gnutls_digest_algorithm_t algorithm;
  size_t len;
} digests[RV_DIGEST_KINDS] = {
  [RV_SHA1] = { GNUTLS_DIG_SHA1, 20 },
  [RV_SHA256] = { GNUTLS_DIG_SHA256, 32 },
  [RV_SHA512] = { GNUTLS_DIG_SHA512, 64 },
};

size_t
rv_digest_len (enum rv_digest_kind kind)
{
  return digests[kind].len;
}

struct rv_digest *
rv_digest_new (unsigned kinds)
{
  struct rv_digest *d = calloc (1, sizeof *d);

  for (unsigned i = 0; d != NULL && i < RV_DIGEST_KINDS; i++) {
    if (!(kinds & RV_DIGEST_BIT (i)))
      continue;
    if (gnutls_hash_init (&d->handles[i], digests[i].algorithm) != 0) {
      rv_digest_end (d, NULL);
      return NULL;
    }
    d->kinds |= RV_DIGEST_BIT (i);
  }
  return d;
}

void
rv_digest_update (struct rv_digest *d, const void *bytes, size_t len)
{
  for (unsigned i = 0; i < RV_DIGEST_KINDS; i++)
    if (d->kinds & RV_DIGEST_BIT (i))
      gnutls_hash (d->handles[i], bytes, len);
}

void
rv_digest_end (struct rv_digest *d, struct rv_digest_values *values)
{
  uint8_t ignored[RV_DIGEST_MAX];

  if (d == NULL)
    return;
  if (values)
    *values = (struct rv_digest_values){ .kinds = d->kinds };
  for (unsigned i = 0; i < RV_DIGEST_KINDS; i++)
    if (d->kinds & RV_DIGEST_BIT (i))
      gnutls_hash_deinit (d->handles[i], values ? values->bytes[i] : ignored);
  free (d);
}
