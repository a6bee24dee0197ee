/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "machine.h"
#include "util/test.h"

static void
cleans (const char *text, const char *expected)
{
  CLEANUP_FREE char *clean = machine_clean_text (text);

  CHECK_STR_EQ (clean, expected);
}

static void
is_named (const char *text, const char *expected)
{
  CLEANUP_FREE char *name = machine_clean_name (text, "guest");

  CHECK_STR_EQ (name, expected);
}

static void
text_is_one_printable_line (void)
{
  cleans ("  web\tserver\n", "web server");
  cleans ("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x92\xbe", "\xc3\xa4 \xe2\x82\xac "
                                                    "\xf0\x9f\x92\xbe");
  cleans ("a\x1b[2Jb\x7f", "a?[2Jb?");
  cleans ("a\xff\xc0\xaf", "a???"); /* no UTF-8, an overlong form */
  cleans ("a\xe2\x80\xae"
          "b",
          "a?b");                        /* right to left */
  cleans ("a\xed\xa0\x80z", "a???z");    /* a surrogate */
  cleans ("a\xf4\x90\x80\x80", "a????"); /* beyond the last character */
  cleans ("a\xe2\x82", "a??");           /* cut */
  cleans ("a\xc2\x9b", "a?");            /* a control of C1 */
  cleans (" \n", "");
}

static void
a_name_cannot_lead_elsewhere (void)
{
  is_named ("vm", "vm");
  is_named ("my vm", "my vm");
  is_named ("../../etc/passwd", "_._.._etc_passwd");
  is_named ("-rf", "_rf");
  is_named (".hidden", "_hidden");
  is_named ("C:\\vm", "C__vm");
  is_named ("", "guest");
  is_named (" ", "guest");
}

static void
a_long_name_is_cut_between_characters (void)
{
  char text[302];
  CLEANUP_FREE char *name = NULL;

  memset (text, 'x', sizeof text);
  for (size_t i = 199; i < 300; i += 2)
    memcpy (text + i, "\xc3\xa4", 2);
  text[301] = '\0';
  name = machine_clean_name (text, "guest");
  CHECK_EQ_U64 (strlen (name), 199);
  CHECK (machine_is_utf8 (name));
}

static void
a_guest_is_called_after_its_file (void)
{
  CLEANUP_FREE char *a = machine_name_of_file ("/a.b/vm.x.vmdk");
  CLEANUP_FREE char *b = machine_name_of_file (".vmdk");
  CLEANUP_FREE char *c = machine_name_of_file ("/images/disk");

  CHECK_STR_EQ (a, "vm.x");
  CHECK_STR_EQ (b, "_vmdk");
  CHECK_STR_EQ (c, "disk");
}

static void
no_two_disks_have_the_same_name (void)
{
  static const char *const given[] = { "/a/disk.vmdk", "/b/disk.vmdk",
                                       "/b/DISK.vmdk", NULL, "x/" };
  static const char *const expected[] = { "disk.vmdk", "2-disk.vmdk",
                                          "3-DISK.vmdk", "disk", "2-disk" };
  struct machine m = { 0 };

  for (size_t i = 0; i < CLI_COUNT (given); i++) {
    struct machine_disk *d = machine_add_disk (&m);

    d->name = given[i] != NULL ? cli_format ("%s", given[i]) : NULL;
  }
  machine_name_disks (&m);
  for (size_t i = 0; i < CLI_COUNT (given); i++)
    CHECK_STR_EQ (m.disks[i].name, expected[i]);
  machine_clear (&m);
}

static void
mac_addresses_have_one_form (void)
{
  static const char *const wrong[] = { "",
                                       "7",
                                       "00:50:56:12:34",
                                       "00:50:56:12:34:56:78",
                                       "00:50:56:12:34:5g",
                                       "0:50:56:12:34:56",
                                       "00:50:56:12:34:56'/>" };
  CLEANUP_FREE char *a = machine_parse_mac ("00:50:56:AB:cd:01");
  CLEANUP_FREE char *b = machine_parse_mac ("00-50-56-ab-cd-01");

  CHECK_STR_EQ (a, "00:50:56:ab:cd:01");
  CHECK_STR_EQ (b, "00:50:56:ab:cd:01");
  CHECK (machine_parse_mac (NULL) == NULL);
  for (size_t i = 0; i < CLI_COUNT (wrong); i++)
    CHECK (machine_parse_mac (wrong[i]) == NULL);
}

static void
a_disks_options_come_after_the_users (void)
{
  struct machine_disk disk = { 0 };
  rawview_options *user = rawview_options_new (), *both;
  rawview_error err;

  CHECK_OK (rawview_options_set (user, "disk", "1", &err), err);
  cli_list_add (&disk.options, cli_format ("disk=a=b.vmdk"));
  both = machine_disk_options (&disk, user, &err);
  CHECK (both != NULL);
  rawview_options_free (both);
  cli_list_add (&disk.options, cli_format ("nonsense=1"));
  CHECK (machine_disk_options (&disk, user, &err) == NULL);
  CHECK_ERROR (err, RAWVIEW_ERROR_USAGE, "*nonsense*");
  cli_list_free (&disk.options);
  rawview_options_free (user);
}

int
main (void)
{
  TEST (text_is_one_printable_line);
  TEST (a_name_cannot_lead_elsewhere);
  TEST (a_long_name_is_cut_between_characters);
  TEST (a_guest_is_called_after_its_file);
  TEST (no_two_disks_have_the_same_name);
  TEST (mac_addresses_have_one_form);
  TEST (a_disks_options_come_after_the_users);
  return test_result ();
}
