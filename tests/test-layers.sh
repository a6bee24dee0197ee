#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Arrows only point down.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

"$RAWVIEW_SRCDIR/scripts/check-layers" "$RAWVIEW_SRCDIR"
