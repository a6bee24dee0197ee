/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One compressed unit, a cluster or grain: read it, find its payload, decode
 * it.
 */

#ifndef RV_UNIT_H
#define RV_UNIT_H

#include "engine/codec.h"

/* Decodes the whole unit of a COMPRESSED map to map->unit_len bytes at out. */
int rv_unit_decode (const struct rv_map *map, struct rv_codec_slot *slot,
                    void *out, rawview_error *err);

#endif /* RV_UNIT_H */
