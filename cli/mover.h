/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process of an import that reads the images and writes the destinations.
 *
 * It opens everything, enters a sandbox, copies the disks one after the other,
 * and then, if there are overlays, waits until it is told that they are
 * complete and ships what they have changed.  Whoever started it decides about
 * everything else, and can end it at any moment: it leaves nothing behind but
 * the destinations that it reported as created.
 */

#ifndef CLI_MOVER_H
#define CLI_MOVER_H

#include <sys/types.h>

#include "dest.h"

struct mover_plan {
  const struct machine *machine;
  struct dests *dests; /* one per disk */
  const rawview_options *options;
  rawview_stream *stream; /* NULL, or what the only disk comes from */
  bool as_is;             /* the files' bytes, not the disks' */
  bool force;
  unsigned threads;      /* 0: as many as there are CPUs */
  const char *work_dir;  /* where overlays will be, NULL: there are none */
  char *const *overlays; /* their paths, one per disk */
};

enum mover_event {
  MOVER_CREATED, /* the destination of this disk, which was not there */
  MOVER_READY,   /* everything is open */
  MOVER_COPYING, /* done, of all disks' bytes */
  MOVER_COPIED,
  MOVER_SHIPPING, /* done, of all disks' bytes */
  MOVER_FLUSHING,
  MOVER_DONE,
  MOVER_FAILED, /* see err */
};

struct mover_report {
  enum mover_event event;
  size_t disk;
  uint64_t done;
  rawview_error err;
};

struct mover {
  pid_t pid;    /* 0: none */
  int commands; /* to it */
  int reports;  /* from it, to be polled */
};

/* Forks, so no thread may have been started.  Signals that ask a program to end
 * do not reach it; it ends when its parent does.
 */
int mover_start (const struct mover_plan *plan, struct mover *mover,
                 rawview_error *err);

/* Waits for the next report.  0: there are no more, the process has ended. */
int mover_read (struct mover *mover, struct mover_report *report);

/* The overlays are complete. */
int mover_ship (struct mover *mover, rawview_error *err);

/* Ends it if it has not ended, and waits for that. */
void mover_stop (struct mover *mover);

/* What it does; returns its exit status. */
int mover_run (const struct mover_plan *plan, int commands, int reports);

#endif /* CLI_MOVER_H */
