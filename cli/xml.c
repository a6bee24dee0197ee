/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A document is a stranger's until proven otherwise.  What makes XML dangerous
 * (entities that multiply, or that name files and servers) is declared in a
 * document type, which none of the files that we read has: the parser is
 * stopped where one begins.
 */

#include <config.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "xml.h"

#define MAX_DEPTH      64
#define MAX_ELEMENTS   200000u
#define MAX_ATTRIBUTES 128u /* some ten are usual, namespaces with them */
#define MAX_NAMESPACES 512u /* each element looks for its own among them */
#define MAX_TEXT       ((size_t) 64 << 10)

struct xml {
  xmlDoc *doc;
};

static const xmlNode *
to_lib (const struct xml_node *node)
{
  return (const xmlNode *) node;
}

static struct xml_node *
from_lib (xmlNode *node)
{
  if (node == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  return (struct xml_node *) node;
}

void
xml_free (struct xml *xml)
{
  if (xml == NULL)
    return;
  xmlFreeDoc (xml->doc);
  free (xml);
}

static struct xml *
wrap (xmlDoc *doc)
{
  struct xml *xml = calloc (1, sizeof *xml);

  if (xml == NULL || doc == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  xml->doc = doc;
  return xml;
}

/*--- Reading ------------------------------------------------------------*/

/* The characters of a text, of which only those of ASCII matter here. */
struct units {
  const unsigned char *text;
  size_t len, pos;
  unsigned width, low; /* bytes per unit, and which of them is the low one */
};

/* As the parser recognises it: by its first two bytes. */
static struct units
units_of (const char *text, size_t len)
{
  struct units u = { .text = (const unsigned char *) text,
                     .len = len,
                     .width = 1 };

  if (len >= 2 &&
      (memcmp (text, "\xff\xfe", 2) == 0 || memcmp (text, "<\0", 2) == 0))
    u.width = 2;
  else if (len >= 2 && (memcmp (text, "\xfe\xff", 2) == 0 ||
                        memcmp (text, "\0<", 2) == 0)) {
    u.width = 2;
    u.low = 1;
  }
  return u;
}

/* -1: no more of them. */
static int
next_unit (struct units *u)
{
  const unsigned char *p = u->text + u->pos;

  if (u->len - u->pos < u->width)
    return -1;
  u->pos += u->width;
  return u->width == 1 ? p[0] : p[1 - u->low] << 8 | p[u->low];
}

/* The parser compares each attribute of an element with all others, before
 * anybody is asked.  Each has an equals sign and a quote; between two "<" there
 * is one element at most.
 */
static const char *
refuse_before (const char *text, size_t len)
{
  struct units u = units_of (text, len);
  unsigned n = 0;
  bool equals = false;

  for (int c; (c = next_unit (&u)) != -1;) {
    if (c == 0)
      return "there are NUL characters in it";
    if (c == '<')
      n = 0;
    else if (equals && (c == '"' || c == '\'') && ++n > MAX_ATTRIBUTES)
      return "it has an element with too many attributes";
    equals = c == '=' || (equals && (c == ' ' || (c >= '\t' && c <= '\r')));
  }
  return NULL;
}

/* What the callbacks know of the parser's progress. */
struct progress {
  unsigned elements;
  unsigned namespaces[MAX_DEPTH]; /* up to the open element of this depth */
  const char *refused;            /* why the parser was stopped */
};

static void
stop (xmlParserCtxt *ctxt, const char *why)
{
  struct progress *p = ctxt->_private;

  if (p->refused == NULL)
    p->refused = why;
  xmlStopParser (ctxt);
}

/* In others a "<" may be other bytes. */
static bool
is_known_encoding (const char *name)
{
  static const char *const known[] = { "UTF-8", "UTF-16", "US-ASCII",
                                       "ISO-8859-", "windows-125" };

  for (size_t i = 0; i < CLI_COUNT (known); i++)
    if (strncasecmp (name, known[i], strlen (known[i])) == 0)
      return true;
  return false;
}

/* As the document declares it; NULL: not at all. */
static const char *
declared_encoding (const xmlParserCtxt *ctxt)
{
  const xmlChar *name = ctxt->encoding;

#if LIBXML_VERSION < 21200
  if (name == NULL && ctxt->input != NULL)
    name = ctxt->input->encoding;
#endif
  return (const char *) name;
}

static void
on_document (void *opaque)
{
  xmlParserCtxt *ctxt = opaque;
  const char *encoding = declared_encoding (ctxt);

  if (encoding != NULL && !is_known_encoding (encoding))
    stop (ctxt, "it has an encoding that is not read; make it UTF-8");
  else
    xmlSAX2StartDocument (opaque);
}

static void
on_document_type (void *opaque, const xmlChar *name, const xmlChar *external,
                  const xmlChar *system)
{
  (void) name;
  (void) external;
  (void) system;
  stop (opaque, "it has a document type (DOCTYPE), which is not read");
}

static unsigned
count_namespaces (struct progress *p, int depth, int n)
{
  const unsigned around = depth > 0 ? p->namespaces[depth - 1] : 0;

  return p->namespaces[depth] = around + (unsigned) n;
}

static void
on_element (void *opaque, const xmlChar *name, const xmlChar *prefix,
            const xmlChar *uri, int n_namespaces, const xmlChar **namespaces,
            int n_attributes, int n_defaulted, const xmlChar **attributes)
{
  xmlParserCtxt *ctxt = opaque;
  struct progress *p = ctxt->_private;

  if (ctxt->nodeNr >= MAX_DEPTH)
    stop (ctxt, "its elements are nested too deeply");
  else if (++p->elements > MAX_ELEMENTS)
    stop (ctxt, "it has too many elements");
  else if (count_namespaces (p, ctxt->nodeNr, n_namespaces) > MAX_NAMESPACES)
    stop (ctxt, "too many namespaces are declared around an element");
  else
    xmlSAX2StartElementNs (opaque, name, prefix, uri, n_namespaces, namespaces,
                           n_attributes, n_defaulted, attributes);
}

static int
parse_failed (xmlParserCtxt *ctxt, const char *name, rawview_error *err)
{
  const struct progress *p = ctxt->_private;
  const xmlError *e = xmlCtxtGetLastError (ctxt);
  char why[160];
  size_t len;

  if (p->refused != NULL)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, 0, "%s: %s", name,
                          p->refused);
  if (e != NULL && e->code == XML_ERR_NO_MEMORY)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, ENOMEM, "out of memory");
  snprintf (why, sizeof why, "%s",
            e != NULL && e->message != NULL ? e->message : "unknown");
  /* Its message may quote the text, and ends in a newline. */
  for (len = 0; why[len] != '\0' && why[len] != '\n'; len++)
    if (why[len] < ' ' || why[len] > '~')
      why[len] = '?';
  why[len] = '\0';
  return cli_error_set (err, RAWVIEW_ERROR_CORRUPT, 0,
                        "%s: not well-formed XML, line %d: %s", name,
                        e != NULL ? e->line : 0, why);
}

struct xml *
xml_parse (const char *name, const char *text, size_t len, rawview_error *err)
{
  const int options = XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR |
                      XML_PARSE_NOWARNING | XML_PARSE_COMPACT;
  struct progress progress = { 0 };
  const char *why = refuse_before (text, len);
  xmlParserCtxt *ctxt;
  xmlDoc *doc = NULL;

  if (len > INT_MAX) {
    cli_error_set (err, RAWVIEW_ERROR_LIMIT, EFBIG, "%s: too long", name);
    return NULL;
  }
  if (why != NULL) {
    cli_error_set (err, RAWVIEW_ERROR_REFUSED, 0, "%s: %s", name, why);
    return NULL;
  }
  ctxt = xmlNewParserCtxt ();
  if (ctxt == NULL) {
    cli_error_set (err, RAWVIEW_ERROR_NOMEM, ENOMEM, "out of memory");
    return NULL;
  }
  ctxt->_private = &progress;
  ctxt->sax->startDocument = on_document;
  ctxt->sax->internalSubset = on_document_type;
  ctxt->sax->startElementNs = on_element;
  doc = xmlCtxtReadMemory (ctxt, text, (int) len, NULL, NULL, options);
  if (doc == NULL || progress.refused != NULL ||
      xmlDocGetRootElement (doc) == NULL) {
    parse_failed (ctxt, name, err);
    xmlFreeDoc (doc);
    doc = NULL;
  }
  xmlFreeParserCtxt (ctxt);
  return doc != NULL ? wrap (doc) : NULL;
}

const struct xml_node *
xml_root (const struct xml *xml)
{
  return (const struct xml_node *) xmlDocGetRootElement (xml->doc);
}

static bool
is_same (const xmlChar *a, const char *b)
{
  return xmlStrEqual (a, (const xmlChar *) b);
}

/* The first of node and its later siblings that is meant. */
static const struct xml_node *
find (const xmlNode *node, const char *ns, const char *name)
{
  for (; node != NULL; node = node->next)
    if (node->type == XML_ELEMENT_NODE &&
        (name == NULL || is_same (node->name, name)) &&
        (ns == NULL || (node->ns != NULL && is_same (node->ns->href, ns))))
      break;
  return (const struct xml_node *) node;
}

const struct xml_node *
xml_child (const struct xml_node *node, const char *ns, const char *name)
{
  return node != NULL ? find (to_lib (node)->children, ns, name) : NULL;
}

const struct xml_node *
xml_next (const struct xml_node *node, const char *ns, const char *name)
{
  return node != NULL ? find (to_lib (node)->next, ns, name) : NULL;
}

const char *
xml_name (const struct xml_node *node)
{
  return node != NULL ? (const char *) to_lib (node)->name : NULL;
}

const char *
xml_namespace (const struct xml_node *node)
{
  return node != NULL && to_lib (node)->ns != NULL
             ? (const char *) to_lib (node)->ns->href
             : NULL;
}

/* Appends to text, which has room for MAX_TEXT bytes and a NUL. */
static size_t
append (char *text, size_t len, const xmlNode *node)
{
  const size_t more =
      node->content != NULL ? strlen ((const char *) node->content) : 0;
  const size_t room = MAX_TEXT - len;
  const size_t n = more < room ? more : room;

  memcpy (text + len, node->content != NULL ? (const void *) node->content : "",
          n);
  return len + n;
}

static char *
join_text (const xmlNode *node)
{
  char *text = malloc (MAX_TEXT + 1), *fitting;
  size_t len = 0;

  if (text == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  for (; node != NULL; node = node->next)
    if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE)
      len = append (text, len, node);
  text[len] = '\0';
  fitting = realloc (text, len + 1);
  return fitting != NULL ? fitting : text;
}

char *
xml_attribute (const struct xml_node *node, const char *name)
{
  const xmlAttr *a = node != NULL ? to_lib (node)->properties : NULL;

  while (a != NULL && !is_same (a->name, name))
    a = a->next;
  return a != NULL ? join_text (a->children) : NULL;
}

char *
xml_text (const struct xml_node *node)
{
  return node != NULL ? join_text (to_lib (node)->children) : NULL;
}

/*--- Writing ------------------------------------------------------------*/

struct xml *
xml_new (const char *root, struct xml_node **node)
{
  struct xml *xml = wrap (xmlNewDoc ((const xmlChar *) "1.0"));

  *node =
      from_lib (xmlNewDocNode (xml->doc, NULL, (const xmlChar *) root, NULL));
  xmlDocSetRootElement (xml->doc, (xmlNode *) *node);
  return xml;
}

struct xml_node *
xml_add (struct xml_node *parent, const char *name)
{
  return from_lib (
      xmlNewChild ((xmlNode *) parent, NULL, (const xmlChar *) name, NULL));
}

struct xml_node *
xml_add_text (struct xml_node *parent, const char *name, const char *text)
{
  return from_lib (xmlNewTextChild ((xmlNode *) parent, NULL,
                                    (const xmlChar *) name,
                                    (const xmlChar *) text));
}

void
xml_set (struct xml_node *node, const char *name, const char *value)
{
  if (xmlNewProp ((xmlNode *) node, (const xmlChar *) name,
                  (const xmlChar *) value) == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
}

void
xml_set_number (struct xml_node *node, const char *name, uint64_t value)
{
  CLEANUP_FREE char *text = cli_format ("%ju", (uintmax_t) value);

  xml_set (node, name, text);
}

/* Without the XML declaration, which no reader of a fragment wants. */
char *
xml_print (const struct xml *xml)
{
  xmlBuffer *buffer = xmlBufferCreate ();
  char *text = NULL;

  if (buffer != NULL &&
      xmlNodeDump (buffer, xml->doc, xmlDocGetRootElement (xml->doc), 0, 1) !=
          -1)
    text = cli_format ("%s\n", (const char *) xmlBufferContent (buffer));
  if (text == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  xmlBufferFree (buffer);
  return text;
}
