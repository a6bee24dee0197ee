/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image and its backing files, the image itself first. */

#ifndef RV_CHAIN_H
#define RV_CHAIN_H

#include "format/format.h"

DEFINE_VECTOR (rv_chain, struct rv_format *);

/* Where do the guest bytes at off live, and at which depth?  Follows
 * RV_MAP_PARENT down the chain, so that it never comes out; what no layer has,
 * or what lies beyond the end of a shorter backing file, is ZERO.  Contract
 * otherwise as rv_format_ops.map.
 */
int rv_chain_map (const struct rv_chain *chain, uint64_t off, uint64_t len,
                  struct rv_map *map, unsigned *depth, uint64_t *damaged,
                  rawview_error *err);

#endif /* RV_CHAIN_H */
