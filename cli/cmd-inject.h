/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rawview inject, inside: what it was asked to do, and with what. */

#ifndef CLI_CMD_INJECT_H
#define CLI_CMD_INJECT_H

#include "inject-place.h"
#include "inject.h"
#include "inspect.h"
#include "vault.h"
#include "windows-tools.h"

/* The options of the command. */
struct inject_values {
  bool check, commit, json, no_guest_agent, no_install_drivers, recover;
  const char *journal, *luks_keys_vault, *log, *overlay, *overlay_dir;
  const char *password_file, *progress, *root;
  struct cli_list v2v;
  struct windows_tools_options windows;
};

struct task {
  const struct cli_args *args;
  const struct inject_values *v;
  enum progress_mode mode;
  struct v2v_program program;
  struct source *source;
  const struct machine *machine; /* of the source */
  enum inspect_system system;
  bool encrypted;
  struct cli_list env; /* for virt-v2v */
  struct vault *vault;
  const struct cli_list *keys; /* of the vault */
  char **overlays;             /* a path per disk; NULL: not planned */
  char *journal;
  char *log; /* its path */
  int log_fd;
  struct inject_place place;
  struct inject_progress progress;
  int signum;   /* that has ended it; 0 */
  bool decided; /* a commit that has failed after it was decided */
};

/* Where everything will lie, and whether it can: changes nothing. */
int task_plan (struct task *t, rawview_error *err);

/* Opens the log, and sets the marker for the overlays. */
int task_make_place (struct task *t, rawview_error *err);

/* What comes of the overlays.  On failure they are gone, unless decided. */
int task_keep (struct task *t, rawview_error *err);
int task_commit (struct task *t, rawview_error *err);

/* Tells of success on stdout; returns the status. */
int task_report (struct task *t);

/* Finishes an interrupted commit; returns the status. */
int task_recover (struct task *t);

void task_clear (struct task *t);

#endif /* CLI_CMD_INJECT_H */
