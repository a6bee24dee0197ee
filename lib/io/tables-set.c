/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The set of changed pieces, and their versions.  The rules are in
 * tables-edit.h.
 */

#include <config.h>

#include <string.h>

#include "io/tables-edit.h"
#include "util/checked.h"

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

struct rv_version *
rv_version_new (const void *bytes, size_t len)
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

struct rv_piece *
rv_edits_find (struct rv_tables *t, const struct rv_io *io, uint64_t off,
               size_t len, bool patch)
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
void
rv_edits_insert (struct rv_tables *t, struct rv_piece *p)
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

void
rv_piece_free (struct rv_piece *p)
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
  rv_piece_free (p);
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
void
rv_edits_forget (struct rv_tables *t, const struct rv_io *io, uint64_t off,
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

/*--- Pinning ------------------------------------------------------------*/

bool
rv_edited_pin (struct rv_tables *t, struct rv_io *io, uint64_t off, size_t len,
               struct rv_table **table, const uint8_t **bytes)
{
  struct rv_piece *p;

  if (t->nr_tables == 0)
    return false;
  LOCKED (&t->lock);
  p = rv_edits_find (t, io, off, len, false);
  if (p == NULL)
    return false;
  atomic_fetch_add_explicit (&p->current->refs, 1, memory_order_relaxed);
  *table = (struct rv_table *) ((uintptr_t) p->current | 1);
  *bytes = p->current->bytes;
  return true;
}
