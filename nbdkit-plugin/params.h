/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parameters of the command line, kept until all of them are known. */

#ifndef RAWVIEW_PLUGIN_PARAMS_H
#define RAWVIEW_PLUGIN_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include <rawview.h>

struct source;

struct params {
  struct source *sources; /* file=, dir= and export=, in their order */
  size_t nr_sources;
  rawview_options *common; /* options given before any export= */
  bool fd_given;           /* fd= is among them, so no name is needed */
  bool overlay_given;      /* overlay= or overlay-dir= is among them */
};

/* All of these return 0, or -1 after nbdkit_error. */

int params_init (struct params *params);
void params_release (struct params *params);

int params_set (struct params *params, const char *key, const char *value);

/* After the last params_set: is there something to serve? */
int params_complete (struct params *params);

/* Opens what was named, in the order of the command line. */
int params_open (const struct params *params, rawview_exports *exports);

/* Is the export, by its full name, to have an overlay? */
bool params_has_overlay (const struct params *params, const char *name);

/* Is a folder served? */
bool params_is_folder (const struct params *params);

/* For "nbdkit rawview --help".  The options are those of rawview_option_get;
 * a test compares them.
 */
#define PARAMS_HELP \
  "[file=]FILE          The image, or the NBD URI of one.\n" \
  "dir=DIR              Every image of a folder is an export.\n" \
  "export=NAME:FILE     An export with a name of its own (repeatable).\n" \
  "\n" \
  "Options, for all exports or after an export= for that one:\n" \
  "\n" \
  "format=auto|qcow2|vmdk|raw\n" \
  "                     Format of the image; auto never takes anything for\n" \
  "                     raw.\n" \
  "snapshot=ID|NAME     Show an internal snapshot of a QCOW2 image.\n" \
  "disk=N|NAME          Which disk of an OVA.\n" \
  "references=same-directory|none|DIR\n" \
  "                     Where files that the image names may lie\n" \
  "                     (repeatable).\n" \
  "parent=FILE          The backing file or parent.\n" \
  "parent-format=qcow2|vmdk|raw\n" \
  "                     Its format where the image does not record it.\n" \
  "data-file=FILE       The external data file of a QCOW2 image.\n" \
  "overlay=FILE         Write into this QCOW2 file, made if it is not " \
  "there.\n" \
  "overlay-dir=DIR      The same, with a file per disk in this folder.\n" \
  "check=lazy|full      How much to check before writing (default lazy).\n" \
  "allow-devices=yes|no\n" \
  "                     Open block devices too.\n" \
  "allow-truncated=yes|no\n" \
  "                     Open flat files that are too short.\n" \
  "rescue=yes|no        Open damaged images too; what is lost fails to " \
  "read.\n" \
  "max-size=SIZE        Refuse larger disks (default 64T).\n" \
  "cache=SIZE           Memory for decompressed clusters (default 64M).\n" \
  "workers=N            Threads for decompression (default: the CPUs).\n" \
  "connections=N        Connections to an NBD server (default 4).\n" \
  "locking=auto|on|off  Lock out programs that would write the image.\n" \
  "sandbox=auto|on|off  Give up what is not needed before clients come.\n" \
  "fd=N                 The image is already open as this descriptor."

#endif /* RAWVIEW_PLUGIN_PARAMS_H */
