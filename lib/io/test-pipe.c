/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "io/pipe.h"
#include "util/test.h"

static int fds[2];
static struct rv_pipe p;
static rawview_error err;

static bool
begin (const void *bytes, size_t len)
{
  return pipe2 (fds, O_CLOEXEC) == 0 &&
         write (fds[1], bytes, len) == (ssize_t) len &&
         rv_pipe_init (&p, fds[0], "it", &err) == 0;
}

static void
end (void)
{
  rv_pipe_release (&p);
  close (fds[0]);
  if (fds[1] != -1)
    close (fds[1]);
}

static void
end_of_sending (void)
{
  close (fds[1]);
  fds[1] = -1;
}

static void
looking_ahead_takes_nothing (void)
{
  struct rv_view v;
  char buf[6] = "";

  REQUIRE (begin ("abcdefgh", 8));
  CHECK_OK (rv_pipe_peek (&p, 3, &v, &err), err);
  CHECK (v.len == 3 && memcmp (v.p, "abc", 3) == 0);
  CHECK_OK (rv_pipe_take (&p, NULL, 2, "test", &err), err);
  CHECK_EQ_U64 (p.pos, 2);
  CHECK_OK (rv_pipe_take (&p, buf, 5, "test", &err), err);
  CHECK_STR_EQ (buf, "cdefg");
  end_of_sending ();
  CHECK_OK (rv_pipe_peek (&p, 100, &v, &err), err);
  CHECK_EQ_U64 (v.len, 1);
  end ();
}

static void
the_end_in_the_middle_is_told (void)
{
  char buf[9];

  REQUIRE (begin ("abcdefgh", 8));
  end_of_sending ();
  CHECK_EQ_INT (rv_pipe_take (&p, buf, 9, "a word", &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT,
               "it: ends at byte 8, inside a word: *");
  end ();
}

static void
what_is_taken_gets_a_checksum (void)
{
  struct rv_digest_values values;

  REQUIRE (begin ("xabcx", 5));
  CHECK_OK (rv_pipe_take (&p, NULL, 1, "test", &err), err);
  p.digest = rv_digest_new (RV_DIGEST_ALL);
  REQUIRE (p.digest);
  CHECK_OK (rv_pipe_take (&p, NULL, 3, "test", &err), err);
  rv_digest_end (p.digest, &values);
  p.digest = NULL;
  /* The examples of FIPS 180: that of "abc". */
  CHECK_MEM_EQ (values.bytes[RV_SHA1],
                "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2"
                "\x6c\x9c\xd0\xd8\x9d",
                20);
  CHECK_MEM_EQ (values.bytes[RV_SHA256], "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8);
  CHECK_MEM_EQ (values.bytes[RV_SHA512], "\xdd\xaf\x35\xa1\x93\x61\x7a\xba", 8);
  end ();
}

static void
a_stop_ends_a_read_that_would_wait (void)
{
  char buf[9];

  REQUIRE (begin ("abcdefgh", 8));
  rv_pipe_stop (&p);
  CHECK_EQ_INT (rv_pipe_take (&p, buf, 9, "test", &err), -1);
  CHECK_EQ_INT (err.errnum, ECANCELED);
  end ();
}

static void
as_an_io_it_goes_forward_only (void)
{
  struct rv_io *io;
  char buf[3] = "";

  REQUIRE (begin ("abcdefgh", 8));
  REQUIRE_OK (rv_io_pipe_new (&p, &io, &err), err);
  CHECK_OK (rv_io_pread (io, buf, 2, 1, &err), err);
  CHECK_STR_EQ (buf, "bc");
  CHECK_OK (rv_io_pread (io, buf, 2, 5, &err), err);
  CHECK_STR_EQ (buf, "fg");
  CHECK_EQ_INT (rv_io_pread (io, buf, 2, 5, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_UNSUPPORTED, "*has passed already*");
  rv_io_unref (io);
  end ();
}

static void
a_descriptor_that_cannot_be_read_is_an_io_error (void)
{
  struct rv_view v;
  int fd = open ("/", O_RDONLY | O_CLOEXEC);

  REQUIRE_OK (rv_pipe_init (&p, fd, "it", &err), err);
  CHECK_EQ_INT (rv_pipe_peek (&p, 1, &v, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "it: cannot read at byte 0: *");
  rv_pipe_release (&p);
  close (fd);
}

int
main (void)
{
  TEST (looking_ahead_takes_nothing);
  TEST (the_end_in_the_middle_is_told);
  TEST (what_is_taken_gets_a_checksum);
  TEST (a_stop_ends_a_read_that_would_wait);
  TEST (as_an_io_it_goes_forward_only);
  TEST (a_descriptor_that_cannot_be_read_is_an_io_error);
  return test_result ();
}
