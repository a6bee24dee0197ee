/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "engine/unit.h"
#include "util/checked.h"
#include "util/error.h"

/* Reads bytes from..to of the unit into the slot's scratch memory. */
static int
fetch (const struct rv_map *map, struct rv_codec_slot *slot, size_t from,
       size_t to, struct rv_view *unit, rawview_error *err)
{
  uint8_t *p = rv_codec_scratch (slot, to);

  if (p == NULL)
    return rv_error_nomem (err);
  *unit = (struct rv_view){ p, to };
  return rv_io_pread (map->io, p + from, to - from, map->host_off + from, err);
}

/* How much to read at first of a unit whose marker says how long it is: data
 * that was worth compressing has about halved.
 */
static size_t
first_read (const struct rv_map *map)
{
  size_t guess = map->unit_len / 2 + RV_MAP_MARKER_MAX;

  if (map->payload == NULL)
    return map->host_len;
  return rv_min_u64 (guess, map->host_len);
}

static int
fetch_payload (const struct rv_map *map, struct rv_codec_slot *slot,
               struct rv_view *payload, rawview_error *err)
{
  size_t n = first_read (map), need = 0;
  struct rv_view unit;

  if (fetch (map, slot, 0, n, &unit, err) == -1)
    return -1;
  *payload = unit;
  if (map->payload == NULL)
    return 0;
  if (map->payload (map, unit, payload, &need, err) == -1)
    return -1;
  if (payload->p != NULL)
    return 0;
  if (need <= n || need > map->host_len)
    return rv_error_corrupt (err,
                             "%s: the compressed grain at host offset %#jx "
                             "needs %zu bytes of at most %u",
                             map->io->name, (uintmax_t) map->host_off, need,
                             map->host_len);
  if (fetch (map, slot, n, need, &unit, err) == -1)
    return -1;
  return map->payload (map, unit, payload, &need, err);
}

int
rv_unit_decode (const struct rv_map *map, struct rv_codec_slot *slot, void *out,
                rawview_error *err)
{
  struct rv_view payload;
  const char *wrong = NULL;

  if (fetch_payload (map, slot, &payload, err) == -1)
    return -1;
  if (payload.p == NULL)
    wrong = "a marker that asks for more and more";
  else
    wrong = rv_codec_decode (slot, map->codec, payload, out, map->unit_len,
                             map->unit_min);
  if (wrong)
    return rv_error_corrupt (err, "%s: guest offset %#jx, host offset %#jx: %s",
                             map->io->name, (uintmax_t) map->unit_off,
                             (uintmax_t) map->host_off, wrong);
  return 0;
}
