/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "guest-commands.h"
#include "import-inject.h"
#include "user.h"
#include "windows-tools.h"

struct import_values {
  bool dry_run, force, json, no_guest_agent, no_install_drivers;
  const char *allocation, *connect, *conversion, *name, *output_xml,
      *password_file;
  const char *progress, *user, *work_dir;
  const char *log, *luks_keys_vault, *root;
  struct cli_list bridges, networks, to, v2v;
  struct windows_tools_options windows;
  unsigned threads;
};

static const struct cli_option options[] = {
  { "allocation", 0, "sparse|preallocated",
    "whether destinations take all their space at once (sparse)", CLI_TEXT,
    offsetof (struct import_values, allocation) },
  { "bridge", 0, "FROM:TO", "connect what was on the network FROM to a bridge",
    CLI_LIST, offsetof (struct import_values, bridges) },
  { "connect", 0, "URI", "libvirt's, for volumes and their pools", CLI_TEXT,
    offsetof (struct import_values, connect) },
  { "conversion", 0, "WHAT",
    "format, virtio, both with a comma, or none (format)", CLI_TEXT,
    offsetof (struct import_values, conversion) },
  { "dry-run", 0, NULL, "print the plan and end", CLI_FLAG,
    offsetof (struct import_values, dry_run) },
  { "force", 0, NULL, "overwrite files that are not empty", CLI_FLAG,
    offsetof (struct import_values, force) },
  { "json", 0, NULL, "print the plan as JSON", CLI_FLAG,
    offsetof (struct import_values, json) },
  { "log", 0, "FILE", "what virt-v2v says (kept only if it fails)", CLI_TEXT,
    offsetof (struct import_values, log) },
  { "luks-keys-vault", 0, "FILE", "passphrases of encrypted disks", CLI_TEXT,
    offsetof (struct import_values, luks_keys_vault) },
  { "name", 0, "NAME", "call the guest NAME", CLI_TEXT,
    offsetof (struct import_values, name) },
  { "network", 0, "FROM:TO",
    "connect what was on the network FROM to libvirt's network TO", CLI_LIST,
    offsetof (struct import_values, networks) },
  { "no-guest-agent", 0, NULL, "do not let the guest install its QEMU agent",
    CLI_FLAG, offsetof (struct import_values, no_guest_agent) },
  { "no-install-drivers", 0, NULL, "do not look for the drivers of Windows",
    CLI_FLAG, offsetof (struct import_values, no_install_drivers) },
  { "output-xml", 0, "FILE", "write the libvirt domain of the result", CLI_TEXT,
    offsetof (struct import_values, output_xml) },
  { "password-file", 0, "FILE", "the password of the place it comes from",
    CLI_TEXT, offsetof (struct import_values, password_file) },
  { "progress", 'p', "bar|json|none", "show progress", CLI_OPTIONAL,
    offsetof (struct import_values, progress) },
  { "root", 0, "WHICH", "of several systems: first, or its device", CLI_TEXT,
    offsetof (struct import_values, root) },
  { "threads", 't', "N", "copy with N threads (number of CPUs)", CLI_NUMBER,
    offsetof (struct import_values, threads) },
  { "to", 0, "DEST", "where a disk goes, once per disk, or a folder for all",
    CLI_LIST, offsetof (struct import_values, to) },
  { "user", 0, "NAME", "as root: become NAME before an image is looked at",
    CLI_TEXT, offsetof (struct import_values, user) },
  { "v2v", 0, "ARG", "pass an argument to virt-v2v-in-place as it is", CLI_LIST,
    offsetof (struct import_values, v2v) },
  { "work-dir", 0, "DIR", "where overlays are made (beside the destination)",
    CLI_TEXT, offsetof (struct import_values, work_dir) },
  WINDOWS_TOOLS_OPTIONS (struct import_values, windows),
};

/*--- What is wished -----------------------------------------------------*/

static int
wrong_conversion (const char *value, rawview_error *err)
{
  return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                        "import: --conversion=%s: must be format, virtio, "
                        "format,virtio or none",
                        value);
}

static int
parse_conversion (const char *value, struct import_wishes *w,
                  rawview_error *err)
{
  CLEANUP_FREE char *words = cli_format ("%s", value ? value : "format");
  char *rest = words, *word;
  bool none = false;

  while ((word = strsep (&rest, ",")) != NULL) {
    bool *wish = strcmp (word, "format") == 0   ? &w->format
                 : strcmp (word, "virtio") == 0 ? &w->virtio
                 : strcmp (word, "none") == 0   ? &none
                                                : NULL;

    if (wish == NULL || *wish)
      return wrong_conversion (value, err);
    *wish = true;
  }
  return none && (w->format || w->virtio) ? wrong_conversion (value, err) : 0;
}

/* "FROM:TO", or "TO" for all that have no other. */
static int
add_network (const char *text, const char *kind, struct import_wishes *w,
             rawview_error *err)
{
  const char *colon = strchr (text, ':');
  struct domain_network *n =
      reallocarray (w->networks, w->n_networks + 1, sizeof *n);

  if (n == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  w->networks = n;
  n += w->n_networks++;
  *n = (struct domain_network){ .kind = kind, .to = colon ? colon + 1 : text };
  if (colon)
    n->from = cli_format ("%.*s", (int) (colon - text), text);
  if (*n->to != '\0' && colon != text)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                        "import: --%s=%s: must be FROM:TO or TO", kind, text);
}

static int
add_networks (const struct import_values *v, struct import_wishes *w,
              rawview_error *err)
{
  for (size_t i = 0; i < v->networks.len; i++)
    if (add_network (v->networks.items[i], "network", w, err) == -1)
      return -1;
  for (size_t i = 0; i < v->bridges.len; i++)
    if (add_network (v->bridges.items[i], "bridge", w, err) == -1)
      return -1;
  return 0;
}

/* What is for inject to understand. */
static void
add_inject_options (const struct import_values *v, struct cli_list *list)
{
  const struct windows_tools_options *t = &v->windows;
  const struct {
    const char *name, *value;
  } texts[] = {
    { "luks-keys-vault", v->luks_keys_vault },
    { "root", v->root },
    { "virtio-win", t->virtio_win },
    { "virt-tools", t->virt_tools },
    { "tools-cache", t->cache },
    { "tools-url", t->url },
    { "tools-sha256", t->sha256 },
    { "tools-ca", t->ca },
  };

  for (size_t i = 0; i < CLI_COUNT (texts); i++)
    if (texts[i].value)
      cli_list_add (list,
                    cli_format ("--%s=%s", texts[i].name, texts[i].value));
  for (size_t i = 0; i < v->v2v.len; i++)
    cli_list_add (list, cli_format ("--v2v=%s", v->v2v.items[i]));
  if (t->max_age != 0)
    cli_list_add (list, cli_format ("--tools-max-age=%u", t->max_age));
  if (v->no_guest_agent)
    cli_list_add (list, cli_format ("--no-guest-agent"));
  if (v->no_install_drivers)
    cli_list_add (list, cli_format ("--no-install-drivers"));
}

static int
find_wishes (const struct cli_args *args, struct import_wishes *w,
             rawview_error *err)
{
  const struct import_values *v = args->values;

  *w = (struct import_wishes){ .operands = args->operands,
                               .n_operands = args->n_operands,
                               .options = args->options,
                               .passed = &args->passed,
                               .force = v->force,
                               .dry_run = v->dry_run,
                               .json = v->json,
                               .threads = v->threads,
                               .name = v->name,
                               .password_file = v->password_file,
                               .work_dir = v->work_dir,
                               .connect = v->connect,
                               .log = v->log,
                               .output_xml = v->output_xml };
  if (!progress_parse_mode (v->progress, &w->progress))
    return cli_error_set (err, RAWVIEW_ERROR_USAGE, 0,
                          "import: --progress=%s: must be bar, json or none",
                          v->progress);
  if (parse_conversion (v->conversion, w, err) == -1)
    return -1;
  add_inject_options (v, &w->inject);
  return add_networks (v, w, err);
}

static void
free_wishes (struct import_wishes *w)
{
  for (size_t i = 0; i < w->n_networks; i++)
    free ((char *) w->networks[i].from);
  free (w->networks);
  cli_list_free (&w->inject);
}

/*--- The command --------------------------------------------------------*/

/* Devices are root's, and opened by root; all else is done by the user. */
static int
drop_privileges (const struct import_values *v, struct import *im,
                 rawview_error *err)
{
  if (v->user == NULL)
    return 0;
  for (size_t i = 0; i < im->dests.n; i++) {
    const struct dest *d = &im->dests.items[i];

    if (d->kind == DEST_VOLUME)
      return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, EACCES,
                            "import: --user=%s: libvirt's volume %s is not "
                            "that user's to write; name its file or device",
                            v->user, d->where);
    if (dest_open_early (&im->dests.items[i], err) == -1)
      return -1;
  }
  return user_become (v->user, !im->wishes->virtio, err);
}

static int
import (const struct cli_args *args, struct import *im, int *signum,
        rawview_error *err)
{
  const struct import_values *v = args->values;

  if (dests_parse (&v->to, v->allocation, &im->dests, err) == -1 ||
      import_connect (im, err) == -1 || drop_privileges (v, im, err) == -1 ||
      import_analyse (im, err) == -1)
    return -1;
  if (im->wishes->virtio && injection_check (im, err) == -1)
    return -1;
  import_print_plan (im);
  if (v->dry_run)
    return 0;
  if (import_run (im, signum, err) == -1)
    return -1;
  return v->output_xml ? import_write_xml (im, err) : 0;
}

static int
run (const struct cli_args *args)
{
  struct import_wishes wishes = { 0 };
  struct import im = { .wishes = &wishes };
  rawview_error err;
  int signum = 0, status = EXIT_SUCCESS;

  if (find_wishes (args, &wishes, &err) == -1 ||
      import (args, &im, &signum, &err) == -1) {
    status = cli_fail (&err);
    if (signum != 0)
      status = 128 + signum;
  }
  import_clear (&im);
  free_wishes (&wishes);
  return status != EXIT_SUCCESS ? status : cli_finish_output ();
}

const struct cli_command cmd_import = {
  .name = "import",
  .operands = IMPORT_OPERANDS,
  .summary = IMPORT_SUMMARY,
  .options = options,
  .n_options = CLI_COUNT (options),
  .values_size = sizeof (struct import_values),
  .min_operands = 1,
  .max_operands = SIZE_MAX,
  .run = run,
};
