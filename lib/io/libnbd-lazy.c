/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See libnbd-lazy.h. */

#include <config.h>

#include <dlfcn.h>
#include <elf.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>

#include "io/libnbd-lazy.h"
#include "util/error.h"

/* Tells packagers what is loaded, in the words and numbers of
 * https://uapi-group.org/specifications/specs/elf_dlopen_metadata/
 */
#define NOTE_OWNER "FDO"
#define NOTE_TYPE  0x407c0c0au
#define NOTE_JSON \
  "[{\"feature\":\"nbd\"," \
  "\"description\":\"Images that an NBD server provides\"," \
  "\"priority\":\"recommended\"," \
  "\"soname\":[\"" LIBNBD_SONAME "\"]}]"

static const struct {
  Elf32_Nhdr header; /* the same in all ELF files */
  char owner[sizeof NOTE_OWNER];
  alignas (4) char json[sizeof NOTE_JSON];
} note __attribute__ ((used, section (".note.dlopen"), aligned (4))) = {
  { sizeof NOTE_OWNER, sizeof NOTE_JSON, NOTE_TYPE }, NOTE_OWNER, NOTE_JSON
};

/* Where in the table is which function? */
static const struct {
  const char *name;
  size_t off;
} functions[] = {
#define FUNCTION(name) { "nbd_" #name, offsetof (struct rv_libnbd, name) },
  RV_LIBNBD_FUNCTIONS (FUNCTION)
#undef FUNCTION
};

static void *
load_library (rawview_error *err)
{
  void *library = dlopen (LIBNBD_SONAME, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

  if (library == NULL)
    rv_error_unsupported (err,
                          "images on NBD servers need libnbd, and it cannot be "
                          "loaded (%s); in Debian it is the package libnbd0",
                          dlerror ());
  return library;
}

/* No lock is needed and no state kept: loading a library again gives the same
 * one, and is cheap beside the connection that follows.
 */
int
rv_libnbd_load (struct rv_libnbd *nbd, rawview_error *err)
{
  void *library = load_library (err);

  if (library == NULL)
    return -1;
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    const char *name = functions[i].name;
    void *function = dlsym (library, name);

    if (function == NULL)
      return rv_error_unsupported (err,
                                   "images on NBD servers need libnbd 1.14 or "
                                   "later: this %s has no %s",
                                   LIBNBD_SONAME, name);
    memcpy ((char *) nbd + functions[i].off, &function, sizeof function);
  }
  return 0;
}
