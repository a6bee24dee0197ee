/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What source.c is made of: each function fills a machine from one operand. */

#ifndef CLI_SOURCE_PARTS_H
#define CLI_SOURCE_PARTS_H

#include "source.h"

/*--- Images -------------------------------------------------------------*/

/* A disk that an operand has. */
struct source_entry {
  char *name;   /* as rawview_exports_list has it */
  char *member; /* of an archive; NULL: the operand is the disk */
  uint64_t size;
};

struct source_entries {
  struct source_entry *items;
  size_t len;
};

void source_entries_free (struct source_entries *entries);

/* The disks of an image or archive, source as rawview_open takes it. */
int source_look (const char *source, const rawview_options *options,
                 struct source_entries *entries, rawview_error *err);

/* Adds one of them. */
struct machine_disk *source_add_entry (struct machine *m, const char *source,
                                       const struct source_entry *entry);

/* An image, or an archive with or without a description.  The machine is empty
 * and has no name yet; it may still have none.
 */
int source_add_image (struct machine *m, const char *source,
                      const rawview_options *options, rawview_error *err);

/* All images of a folder, by name; what cannot be opened is said on stderr.
 * dir: absolute.
 */
int source_add_folder (struct machine *m, const char *dir,
                       const rawview_options *options, rawview_error *err);

/*--- Descriptions beside the disks --------------------------------------*/

/* By its name, "vm.ovf" or "vm.vmx". */
bool source_is_description (const char *path);

/* path: absolute. */
int source_add_described (struct machine *m, const char *path,
                          const rawview_options *options, rawview_error *err);

/* Opens each disk whose size nobody knows. */
int source_find_sizes (struct machine *m, const rawview_options *options,
                       rawview_error *err);

#endif /* CLI_SOURCE_PARTS_H */
