/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XML: what strangers wrote is read, and ours is written.  The only place that
 * knows libxml2.
 *
 * Strings are UTF-8.  What allocates exits when memory is short, but for
 * parsing, which says so.
 */

#ifndef CLI_XML_H
#define CLI_XML_H

#include "cli.h"

struct xml;      /* a document, which owns its nodes */
struct xml_node; /* an element */

/* NULL is allowed. */
void xml_free (struct xml *xml);

static inline void
cli_cleanup_xml (struct xml **xml)
{
  xml_free (*xml);
}
#define CLEANUP_XML __attribute__ ((cleanup (cli_cleanup_xml)))

/*--- Reading ------------------------------------------------------------*/

/* Nothing is loaded besides the text, and a document type (thus any entity of
 * its own) is refused, as is an element in more than 64 others, and more than
 * 200,000 elements.  name is for messages.  NULL: *err.
 */
struct xml *xml_parse (const char *name, const char *text, size_t len,
                       rawview_error *err);

const struct xml_node *xml_root (const struct xml *xml);

/* The first child element of this name, and the next of its siblings.  ns: the
 * URI of its namespace, NULL: any.  name NULL: any.  NULL: there is none, also
 * where node is NULL.
 */
const struct xml_node *xml_child (const struct xml_node *node, const char *ns,
                                  const char *name);
const struct xml_node *xml_next (const struct xml_node *node, const char *ns,
                                 const char *name);

/* Without its prefix; NULL where node is. */
const char *xml_name (const struct xml_node *node);
/* NULL: none.  Valid as long as the document. */
const char *xml_namespace (const struct xml_node *node);

/* The attribute of this name in any namespace; NULL: there is none, or no
 * node.
 */
char *xml_attribute (const struct xml_node *node, const char *name);

/* Its text, without that of elements in it, as far as 64 KiB; NULL: no node. */
char *xml_text (const struct xml_node *node);

/*--- Writing ------------------------------------------------------------*/

struct xml *xml_new (const char *root, struct xml_node **node);

/* An empty element at the end of parent. */
struct xml_node *xml_add (struct xml_node *parent, const char *name);
/* The same with text in it. */
struct xml_node *xml_add_text (struct xml_node *parent, const char *name,
                               const char *text);
void xml_set (struct xml_node *node, const char *name, const char *value);
void xml_set_number (struct xml_node *node, const char *name, uint64_t value);

/* All of it, indented, with a newline at the end, for the caller to free. */
char *xml_print (const struct xml *xml);

#endif /* CLI_XML_H */
