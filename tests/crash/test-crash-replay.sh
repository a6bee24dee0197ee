#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whatever a crash leaves: nothing that was flushed is lost, nothing that nobody
# wrote appears, and the image can be written again.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires qemu-img --version

crash=$RAWVIEW_BUILDDIR/tests/crash/crash-replay
"$RAWVIEW_SRCDIR/tests/crash/make-images" "$tmp/images"

"$crash" --images "$tmp/images" --jobs "$(nproc)" --states 2400 --qemu 70
"$crash" --images "$tmp/images" --jobs "$(nproc)" --states 300 --threads 3
