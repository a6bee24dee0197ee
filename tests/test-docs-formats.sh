#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# docs/formats.md says what the recipes say.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

"$RAWVIEW_SRCDIR/scripts/formats-table" --check
