/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>

#include "util/facts.h"
#include "util/text.h"

int
rv_facts_add_text (struct rv_facts *f, const char *key, const char *text)
{
  char *copy = strdup (text);

  if (copy == NULL)
    return -1;
  rv_text_make_printable (copy);
  if (rv_facts_append (f, (rawview_fact){ .key = key,
                                          .type = RAWVIEW_FACT_TEXT,
                                          .text = copy }) == -1) {
    free (copy);
    return -1;
  }
  return 0;
}

int
rv_facts_add_number (struct rv_facts *f, const char *key, uint64_t number)
{
  return rv_facts_append (f, (rawview_fact){ .key = key,
                                             .type = RAWVIEW_FACT_NUMBER,
                                             .number = number });
}

int
rv_facts_add_bool (struct rv_facts *f, const char *key, bool value)
{
  return rv_facts_append (
      f,
      (rawview_fact){ .key = key, .type = RAWVIEW_FACT_BOOL, .number = value });
}

void
rv_facts_free (struct rv_facts *f)
{
  for (size_t i = 0; i < f->len; i++)
    free ((char *) f->ptr[i].text);
  rv_facts_release (f);
}
