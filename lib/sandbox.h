/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a process gives up before it meets its first client.
 *
 *   sandbox.c           finds out what has to stay possible, and says what is
 *   sandbox-landlock.c  files, by where they are: Landlock's system calls
 *   sandbox-seccomp.c   system calls: libseccomp
 *
 * Landlock knows paths and binds the calling thread and those that it starts;
 * the filter of system calls knows none and binds all threads.  Each closes
 * what the other cannot see, and each is used alone where the other is missing.
 */

#ifndef RV_SANDBOX_H
#define RV_SANDBOX_H

#include <rawview.h>

#include "util/vector.h"

/* What remains possible in a folder and below it. */
#define RV_MAY_READ        1u  /* open files and folders for reading */
#define RV_MAY_WRITE       2u  /* open files for writing */
#define RV_MAY_CREATE      4u  /* make regular files, give them their names */
#define RV_MAY_REMOVE_FILE 8u  /* and */
#define RV_MAY_REMOVE_DIR  16u /* empty folders */

#define RV_MAY_CHANGE \
  (RV_MAY_WRITE | RV_MAY_CREATE | RV_MAY_REMOVE_FILE | RV_MAY_REMOVE_DIR)

struct rv_place {
  int fd; /* a folder, perhaps O_PATH; owned */
  unsigned may;
};

DEFINE_VECTOR (rv_places, struct rv_place);

struct rv_sandbox_rules {
  bool strict;     /* sandbox=on */
  bool network;    /* connections to servers are made later */
  bool beneath;    /* files are opened by openat2, beneath a folder */
  bool syslog;     /* messages go to the system's log */
  bool landlocked; /* for the filter: Landlock guards what is opened */
  struct rv_places places;
};

/* All that any of the places may be used for. */
unsigned rv_sandbox_may (const struct rv_sandbox_rules *rules);

/*--- exports.c, folder.c ------------------------------------------------*/

/* Adds a place; dups fd, which may be -1 for none.  -1 when out of memory or
 * descriptors.
 */
int rv_sandbox_add (struct rv_sandbox_rules *rules, int fd, unsigned may,
                    rawview_error *err);

/* The same for what lies at path.  Nothing there: nothing is added. */
int rv_sandbox_add_path (struct rv_sandbox_rules *rules, const char *path,
                         unsigned may, rawview_error *err);

/* What a handle, as it was opened with these options, will do later. */
int rv_sandbox_add_image (struct rv_sandbox_rules *rules,
                          const rawview_image *image,
                          const rawview_options *opts, rawview_error *err);

struct rv_folder;
int rv_folder_sandbox (const struct rv_folder *folder,
                       struct rv_sandbox_rules *rules, rawview_error *err);

int rv_exports_sandbox (rawview_exports *exports,
                        struct rv_sandbox_rules *rules, rawview_error *err);

/*--- sandbox-landlock.c -------------------------------------------------*/

/* The version of its interface that the kernel has; 0: none. */
int rv_landlock_version (void);

/* For the calling thread and all that it starts.  Needs no_new_privs. */
int rv_landlock_enter (const struct rv_sandbox_rules *rules,
                       rawview_error *err);

/*--- sandbox-seccomp.c --------------------------------------------------*/

/* Is it built in, and has the kernel got it? */
bool rv_seccomp_is_there (void);

/* For all threads.  Denied calls fail with EPERM and are told to the kernel's
 * log.  Needs no_new_privs.
 */
int rv_seccomp_enter (const struct rv_sandbox_rules *rules, rawview_error *err);

#endif /* RV_SANDBOX_H */
