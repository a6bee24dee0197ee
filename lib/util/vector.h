/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Growable arrays.  DEFINE_VECTOR (struct extent_list, struct extent) gives a
 * struct with ptr and len, and these functions:
 *
 *   int extent_list_append (struct extent_list *v, struct extent elem)
 *     -1 when out of memory, v unchanged
 *   void extent_list_release (struct extent_list *v)
 *     frees the array, not what its elements own
 */

#ifndef RV_VECTOR_H
#define RV_VECTOR_H

#include <stdint.h>
#include <stdlib.h>

#define DEFINE_VECTOR(name, type) \
  struct name { \
    type *ptr; \
    size_t len; \
    size_t cap; \
  }; \
  __attribute__ ((unused)) static inline int name##_append (struct name *v, \
                                                            type elem) \
  { \
    if (v->len == v->cap) { \
      size_t cap = v->cap ? v->cap * 2 : 8; \
      type *ptr = reallocarray (v->ptr, cap, sizeof *ptr); \
      if (ptr == NULL) \
        return -1; \
      v->ptr = ptr; \
      v->cap = cap; \
    } \
    v->ptr[v->len++] = elem; \
    return 0; \
  } \
  __attribute__ ((unused)) static inline void name##_release (struct name *v) \
  { \
    free (v->ptr); \
    *v = (struct name){ 0 }; \
  } \
  struct name

#endif /* RV_VECTOR_H */
