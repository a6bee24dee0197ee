/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A cache of metadata: pieces of L2 tables and grain tables, as they lie in the
 * file.  One cache serves all layers of an image within one byte budget.
 *
 * Pieces are immutable once loaded.  A piece in use is pinned and not evicted,
 * so the budget may be passed by one piece per thread.  A piece that is being
 * loaded makes other threads wait for it rather than read it again; a failed
 * load is told to every waiter and not remembered.
 */

#ifndef RV_TABLES_H
#define RV_TABLES_H

#include "io/io.h"

/* Tables larger than this are cached in pieces. */
#define RV_TABLE_PIECE_MAX (64u << 10)

struct rv_tables;

/* budget: bytes */
int rv_tables_new (size_t budget, struct rv_tables **tables,
                   rawview_error *err);
void rv_tables_free (struct rv_tables *tables);

struct rv_table;

/* Pins the len bytes (at most RV_TABLE_PIECE_MAX) of io at off, reading them if
 * needed, and returns them in *bytes, valid until rv_table_unpin.  For one io,
 * an off should always come with the same len: another len is another piece.
 * Thread-safe; may block.
 */
int rv_tables_pin (struct rv_tables *tables, struct rv_io *io, uint64_t off,
                   size_t len, struct rv_table **table, const uint8_t **bytes,
                   rawview_error *err);
void rv_table_unpin (struct rv_tables *tables, struct rv_table *table);

/* Would pinning find it without reading?  Of a storage that nobody changes. */
bool rv_tables_holds (struct rv_tables *tables, const struct rv_io *io,
                      uint64_t off, size_t len);

/*--- Changing (tables-edit.c) -------------------------------------------*/

/* Changed pieces stay in memory until the engine's flush epoch writes them, in
 * phases with a barrier after each.  See engine/epoch.c for why.
 */
enum rv_phase {
  RV_PHASE_ALLOC,   /* refcounts; tables that nothing points to yet */
  RV_PHASE_HOOK,    /* pointers to what ALLOC made for ALLOC's own sake: entries
                       of the refcount table, the header's pointer to it */
  RV_PHASE_PUBLISH, /* what makes guest bytes visible: L2 and L1 entries, grain
                       table and directory entries */
  RV_NR_PHASES
};

/* Replaces n bytes at in of the piece (io, off, len), len and off as in
 * rv_tables_pin.  Who pins from now on sees the new bytes; who holds a pin sees
 * the old ones unchanged until he lets go.  Dirty pieces are not evicted.  A
 * piece that is dirty in an earlier phase stays in that phase: what was created
 * in this epoch cannot be reached yet.  Fails only when the piece cannot be
 * read or for want of memory, and then nothing has changed.
 */
int rv_tables_edit (struct rv_tables *tables, struct rv_io *io, uint64_t off,
                    size_t len, size_t in, const void *bytes, size_t n,
                    enum rv_phase phase, rawview_error *err);

/* Makes a new piece, in phase ALLOC, whatever lies or is cached there now.
 * bytes NULL: zeros.
 */
int rv_tables_create (struct rv_tables *tables, struct rv_io *io, uint64_t off,
                      size_t len, const void *bytes, rawview_error *err);

/* Will write n <= RV_PATCH_MAX bytes at off, for structures that drivers keep
 * in memory themselves (header fields, L1, grain directory).  Must not cross a
 * 512-byte sector.  A later patch of the same place replaces an earlier one
 * that is not frozen.
 */
#define RV_PATCH_MAX 16u
int rv_tables_patch (struct rv_tables *tables, struct rv_io *io, uint64_t off,
                     const void *bytes, size_t n, enum rv_phase phase,
                     rawview_error *err);

/* Bytes of memory that unwritten pieces and patches take, those that are being
 * written too.
 */
size_t rv_tables_dirty (struct rv_tables *tables);

/* Takes all changes made so far, in one instant; later ones are for the next
 * time.  One at a time.  NULL in *frozen if there are none.
 */
struct rv_frozen;
int rv_tables_freeze (struct rv_tables *tables, struct rv_frozen **frozen,
                      rawview_error *err);
bool rv_frozen_has (const struct rv_frozen *frozen, enum rv_phase phase);

/* Writes what belongs to the phase: only the 512-byte sectors that differ from
 * what is on disk.  Does not sync.  May be repeated.
 */
int rv_frozen_write (struct rv_tables *tables, struct rv_frozen *frozen,
                     enum rv_phase phase, rawview_error *err);

/* Ends it and frees frozen.  The phases before done were written and synced:
 * they are clean now.  The rest is unwritten again, in its phase, together with
 * what was changed meanwhile.
 */
void rv_tables_thaw (struct rv_tables *tables, struct rv_frozen *frozen,
                     enum rv_phase done);

#endif /* RV_TABLES_H */
