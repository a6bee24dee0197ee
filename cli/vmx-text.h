/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of a VMX file: lines of KEY = "VALUE". */

#ifndef CLI_VMX_TEXT_H
#define CLI_VMX_TEXT_H

#include "machine.h"

struct vmx_entry {
  char *key, *value;
};

struct vmx {
  const char *name; /* for messages */
  char *text;       /* what the entries point into */
  struct vmx_entry *entries;
  size_t len;
};

/* v: zeroed but for its name.  What is not UTF-8 is taken for Windows-1252. */
int vmx_text_parse (struct vmx *v, const char *text, rawview_error *err);
void vmx_text_free (struct vmx *v);

/* Of several the last one counts; NULL: there is none. */
const char *vmx_get (const struct vmx *v, const char *key);
const char *vmx_get_of (const struct vmx *v, const char *device,
                        const char *property);

#endif /* CLI_VMX_TEXT_H */
