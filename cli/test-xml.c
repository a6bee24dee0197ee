/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "util/test.h"
#include "xml.h"

static rawview_error err;

static struct xml *
parse (const char *text)
{
  err = (rawview_error){ 0 };
  return xml_parse ("vm.ovf", text, strlen (text), &err);
}

static void
refused (const char *text, rawview_error_kind kind, const char *pattern)
{
  CLEANUP_XML struct xml *xml = parse (text);

  CHECK (xml == NULL);
  CHECK_ERROR (err, kind, pattern);
}

static void
elements_are_found_by_name_and_namespace (void)
{
  CLEANUP_XML struct xml *xml =
      parse ("<a xmlns='urn:one' xmlns:t='urn:two'>\n"
             " <t:b n='0'/><b n='1'/><!-- <b n='2'/> --><b t:n='3'>x</b></a>");
  const struct xml_node *b;
  CLEANUP_FREE char *first = NULL, *second = NULL, *text = NULL;

  REQUIRE (xml != NULL);
  CHECK_STR_EQ (xml_namespace (xml_root (xml)), "urn:one");
  b = xml_child (xml_root (xml), "urn:one", "b");
  first = xml_attribute (b, "n");
  CHECK_STR_EQ (first, "1");
  b = xml_next (b, "urn:one", "b");
  second = xml_attribute (b, "n");
  text = xml_text (b);
  CHECK_STR_EQ (second, "3");
  CHECK_STR_EQ (text, "x");
  CHECK (xml_next (b, NULL, NULL) == NULL);
  CHECK (xml_child (NULL, NULL, "b") == NULL && xml_text (NULL) == NULL);
}

static void
text_is_decoded_and_joined (void)
{
  CLEANUP_XML struct xml *xml =
      parse ("<a>1 &lt; 2 <b>left out</b><![CDATA[& <c>]]> &#228;</a>");
  CLEANUP_FREE char *text = NULL;

  REQUIRE (xml != NULL);
  text = xml_text (xml_root (xml));
  CHECK_STR_EQ (text, "1 < 2 & <c> \xc3\xa4");
}

static void
other_encodings_become_utf8 (void)
{
  CLEANUP_XML struct xml *xml =
      parse ("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe4</a>");
  CLEANUP_FREE char *text = NULL;

  REQUIRE (xml != NULL);
  text = xml_text (xml_root (xml));
  CHECK_STR_EQ (text, "\xc3\xa4");
}

static void
a_document_type_is_refused_before_it_multiplies (void)
{
  refused ("<!DOCTYPE a [<!ENTITY x 'ha'><!ENTITY y '&x;&x;&x;&x;&x;&x;'>"
           "<!ENTITY z '&y;&y;&y;&y;&y;&y;&y;'>]><a>&z;&z;&z;&z;&z;</a>",
           RAWVIEW_ERROR_REFUSED, "vm.ovf: it has a document type*");
}

static void
external_entities_are_refused (void)
{
  refused ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
           RAWVIEW_ERROR_REFUSED, "*document type*");
  refused ("<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/a.dtd'><a/>",
           RAWVIEW_ERROR_REFUSED, "*document type*");
}

static void
unknown_entities_are_not_well_formed (void)
{
  refused ("<a>&nobody;</a>", RAWVIEW_ERROR_CORRUPT,
           "vm.ovf: not well-formed XML, line 1:*");
}

static void
what_is_cut_or_empty_is_refused (void)
{
  refused ("", RAWVIEW_ERROR_CORRUPT, "*not well-formed*");
  refused ("<a><b></a>", RAWVIEW_ERROR_CORRUPT, "*not well-formed*");
  refused ("<a>\n<b", RAWVIEW_ERROR_CORRUPT, "*line 2*");
}

/* n times begin, then text, then n times end. */
static char *
repeat (const char *begin, const char *text, const char *end, unsigned n)
{
  const size_t b = strlen (begin), t = strlen (text), e = strlen (end);
  char *all = malloc (n * (b + e) + t + 1), *p = all;

  if (all == NULL)
    abort ();
  for (unsigned i = 0; i < n; i++, p += b)
    memcpy (p, begin, b);
  memcpy (p, text, t + 1);
  p += t;
  for (unsigned i = 0; i < n; i++, p += e)
    memcpy (p, end, e + 1);
  return all;
}

static void
depth_has_a_limit (void)
{
  CLEANUP_FREE char *fits = repeat ("<a>", "", "</a>", 64);
  CLEANUP_FREE char *deep = repeat ("<a>", "", "</a>", 65);
  CLEANUP_FREE char *deepest = repeat ("<a>", "", "</a>", 400000);
  CLEANUP_XML struct xml *xml = parse (fits);

  CHECK (xml != NULL);
  refused (deep, RAWVIEW_ERROR_REFUSED, "*nested too deeply*");
  refused (deepest, RAWVIEW_ERROR_REFUSED, "*nested too deeply*");
}

static void
the_number_of_elements_has_a_limit (void)
{
  CLEANUP_FREE char *many = repeat ("<a/>", "", "", 200000);
  CLEANUP_FREE char *text = cli_format ("<r>%s</r>", many);

  refused (text, RAWVIEW_ERROR_REFUSED, "*too many elements*");
}

/* It would take the parser minutes to compare them with each other. */
static void
the_number_of_attributes_has_a_limit (void)
{
  CLEANUP_FREE char *fit = NULL, *one_more = NULL;
  CLEANUP_FREE char *attributes = cli_format (" ");
  CLEANUP_XML struct xml *xml = NULL;

  for (unsigned i = 0; i < 128; i++) {
    char *more = cli_format ("%s a%u = '>'", attributes, i);

    free (attributes);
    attributes = more;
  }
  fit = cli_format ("<r>\n===<a%s/><a%s/></r>", attributes, attributes);
  one_more = cli_format ("<r><a%s b\n=\t\"\"/></r>", attributes);
  xml = parse (fit);
  CHECK (xml != NULL);
  refused (one_more, RAWVIEW_ERROR_REFUSED, "vm.ovf: *too many attributes*");
}

/* Each element looks for its own among all that are declared around it. */
static void
the_number_of_namespaces_has_a_limit (void)
{
  CLEANUP_FREE char *beside = repeat ("<a xmlns:b='c'/>", "", "", 1000);
  CLEANUP_FREE char *fits = cli_format ("<r>%s</r>", beside);
  CLEANUP_FREE char *around = cli_format ("<a");
  CLEANUP_FREE char *many = NULL;
  CLEANUP_XML struct xml *xml = parse (fits);

  for (unsigned i = 0; i < 64; i++) {
    char *more = cli_format ("%s xmlns:b%u='c'", around, i);

    free (around);
    around = more;
  }
  CHECK (xml != NULL);
  xml_free (xml);
  many = cli_format ("%s>%s>%s>%s>%s>%s>%s>%s><d/></a></a></a></a></a></a></a>"
                     "</a>",
                     around, around, around, around, around, around, around,
                     around);
  xml = parse (many);
  CHECK (xml != NULL);
  free (many);
  many = cli_format ("%s>%s>%s>%s>%s>%s>%s>%s><d xmlns:b='c'/></a></a></a></a>"
                     "</a></a></a></a>",
                     around, around, around, around, around, around, around,
                     around);
  refused (many, RAWVIEW_ERROR_REFUSED, "*too many namespaces*");
}

/* Each character of the text as two bytes. */
static struct xml *
parse_wide (const char *text, bool little)
{
  const size_t len = strlen (text);
  CLEANUP_FREE char *wide = calloc (len + 1, 2);

  if (wide == NULL)
    abort ();
  for (size_t i = 0; i < len; i++)
    wide[2 * i + !little] = text[i];
  err = (rawview_error){ 0 };
  return xml_parse ("vm.ovf", wide, 2 * len, &err);
}

static void
wide_characters_are_counted_too (void)
{
  CLEANUP_FREE char *many = repeat (" a=''", "", "", 129);
  CLEANUP_FREE char *text = cli_format ("<r%s/>", many);

  for (int little = 0; little < 2; little++) {
    CLEANUP_XML struct xml *fits =
        parse_wide ("<?xml version='1.0'?><r a='1'/>", little);
    CLEANUP_XML struct xml *not = parse_wide (text, little);

    CHECK (fits != NULL);
    CHECK (not == NULL);
    CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*too many attributes*");
  }
}

static void
encodings_that_hide_characters_are_refused (void)
{
  refused ("<?xml version='1.0' encoding='UTF-7'?><a b+AD0-''/>",
           RAWVIEW_ERROR_REFUSED, "vm.ovf: *encoding*UTF-8");
  CHECK (xml_parse ("vm.ovf", "<\0\0\0a\0\0\0/\0\0\0>\0\0\0", 16, &err) ==
         NULL);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*NUL*");
}

static void
long_text_is_cut (void)
{
  CLEANUP_FREE char *text = repeat ("0123456789", "</a>", "", 10000);
  CLEANUP_FREE char *all = cli_format ("<a>%s", text);
  CLEANUP_XML struct xml *xml = parse (all);
  CLEANUP_FREE char *got = NULL;

  REQUIRE (xml != NULL);
  got = xml_text (xml_root (xml));
  CHECK_EQ_U64 (strlen (got), 65536);
}

static void
what_is_written_is_escaped (void)
{
  struct xml_node *root;
  CLEANUP_XML struct xml *xml = xml_new ("a", &root);
  CLEANUP_FREE char *text = NULL;

  xml_set (xml_add (root, "b"), "c", "<'\"&>");
  xml_add_text (root, "d", "</d>&amp;");
  xml_set_number (root, "n", UINT64_MAX);
  text = xml_print (xml);
  CHECK_STR_EQ (text, "<a n=\"18446744073709551615\">\n"
                      "  <b c=\"&lt;'&quot;&amp;&gt;\"/>\n"
                      "  <d>&lt;/d&gt;&amp;amp;</d>\n"
                      "</a>\n");
}

int
main (void)
{
  TEST (elements_are_found_by_name_and_namespace);
  TEST (text_is_decoded_and_joined);
  TEST (other_encodings_become_utf8);
  TEST (a_document_type_is_refused_before_it_multiplies);
  TEST (external_entities_are_refused);
  TEST (unknown_entities_are_not_well_formed);
  TEST (what_is_cut_or_empty_is_refused);
  TEST (depth_has_a_limit);
  TEST (the_number_of_elements_has_a_limit);
  TEST (the_number_of_attributes_has_a_limit);
  TEST (the_number_of_namespaces_has_a_limit);
  TEST (wide_characters_are_counted_too);
  TEST (encodings_that_hide_characters_are_refused);
  TEST (long_text_is_cut);
  TEST (what_is_written_is_escaped);
  return test_result ();
}
