/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "nbd-address.h"
#include "remote-uri.h"
#include "util/test.h"

static struct remote_uri u;
static rawview_error err;
static char line[1024];

/* The command line from the plugin's filter on, with spaces. */
static void
is_run_as (const char *text, const char *password_file, const char *expected)
{
  struct cli_list argv = { 0 };
  size_t len = 0;

  remote_uri_clear (&u);
  line[0] = '\0';
  if (!CHECK_OK (remote_uri_parse (text, &u, &err), err))
    return;
  remote_uri_add_argv (&u, password_file, &argv);
  for (size_t i = 0; i < argv.len && len < sizeof line; i++)
    len += (size_t) snprintf (line + len, sizeof line - len, "%s%s",
                              i > 0 ? " " : "", argv.items[i]);
  CHECK_STR_EQ (line, expected);
  cli_list_free (&argv);
}

static void
refused (const char *text, const char *pattern)
{
  remote_uri_clear (&u);
  CHECK_EQ_INT (remote_uri_parse (text, &u, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, pattern);
}

static void
schemes_are_known (void)
{
  CHECK_EQ_INT (remote_kind_of ("ssh://h/f"), REMOTE_SSH);
  CHECK_EQ_INT (remote_kind_of ("HTTPS://h/f"), REMOTE_HTTP);
  CHECK_EQ_INT (remote_kind_of ("vddk://h/f"), REMOTE_VDDK);
  CHECK_EQ_INT (remote_kind_of ("ssh:f"), REMOTE_NONE);
  CHECK_EQ_INT (remote_kind_of ("nbd://h"), REMOTE_NONE);
  CHECK_EQ_INT (remote_kind_of ("/ssh://h"), REMOTE_NONE);
}

static void
ssh_is_taken_apart (void)
{
  is_run_as ("ssh://me@host:2222/a%20b/disk.vmdk", NULL,
             "--filter=retry ssh host=host port=2222 path=/a b/disk.vmdk "
             "user=me");
  CHECK_STR_EQ (u.name, "disk.vmdk");
  is_run_as ("ssh://[::1]/disk", "/run/p",
             "--filter=retry ssh host=::1 path=/disk password=+/run/p");
  is_run_as ("ssh://host/~/disk", NULL,
             "--filter=retry ssh host=host path=disk");
}

static void
the_web_is_taken_apart (void)
{
  is_run_as ("https://host/a%20b/vm.ova?x=1", NULL,
             "--filter=retry curl url=https://host/a%20b/vm.ova?x=1 "
             "protocols=https");
  CHECK_STR_EQ (u.name, "vm.ova");
  is_run_as ("http://me@host:81/vm", "/run/p",
             "--filter=retry curl url=http://host:81/vm protocols=http,https "
             "user=me password=+/run/p");
  is_run_as ("https://host/", NULL,
             "--filter=retry curl url=https://host/ protocols=https");
  CHECK_STR_EQ (u.name, "disk");
}

static void
vddk_is_taken_apart (void)
{
  is_run_as ("vddk://me@esx/moref=vm-16?file=%5Bstore%5D%20vm/vm.vmdk"
             "&thumbprint=AA:BB&libdir=/opt/vddk",
             "/run/p",
             "vddk server=esx vm=moref=vm-16 file=[store] vm/vm.vmdk "
             "thumbprint=AA:BB libdir=/opt/vddk user=me password=+/run/p");
  CHECK_STR_EQ (u.name, "vm.vmdk");
}

static void
passwords_in_uris_are_refused_and_not_said_again (void)
{
  refused ("ssh://me:secret@host/disk", "ssh:*--password-file");
  CHECK (strstr (err.msg, "secret") == NULL);
  refused ("https://me:secret@host/disk", "https:*--password-file");
  CHECK (strstr (err.msg, "secret") == NULL);
}

static void
what_lacks_something_is_refused (void)
{
  refused ("ssh:///disk", "*no host*");
  refused ("ssh://host", "*no file*");
  refused ("ssh://host/", "*no file*");
  refused ("https://@/x", "*no host*");
  refused ("vddk://esx/?file=x", "*vddk://[[]USER@*");
  refused ("vddk://esx/moref=vm-1", "*vddk://[[]USER@*");
  refused ("vddk://esx/moref=vm-1?file=", "*vddk://[[]USER@*");
}

/*--- NBD, which has a structure of its own ------------------------------*/

static void
parts_are (const char *uri, const char *host, const char *port,
           const char *socket, const char *export)
{
  struct nbd_address a;

  nbd_address_parse (uri, &a);
  CHECK_STR_EQ (a.host, host);
  CHECK_STR_EQ (a.port, port);
  CHECK_STR_EQ (a.export, export);
  CHECK ((a.socket == NULL) == (socket == NULL));
  if (a.socket != NULL)
    CHECK_STR_EQ (a.socket, socket);
  nbd_address_clear (&a);
}

static void
nbd_is_taken_apart (void)
{
  parts_are ("nbd://host", "host", "10809", NULL, "");
  parts_are ("nbd://host:1/", "host", "1", NULL, "");
  parts_are ("nbd://me@[fe80::1]:1/a/b%3f", "fe80::1", "1", NULL, "a/b?");
  parts_are ("nbd+unix:///e?x=1&socket=/a%20b#c", "localhost", "10809", "/a b",
             "e");
  parts_are ("nbd+unix://?socket=/s", "localhost", "10809", "/s", "");
  parts_are ("nbd:", "localhost", "10809", NULL, "");
}

int
main (void)
{
  TEST (schemes_are_known);
  TEST (ssh_is_taken_apart);
  TEST (the_web_is_taken_apart);
  TEST (vddk_is_taken_apart);
  TEST (passwords_in_uris_are_refused_and_not_said_again);
  TEST (what_lacks_something_is_refused);
  TEST (nbd_is_taken_apart);
  remote_uri_clear (&u);
  return test_result ();
}
