/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder of imports, as it is now: which images are in it. */

#ifndef RV_FOLDER_H
#define RV_FOLDER_H

#include <sys/stat.h>

#include "image.h"

/* One disk that can be opened. */
struct rv_disk {
  char *name;            /* of the export */
  char *source;          /* file name in the folder */
  rawview_options *opts; /* with disk= for a member of an OVA */
  char *description;
  uint64_t size; /* virtual, bytes */
  struct timespec mtime;
  rawview_image *image; /* one reference while somebody else has one too */
};

DEFINE_VECTOR (rv_disks, struct rv_disk);

void rv_disks_free (struct rv_disks *disks);

/* Appends a disk that takes over the reference to image. */
int rv_disks_add (struct rv_disks *disks, const char *name, const char *source,
                  const rawview_options *opts, rawview_image *image,
                  struct timespec mtime, rawview_error *err);

typedef void (*rv_log_fn) (void *opaque, const char *msg);

struct rv_folder;

int rv_folder_open (const char *dir, const rawview_options *opts,
                    struct rv_folder **folder, rawview_error *err);
void rv_folder_free (struct rv_folder *folder);

/* Looks which files have come, changed or gone.  Changed ones are opened to see
 * whether they can be; those that cannot are told to log once.
 */
int rv_folder_scan (struct rv_folder *folder, rv_log_fn log, void *opaque,
                    rawview_error *err);

/* Calls fn for each disk, by file name; nonzero ends the walk. */
int rv_folder_each (struct rv_folder *folder,
                    int (*fn) (void *opaque, struct rv_disk *disk),
                    void *opaque);

/* A new reference to the disk's handle. */
int rv_folder_open_disk (struct rv_folder *folder, struct rv_disk *disk,
                         rawview_image **image, rawview_error *err);

#endif /* RV_FOLDER_H */
