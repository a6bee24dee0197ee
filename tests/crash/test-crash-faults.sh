#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every operation on the image's files fails in turn: nothing else is lost, and
# writing works again afterwards.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

"$RAWVIEW_SRCDIR/tests/crash/make-images" "$tmp/images"
"$RAWVIEW_BUILDDIR/tests/crash/crash-replay" --images "$tmp/images" \
  --jobs "$(nproc)" --faults 4
