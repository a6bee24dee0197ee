/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "cli.h"

int
cli_enter_sandbox (const rawview_options *options, const rawview_image *image,
                   rawview_exports *exports, const char *const *removes,
                   rawview_sandbox *state, rawview_error *err)
{
  const rawview_sandbox_needs needs = {
    .options = options, .image = image, .exports = exports, .removes = removes
  };

  return rawview_sandbox_enter (&needs, state, err);
}
