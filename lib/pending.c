/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for what the engine and the files cannot do yet.  Weak: the real
 * functions win.  To be removed with the last of them.
 */

#include <config.h>

#include "engine/engine.h"
#include "format/qcow2-write.h"
#include "util/error.h"

#define PENDING __attribute__ ((weak))

static int
not_yet (rawview_error *err)
{
  return rv_error_unsupported (err, "this build cannot write");
}

PENDING int
rv_engine_enable_write (struct rv_engine *engine, rawview_error *err)
{
  return not_yet (err);
}

PENDING int
rv_engine_pwrite (struct rv_engine *engine, const void *buf, size_t len,
                  uint64_t off, rawview_error *err)
{
  return not_yet (err);
}

PENDING int
rv_engine_zero (struct rv_engine *engine, uint64_t len, uint64_t off,
                unsigned flags, rawview_error *err)
{
  return not_yet (err);
}

PENDING int
rv_engine_trim (struct rv_engine *engine, uint64_t len, uint64_t off,
                rawview_error *err)
{
  return not_yet (err);
}

PENDING int
rv_engine_flush (struct rv_engine *engine, rawview_error *err)
{
  return not_yet (err);
}

PENDING int
rv_engine_finish (struct rv_engine *engine, rawview_error *err)
{
  return not_yet (err);
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
