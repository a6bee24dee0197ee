/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the OVF parser share. */

#ifndef CLI_OVF_ENVELOPE_H
#define CLI_OVF_ENVELOPE_H

#include "ovf-item.h"

struct ovf_envelope {
  const char *name; /* for messages */
  const char *ns;   /* of OVF's own elements: it differs with the version */
  const struct xml_node *root, *system, *hardware;
  struct ovf_items items;
};

/* As xml_child and xml_next, for OVF's own elements. */
static inline const struct xml_node *
ovf_child (const struct ovf_envelope *e, const struct xml_node *node,
           const char *name)
{
  return xml_child (node, e->ns, name);
}

static inline const struct xml_node *
ovf_next (const struct ovf_envelope *e, const struct xml_node *node,
          const char *name)
{
  return xml_next (node, e->ns, name);
}

/* Takes over text, and returns it clean; NULL if there is nothing in it. */
char *ovf_clean (char *text);

/* Are there no more files and disks than may be looked through again and again?
 */
int ovf_check_sections (const struct ovf_envelope *e, rawview_error *err);

/* The disks of the hardware, in order. */
int ovf_read_disks (const struct ovf_envelope *e, struct machine *m,
                    rawview_error *err);

/* What there is if the hardware is not described. */
int ovf_read_disk_section (const struct ovf_envelope *e, struct machine *m,
                           rawview_error *err);

#endif /* CLI_OVF_ENVELOPE_H */
