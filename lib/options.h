/* SPDX-License-Identifier: LGPL-2.1-or-later */

#ifndef RV_OPTIONS_H
#define RV_OPTIONS_H

#include <rawview.h>

#include "format/format.h"

DEFINE_VECTOR (rv_strings, char *);

enum rv_locking { RV_LOCKING_AUTO, RV_LOCKING_ON, RV_LOCKING_OFF };
enum rv_sandbox_mode { RV_SANDBOX_AUTO, RV_SANDBOX_ON, RV_SANDBOX_OFF };
enum rv_check { RV_CHECK_LAZY, RV_CHECK_FULL };

#define RV_DEFAULT_CACHE       ((size_t) 64 << 20)
#define RV_MAX_CACHE           ((size_t) 1 << 40)
#define RV_DEFAULT_CONNECTIONS 4u
#define RV_MAX_CONNECTIONS     16u

/* A file of this machine, whatever it is called. */
struct rv_file_id {
  bool known; /* false: none */
  dev_t dev;
  ino_t ino;
};

struct rawview_options {
  uint64_t given; /* bit i: the i-th option was set, and may not be again */

  const struct rv_format_ops *format; /* NULL: recognise it */
  char *snapshot;
  char *disk; /* which of an OVA: member name, or number from 1 on */

  bool references_given;         /* somebody set the next two */
  bool same_directory;           /* references: this, and */
  struct rv_strings directories; /* these; absolute, without dot parts */
  char *parent;                  /* absolute or URI */
  const struct rv_format_ops *parent_format;
  char *data_file; /* absolute or URI */

  bool writable;       /* open such that it can be made writable */
  char *overlay;       /* absolute; NULL: none, unless the next is set */
  char *overlay_dir;   /* absolute */
  enum rv_check check; /* before writing */
  struct rv_file_id ignored_child; /* is no reason not to write it */

  bool allow_devices;
  bool allow_truncated;
  bool rescue; /* read what can be read; never writable */
  uint64_t max_size;
  enum rv_locking locking;
  enum rv_sandbox_mode sandbox; /* of the process: rawview_sandbox_enter */

  size_t cache;         /* bytes */
  unsigned workers;     /* threads */
  unsigned connections; /* to an NBD server */
  int fd;               /* -1: none */
};

/* Do changes go into a file of their own? */
static inline bool
rv_options_have_overlay (const struct rawview_options *o)
{
  return o->overlay != NULL || o->overlay_dir != NULL;
}

/* Makes path absolute and takes "." and ".." and doubled slashes out of it,
 * without looking at the filesystem.  NULL when out of memory or when the
 * working directory is gone.
 */
char *rv_path_absolute (const char *path);

/* The same for a path that is absolute already; base/path if it is not. */
char *rv_path_normalize (const char *base, const char *path);

#endif /* RV_OPTIONS_H */
