/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview inject: the drivers for virtio, put into a guest by virt-v2v-in-place
 * where its disks lie.
 *
 * The order of things:
 *   1. look whether everything is there: virt-v2v, its appliance, the servers,
 *      the guest's disks, Windows' drivers, keys, and room for the result
 *   2. block signals, which are waited for from now on; clean up after runs
 *      that were killed; set the marker
 *   3. show the disks, convert, end the servers, which flush
 *   4. keep the overlays, or commit them to the images
 * Until 4 nothing has changed, and whatever fails removes the overlays.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "appliance.h"
#include "cmd-inject.h"
#include "guest-agent.h"
#include "guest-commands.h"
#include "json.h"

#define FIELD(name) offsetof (struct inject_values, name)

static const struct cli_option options[] = {
  { "check", 0, NULL, "only look whether everything is there", CLI_FLAG,
    FIELD (check) },
  { "commit", 0, NULL, "put the changes into the images themselves", CLI_FLAG,
    FIELD (commit) },
  { "journal", 0, "FILE", "of the commit (default: beside the first image)",
    CLI_TEXT, FIELD (journal) },
  { "json", 0, NULL, "print the result as JSON", CLI_FLAG, FIELD (json) },
  { "luks-keys-vault", 0, "FILE", "passphrases of encrypted disks", CLI_TEXT,
    FIELD (luks_keys_vault) },
  { "log", 0, "FILE", "what virt-v2v says (default: beside the overlay)",
    CLI_TEXT, FIELD (log) },
  { "no-guest-agent", 0, NULL, "do not let the guest install its QEMU agent",
    CLI_FLAG, FIELD (no_guest_agent) },
  { "no-install-drivers", 0, NULL, "do not look for the drivers of Windows",
    CLI_FLAG, FIELD (no_install_drivers) },
  { "overlay", 0, "FILE", "put the changes of the only disk here", CLI_TEXT,
    FIELD (overlay) },
  { "overlay-dir", 0, "DIR", "put the changes here, a file per disk", CLI_TEXT,
    FIELD (overlay_dir) },
  { "password-file", 0, "FILE", "password of a remote source", CLI_TEXT,
    FIELD (password_file) },
  { "progress", 0, "MODE", "show it as a bar, as json lines, or none", CLI_TEXT,
    FIELD (progress) },
  { "recover", 0, NULL, "finish a commit that was interrupted", CLI_FLAG,
    FIELD (recover) },
  { "root", 0, "WHICH", "of several systems: first, or its device", CLI_TEXT,
    FIELD (root) },
  { "v2v", 0, "ARG", "pass an argument to virt-v2v-in-place as it is", CLI_LIST,
    FIELD (v2v) },
  WINDOWS_TOOLS_OPTIONS (struct inject_values, windows),
};

/*--- Looking ------------------------------------------------------------*/

static int
check_program (const char *name, const char *package, rawview_error *err)
{
  CLEANUP_FREE char *path = cli_format ("%s", getenv ("PATH"));
  char *rest = path, *dir;

  while ((dir = strsep (&rest, ":")) != NULL) {
    CLEANUP_FREE char *file = cli_format ("%s/%s", dir, name);

    if (access (file, X_OK) == 0)
      return 0;
  }
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOENT,
                        "%s is not installed%s", name, package);
}

static int
check_servers (const struct task *t, rawview_error *err)
{
  if (t->program.sockets)
    return check_program ("nbdkit", " (package nbdkit)", err);
  if (check_program ("rawviewfs", "", err) == -1 ||
      (geteuid () != 0 &&
       check_program ("fusermount3", " (package fuse3)", err) == -1))
    return -1;
  if (access ("/dev/fuse", R_OK | W_OK) == 0)
    return 0;
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, errno,
                        "/dev/fuse: %s; virt-v2v %u.%u needs FUSE (package "
                        "fuse3, kernel module fuse)",
                        strerror (errno), t->program.major, t->program.minor);
}

static int
check_tools (struct task *t, rawview_error *err)
{
  return v2v_find (&t->program, err) == -1 ||
                 appliance_check (V2V_SPACE, err) == -1 ||
                 check_servers (t, err) == -1 ||
                 (t->v->no_guest_agent && guest_agent_check (err) == -1)
             ? -1
             : 0;
}

static int
look_inside (struct task *t, rawview_error *err)
{
  const size_t n = t->machine->n_disks;
  struct inspect_disk *disks = calloc (n, sizeof *disks);
  int r;

  if (disks == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  r = inspect_machine (t->machine, t->args->options, &t->args->passed, disks,
                       err);
  if (r == 0) {
    t->system = inspect_verdict (disks, n);
    t->encrypted = inspect_encrypted (disks, n);
  }
  for (size_t i = 0; i < n; i++)
    inspect_disk_clear (&disks[i]);
  free (disks);
  return r;
}

static int
find_keys (struct task *t, rawview_error *err)
{
  if (vault_open (t->v->luks_keys_vault, &t->vault, err) == -1)
    return -1;
  t->keys = vault_hand_on (t->vault, t->machine->name, err);
  if (t->keys == NULL)
    return -1;
  if (t->encrypted && t->keys->len == 0)
    fprintf (stderr,
             "rawview: inject: %s has encrypted parts, and no keys are known "
             "for it (see --luks-keys-vault)\n",
             t->machine->name);
  return 0;
}

static int
check_guest (struct task *t, rawview_error *err)
{
  const struct inject_values *v = t->v;

  if (source_open (t->args->operands, t->args->n_operands, t->args->options,
                   v->password_file, &t->source, err) == -1)
    return -1;
  t->machine = source_machine (t->source);
  if (look_inside (t, err) == -1)
    return -1;
  if (t->system == INSPECT_WINDOWS && !v->no_install_drivers &&
      windows_tools_find (&v->windows, &t->env, err) == -1)
    return -1;
  return find_keys (t, err);
}

/*--- Converting ---------------------------------------------------------*/

static int
convert (struct task *t, const sigset_t *signals, rawview_error *err)
{
  struct inject in = { .source = t->source,
                       .passed = &t->args->passed,
                       .program = &t->program,
                       .overlays = t->overlays,
                       .args = &t->v->v2v,
                       .keys = t->keys,
                       .env = &t->env,
                       .root = t->v->root != NULL ? t->v->root : "single",
                       .no_guest_agent = t->v->no_guest_agent,
                       .log_fd = t->log_fd,
                       .signals = signals,
                       .progress = &t->progress };
  int r = inject_run (&in, err);

  t->signum = in.signum;
  return r;
}

/* Blocks signals until the end, also during a commit: until that is decided it
 * takes no time, and then it is better finished.
 */
static int
work (struct task *t, rawview_error *err)
{
  sigset_t signals;

  cli_block_signals (&signals);
  /* Who no longer listens to our progress is no reason to leave a mess. */
  signal (SIGPIPE, SIG_IGN);
  if (task_make_place (t, err) == -1)
    return -1;
  inject_progress_start (&t->progress, t->mode);
  if (convert (t, &signals, err) == -1) {
    inject_progress_end (&t->progress);
    inject_place_remove (&t->place);
    return -1;
  }
  return t->v->commit ? task_commit (t, err) : task_keep (t, err);
}

static int
failed (const struct task *t, const rawview_error *err)
{
  inject_progress_end ((struct inject_progress *) &t->progress);
  if (t->log_fd == -1)
    return cli_failf (err->kind, "inject: %s", err->msg);
  cli_failf (err->kind, "inject: %s; %s; see %s", err->msg,
             t->decided ? "finish it with --recover" : "nothing has changed",
             t->log);
  return t->signum != 0 ? 128 + t->signum : (int) err->kind;
}

static int
run_task (struct task *t)
{
  rawview_error err;

  if (check_tools (t, &err) == -1 || check_guest (t, &err) == -1 ||
      task_plan (t, &err) == -1)
    return failed (t, &err);
  if (t->v->check)
    return EXIT_SUCCESS;
  if (work (t, &err) == -1)
    return failed (t, &err);
  return task_report (t);
}

/*--- The command --------------------------------------------------------*/

static int
usage (const char *what)
{
  return cli_failf (RAWVIEW_ERROR_USAGE,
                    "inject: %s (rawview inject --help explains)", what);
}

static int
check_usage (const struct cli_args *args, const struct inject_values *v)
{
  if (args->n_operands == 0 && !(v->recover && v->journal != NULL))
    return usage ("something is missing, expected SOURCE...");
  if (v->recover && (v->commit || v->check))
    return usage ("--recover goes alone");
  if (v->overlay != NULL && v->overlay_dir != NULL)
    return usage ("--overlay and --overlay-dir exclude each other");
  if (!v->recover && !v->check && !v->commit && v->overlay == NULL &&
      v->overlay_dir == NULL)
    return usage ("where do the changes go? Give --overlay, --overlay-dir or "
                  "--commit");
  return 0;
}

static int
run (const struct cli_args *args)
{
  const struct inject_values *v = args->values;
  struct task t = { .args = args, .v = v, .log_fd = -1 };
  int status = check_usage (args, v);

  if (status != 0)
    return status;
  if (!progress_parse_mode (v->progress, &t.mode))
    return usage ("--progress is bar, json or none");
  status = v->recover ? task_recover (&t) : run_task (&t);
  task_clear (&t);
  return status;
}

const struct cli_command cmd_inject = {
  .name = "inject",
  .operands = INJECT_OPERANDS,
  .summary = INJECT_SUMMARY,
  .options = options,
  .n_options = CLI_COUNT (options),
  .values_size = sizeof (struct inject_values),
  .max_operands = SIZE_MAX,
  .run = run,
};
