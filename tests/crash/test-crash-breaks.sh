#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The replayer notices when a rule of the flush epoch is broken: a barrier left
# out, a table written first, a cluster reused early.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

"$RAWVIEW_SRCDIR/tests/crash/make-images" "$tmp/images"
"$RAWVIEW_BUILDDIR/tests/crash/crash-replay" --images "$tmp/images" \
  --jobs "$(nproc)" --states 3000 --breaks
