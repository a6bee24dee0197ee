/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What virt-v2v puts into a Windows guest and has to find on this machine: the
 * drivers (virtio-win, an ISO or a folder), rhsrvany.exe and pvvxsvc.exe.
 *
 * They are looked for, in this order, where the options say; where the
 * environment says (VIRTIO_WIN, VIRT_TOOLS_DATA_DIR, virt-v2v's own names);
 * where distributions put them; and in a cache, which is filled from a URL if
 * one is configured.  A place that was named is the only one: if it is wrong,
 * nothing else is taken instead.
 */

#ifndef CLI_WINDOWS_TOOLS_H
#define CLI_WINDOWS_TOOLS_H

#include "cli.h"

/* Whatever is NULL or 0 comes from the environment, the configuration file, or
 * the defaults.
 */
struct windows_tools_options {
  const char *virtio_win; /* an ISO or a folder */
  const char *virt_tools; /* the folder of the two programs */
  const char *cache;      /* a folder */
  const char *url;        /* of the folder from which the cache is filled */
  const char *sha256;     /* a file of checksums, as sha256sum prints them */
  const char *ca;         /* a file of certificates for the URL's server */
  unsigned max_age;       /* days; what is older is fetched again */
};

/* Entries for a command's table; FIELD is its struct windows_tools_options. */
#define WINDOWS_TOOLS_OPTIONS(TYPE, FIELD) \
  { "virtio-win", 0, \
    "PATH",       "Windows drivers: an ISO or a folder", \
    CLI_TEXT,     offsetof (TYPE, FIELD.virtio_win) }, \
      { "virt-tools", 0, \
        "DIR",        "where rhsrvany.exe and pvvxsvc.exe are", \
        CLI_TEXT,     offsetof (TYPE, FIELD.virt_tools) }, \
      { "tools-cache", 0, \
        "DIR",         "keep downloaded Windows drivers here", \
        CLI_TEXT,      offsetof (TYPE, FIELD.cache) }, \
      { "tools-url", 0, \
        "URL",       "fetch missing Windows drivers from this folder", \
        CLI_TEXT,    offsetof (TYPE, FIELD.url) }, \
      { "tools-sha256", 0, \
        "FILE",         "checksums that downloads must have", \
        CLI_TEXT,       offsetof (TYPE, FIELD.sha256) }, \
      { "tools-ca", 0, \
        "FILE",     "certificates to trust for downloads", \
        CLI_TEXT,   offsetof (TYPE, FIELD.ca) }, \
  { \
    "tools-max-age", 0, "DAYS", "fetch again what is older (default 30)", \
        CLI_NUMBER, offsetof (TYPE, FIELD.max_age) \
  }

/* To be called when the verdict is Windows, before anything starts.  Adds the
 * environment for virt-v2v-in-place to env, "NAME=VALUE" each, made by
 * cli_format.  If anything is missing, *err says what, where it was looked for
 * and how to get it.
 *
 * May download for minutes, and wait for another process that does.  Signals
 * that end the process must not be blocked meanwhile: what is unfinished is
 * removed by the next run.  Warnings go to stderr.  Not from two threads.
 */
int windows_tools_find (const struct windows_tools_options *options,
                        struct cli_list *env, rawview_error *err);

#endif /* CLI_WINDOWS_TOOLS_H */
