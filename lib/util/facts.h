/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ordered key-value facts about one image, as rawview_get_fact shows them. */

#ifndef RV_FACTS_H
#define RV_FACTS_H

#include <rawview.h>

#include "util/vector.h"

DEFINE_VECTOR (rv_facts, rawview_fact);

/* Keys must live as long as the facts: string constants.  Text is copied and
 * made printable.  All return -1 when out of memory.
 */
int rv_facts_add_text (struct rv_facts *f, const char *key, const char *text);
int rv_facts_add_number (struct rv_facts *f, const char *key, uint64_t number);
int rv_facts_add_bool (struct rv_facts *f, const char *key, bool value);

void rv_facts_free (struct rv_facts *f);

#endif /* RV_FACTS_H */
