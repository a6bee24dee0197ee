/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of writing ask of an io. */

#ifndef RV_TEST_IO_H
#define RV_TEST_IO_H

#include "io/io.h"
#include "util/test.h"

static void
check_bytes (struct rv_io *io, uint64_t off, const char *bytes, size_t len)
{
  rawview_error err;
  char buf[64];

  REQUIRE (len <= sizeof buf);
  REQUIRE_OK (rv_io_pread (io, buf, len, off, &err), err);
  CHECK_MEM_EQ (buf, bytes, len);
}

static void
check_fails (int r, const rawview_error *err, int errnum)
{
  CHECK_EQ_INT (r, -1);
  CHECK_EQ_INT (err->errnum, errnum);
}

#endif /* RV_TEST_IO_H */
