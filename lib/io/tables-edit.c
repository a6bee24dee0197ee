/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing tables in memory.  The rules are in tables-edit.h. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "io/tables-edit.h"
#include "util/checked.h"
#include "util/error.h"

#define TABLE_LEN_MIN 64u

int
rv_edits_init (struct rv_tables *t)
{
  t->table_len = TABLE_LEN_MIN;
  t->table = calloc (t->table_len, sizeof *t->table);
  if (t->table == NULL)
    return -1;
  TAILQ_INIT (&t->dirty);
  pthread_mutex_init (&t->lock, NULL);
  return 0;
}

/*--- Versions -----------------------------------------------------------*/

/* bytes NULL: zeros */
static struct rv_version *
version_new (const void *bytes, size_t len)
{
  struct rv_version *v = malloc (sizeof *v + len);

  if (v == NULL)
    return NULL;
  atomic_init (&v->refs, 1);
  if (bytes != NULL)
    memcpy (v->bytes, bytes, len);
  else
    memset (v->bytes, 0, len);
  return v;
}

void
rv_version_unref (struct rv_version *v)
{
  if (v != NULL &&
      atomic_fetch_sub_explicit (&v->refs, 1, memory_order_acq_rel) == 1)
    free (v);
}

static void
cleanup_version (struct rv_version **v)
{
  rv_version_unref (*v);
}
#define CLEANUP_VERSION RV_CLEANUP (cleanup_version)

/*--- The set, with the lock held ----------------------------------------*/

static struct rv_piece **
bucket (struct rv_tables *t, const struct rv_io *io, uint64_t off)
{
  uint64_t h = (uint64_t) io->serial ^ off * 0x9e3779b97f4a7c15u;

  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93u;
  h ^= h >> 32;
  return &t->table[h & (t->table_len - 1)];
}

static struct rv_piece *
find (struct rv_tables *t, const struct rv_io *io, uint64_t off, size_t len,
      bool patch)
{
  struct rv_piece *p = *bucket (t, io, off);

  while (p && (p->io != io || p->off != off || p->len != len ||
               p->patch != patch || p->dead))
    p = p->chain;
  return p;
}

/* Keeps chains short.  Without memory they just get longer. */
static void
grow_table (struct rv_tables *t)
{
  size_t old_len = t->table_len;
  struct rv_piece **old = t->table, **new;

  new = calloc (old_len * 2, sizeof *new);
  if (new == NULL)
    return;
  t->table = new;
  t->table_len = old_len * 2;
  for (size_t i = 0; i < old_len; i++)
    while (old[i]) {
      struct rv_piece *p = old[i], **to = bucket (t, p->io, p->off);

      old[i] = p->chain;
      p->chain = *to;
      *to = p;
    }
  free (old);
}

/* What a piece takes, which of a patch is more than its bytes. */
static size_t
weight (const struct rv_piece *p)
{
  return sizeof *p + sizeof *p->current + p->len;
}

/* nr_tables comes before came: who has seen came knows that there is something
 * to look for.
 */
static void
insert (struct rv_tables *t, struct rv_piece *p)
{
  struct rv_piece **to;

  if (t->nr_pieces >= t->table_len)
    grow_table (t);
  to = bucket (t, p->io, p->off);
  p->chain = *to;
  *to = p;
  t->nr_pieces++;
  t->bytes += weight (p);
  if (!p->patch) {
    t->nr_tables++;
    t->came++;
  }
}

static void
free_piece (struct rv_piece *p)
{
  rv_version_unref (p->current);
  rv_version_unref (p->frozen);
  rv_io_unref (p->io);
  free (p);
}

void
rv_piece_remove (struct rv_tables *t, struct rv_piece *p)
{
  struct rv_piece **from = bucket (t, p->io, p->off);

  while (*from != p)
    from = &(*from)->chain;
  *from = p->chain;
  t->nr_pieces--;
  t->bytes -= weight (p);
  if (!p->patch) {
    t->nr_tables--;
    t->left++;
  }
  free_piece (p);
}

void
rv_edits_release (struct rv_tables *t)
{
  for (size_t i = 0; i < t->table_len; i++)
    while (t->table[i])
      rv_piece_remove (t, t->table[i]);
  free (t->table);
  pthread_mutex_destroy (&t->lock);
}

/* Of two phases the earlier: what was made in this epoch cannot be reached yet.
 * A patch that replaces another is the only one that counts, and is written
 * after all that came before it.
 */
void
rv_piece_set_dirty (struct rv_tables *t, struct rv_piece *p,
                    enum rv_phase phase)
{
  if (p->dirty && !p->patch) {
    p->phase = phase < p->phase ? phase : p->phase;
    return;
  }
  if (p->dirty)
    TAILQ_REMOVE (&t->dirty, p, dirty_link);
  p->dirty = true;
  p->phase = phase;
  TAILQ_INSERT_TAIL (&t->dirty, p, dirty_link);
}

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
    copy = version_new (v->bytes, p->len);
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

/*--- Pinning ------------------------------------------------------------*/

bool
rv_edited_pin (struct rv_tables *t, struct rv_io *io, uint64_t off, size_t len,
               struct rv_table **table, const uint8_t **bytes)
{
  struct rv_piece *p;

  if (t->nr_tables == 0)
    return false;
  LOCKED (&t->lock);
  p = find (t, io, off, len, false);
  if (p == NULL)
    return false;
  atomic_fetch_add_explicit (&p->current->refs, 1, memory_order_relaxed);
  *table = (struct rv_table *) ((uintptr_t) p->current | 1);
  *bytes = p->current->bytes;
  return true;
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
    return version_new (bytes, len);
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
      find (t, fresh->io, fresh->off, fresh->len, false) == NULL) {
    if (memcmp (fresh->current->bytes + in, bytes, n) != 0)
      rv_cache_forget (t->cache, rv_tables_owner (fresh->io), fresh->off,
                       fresh->len - 1);
    r = change (t, fresh, in, bytes, n, phase, err);
  }
  if (fresh->dirty)
    insert (t, fresh);
  else
    free_piece (fresh);
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
  struct rv_piece *p = find (t, io, off, len, false);

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

/* Nobody wants its bytes any more.  What is frozen is still written. */
static void
forget (struct rv_tables *t, struct rv_piece *p)
{
  if (p->dirty)
    TAILQ_REMOVE (&t->dirty, p, dirty_link);
  p->dirty = false;
  p->dead = true;
  if (p->frozen == NULL)
    rv_piece_remove (t, p);
}

/* Clean and dirty pieces of another length or offset that share bytes with the
 * new one belong to a table that was there once.  Tables begin at sectors.
 */
static void
forget_overlapping (struct rv_tables *t, const struct rv_io *io, uint64_t off,
                    size_t len)
{
  uint64_t first = rv_align_down (off, RV_SECTOR);
  uint64_t reach = RV_TABLE_PIECE_MAX - RV_SECTOR;
  uint64_t a = first > reach ? first - reach : 0;
  struct rv_piece *p, *next;

  for (; a < off + len; a += RV_SECTOR) {
    uint64_t above = a < off ? off - a : 0;

    rv_cache_forget (t->cache, rv_tables_owner (io), a, above);
    for (p = *bucket (t, io, a); p != NULL; p = next) {
      next = p->chain;
      if (p->io == io && p->off == a && p->len > above && !p->patch &&
          !(a == off && p->len == len))
        forget (t, p);
    }
  }
}

/* Makes bytes the content of the piece, whatever that was. */
static int
put (struct rv_tables *t, struct rv_io *io, uint64_t off, size_t len,
     const void *bytes, bool patch, enum rv_phase phase, rawview_error *err)
{
  struct rv_piece *fresh = piece_of (io, off, len, version_new (bytes, len));
  struct rv_piece *p;

  if (fresh == NULL)
    return rv_error_nomem (err);
  fresh->patch = patch;
  LOCKED (&t->lock);
  if (!patch)
    forget_overlapping (t, io, off, len);
  p = find (t, io, off, len, patch);
  if (p == NULL) {
    p = fresh;
    insert (t, p);
  }
  else {
    rv_version_unref (p->current);
    p->current = STEAL (fresh->current);
    free_piece (fresh);
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
