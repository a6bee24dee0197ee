/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading guest bytes of which some are lost: run by run, so that a loss is no
 * larger than what is wrong.
 *
 * A compressed unit is lost as a whole.  Plain bytes are read in one piece; if
 * that fails in halves, down to single sectors, and after a sector that could
 * be read in larger pieces again.
 */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "engine/engine-internal.h"
#include "util/checked.h"
#include "util/error.h"

#define SECTOR 512u

struct salvage {
  struct rv_engine *engine;
  rawview_lost_cb cb;
  void *opaque;
};

/*--- What an error means ------------------------------------------------*/

/* Those that tell of a medium that cannot give these bytes. */
static bool
is_medium_error (int errnum)
{
  return errnum == EIO || errnum == EBADMSG || errnum == EUCLEAN ||
         errnum == EILSEQ || errnum == ENODATA || errnum == EREMOTEIO;
}

/* Storage of this machine fails in places.  A server may as well be gone, and
 * then each read fails: also that of the first bytes, which were read before.
 */
static bool
is_gone (struct rv_io *io)
{
  uint8_t head[SECTOR];

  return !io->has_id && io->size >= sizeof head &&
         rv_io_pread (io, head, sizeof head, 0, NULL) == -1;
}

static bool
storage_is_gone (const struct salvage *s)
{
  const struct rv_chain *chain = s->engine->chain;

  for (size_t i = 0; i < chain->len; i++)
    if (is_gone (chain->ptr[i]->io))
      return true;
  return false;
}

static bool
is_loss (const struct salvage *s, const rawview_error *e)
{
  switch (e->kind) {
  case RAWVIEW_ERROR_CORRUPT:
    return true;
  case RAWVIEW_ERROR_REFUSED: /* the image allows no access */
    return e->errnum == EIO;
  case RAWVIEW_ERROR_IO:
    return is_medium_error (e->errnum) && !storage_is_gone (s);
  default:
    return false;
  }
}

/* Nothing of it can be read, for this reason. */
static int
lose (const struct salvage *s, uint8_t *buf, uint64_t len, uint64_t off,
      const rawview_error *why, rawview_error *err)
{
  if (!is_loss (s, why)) {
    if (err)
      *err = *why;
    return -1;
  }
  memset (buf, 0, len);
  s->cb (s->opaque, len, off, why);
  return 0;
}

/*--- Runs ---------------------------------------------------------------*/

/* n bytes from offset in of the run on. */
static int
read_stretch (const struct salvage *s, const struct rv_map *map, uint64_t in,
              uint64_t n, uint8_t *buf, uint64_t off, rawview_error *err)
{
  struct rv_map part = *map;

  part.len = n;
  part.host_off += in;
  if (part.host_avail != 0 && part.host_avail <= in)
    part.kind = RV_MAP_ZERO;
  else if (part.host_avail != 0)
    part.host_avail -= in;
  return rv_engine_read_run (s->engine, &part, buf + in, off + in, err);
}

static int
salvage_data (const struct salvage *s, const struct rv_map *map, uint8_t *buf,
              uint64_t off, rawview_error *err)
{
  uint64_t in = 0, step = rv_align_down (map->len, SECTOR) + SECTOR;
  rawview_error why;

  while (in < map->len) {
    /* Ends between two sectors, wherever it begins. */
    uint64_t n =
        rv_min_u64 (step - (map->host_off + in) % SECTOR, map->len - in);

    if (read_stretch (s, map, in, n, buf, off, &why) == 0)
      step *= 2;
    else if (n > SECTOR && why.kind != RAWVIEW_ERROR_NOMEM) {
      step = rv_max_u64 (rv_align_down (n / 2, SECTOR), SECTOR);
      continue;
    }
    else if (lose (s, buf + in, n, off + in, &why, err) == -1)
      return -1;
    in += n;
  }
  return 0;
}

static int
salvage_run (const struct salvage *s, const struct rv_map *map, uint8_t *buf,
             uint64_t off, rawview_error *err)
{
  rawview_error why;

  if (map->kind == RV_MAP_DATA)
    return salvage_data (s, map, buf, off, err);
  if (rv_engine_read_run (s->engine, map, buf, off, &why) == 0)
    return 0;
  return lose (s, buf, map->len, off, &why, err);
}

static int
salvage_runs (const struct salvage *s, uint8_t *buf, size_t len, uint64_t off,
              rawview_error *err)
{
  while (len > 0) {
    struct rv_map map;
    uint64_t n;
    unsigned depth;
    rawview_error why;
    int r;

    if (rv_chain_map (s->engine->chain, off, len, &map, &depth, &n, &why) ==
        0) {
      r = salvage_run (s, &map, buf, off, err);
      n = map.len;
    }
    else
      r = lose (s, buf, n, off, &why, err);
    if (r == -1)
      return -1;
    buf += n;
    off += n;
    len -= n;
  }
  return 0;
}

int
rv_engine_salvage (struct rv_engine *e, void *buf, size_t len, uint64_t off,
                   rawview_lost_cb cb, void *opaque, rawview_error *err)
{
  const struct salvage s = { .engine = e, .cb = cb, .opaque = opaque };
  unsigned phase = rv_engine_enter (e);
  int r = salvage_runs (&s, buf, len, off, err);

  rv_engine_leave (e, phase);
  return r;
}
