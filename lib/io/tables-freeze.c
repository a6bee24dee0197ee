/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing changed tables.  One thread at a time freezes, writes and thaws; what
 * is frozen does not change, so that writing needs no lock.
 */

#include <config.h>

#include <errno.h>

#include "io/tables-edit.h"
#include "util/checked.h"
#include "util/error.h"

/*--- Freezing -----------------------------------------------------------*/

static void
freeze_piece (struct rv_frozen *f, struct rv_piece *p)
{
  atomic_fetch_add_explicit (&p->current->refs, 1, memory_order_relaxed);
  p->frozen = p->current;
  p->frozen_phase = p->phase;
  p->frozen_sectors = p->sectors;
  p->sectors = (struct rv_sectors){ 0 };
  p->dirty = false;
  f->has[p->phase] = true;
  TAILQ_INSERT_TAIL (&f->pieces, p, frozen_link);
}

int
rv_tables_freeze (struct rv_tables *t, struct rv_frozen **frozen,
                  rawview_error *err)
{
  CLEANUP_FREE struct rv_frozen *f = calloc (1, sizeof *f);
  struct rv_piece *p;

  *frozen = NULL;
  if (f == NULL)
    return rv_error_nomem (err);
  TAILQ_INIT (&f->pieces);
  LOCKED (&t->lock);
  if (t->frozen)
    return rv_error_set (err, RAWVIEW_ERROR_IO, EBUSY,
                         "changed tables are being written already");
  if (TAILQ_EMPTY (&t->dirty))
    return 0;
  TAILQ_FOREACH (p, &t->dirty, dirty_link)
  freeze_piece (f, p);
  TAILQ_INIT (&t->dirty);
  t->frozen = true;
  *frozen = STEAL (f);
  return 0;
}

bool
rv_frozen_has (const struct rv_frozen *frozen, enum rv_phase phase)
{
  return frozen != NULL && frozen->has[phase];
}

/*--- Writing ------------------------------------------------------------*/

static bool
has_sector (const struct rv_piece *p, unsigned i)
{
  return i < RV_PIECE_SECTORS && p->frozen_sectors.bits[i / 64] >> i % 64 & 1;
}

/* Writes the sectors from first up to end, as far as they are the piece's. */
static int
write_run (const struct rv_piece *p, unsigned first, unsigned end,
           rawview_error *err)
{
  uint64_t start = rv_align_down (p->off, RV_SECTOR);
  uint64_t from = rv_max_u64 (start + (uint64_t) first * RV_SECTOR, p->off);
  uint64_t to =
      rv_min_u64 (start + (uint64_t) end * RV_SECTOR, p->off + p->len);

  return rv_io_pwrite (p->io, p->frozen->bytes + (from - p->off), to - from,
                       from, err);
}

static int
write_piece (const struct rv_piece *p, rawview_error *err)
{
  unsigned end;

  for (unsigned i = 0; i < RV_PIECE_SECTORS; i = end + 1) {
    for (end = i; has_sector (p, end); end++)
      ;
    if (end > i && write_run (p, i, end, err) == -1)
      return -1;
  }
  return 0;
}

int
rv_frozen_write (struct rv_tables *t, struct rv_frozen *frozen,
                 enum rv_phase phase, rawview_error *err)
{
  struct rv_piece *p;

  if (!rv_frozen_has (frozen, phase))
    return 0;
  TAILQ_FOREACH (p, &frozen->pieces, frozen_link)
  if (p->frozen_phase == phase && write_piece (p, err) == -1)
    return -1;
  return 0;
}

/*--- Thawing ------------------------------------------------------------*/

static void
release_version (void *version)
{
  rv_version_unref (version);
}

/* It has been written.  Without later changes it is clean, and the cache has it
 * from now on.
 */
static void
make_clean (struct rv_tables *t, struct rv_piece *p)
{
  struct rv_cache_key key = rv_tables_key (p->io, p->off, p->len);
  struct rv_version *v;

  rv_version_unref (p->frozen);
  p->frozen = NULL;
  if (p->dirty)
    return;
  if (!p->patch && !p->dead) {
    v = STEAL (p->current);
    rv_cache_put (t->cache, &key, p->len, v->bytes, v, release_version);
  }
  rv_piece_remove (t, p);
}

/* It may not have been written: its changes join those that came meanwhile,
 * before which they stand.  A patch that came meanwhile replaces it.
 */
static void
make_dirty (struct rv_tables *t, struct rv_piece *p)
{
  rv_version_unref (p->frozen);
  p->frozen = NULL;
  if (p->dead) {
    rv_piece_remove (t, p);
    return;
  }
  for (size_t i = 0; i < sizeof p->sectors.bits / sizeof p->sectors.bits[0];
       i++)
    p->sectors.bits[i] |= p->frozen_sectors.bits[i];
  if (p->dirty) {
    if (!p->patch && p->frozen_phase < p->phase)
      p->phase = p->frozen_phase;
    return;
  }
  p->dirty = true;
  p->phase = p->frozen_phase;
  TAILQ_INSERT_HEAD (&t->dirty, p, dirty_link);
}

static void
thaw_piece (struct rv_tables *t, struct rv_piece *p, enum rv_phase done)
{
  LOCKED (&t->lock);

  if (p->frozen_phase < done)
    make_clean (t, p);
  else
    make_dirty (t, p);
}

/* The lock is taken for each piece, so that nobody waits for all of them; from
 * the last to the first, so that what returns stands in its order before what
 * came meanwhile.
 */
void
rv_tables_thaw (struct rv_tables *t, struct rv_frozen *frozen,
                enum rv_phase done)
{
  struct rv_piece *p;

  if (frozen == NULL)
    return;
  while ((p = TAILQ_LAST (&frozen->pieces, rv_piece_list)) != NULL) {
    TAILQ_REMOVE (&frozen->pieces, p, frozen_link);
    thaw_piece (t, p, done);
  }
  free (frozen);
  LOCKED (&t->lock);
  t->frozen = false;
}
