/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for what the files cannot do yet.  Weak: the real
 * functions win.  To be removed with the last of them.
 */

#include <config.h>

#include "format/qcow2-write.h"
#include "io/tables.h"
#include "util/error.h"

#define PENDING __attribute__ ((weak))

static int
not_yet (rawview_error *err)
{
  return rv_error_unsupported (err, "this build cannot write");
}

PENDING int
rv_io_pwrite (struct rv_io *io, const void *buf, size_t len, uint64_t off,
              rawview_error *err)
{
  return not_yet (err);
}

PENDING int
rv_io_zero (struct rv_io *io, uint64_t off, uint64_t len, unsigned flags,
            rawview_error *err)
{
  return not_yet (err);
}

PENDING size_t
rv_tables_dirty (struct rv_tables *tables)
{
  return 0;
}

PENDING int
rv_tables_freeze (struct rv_tables *tables, struct rv_frozen **frozen,
                  rawview_error *err)
{
  return not_yet (err);
}

PENDING bool
rv_frozen_has (const struct rv_frozen *frozen, enum rv_phase phase)
{
  return false;
}

PENDING int
rv_frozen_write (struct rv_tables *tables, struct rv_frozen *frozen,
                 enum rv_phase phase, rawview_error *err)
{
  return not_yet (err);
}

PENDING void
rv_tables_thaw (struct rv_tables *tables, struct rv_frozen *frozen,
                enum rv_phase done)
{
}

PENDING int
rv_io_lock_for_writing (struct rv_io *io, rawview_error *err)
{
  return 0;
}

PENDING void
rv_io_lock_for_reading (struct rv_io *io)
{
}

PENDING int
rv_io_sync (struct rv_io *io, rawview_error *err)
{
  return not_yet (err);
}

PENDING int
rv_qcow2_create (struct rv_io *io, const struct rv_qcow2_create *how,
                 rawview_error *err)
{
  return not_yet (err);
}
