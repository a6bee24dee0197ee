/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include "cli.h"
#include "guest-commands.h"

static int
run (const struct cli_args *args)
{
  (void) args;
  return cli_failf (RAWVIEW_ERROR_UNSUPPORTED, "inject: not here yet");
}

const struct cli_command cmd_inject = {
  .name = "inject",
  .operands = INJECT_OPERANDS,
  .summary = INJECT_SUMMARY,
  .min_operands = 1,
  .max_operands = SIZE_MAX,
  .run = run,
};
