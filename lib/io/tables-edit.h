/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The changed pieces: what tables.c (pinning), tables-set.c (the set itself),
 * tables-edit.c (changing) and tables-freeze.c (writing) share.
 *
 * 1. A piece is in the set from its first change until what was changed has
 *    been written and synced.  Meanwhile everyone finds it there, whatever the
 *    cache of clean pieces holds.
 * 2. Its bytes are a counted version.  Who pins the piece, and who has frozen
 *    it, counts; a version that only the piece itself holds is changed where it
 *    is, any other is copied first.  So nobody ever sees bytes change.
 * 3. A piece that leaves the set goes into the cache in the same moment, under
 *    the lock, and replaces what is there or is just being loaded.  The cache
 *    then holds its version, and counts; when it becomes dirty again, that goes
 *    back, so that nothing is copied unless somebody looks on.
 * 4. Whoever looked for a piece in vain and then took it from the cache looks
 *    again if any piece has come since, and begins anew if any has left: the
 *    file may have been written while he read.
 * 5. A patch is a piece that is never pinned.
 *
 * Lock order: the set's lock, then the cache's.  Neither is held while reading
 * or writing, and a version is let go without any.
 */

#ifndef RV_TABLES_EDIT_H
#define RV_TABLES_EDIT_H

#include <sys/queue.h>

#include "io/tables.h"
#include "util/cache.h"

#define RV_SECTOR 512u

/* A piece may begin and end inside a sector. */
#define RV_PIECE_SECTORS (RV_TABLE_PIECE_MAX / RV_SECTOR + 1)

struct rv_version {
  atomic_uint refs;
  uint8_t bytes[];
};

/* Which sectors, counted from the one that holds the piece's first byte. */
struct rv_sectors {
  uint64_t bits[(RV_PIECE_SECTORS + 63) / 64];
};

struct rv_piece {
  struct rv_piece *chain; /* next of the same hash */
  struct rv_io *io;       /* a reference */
  uint64_t off;
  uint32_t len;
  bool patch;
  bool dead; /* something else was made there: waits only for its thaw */
  struct rv_version *current;

  /* What the next freeze will take. */
  bool dirty;
  enum rv_phase phase;
  struct rv_sectors sectors;
  TAILQ_ENTRY (rv_piece) dirty_link;

  /* What the last one took: NULL if nothing.  Changed by the one who freezes
   * and thaws, under the lock; he reads it without.
   */
  struct rv_version *frozen;
  enum rv_phase frozen_phase;
  struct rv_sectors frozen_sectors;
  TAILQ_ENTRY (rv_piece) frozen_link;
};
TAILQ_HEAD (rv_piece_list, rv_piece);

struct rv_frozen {
  struct rv_piece_list pieces;
  bool has[RV_NR_PHASES];
};

struct rv_tables {
  struct rv_cache *cache; /* of clean pieces */

  pthread_mutex_t lock; /* protects all below but the atomic ones */
  struct rv_piece **table;
  size_t table_len; /* a power of two */
  size_t nr_pieces;
  struct rv_piece_list dirty; /* in the order of their last being made so */
  bool frozen;

  atomic_size_t nr_tables; /* pieces that are no patches */
  atomic_size_t bytes;     /* of all pieces */
  atomic_uint came, left;  /* how many pieces have; see 4 */
};

/* Pins the piece if it is in the set.  A handle of a version is told from one
 * of a cache's block by its lowest bit.
 */
bool rv_edited_pin (struct rv_tables *tables, struct rv_io *io, uint64_t off,
                    size_t len, struct rv_table **table, const uint8_t **bytes);
/* bytes NULL: zeros */
struct rv_version *rv_version_new (const void *bytes, size_t len);
void rv_version_unref (struct rv_version *version);

static inline bool
rv_table_is_version (const struct rv_table *table)
{
  return (uintptr_t) table & 1;
}

static inline const void *
rv_tables_owner (const struct rv_io *io)
{
  return (const void *) (uintptr_t) io->serial;
}

static inline struct rv_cache_key
rv_tables_key (const struct rv_io *io, uint64_t off, size_t len)
{
  return (
      struct rv_cache_key){ .owner = rv_tables_owner (io), .a = off, .b = len };
}

void rv_piece_free (struct rv_piece *piece); /* that is not in the set */

/* These run with the lock held. */
struct rv_piece *rv_edits_find (struct rv_tables *tables,
                                const struct rv_io *io, uint64_t off,
                                size_t len, bool patch);
void rv_edits_insert (struct rv_tables *tables, struct rv_piece *piece);
/* Makes pieces, clean and dirty, that overlap this one unreachable. */
void rv_edits_forget (struct rv_tables *tables, const struct rv_io *io,
                      uint64_t off, size_t len);
void rv_piece_set_dirty (struct rv_tables *tables, struct rv_piece *piece,
                         enum rv_phase phase);
/* Takes it out of the set, and frees it. */
void rv_piece_remove (struct rv_tables *tables, struct rv_piece *piece);

int rv_edits_init (struct rv_tables *tables);
void rv_edits_release (struct rv_tables *tables);

#endif /* RV_TABLES_EDIT_H */
