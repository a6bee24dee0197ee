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

#endif /* RV_TABLES_H */
