/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "format/format.h"
#include "util/error.h"

const struct rv_format_ops *const rv_formats[] = {
  &rv_format_qcow2,
  &rv_format_vmdk,
  &rv_format_raw,
  NULL,
};

int
rv_refs_add (struct rv_refs *refs, enum rv_ref_role role, const char *name,
             const char *format, bool foreign_path)
{
  CLEANUP_FREE char *n = strdup (name);
  CLEANUP_FREE char *f = format ? strdup (format) : NULL;

  if (n == NULL || (format && f == NULL))
    return -1;
  if (rv_refs_append (refs, (struct rv_ref){ .role = role,
                                             .name = n,
                                             .format = f,
                                             .foreign_path = foreign_path }) ==
      -1)
    return -1;
  n = f = NULL;
  return 0;
}

void
rv_refs_free (struct rv_refs *refs)
{
  for (size_t i = 0; i < refs->len; i++) {
    free (refs->ptr[i].name);
    free (refs->ptr[i].format);
  }
  rv_refs_release (refs);
}

void
rv_format_init (struct rv_format *format, const struct rv_format_ops *ops,
                struct rv_io *io, const struct rv_format_params *params)
{
  format->ops = ops;
  format->io = rv_io_ref (io);
  format->tables = params->tables;
}

void
rv_format_release (struct rv_format *format)
{
  rv_refs_free (&format->refs);
  rv_facts_free (&format->facts);
  rv_io_unref (format->io);
}
