/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "io/nbd-uri.h"
#include "util/cleanup.h"
#include "util/test.h"

static void
check_show (const char *uri, const char *want)
{
  CLEANUP_FREE char *shown = rv_nbd_uri_show (uri);

  CHECK_STR_EQ (shown, want);
}

static void
a_uri_without_secrets_is_shown_as_it_is (void)
{
  check_show ("nbd://host", "nbd://host");
  check_show ("nbd://host:10809/export", "nbd://host:10809/export");
  check_show ("nbd+unix:///?socket=/tmp/s", "nbd+unix:///?socket=/tmp/s");
  check_show ("nbd+unix:///a/b?socket=s", "nbd+unix:///a/b?socket=s");
  check_show ("nbd://[::1]:10809/", "nbd://[::1]:10809/");
}

static void
users_and_key_files_are_not_shown (void)
{
  check_show ("nbds://alice@host/x", "nbds://host/x");
  check_show ("nbds://alice:pw@host/x", "nbds://host/x");
  check_show ("nbds://a@b@host/x@y", "nbds://host/x@y");
  check_show ("nbds://host/?tls-psk-file=/etc/psk", "nbds://host/");
  check_show ("nbds+unix://al@/?tls-certificates=/c&socket=/s&tls-psk-file=/p",
              "nbds+unix:///?socket=/s");
  check_show ("nbd://host/x#fragment", "nbd://host/x");
  check_show ("nbd://host?x=1#socket=2", "nbd://host");
}

static void
a_broken_uri_is_shown_without_reading_beyond_it (void)
{
  check_show ("", "");
  check_show ("nbd", "nbd");
  check_show ("nbd://", "nbd://");
  check_show ("nbd://@", "nbd://");
  check_show ("nbd://?", "nbd://");
  check_show ("nbd://?&&socket", "nbd://");
  check_show ("nbd://?socket=", "nbd://?socket=");
}

static void
messages_that_quote_a_secret_are_recognised (void)
{
  const char *uri = "nbds://alice@host/x?tls-psk-file=/etc/my%20psk&socket=/s";

  CHECK (rv_nbd_uri_is_quoted (uri, "unknown user alice"));
  CHECK (rv_nbd_uri_is_quoted (uri, "open: /etc/my psk: no such file"));
  CHECK (rv_nbd_uri_is_quoted (uri, "bad URI: tls-psk-file=/etc/my%20psk"));
  CHECK (!rv_nbd_uri_is_quoted (uri, "connect: host: refused"));
  CHECK (!rv_nbd_uri_is_quoted (uri, "connect: /s: no such file"));
  CHECK (!rv_nbd_uri_is_quoted ("nbd://host", "unable to parse nbd://host"));
}

static void
broken_percent_signs_are_plain_text (void)
{
  CHECK (rv_nbd_uri_is_quoted ("nbd://h?k=a%zz", "a%zz"));
  CHECK (rv_nbd_uri_is_quoted ("nbd://h?k=a%4", "a%4"));
  CHECK (rv_nbd_uri_is_quoted ("nbd://h?k=a%", "a%"));
  CHECK (!rv_nbd_uri_is_quoted ("nbd://h?k=", "anything"));
}

int
main (void)
{
  TEST (a_uri_without_secrets_is_shown_as_it_is);
  TEST (users_and_key_files_are_not_shown);
  TEST (a_broken_uri_is_shown_without_reading_beyond_it);
  TEST (messages_that_quote_a_secret_are_recognised);
  TEST (broken_percent_signs_are_plain_text);
  return test_result ();
}
