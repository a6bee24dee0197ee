/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signals are waited for, never handled: no code of ours runs in a handler. */

#include <config.h>

#include <pthread.h>
#include <signal.h>

#include "cli.h"

void
cli_block_signals (sigset_t *set)
{
  static const int ending[] = { SIGHUP, SIGINT, SIGTERM };
  struct sigaction action;

  sigemptyset (set);
  /* A blocked signal is kept even if it is ignored, so ask first. */
  for (size_t i = 0; i < CLI_COUNT (ending); i++)
    if (sigaction (ending[i], NULL, &action) == 0 &&
        action.sa_handler != SIG_IGN)
      sigaddset (set, ending[i]);
  pthread_sigmask (SIG_BLOCK, set, NULL);
}
