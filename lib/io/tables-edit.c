/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing tables in memory.  The rules are in tables-edit.h. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "io/tables-edit.h"
#include "util/checked.h"
#include "util/error.h"

static void
cleanup_version (struct rv_version **v)
{
  rv_version_unref (*v);
}
#define CLEANUP_VERSION RV_CLEANUP (cleanup_version)

static void
mark (struct rv_piece *p, size_t in, size_t n)
{
  uint64_t first = p->off / RV_SECTOR;
  unsigned from = (p->off + in) / RV_SECTOR - first;
  unsigned to = (p->off + in + n - 1) / RV_SECTOR - first;

  for (unsigned i = from; i <= to; i++)
    p->sectors.bits[i / 64] |= (uint64_t) 1 << i % 64;
}

/* What is there already changes nothing and need not be written again. */
static int
change (struct rv_tables *t, struct rv_piece *p, size_t in, const void *bytes,
        size_t n, enum rv_phase phase, rawview_error *err)
{
  struct rv_version *v = p->current, *copy;

  if (memcmp (v->bytes + in, bytes, n) == 0)
    return 0;
  if (atomic_load_explicit (&v->refs, memory_order_acquire) > 1) {
    copy = rv_version_new (v->bytes, p->len);
    if (copy == NULL)
      return rv_error_nomem (err);
    rv_version_unref (v);
    p->current = v = copy;
  }
  memcpy (v->bytes + in, bytes, n);
  mark (p, in, n);
  rv_piece_set_dirty (t, p, phase);
  return 0;
}

/*--- Editing ------------------------------------------------------------*/

static int
check_range (struct rv_io *io, uint64_t off, size_t len, size_t in, size_t n,
             rawview_error *err)
{
  if (len > 0 && len <= RV_TABLE_PIECE_MAX && off <= INT64_MAX - len &&
      rv_range_fits (in, n, len))
    return 0;
  return rv_error_set (err, RAWVIEW_ERROR_IO, EINVAL,
                       "cannot change %zu bytes at %zu of a table of %zu bytes "
                       "at %" PRIu64 " of %s: no table is like that",
                       n, in, len, off, io->name);
}

/* A piece that is not in the set yet.  Takes over version. */
static struct rv_piece *
piece_of (struct rv_io *io, uint64_t off, size_t len,
          struct rv_version *version)
{
  CLEANUP_VERSION struct rv_version *v = version;
  struct rv_piece *p = calloc (1, sizeof *p);

  if (p == NULL || v == NULL) {
    free (p);
    return NULL;
  }
  p->io = rv_io_ref (io);
  p->off = off;
  p->len = len;
  p->current = STEAL (v);
  return p;
}

/* Of a clean piece that is pinned: the cache's, or a copy. */
static struct rv_version *
version_of (struct rv_table *table, const uint8_t *bytes, size_t len)
{
  struct rv_version *v = rv_cache_shared ((struct rv_cache_block *) table);

  if (v == NULL)
    return rv_version_new (bytes, len);
  atomic_fetch_add_explicit (&v->refs, 1, memory_order_relaxed);
  return v;
}

/* The piece fresh was clean a moment ago.  1: it has become dirty since, or any
 * piece has left the set, so that its bytes may be old.
 */
static int
edit_fresh (struct rv_tables *t, struct rv_piece *fresh, unsigned left,
            size_t in, const void *bytes, size_t n, enum rv_phase phase,
            rawview_error *err)
{
  int r = 1;
  LOCKED (&t->lock);

  if (t->left == left &&
      rv_edits_find (t, fresh->io, fresh->off, fresh->len, false) == NULL) {
    if (memcmp (fresh->current->bytes + in, bytes, n) != 0)
      rv_cache_forget (t->cache, rv_tables_owner (fresh->io), fresh->off,
                       fresh->len - 1);
    r = change (t, fresh, in, bytes, n, phase, err);
  }
  if (fresh->dirty)
    rv_edits_insert (t, fresh);
  else
    rv_piece_free (fresh);
  return r;
}

/* 1: try again */
static int
edit_clean (struct rv_tables *t, struct rv_io *io, uint64_t off, size_t len,
            size_t in, const void *bytes, size_t n, enum rv_phase phase,
            rawview_error *err)
{
  struct rv_piece *fresh = NULL;
  struct rv_table *table;
  const uint8_t *old;
  unsigned left = t->left;
  bool dirty;

  if (rv_tables_pin (t, io, off, len, &table, &old, err) == -1)
    return -1;
  dirty = rv_table_is_version (table);
  if (!dirty)
    fresh = piece_of (io, off, len, version_of (table, old, len));
  rv_table_unpin (t, table);
  if (dirty)
    return 1;
  if (fresh == NULL)
    return rv_error_nomem (err);
  return edit_fresh (t, fresh, left, in, bytes, n, phase, err);
}

/* 1: it is not in the set */
static int
edit_dirty (struct rv_tables *t, struct rv_io *io, uint64_t off, size_t len,
            size_t in, const void *bytes, size_t n, enum rv_phase phase,
            rawview_error *err)
{
  LOCKED (&t->lock);
  struct rv_piece *p = rv_edits_find (t, io, off, len, false);

  return p ? change (t, p, in, bytes, n, phase, err) : 1;
}

int
rv_tables_edit (struct rv_tables *t, struct rv_io *io, uint64_t off, size_t len,
                size_t in, const void *bytes, size_t n, enum rv_phase phase,
                rawview_error *err)
{
  int r;

  if (check_range (io, off, len, in, n, err) == -1)
    return -1;
  if (n == 0)
    return 0;
  do {
    r = edit_dirty (t, io, off, len, in, bytes, n, phase, err);
    if (r == 1)
      r = edit_clean (t, io, off, len, in, bytes, n, phase, err);
  } while (r == 1);
  return r;
}

/*--- Making -------------------------------------------------------------*/

/* Makes bytes the content of the piece, whatever that was. */
static int
put (struct rv_tables *t, struct rv_io *io, uint64_t off, size_t len,
     const void *bytes, bool patch, enum rv_phase phase, rawview_error *err)
{
  struct rv_piece *fresh = piece_of (io, off, len, rv_version_new (bytes, len));
  struct rv_piece *p;

  if (fresh == NULL)
    return rv_error_nomem (err);
  fresh->patch = patch;
  LOCKED (&t->lock);
  if (!patch)
    rv_edits_forget (t, io, off, len);
  p = rv_edits_find (t, io, off, len, patch);
  if (p == NULL) {
    p = fresh;
    rv_edits_insert (t, p);
  }
  else {
    rv_version_unref (p->current);
    p->current = STEAL (fresh->current);
    rv_piece_free (fresh);
  }
  mark (p, 0, len);
  rv_piece_set_dirty (t, p, phase);
  return 0;
}

int
rv_tables_create (struct rv_tables *t, struct rv_io *io, uint64_t off,
                  size_t len, const void *bytes, rawview_error *err)
{
  if (check_range (io, off, len, 0, len, err) == -1)
    return -1;
  return put (t, io, off, len, bytes, false, RV_PHASE_ALLOC, err);
}

int
rv_tables_patch (struct rv_tables *t, struct rv_io *io, uint64_t off,
                 const void *bytes, size_t n, enum rv_phase phase,
                 rawview_error *err)
{
  if (check_range (io, off, n, 0, n, err) == -1)
    return -1;
  if (n > RV_PATCH_MAX || off % RV_SECTOR + n > RV_SECTOR)
    return rv_error_set (err, RAWVIEW_ERROR_IO, EINVAL,
                         "cannot change %zu bytes at %" PRIu64
                         " of %s at once: a crash could leave half of them",
                         n, off, io->name);
  return put (t, io, off, n, bytes, true, phase, err);
}

size_t
rv_tables_dirty (struct rv_tables *t)
{
  return t->bytes;
}
