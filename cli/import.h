/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview import, inside: first a plan of all that will be done, then two
 * things at once.  One process copies the disks (mover.h), another one,
 * "rawview inject", gives the guest its drivers in overlays of the same disks;
 * and then only what the overlays have changed is copied over the copy.
 */

#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "dest.h"
#include "domain-xml.h"
#include "domain.h"
#include "mover.h"
#include "progress.h"
#include "source.h"
#include "work-dir.h"

/* What the user wants. */
struct import_wishes {
  char *const *operands;
  size_t n_operands;
  const rawview_options *options; /* for opening images */
  const struct cli_list *passed;  /* the same, "NAME=VALUE" */
  bool format;                    /* convert to the destinations' formats */
  bool virtio;                    /* give the guest its drivers */
  bool force, dry_run, json;
  unsigned threads;
  enum progress_mode progress;
  const char *name;          /* of the guest, NULL: the source's */
  const char *password_file; /* NULL: none */
  const char *work_dir;      /* NULL: beside the destinations */
  const char *connect;       /* URI of libvirt, NULL: its usual one */
  const char *log;           /* of virt-v2v, NULL: kept only if it fails */
  const char *output_xml;    /* NULL: none is wanted */
  struct domain_network *networks;
  size_t n_networks;
  struct cli_list
      inject; /* options for it, "--NAME=VALUE", made by cli_format */
};

struct import_disk {
  char *format;         /* NULL: it has none that counts */
  uint64_t size;        /* of what will be written, in bytes */
  uint64_t actual_size; /* of the source's files, 0: not known */
};

struct import {
  const struct import_wishes *wishes;
  struct dests dests;
  struct domain_host *libvirt; /* NULL: nobody needs it */
  struct source *source;       /* NULL: standard input */
  rawview_stream *stream;
  struct machine piped;   /* what the stream is */
  struct machine machine; /* borrowed from them, but for the name */
  struct import_disk *disks;
  enum machine_firmware firmware; /* as the disks show it */
  const char *system;             /* NULL: nobody has looked */
  uint64_t total;                 /* bytes of all disks */
  char *work_parent;              /* of the folder for what is temporary */
};

/* Connects with libvirt if a destination is a volume.  Before privileges are
 * given up.
 */
int import_connect (struct import *im, rawview_error *err);

/* Finds out what there is, and refuses what cannot be.  Nothing that it leaves
 * behind is visible to anybody.  dests are set before.
 */
int import_analyse (struct import *im, rawview_error *err);

/* For a person on stdout, or for programs. */
void import_print_plan (const struct import *im);

/* Does it.  *signum: the signal that stopped it, or 0. */
int import_run (struct import *im, int *signum, rawview_error *err);

/* May the domain be written where it is wanted? */
int import_check_xml (const struct import *im, rawview_error *err);

/* Writes the domain of the result. */
int import_write_xml (const struct import *im, rawview_error *err);

void import_clear (struct import *im);

/*--- How far it has come ------------------------------------------------*/

enum import_phase {
  IMPORT_COPY,
  IMPORT_INJECT, /* the copy is complete */
  IMPORT_SHIP,
  IMPORT_FLUSH,
  IMPORT_DONE,
};

struct import_progress {
  enum progress_mode mode;
  bool virtio;
  uint64_t total; /* bytes of all disks */
  enum import_phase phase;
  uint64_t copied, shipped; /* of total */
  double injected;          /* 0 to 100 */
  double told;              /* percent, never less than before */
  struct timespec shown;
};

/* Shows it if the last time is long enough ago, or if the phase is another. */
void import_progress_show (struct import_progress *p, enum import_phase phase);

/* Ends a bar's line. */
void import_progress_end (struct import_progress *p);

#endif /* CLI_IMPORT_H */
