#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The replayer notices when a rule of the flush epoch is broken: a barrier left
# out, a table written first, a cluster reused early.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

# One kind for each rule would do; which one is not the replayer's to know.
kinds=(qcow2-compressed qcow2-bitmaps qcow2-grow overlay-raw vmdk-sparse
       vmdk-delta)

"$RAWVIEW_SRCDIR/tests/crash/make-images" "$tmp/images" "${kinds[@]}"
"$RAWVIEW_BUILDDIR/tests/crash/crash-replay" --images "$tmp/images" \
  --jobs "$(nproc)" --states 3000 --breaks
